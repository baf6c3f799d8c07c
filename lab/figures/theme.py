"""Colours, lines and the pair of templates that every figure of the lab wears.

Nothing is left to Plotly's defaults, because importing Streamlit changes them for the whole process: the same frame
gives the same picture in a notebook and in the dashboard. A variant keeps its colour, dash and marker in every figure.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cache
from typing import Any

import plotly.graph_objects as go

from lab.errors import UnknownNameError
from lab.registry import fold

__all__ = [
    "FONT", "PALETTES", "Palette", "Style", "diverging", "fade", "ink", "palette", "ramp", "shade", "style", "template",
]  # fmt: skip

FONT = '"Source Sans", "Source Sans 3", "Source Sans Pro", system-ui, sans-serif'


@dataclass(frozen=True)
class Palette:
    """Every colour of one theme, by what it is for.

    Args:
        paper: Behind everything.
        panel: Behind quiet parts of a picture.
        text: Words and numbers.
        muted: Words that stand back; reference lines.
        grid: Grid lines.
        axis: Lines of zero.
        flip: A sign that is wrong.
        truth: What is known exactly.
        hues: Eight hues for variants, told apart with normal and with colour-blind eyes.
        ramp: From few to many, for values that have an order.
    """

    paper: str
    panel: str
    text: str
    muted: str
    grid: str
    axis: str
    flip: str
    truth: str
    hues: tuple[str, ...]
    ramp: tuple[str, ...]


PALETTES = {
    "light": Palette(
        paper="#ffffff", panel="#f5f6f8", text="#1f2430", muted="#656d7d", grid="#e8eaee", axis="#aab0bb",
        flip="#b3123f", truth="#1f2430",
        hues=("#0067b5", "#d55e00", "#00896b", "#ba4690", "#8d5a12", "#2f9cd6", "#4533a8", "#505369"),
        ramp=("#74b3dc", "#4a97cb", "#2a7ab5", "#135a92", "#0a3a66", "#061f3d"),
    ),
    "dark": Palette(
        paper="#12151c", panel="#1a1e27", text="#e7e9ee", muted="#9ba3b3", grid="#272c37", axis="#566070",
        flip="#ff6b8e", truth="#e7e9ee",
        hues=("#4393ff", "#fc8e54", "#2db99a", "#fcaec1", "#e1bb37", "#a5ddfc", "#b3a2f8", "#a9a4c9"),
        ramp=("#2f6ea8", "#3f86c4", "#569dd8", "#6fb2e2", "#a5d2f2", "#dcf0ff"),
    ),
}  # fmt: skip

READABLE = 4.5  # least contrast of words

DASHES = ("solid", "dash", "dot", "dashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "star")

# Hue, dash and symbol of the variants that are looked at most; any other name draws its own from a hash of the name.
_KNOWN = {
    "grpo": (0, 0, 0), "dr-grpo": (1, 0, 1), "rloo": (2, 1, 2), "mc-grpo": (3, 0, 3), "ngrpo": (4, 0, 4),
    "gdpo": (2, 0, 1), "bnpo": (6, 0, 2), "reinforce-pp": (5, 0, 3), "opo": (5, 1, 5), "gpg": (7, 0, 0),
    "dapo": (1, 2, 4), "remax": (7, 1, 2), "grpo-passk": (4, 2, 3), "mc-grpo-control": (3, 1, 0),
    "reinforce-pp-baseline": (5, 2, 2), "psr": (2, 2, 3), "nsr": (1, 3, 3), "w-reinforce": (7, 2, 4),
    "dr-mas": (2, 0, 2), "dr-mas-global": (1, 1, 0), "graph-grpo": (6, 0, 4), "diffusion-nft": (3, 1, 5),
    "vgpo": (0, 1, 3), "mgda": (1, 2, 1), "marble": (5, 0, 1), "marble@amortised": (5, 2, 1),
    "one member": (7, 0, 0), "ensemble-mean": (0, 0, 5), "ensemble-wco": (2, 0, 5), "ensemble-uwo": (1, 0, 5),
    "ensemble-median": (4, 0, 5), "ensemble-mean-std": (5, 0, 5), "gdro": (6, 2, 0), "gdso": (2, 0, 3),
    "risd": (6, 0, 1), "dpo": (4, 1, 0), "drpo": (6, 0, 5),
    "sparse": (7, 1, 0), "pbrs": (0, 0, 0), "increment": (1, 0, 1), "progress": (3, 0, 2), "bonus": (4, 2, 3),
    "count": (2, 0, 4), "oni-retrieval": (1, 2, 1), "oni-classification": (2, 0, 2), "oni-ranking": (6, 0, 3),
    "preferences": (5, 0, 4), "demonstrations": (6, 2, 5), "r-p only": (7, 1, 0), "naive sum": (1, 2, 1),
    "barfi": (0, 0, 2), "return only": (7, 1, 0), "spread evenly": (7, 2, 0), "raw": (1, 0, 1), "factors": (0, 0, 2),
    "factors and distractors": (2, 0, 3), "one factor missing": (3, 0, 4), "true step rewards": (4, 2, 5),
    "grpo@trl": (0, 1, 0), "grpo@verl": (1, 1, 1), "grpo@openrlhf": (2, 3, 2), "grpo@nemo-rl": (3, 2, 3),
    "grpo@rlhf-book": (4, 1, 4), "grpo@nano-aha-moment": (5, 3, 5), "grpo@grpo-zero": (6, 1, 0),
    "grpo@grpo-advantage": (7, 3, 1), "grpo@trl-none": (1, 2, 2), "grpo@trl-batch": (6, 2, 5),
}  # fmt: skip


@dataclass(frozen=True)
class Style:
    """How one variant is drawn: colour, dash of its line, symbol of its points."""

    color: str
    dash: str
    symbol: str

    @property
    def line(self) -> dict[str, Any]:
        """Its line, two pixels wide."""
        return {"color": self.color, "dash": self.dash, "width": 2}


def palette(theme: str = "light") -> Palette:
    """The colours of a theme, "light" or "dark".

    Raises:
        UnknownNameError: There is no such theme.
    """
    if theme not in PALETTES:
        raise UnknownNameError("theme", theme, PALETTES)
    return PALETTES[theme]


def style(variant: str, theme: str = "light") -> Style:
    """Colour, dash and symbol of a variant: the same in every figure, whatever else is drawn.

    A preset `base@framework` that has none of its own takes the colour of its base with another dash.
    """
    hues, name = palette(theme).hues, fold(variant)
    drawn = zlib.crc32(name.encode())
    hue, dash, symbol = drawn % 8, drawn // 8 % len(DASHES), drawn // 64 % len(SYMBOLS)
    base = _KNOWN.get(name.split("@")[0])
    if name in _KNOWN:
        hue, dash, symbol = _KNOWN[name]
    elif base is not None:
        hue, dash = base[0], (base[1] + 1 + drawn % 3) % len(DASHES)
    return Style(hues[hue], DASHES[dash], SYMBOLS[symbol])


def fade(color: str, opacity: float) -> str:
    """A named colour `#rrggbb` with an opacity between 0 and 1."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity:g})"


