"""The picture of proxy and gold: both lines of every variant, the mark where they part, none where they don't."""

import polars as pl
import pytest

from lab.figures.gold import parting_steps
from lab.figures.theme import palette

SUMMARY = pl.DataFrame(
    [(v, step, metric, y, y - 0.1, y + 0.1)
     for v in ("a", "b") for metric, slope in (("value", 0.1), ("gold", -0.1))
     for step in range(4) for y in [0.5 + slope * step]],
    schema=["variant", "step", "metric", "mean", "low", "high"], orient="row",
)  # fmt: skip
PARTED = pl.DataFrame({"variant": ["a", "b"], "step": [2, None], "best": [1, 0], "gold_best": [0.4, 0.5]})


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_rewards_of_every_variant_and_the_mark_of_those_that_part(theme):
    drawn = parting_steps(SUMMARY, theme=theme, parted=PARTED)
    named = [t.name for t in drawn.data if t.name]
    assert named == ["gold reward", "proxy reward", "best gold", "gold reward", "proxy reward"]
    gold = next(t for t in drawn.data if t.name == "gold reward")
    assert list(gold.y) == pytest.approx([0.5, 0.4, 0.3, 0.2]) and gold.line.dash == "solid"
    ring = next(t for t in drawn.data if t.name == "best gold")
    assert (list(ring.x), list(ring.y), ring.xaxis) == ([1], [0.4], "x")
    (line,) = drawn.layout.shapes
    assert (line.x0, line.x1, line.xref, line.line.color) == (2, 2, "x", palette(theme).flip)
    first, second = (a.text for a in drawn.layout.annotations)
    assert "part at step 2" in first and "they don't part" in second
    assert [t.name for t in drawn.data if t.showlegend] == ["gold reward", "proxy reward"]
