"""The templates name every colour; variants keep theirs and can be told apart, with colour-blind eyes too."""

import itertools
import json
import re

import numpy as np
import plotly.graph_objects as go
import plotly.io
import pytest

from lab.errors import UnknownNameError
from lab.figures.theme import PALETTES, fade, ink, palette, ramp, shade, style, template
from lab.methods import names

# Machado, Oliveira and Fernandes (2009), complete dichromacy, on linear RGB.
SEEN_BY = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}  # fmt: skip


def linear(color):
    rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab_of(rgb):
    """CIE L*a*b* of linear RGB, white point D65."""
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb
    scaled = np.maximum(xyz, 0) / [0.9505, 1.0, 1.089]
    x, y, z = np.where(scaled > 0.008856, np.cbrt(scaled), 7.787 * scaled + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(one, other):
    light = [float(np.array([0.2126, 0.7152, 0.0722]) @ linear(color)) for color in (one, other)]
    return (max(light) + 0.05) / (min(light) + 0.05)


@pytest.mark.parametrize("theme", PALETTES)
@pytest.mark.parametrize("eyes", SEEN_BY)
def test_hues_are_told_apart(theme, eyes):
    seen = [lab_of(np.array(SEEN_BY[eyes]) @ linear(hue)) for hue in palette(theme).hues]
    nearest = min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2))
    assert nearest > 15


@pytest.mark.parametrize("theme", PALETTES)
def test_lines_and_words_stand_out_from_the_paper(theme):
    colors = palette(theme)
    assert contrast(colors.text, colors.paper) > 12
    assert contrast(colors.muted, colors.paper) > 4.5
    assert contrast(colors.flip, colors.paper) > 4.5
    assert min(contrast(hue, colors.paper) for hue in colors.hues) > 3


@pytest.mark.parametrize("theme", PALETTES)
def test_the_template_is_the_labs_own_and_names_its_colours(theme):
    drawn = json.loads(plotly.io.to_json(go.Figure(layout={"template": template(theme)}), validate=True))
    layout = drawn["layout"]["template"]["layout"]
    named = {layout["paper_bgcolor"], layout["plot_bgcolor"], layout["font"]["color"], layout["xaxis"]["gridcolor"]}
    assert named == {palette(theme).paper, palette(theme).text, palette(theme).grid}
    assert not re.search(r"#00000\d", json.dumps(layout)), "a placeholder of Streamlit's template"


def test_a_variant_looks_the_same_whatever_its_spelling():
    assert style("dr_grpo") == style("Dr-GRPO")
    assert style("grpo", "dark") != style("grpo", "light")
    assert style("gdpo@no-batch-norm").color == style("gdpo").color
    assert style("gdpo@no-batch-norm") != style("gdpo")


def test_few_variants_look_exactly_alike():
    looks = [style(name) for name in names(presets=False)]
    assert len(set(looks)) >= 0.85 * len(looks)


def test_a_ramp_runs_from_few_to_many():
    assert ramp(1) == [palette().ramp[0]]
    assert ramp(2) == [palette().ramp[0], palette().ramp[-1]]
    assert len(set(ramp(6, "dark"))) == 6


def test_fade_keeps_the_colour():
    assert fade("#ff8000", 0.5) == "rgba(255, 128, 0, 0.5)"


def test_an_unknown_theme_is_refused():
    with pytest.raises(UnknownNameError, match="nearest: 'dark'"):
        palette("drak")


@pytest.mark.parametrize("theme", PALETTES)
def test_words_can_be_read_on_every_shade(theme):
    colors = palette(theme)
    assert [shade(share, theme) for share in (-2, -1, 0, 1)] == [
        colors.hues[1],
        colors.hues[1],
        colors.panel,
        colors.hues[0],
    ]
    shades = [shade(k / 100, theme) for k in range(-100, 101)]
    assert len(set(shades)) > 150
    assert min(contrast(ink(color, theme), color) for color in shades) >= 4.5
    assert ink(colors.panel, theme) == colors.text