def ramp(count: int, theme: str = "light") -> list[str]:
    """`count` colours for values that have an order, from few to many."""
    colors = palette(theme).ramp
    last = max(count - 1, 1)
    return [colors[round(i * (len(colors) - 1) / last)] for i in range(count)]


def diverging(theme: str = "light") -> list[list[object]]:
    """Colour scale for numbers around zero: orange below, the quiet panel at zero, blue above."""
    colors = palette(theme)
    return [[0.0, colors.hues[1]], [0.5, colors.panel], [1.0, colors.hues[0]]]


def shade(share: float, theme: str = "light") -> str:
    """The colour of `diverging` at a share of full colour from −1 to 1; beyond them, full colour."""
    colors, part = palette(theme), min(abs(share), 1.0)
    ends = colors.panel, colors.hues[0 if share > 0 else 1]
    calm, full = ([int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in ends)
    return "#" + "".join(f"{round(a + part * (b - a)):02x}" for a, b in zip(calm, full, strict=True))


def ink(background: str, theme: str = "light") -> str:
    """The colour of words that are read on a background: the theme's own, else black or white (contrast 4.5 : 1)."""
    colors, light = palette(theme), _luminance(background)
    known = (colors.text, colors.paper, "#000000", "#ffffff")
    return next(color for color in known if _contrast(_luminance(color), light) >= READABLE)


def _contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def _luminance(color: str) -> float:
    """Relative luminance (WCAG 2.2) of `#rrggbb`."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@cache
def template(theme: str = "light") -> go.layout.Template:
    """The lab's template of a theme, with every colour named."""
    colors = palette(theme)
    layout = go.Layout(
        font={"family": FONT, "size": 14, "color": colors.text},
        title={"font": {"size": 16, "color": colors.text}, "x": 0, "xanchor": "left", "xref": "paper"},
        paper_bgcolor=colors.paper,
        plot_bgcolor=colors.paper,
        colorway=colors.hues,
        colorscale={"sequential": [[i / 5, color] for i, color in enumerate(colors.ramp)]},
        xaxis=_axis(colors),
        yaxis=_axis(colors),
        legend=_legend(colors),
        hoverlabel=_hover(colors),
        hovermode="x unified",
        margin={"l": 64, "r": 16, "t": 44, "b": 52},
        annotationdefaults={"font": {"color": colors.muted, "size": 13}, "showarrow": False},
        shapedefaults={"line": {"color": colors.muted, "width": 1}},
        modebar={"color": colors.muted, "activecolor": colors.text, "bgcolor": fade(colors.paper, 0)},
    )
    return go.layout.Template(layout=layout)


def _axis(colors: Palette) -> dict[str, Any]:
    words = {"color": colors.muted, "size": 13}
    return {
        "gridcolor": colors.grid, "linecolor": colors.axis, "tickcolor": colors.axis, "zerolinecolor": colors.axis,
        "zeroline": False, "showline": True, "ticks": "outside", "ticklen": 4, "tickfont": words, "automargin": True,
        "exponentformat": "power",
        "title": {"font": {"color": colors.text, "size": 14}, "standoff": 8},
    }  # fmt: skip


def _legend(colors: Palette) -> dict[str, Any]:
    return {
        "orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom",
        "bgcolor": fade(colors.paper, 0), "font": {"color": colors.text, "size": 13}, "title": {"text": ""},
    }  # fmt: skip


def _hover(colors: Palette) -> dict[str, Any]:
    return {
        "bgcolor": colors.panel, "bordercolor": colors.axis, "namelength": -1,
        "font": {"color": colors.text, "size": 13, "family": FONT},
    }  # fmt: skip
