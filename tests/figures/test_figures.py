"""Figures as data: what is drawn, in which order, with which intervals and units."""

import numpy as np
import plotly.graph_objects as go
import polars as pl
import pytest

import lab
from lab.errors import InputError
from lab.experiment import by_group_size
from lab.figures.groups import advantage_bars
from lab.figures.lines import curves, thin
from lab.figures.rates import flips_by_law, flips_by_size, levels_by_size, silence
from lab.figures.theme import PALETTES, palette, style
from lab.measures.metrics import AGAINST_DRAWN, AGAINST_EXPECTED, METRICS
from lab.studies import sign_flip_study
from lab.studies.what_if import advantage_table
from lab.trace import leads, summarise


@pytest.fixture
def summary():
    steps = np.arange(2000)
    rows = []
    for variant, level in {"grpo": 0.5, "mc-grpo": 0.7}.items():
        mean = level + 0.1 * np.sin(steps / 50)
        mean[777] = 9.0
        rows.append(
            pl.DataFrame({"variant": variant, "step": steps, "mean": mean, "low": mean - 0.1, "high": mean + 0.1})
        )
    return pl.concat(rows).with_columns(metric=pl.lit("reward"))


def named(figure, name):
    return [trace for trace in figure.data if trace.name == name]


@pytest.mark.parametrize("theme", PALETTES)
def test_curves_draw_a_line_and_a_band_per_variant(summary, theme):
    drawn = curves(summary, theme=theme, metric="reward", label="reward")
    line = named(drawn, "grpo")[0]
    assert line.line.color == style("grpo", theme).color
    band = next(trace for trace in drawn.data if trace.legendgroup == "grpo" and trace.fill == "tonexty")
    assert np.allclose(band.y - line.y, 0.1)
    assert len(line.x) <= 602
    assert drawn.layout.yaxis.title.text == "reward"
    assert drawn.layout.paper_bgcolor is None and drawn.layout.template.layout.paper_bgcolor == palette(theme).paper


def test_curves_keep_a_spike_of_one_step(summary):
    line = named(curves(summary, metric="reward", label="reward"), "grpo")[0]
    assert 777 in line.x and max(line.y) == 9.0


def test_curves_can_be_logarithmic_or_a_share(summary):
    assert curves(summary, metric="reward", label="x", log=True).layout.yaxis.type == "log"
    assert curves(summary, metric="reward", label="x", percent=True).layout.yaxis.tickformat == ".0%"


def test_thin_keeps_ends_and_extremes_of_every_bucket():
    values = np.random.default_rng(0).normal(size=1000)
    kept = thin(values, 10)
    assert kept[0] == 0 and kept[-1] == 999 and len(kept) <= 22
    for bucket in np.split(np.arange(1000), 10):
        assert bucket[values[bucket].argmax()] in kept and bucket[values[bucket].argmin()] in kept


def test_thin_leaves_short_traces_and_survives_nan():
    assert thin(np.zeros(5), 10).tolist() == [0, 1, 2, 3, 4]
    values = np.full(100, np.nan)
    values[42] = 3.0
    assert 42 in thin(values, 4)


def test_advantage_bars_mark_what_has_the_wrong_sign():
    table = advantage_table(["grpo", "mc-grpo"], [0.25, 0.4, 0.5, 2.0], true_mean=0.38)
    drawn = advantage_bars(table)
    grpo = next(trace for trace in drawn.data if trace.name == "grpo")
    wrong = table.filter(variant="grpo")["flipped"].to_list()
    assert any(wrong)
    assert [words.startswith("✕") for words in grpo.text] == wrong
    assert [color == palette().flip for color in grpo.marker.line.color] == wrong
    assert drawn.layout.yaxis2.range == drawn.layout.yaxis3.range, "all rules on one scale"
    assert drawn.layout.yaxis2.range is not None


def test_advantage_bars_cut_what_is_beyond_the_scale_and_still_say_it():
    table = advantage_table(["mc-grpo", "bnpo"], [0.0, 0.0, 0.0, 5.0], true_mean=1.0)
    drawn = advantage_bars(table, scale=3)
    bars = {trace.name: trace for trace in drawn.data if trace.type == "bar"}
    assert bars["mc-grpo"].text[-1] == "↑5000" and max(bars["mc-grpo"].y) == 3
    assert set(bars["bnpo"].text) == {""}, "refused: nothing to draw"


