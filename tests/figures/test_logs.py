"""Pictures of a training log and of the claims, as data."""

import numpy as np
import polars as pl
import pytest

import lab
from lab import figures
from lab.figures.agreement import agreement
from lab.figures.claim_map import claim_map
from lab.figures.group_map import KINDS, group_map
from lab.figures.group_matrix import group_matrix, number
from lab.figures.log_lines import log_lines
from lab.figures.log_metrics import log_metrics
from lab.figures.log_steps import log_steps
from lab.figures.reward_transform import reward_transform
from lab.figures.sign_changes import sign_changes
from lab.figures.theme import palette
from lab.logs.frames import group_map_frame, group_rows, recomputed
from lab.logs.what_if import what_if


@pytest.fixture(scope="module")
def found():
    return {name: lab.diagnose(lab.load(path)) for name, path in lab.logs.bundled().items()}


def test_every_group_of_the_log_has_a_cell(found):
    drawn = group_map(group_map_frame(found["two_rewards"]))
    assert drawn.data[0].z.shape == (8, 12) and np.isfinite(drawn.data[0].z).all()
    assert [t.name for t in drawn.data[1:]] == ["signal: 96", "no signal: 0", "phantom: 0"]


def test_phantom_groups_have_their_own_colour(found):
    drawn = group_map(group_map_frame(found["equal_rewards"]), theme="dark")
    assert set(drawn.data[0].z.ravel()) == {KINDS.index("phantom")}
    assert drawn.data[-1].marker.color == palette("dark").flip


def test_steps_with_fewer_groups_leave_cells_empty():
    frame = pl.DataFrame({"step": [1, 1, 2], "group": [0, 1, 0], "reward": [0.1, 0.2, 0.3], "kind": ["signal"] * 3})
    z = group_map(frame).data[0].z
    assert z.shape == (2, 2) and np.isnan(z[1, 1])


def test_bars_add_up_to_the_changed_rollouts(found):
    changes = found["two_rewards"].changes
    drawn = sign_changes(changes)
    bars = [t for t in drawn.data if t.type == "bar"]
    assert np.allclose(sum(np.asarray(t.x) for t in bars), changes["share"])
    words = next(t for t in drawn.data if t.type == "scatter")
    assert [int(w) for w in words.text] == changes["changed"].to_list()


def test_agreement_lies_on_the_diagonal_where_the_rule_is_found(found):
    drawn = agreement(recomputed(found["two_rewards"]))
    points = drawn.data[1]
    assert np.allclose(points.x, points.y, atol=1e-5) and len(points.x) <= 1500
    assert list(drawn.layout.xaxis.range) == list(drawn.layout.yaxis.range)


def test_agreement_of_a_constant_has_axes_that_show_it(found):
    low, high = agreement(recomputed(found["equal_rewards"])).layout.xaxis.range
    assert low < 2.98e-4 < high < 1e-2


def test_many_rollouts_are_thinned():
    values = np.linspace(-1, 1, 100_000)
    frame = pl.DataFrame({"step": 1, "group": 0, "rollout": 0, "logged": values, "recomputed": values, "rule": "grpo",
                          "precision": "float32"})  # fmt: skip
    assert len(agreement(frame).data[1].x) <= 1500


def test_the_matrix_shows_every_number_and_frames_wrong_signs(found):
    rows = group_rows(found["two_rewards"], 1, 0, ["gdpo", "mc-grpo"])
    drawn = group_matrix(rows)
    assert list(drawn.data[0].y) == ["digit_fraction", "starts_with_digit", "reward", "logged", "gdpo", "mc-grpo"]
    assert len(drawn.layout.shapes) == rows["wrong"].sum() > 0
    assert len(drawn.data[1].text) == rows.height


def test_names_from_a_log_are_text_in_the_picture():
    rows = pl.DataFrame({"row": ["<a href='x'>r</a>"], "kind": ["reward"], "rollout": [0], "value": [1.0],
                         "wrong": [False]})  # fmt: skip
    assert list(group_matrix(rows).data[0].y) == ["&lt;a href=&#x27;x&#x27;&gt;r&lt;/a&gt;"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (float("nan"), ""), (0.0, "0.00"), (-0.5, "−0.50"), (0.005, "0.005"), (3e-4, "3e−4"), (1e5, "1e5")],
)  # fmt: skip
def test_numbers_are_short(value, text):
    assert number(value) == text


def test_steps_of_a_log_with_and_without_the_trainers_norm(found):
    drawn = log_steps(found["two_rewards"].steps)
    assert [drawn.layout[f"yaxis{i}"].title.text for i in ("", 2, 3)] == ["reward", "no signal", "gradient norm"]
    without = log_steps(found["two_rewards"].steps.drop("grad_norm"))
    assert "yaxis3" not in without.layout


def test_lines_of_a_log_with_a_band_and_strange_names():
    rows = [("<think>", 1, 0.5, None, None), ("<think>", 2, 0.7, None, None), ("b", 1, 3.0, 1.0, 9.0)]
    drawn = log_lines(pl.DataFrame(rows, schema=["line", "step", "value", "low", "high"], orient="row"), label="a<b")
    assert [(t.name, t.mode) for t in drawn.data] == [
        ("&lt;think&gt;", "lines+markers"), (None, "lines"), (None, "lines"), ("b", "lines+markers"),
    ]  # fmt: skip
    assert drawn.layout.yaxis.title.text == "a&lt;b"
    assert (drawn.data[2].y, drawn.data[2].fill, drawn.layout.showlegend) == ((9.0,), "tonexty", True)


