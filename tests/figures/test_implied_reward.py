"""Pictures of implied rewards: panels, exact lines and drawn points, variants without an answer."""

import polars as pl
import pytest

from lab.figures.implied_reward import implied_distances, implied_lift, implied_over_success

SCHEMA = {"variant": pl.String, "group_size": pl.Int64, "success": pl.Float64, "kind": pl.String,
          "distance": pl.Float64, "low": pl.Float64, "high": pl.Float64, "lift": pl.Float64}  # fmt: skip
ROWS = [
    ("grpo", 2, 0.1, "exact", 0.0, 0.0, 0.0, 1.0), ("grpo", 2, 0.5, "exact", 0.0, 0.0, 0.0, 1.0),
    ("grpo", 8, 0.1, "exact", 0.2, 0.2, 0.2, 1.5), ("grpo", 8, 0.5, "exact", 0.0, 0.0, 0.0, 1.0),
    ("bnpo", 2, 0.1, "drawn", 0.1, 0.05, 0.2, 0.9), ("bnpo", 2, 0.5, "drawn", 0.0, 0.0, 0.1, -0.1),
    ("thr", 2, 0.1, None, None, None, None, None),
]  # fmt: skip
FRAME = pl.DataFrame(ROWS, schema=SCHEMA, orient="row")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_panel_per_variant_and_a_line_per_group_size(theme):
    drawn = implied_over_success(FRAME, theme=theme)
    lines = [t for t in drawn.data if len(t.x) and t.x[0] is not None]
    assert [(t.name, t.xaxis) for t in lines] == [("G = 2", "x"), ("G = 8", "x"), ("G = 2", "x2")]
    assert list(lines[1].y) == [0.2, 0.0] and lines[1].error_y.array is None
    assert list(lines[2].error_y.array) == pytest.approx([0.1, 0.1]) and lines[2].line.dash == "dot"
    assert [t.name for t in drawn.data if t.showlegend is not False] == ["G = 2", "G = 8"]
    words = [a.text for a in drawn.layout.annotations]
    assert words == ["<b>grpo</b>", "<b>bnpo</b>", "<b>thr: not defined here</b>"]
    assert drawn.layout.yaxis.range == drawn.layout.yaxis2.range


def test_a_weight_below_nothing_is_left_out_of_the_logarithmic_axis():
    drawn = implied_lift(FRAME.filter(group_size=2))
    assert {t.name: list(t.y) for t in drawn.data} == {"grpo": [1.0, 1.0], "bnpo": [0.9], "thr": []}


def test_distances_stand_in_the_order_given_exact_ones_as_diamonds():
    frame = FRAME.filter(pl.col("success") == 0.1, pl.col("group_size") == 2)
    drawn = implied_distances(frame)
    assert list(drawn.layout.yaxis.categoryarray) == ["thr", "bnpo", "grpo"]
    assert {t.name: (t.x[0], t.marker.symbol) for t in drawn.data} == {
        "grpo": (0.0, "diamond"),
        "bnpo": (0.1, "circle"),
    }
    assert list(drawn.data[1].error_x.arrayminus) == pytest.approx([0.05])