def test_flips_by_size_draws_exact_lines_and_points_with_intervals():
    study = lab.studies.sign_flip_study(["grpo"], ["three_level"], [2, 4, 8], prompts=500)
    line, points = flips_by_size(study).data
    exact = study.filter(kind="exact")
    assert line.mode == "lines" and np.allclose(line.y, exact["rate"])
    assert line.showlegend is False and points.showlegend is not False, "the mark tells variants of one colour apart"
    simulated = study.filter(kind="simulated")
    assert np.allclose(points.y + points.error_y.array, simulated["high"])
    assert np.allclose(points.y - points.error_y.arrayminus, simulated["low"])


def test_flips_by_size_joins_points_by_a_dotted_line_where_nothing_is_exact():
    study = lab.studies.sign_flip_study(["grpo"], ["normal"], [2, 4], prompts=500)
    assert flips_by_size(study).data[0].line.dash == "dot"


def test_flips_by_law_has_a_column_per_law_in_order():
    study = lab.studies.sign_flip_study(["grpo", "mc-grpo"], ["normal", "three_level"], [4], prompts=500)
    drawn = flips_by_law(study)
    assert drawn.layout.xaxis.ticktext == ("normal", "three<br>level")
    drawn_last = [trace for trace in drawn.data if trace.name == "grpo"][-1]
    assert [round(float(x)) for x in drawn_last.x] == [0, 1]


def test_silence_agrees_with_the_formula():
    study = lab.studies.signal_study([0.1, 0.5], [4, 8], prompts=500)
    line = next(trace for trace in silence(study).data if trace.name == "G = 8" and trace.mode == "lines")
    assert np.allclose(line.y, [0.1**8 + 0.9**8, 2 * 0.5**8])


def test_levels_by_size_is_logarithmic_and_counts():
    counts = lab.studies.level_counts(["grpo", "dr_grpo"], components=2, group_sizes=[2, 4])
    drawn = levels_by_size(counts)
    assert drawn.layout.yaxis.type == "log"
    assert [trace.name for trace in drawn.data] == ["grpo", "dr_grpo"]


def test_every_figure_has_a_reading_guide_and_reads_alone():
    for name in lab.figures.names():
        guide = getattr(lab.figures, name).guide
        assert guide.endswith(".") and 60 < len(guide) < 500, name


def test_the_guide_travels_with_the_picture(summary):
    assert curves(summary, metric="reward", label="reward").layout.meta["guide"] == curves.guide


def test_a_frame_that_does_not_fit_is_refused_by_name(summary):
    with pytest.raises(InputError, match=r"figure curves needs the columns .*; high missing"):
        curves(summary.drop("high"), metric="reward", label="reward")
    with pytest.raises(InputError, match="without rows"):
        curves(summary.clear(), metric="reward", label="reward")


def test_figures_do_not_depend_on_the_default_template():
    import plotly.io

    study = lab.studies.signal_study([0.5], [4], prompts=100)
    before = plotly.io.templates.default
    try:
        plotly.io.templates.default = "plotly_dark"
        dark = silence(study).to_json()
        plotly.io.templates.default = "none"
        assert silence(study).to_json() == dark
    finally:
        plotly.io.templates.default = before
    assert isinstance(silence(study), go.Figure)


def test_each_meaning_of_a_wrong_sign_has_its_own_name():
    law = sign_flip_study(["grpo"], ["normal"], [4], prompts=64)
    place = by_group_size(lab.world("bandit"), ["grpo"], [4], "sign_flip", seeds=2)
    assert AGAINST_DRAWN != AGAINST_EXPECTED
    for drawn, against in (
        (lab.figures.flips_by_size(law), AGAINST_DRAWN),
        (lab.figures.flips_by_law(law), AGAINST_DRAWN),
        (lab.figures.flips_by_size(place), AGAINST_EXPECTED),
    ):
        assert drawn.layout.yaxis.title.text == f"rollouts of the wrong sign<br>{against}"
    assert METRICS["sign_flip"].label == f"wrong sign {AGAINST_EXPECTED}"
    assert AGAINST_DRAWN in lab.figures.advantage_bars.guide


@pytest.mark.parametrize("name", ["curves", "training"])
def test_paired_runs_are_not_said_to_be_alike_because_their_bands_overlap(name):
    guide = getattr(lab.figures, name).guide
    assert "difference seed by seed, which can be sure where their bands overlap" in guide


def test_bands_that_overlap_may_hide_a_sure_difference():
    base = np.arange(8.0)
    frame = pl.DataFrame({"variant": ["a"] * 8 + ["b"] * 8, "seed": [*range(8)] * 2, "step": [0] * 16,
                          "value": [*base, *(base + 0.1 + 0.01 * (-1) ** base)]})  # fmt: skip
    low, high = (summarise(frame).sort("variant")[name].to_list() for name in ("low", "high"))
    assert low[1] < high[0], "the bands overlap"
    assert leads(frame, "value", "a")["low"][0] > 0.08
