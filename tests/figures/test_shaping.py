"""Pictures of dense rewards: what is drawn is what the frames say."""

import numpy as np
import polars as pl
import pytest

from lab import figures, studies
from simulators.mdp.chains import Chain

CHAIN = Chain.gate(0.5, 6, 0.9)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_bars_are_the_shares_of_runs_and_signs_the_best_actions(theme: str) -> None:
    frame = studies.shaping_policies(["sparse", "progress"], chain=CHAIN, seeds=4, episodes=200)
    drawn = figures.chain_policies(frame, theme=theme)
    bars = [t for t in drawn.data if t.type == "bar"]
    for axis in ("y", "y2"):
        total = np.sum([t.y for t in bars if t.yaxis == axis], axis=0)
        assert np.allclose(total, 1), "every run does something at every position"
    signs = {t.yaxis: list(t.text) for t in drawn.data if t.type == "scatter"}
    assert signs["y"] == ["→"] * 6, "the goal alone: forward everywhere"
    assert signs["y2"] == ["→"] * 5 + ["○"], "progress alone: hover before the goal"
    assert sum(t.showlegend for t in bars) == 3


def test_a_grid_shows_where_the_policy_lingers() -> None:
    frame = studies.blend_policies("farmable", steps=1)
    drawn = figures.grid_policies(frame)
    naive = frame.filter((pl.col("variant") == "naive sum") & (pl.col("state") == 1))
    maps = [t for t in drawn.data if t.type == "heatmap"]
    assert len(maps) == 3
    assert np.nanmax(maps[1].z) == pytest.approx(naive["visits"][0]), "the cell that pays"
    assert np.isnan(maps[0].z[-1, -1]), "the goal has no policy"
    words = [t for t in drawn.data if t.type == "scatter"]
    assert all(list(t.text).count("goal") == 1 for t in words)


def test_step_rewards_are_bars_for_the_truth_and_lines_for_the_rest() -> None:
    frame = studies.redistributed_episode(["factors"], episodes=16, steps=12)
    drawn = figures.step_rewards(frame)
    kinds = {t.name: t.type for t in drawn.data}
    assert kinds == {"true": "bar", "spread evenly": "scatter", "factors": "scatter"}
    for trace in drawn.data:
        assert list(trace.y) == frame.filter(pl.col("variant") == trace.name)["reward"].to_list()
