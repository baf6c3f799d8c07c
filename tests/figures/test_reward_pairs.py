"""Pictures of two rewards: maps with arrows, the way between them, the cloud."""

import numpy as np
import polars as pl
import pytest

from lab import studies
from lab.errors import UnknownNameError
from lab.figures.reward_pairs import distance_color, place_states, regret_cloud, reward_maps, reward_way
from simulators.mdp import families

GRID = families.grid(3, 0.9, goal=-1)
MEANT = np.array([0, 0, 0, 0, 0, 0, 0, 0, 1.0])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_map_for_each_reward_with_the_best_actions(theme):
    frame = studies.reward_map(GRID, {"meant": MEANT, "trained on": -MEANT})
    drawn = reward_maps(frame, theme=theme)
    assert [t.z[2][2] for t in drawn.data] == [1.0, -1.0]
    arrows = [a for a in drawn.layout.annotations if a.showarrow]
    some = [best for best in frame["best"].to_list() if len(best) < 4]
    assert len(arrows) == sum(map(len, some))
    down = next(a for a in arrows if (a.ax, a.xref) == (2, "x") and a.ay > 1)
    assert (down.x, down.y > down.ay) == (2, True), "rows grow downwards, and the goal is below"
    assert [a.text for a in drawn.layout.annotations if not a.showarrow] == ["<b>meant</b>", "<b>trained on</b>"]


def test_a_row_goes_left_and_right():
    mdp = families.chain(4)
    drawn = reward_maps(studies.reward_map(mdp, {"meant": [0, 0, 0, 1.0]}), layout="row")
    assert all(a.x > a.ax for a in drawn.layout.annotations if a.showarrow)
    assert drawn.data[0].z.shape == (1, 4)


def test_the_way_has_distances_above_and_losses_below():
    walk = studies.reward_walk(GRID, MEANT, -MEANT, ["val-l2-l2", "epic"], steps=4)
    drawn = reward_way(walk, maximum={"epic": 1.0})
    assert {t.name: t.yaxis for t in drawn.data} == {
        "val-l2-l2": None, "epic": None, "regret": "y2", "at worst": "y2"
    }  # fmt: skip
    assert [t.y[-1] for t in drawn.data] == pytest.approx([1, 1, 1, 1])


def test_a_panel_per_distance_with_its_correlations_and_a_star():
    names = ["val-l2-l2", "none-l2-l2"]
    cloud = studies.distance_study(names, mdp=GRID, environments=2, pairs=2, steps=3)
    known = studies.regret_correlations(cloud, resamples=5)
    drawn = regret_cloud(cloud, correlations=known, here={"regret": 0.5, "val-l2-l2": 1.0})
    stars = [t for t in drawn.data if t.marker.symbol == "star"]
    assert [(t.x[0], t.y[0]) for t in stars] == [(1.0, 0.5)]
    assert all(str(round(row["pearson"], 2))[:4] in "".join(a.text for a in drawn.layout.annotations)
               for row in known.iter_rows(named=True))  # fmt: skip
    assert regret_cloud(cloud, correlations=known.head(1)).data[0].x.size == cloud.height


def test_places_and_colours():
    assert np.stack(place_states("grid", 5), -1).tolist() == [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1]]
    assert np.hypot(*place_states("graph", 7)) == pytest.approx(1)
    with pytest.raises(UnknownNameError, match="grid"):
        place_states("gird", 4)
    assert distance_color("starc") == distance_color("val-w1-l2") != distance_color("epic")
    assert isinstance(pl.Series([distance_color("epic", "dark")])[0], str)
