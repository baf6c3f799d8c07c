"""Panels of training and norms of gradients, as data."""

import numpy as np
import polars as pl
import pytest

from lab.figures.agent_norms import agent_norms
from lab.figures.gradient_norms import gradient_norms
from lab.figures.prompt_norms import prompt_norms
from lab.figures.theme import palette, style
from lab.figures.training import GLANCE, training


def summary(metrics, variants=("grpo", "mc-grpo"), steps=600, **columns):
    """A summary with the same numbers for every metric and variant."""
    step = np.arange(steps)
    mean = columns.get("mean", 0.5 + 0.1 * np.sin(step / 20))
    numbers = {"mean": mean, "low": columns.get("low", mean - 0.1), "high": columns.get("high", mean + 0.1)}
    frames = [
        pl.DataFrame({"variant": v, "metric": m, "step": step, **numbers}) for v in variants for m in metrics
    ]  # fmt: skip
    return pl.concat(frames)


def lines(figure, axis=""):
    return [t for t in figure.data if t.yaxis == f"y{axis}" and t.name]


def bands(figure, axis=""):
    return [t for t in figure.data if t.yaxis == f"y{axis}" and t.fill]


def test_one_panel_per_measurement_and_one_legend_for_all():
    drawn = training(summary(GLANCE))
    assert [len(lines(drawn, i + 1 if i else "")) for i in range(6)] == [2] * 6
    assert sum(bool(t.showlegend) for t in drawn.data) == 2
    titles = [each.text for each in drawn.layout.annotations]
    assert titles[0].startswith("<b>Expected reward</b>") and "higher is better" in titles[0]
    assert "share of rollouts, lower is better" in titles[1]
    assert drawn.layout.yaxis4.type == "log" and drawn.layout.yaxis2.tickformat == ".0%"


def test_measurements_that_the_frame_lacks_have_no_panel():
    drawn = training(summary(["value", "entropy"]))
    assert len(drawn.layout.annotations) == 2 and "yaxis3" not in drawn.layout


def test_a_panel_has_at_most_two_thousand_points_and_keeps_spikes():
    mean = np.full(50_000, 0.5)
    mean[31_337] = 0.9
    drawn = training(summary(["value"], steps=50_000, mean=mean, low=mean - 0.1, high=mean + 0.1))
    assert sum(len(t.x) for t in drawn.data) <= 2000
    assert max(lines(drawn)[0].y) == 0.9


def test_bands_stay_within_what_a_measurement_can_be():
    mean = np.full(10, 0.01)
    wide = {"mean": mean, "low": mean - 3, "high": mean + 3}
    drawn = training(summary(["sign_flip", "cosine"], steps=10, **wide))
    assert np.nanmin(bands(drawn)[0].y) == 0 and np.nanmax(bands(drawn)[0].y) == 1
    assert np.nanmin(bands(drawn, 2)[0].y) == -1


def test_a_band_has_a_gap_where_the_interval_is_unknown():
    mean, step = np.full(9, 0.5), np.arange(9)
    low = np.where((step == 3) | (step == 4), np.nan, 0.4)
    drawn = training(summary(["value"], steps=9, mean=mean, low=low, high=low + 0.2))
    around = np.asarray(bands(drawn)[0].x, dtype=float)
    assert np.isnan(around).sum() == 2, "two closed outlines"
    assert not {3.0, 4.0} & set(around[~np.isnan(around)])


def test_nothing_at_or_below_zero_on_a_logarithmic_axis():
    mean = np.array([1.0, 0.0, 2.0, 1e-3])
    drawn = training(summary(["grad_norm"], steps=4, mean=mean, low=mean - 1, high=mean + 1))
    line, band = lines(drawn)[0], bands(drawn)[0]
    assert np.isnan(line.y[1]) and np.nanmin(band.y) == 1e-3


@pytest.fixture
def marked():
    step = np.arange(200)
    norm = np.full(200, 0.1)
    norm[150] = 7.0
    norm[20] = 1e-18
    frames = [
        pl.DataFrame({"variant": v, "seed": s, "step": step, "grad_norm": norm, "score": norm / 0.1, "spike": norm > 1})
        for v in ("grpo", "dr_grpo")
        for s in range(8)
    ]
    return pl.concat(frames)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_spikes_are_marked_and_one_is_ringed(marked, theme):
    drawn = gradient_norms(marked, theme=theme, ring=("dr_grpo", 3, 150))
    found = [t for t in drawn.data if t.name == "spikes of grpo"]
    assert list(found[0].x) == [150] * 8 and found[0].marker.color == palette(theme).flip
    ring = [t for t in drawn.data if t.name == "taken apart"]
    assert len(ring) == 1 and ring[0].yaxis == "y2" and list(ring[0].y) == [7.0]
    assert drawn.layout.yaxis2.title.text == "dr_grpo"
    assert drawn.layout.yaxis2.title.font.color == style("dr_grpo", theme).color


def test_runs_are_one_trace_with_gaps_and_zero_is_no_point(marked):
    drawn = gradient_norms(marked)
    runs = next(t for t in drawn.data if t.name == "grpo")
    assert np.isnan(np.asarray(runs.x, float)).sum() == 8
    assert np.nanmin(runs.y) == 0.1 and np.nanmax(runs.y) == 7.0
    assert sum(len(t.x) for t in drawn.data if t.mode == "lines") <= 2500


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_agents_stand_below_and_variants_beside_each_other(marked, theme):
    both = pl.concat([marked.with_columns(agent=pl.lit(name)) for name in ("solver", "helper")])
    drawn = agent_norms(both, theme=theme, ring=("dr_grpo", "helper", 3, 150))
    assert [title.text for title in drawn.layout.annotations] == ["grpo", "dr_grpo"]
    assert drawn.layout.annotations[1].font.color == style("dr_grpo", theme).color
    assert [drawn.layout[axis].title.text for axis in ("yaxis", "yaxis3")] == ["solver", "helper"]
    assert sum(t.name.startswith("spikes of") for t in drawn.data) == 4
    ring = [t for t in drawn.data if t.name == "taken apart"]
    assert len(ring) == 1 and ring[0].yaxis == "y4" and list(ring[0].y) == [7.0]


def test_the_prompt_that_moved_the_policy_stands_out():
    frame = pl.DataFrame({"slot": [0, 1, 2], "prompt": [40, 718, 3], "norm": [0.1, 3.0, 0.2],
                          "share": [0.03, 0.91, 0.06],
                          "largest": [False, True, False]})  # fmt: skip
    drawn = prompt_norms(frame)
    assert list(drawn.data[0].x) == list(drawn.layout.xaxis.tickvals) == [0, 1, 2]
    assert list(drawn.layout.xaxis.ticktext) == ["40", "718", "3"]
    assert drawn.data[0].customdata.tolist() == [[0.03, 40], [0.91, 718], [0.06, 3]]
    colors = drawn.data[0].marker.color
    assert colors[1] == palette().flip and colors[0] == colors[2] != colors[1]