VERDICTS = ["holds", "fails", "does not distinguish", "not measured yet", "shown", "not shown here", "reversed here"]


def claims():
    """Claims of three papers, of every kind and verdict."""
    kinds = ["claim", "check", "limit", "claim", "headline", "headline", "headline"]
    return pl.DataFrame({
        "paper": list("AAABBCC"), "id": [f"x.{i}" for i in range(7)], "place": [1, 2, 3, 1, 2, 1, 2],
        "kind": kinds, "sentence": ["one <b>", *["two"] * 6], "verdict": VERDICTS,
        "room": [0.25, None, None, None, 1.0, None, None], "differs": [True, None, False, None, None, None, None],
    })  # fmt: skip


def test_claims_are_told_apart_by_verdict_and_kind():
    drawn = claim_map(claims())
    marks = [t for t in drawn.data if t.mode == "markers" and t.showlegend is False and len(t.x)]
    shapes = {t.name: list(t.marker.symbol) for t in marks if t.name != "differs"}
    assert shapes == {
        "holds": ["circle"], "fails": ["square-x-open"], "does not distinguish": ["diamond-open-dot"],
        "not measured yet": ["circle-open"], "shown": ["star"], "not shown here": ["star-open-dot"],
        "reversed here": ["star-triangle-down"],
    }  # fmt: skip
    assert "&lt;b&gt;" in marks[0].hovertext[0] and "25% of the way" in marks[0].hovertext[0]
    assert [list(t.x) for t in marks if t.name == "differs"] == [[1]]
    assert [(t.x[0], t.y[0], t.xaxis) for t in marks if t.name == "reversed here"] == [(2, 0, "x2")]


def test_bars_are_as_long_as_the_way_that_is_beyond_doubt():
    bars = [t for t in claim_map(claims()).data if t.name == "room" and len(t.x)]
    lengths = [np.subtract(t.x[1::3], t.x[::3]) for t in bars]
    assert np.allclose(lengths[1] / lengths[0], [0.25, 1.0])


def test_the_legend_of_claims_is_whole_whatever_is_drawn():
    words = [[t.name for t in claim_map(frame).data if t.showlegend is None] for frame in (claims(), claims().head(1))]
    assert words[0] == words[1] and len(set(words[0])) == 11
    assert {"claim: held", "check: held", "limit: held", "headline: reversed here"} <= set(words[0])


def test_a_long_log_shows_the_worst_of_each_stretch():
    steps, groups = 2000, 2
    kinds = ["signal"] * (steps * groups - 1) + ["phantom"]
    frame = pl.DataFrame({
        "step": np.repeat(np.arange(steps), groups), "group": np.tile([0, 1], steps), "reward": 0.5, "kind": kinds,
    })  # fmt: skip
    drawn = group_map(frame)
    cells = drawn.data[0]
    assert cells.z.shape == (2, 400) and list(cells.x[:2]) == [0, 5]
    assert cells.z[1, -1] == KINDS.index("phantom") and (cells.z.sum() == KINDS.index("phantom"))
    assert drawn.data[-1].name == "phantom: 1"


def test_what_if_draws_each_rule_and_the_logs_own_distance(found):
    frame = what_if(found["two_rewards"], ["dr_grpo", "gdpo"])
    drawn = figures.what_if(frame, theme="dark")
    flipped = next(t for t in drawn.data if t.name == "opposite sign")
    assert list(flipped.y) == ["dr_grpo", "gdpo"] and np.allclose(flipped.x, frame["flipped"][1:] / 768)
    own = next(t for t in drawn.data if t.name == "distance of logged")
    assert set(own.x) == {frame["distance"][0]}


def test_metrics_have_a_small_picture_each_and_gaps_where_they_are_missing(found):
    metrics = found["openrlhf"].table.metrics
    drawn = log_metrics(metrics)
    assert 1 < len(drawn.data) <= 9 and all(len(t.x) == metrics.height for t in drawn.data)
    odd = pl.DataFrame({"step": [1, 2, 3], "a<b>": [1.0, None, 2.0], "constant": [1.0, 1.0, 1.0]})
    only = log_metrics(odd)
    assert [t.name for t in only.data] == ["a&lt;b&gt;"], "what changes, its name as text"
    assert np.isnan(only.data[0].y[1])


def test_a_reward_rule_is_drawn_reward_by_reward():
    frame = pl.DataFrame({"before": [0.0, 1.0], "after": [0.5, 0.25]})
    points = reward_transform(frame).data[1]
    assert list(points.x) == [0.0, 1.0] and list(points.y) == [0.5, 0.25]


def test_a_step_is_marked(found):
    drawn = log_steps(found["two_rewards"].steps, step=5)
    assert {shape.x0 for shape in drawn.layout.shapes} == {5} and len(drawn.layout.shapes) == 3


def test_few_steps_have_whole_numbers_on_their_axis():
    from lab.figures.marks import whole

    assert whole(pl.Series([1, 4])) == {"tickformat": "d", "dtick": 1}
    assert whole(pl.Series([1, 6]))["dtick"] == 1 and "dtick" not in whole(pl.Series([1, 7]))
    assert whole(pl.Series([], dtype=pl.Int64)) == {"tickformat": "d"}
