"""A group's rollouts token by token, or turn by turn: what each one is pushed by."""

from __future__ import annotations

import html

import numpy as np
import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from lab.figures.figure import figure
from lab.figures.group_matrix import number
from lab.figures.theme import Palette, diverging, ink, palette, shade

__all__ = ["full_colour", "token_weights"]

_FEW = 12  # tokens of a row that have room for their words
_WORD = 9  # letters of a word


@figure(
    guide="A row is a rollout, a cell one of its tokens or turns. Blue is made likelier, orange less likely, stronger "
    "colour harder, and grey is left alone. One colour along a row: the method gives all of "
    "its tokens the same credit.",
    columns=("variant", "rollout", "position", "token", "weight", "reward"),
)
def token_weights(frame: pl.DataFrame, *, theme: str, unit: str = "token", row_height: int = 28) -> go.Figure:
    """Weights of every token, one panel per method, the same rollouts in the same rows.

    Args:
        frame: `lab.measures.token_weights` of one or several methods: variant, rollout, position, token, weight,
            reward.
        theme: "light" or "dark".
        unit: What a column is, "token" or "turn".
        row_height: In pixels.
    """
    colors, variants = palette(theme), frame["variant"].unique(maintain_order=True).to_list()
    rollouts = frame["rollout"].unique().sort().to_list()
    titles = [html.escape(v) for v in variants] if len(variants) > 1 else None
    gap = 46 / (46 + row_height * len(rollouts)) / max(len(variants), 2)
    drawn = make_subplots(rows=len(variants), cols=1, shared_xaxes=True, vertical_spacing=gap, subplot_titles=titles)
    limit = full_colour(frame["weight"])
    for row, variant in enumerate(variants, start=1):
        _panel(drawn, frame.filter(pl.col("variant") == variant), row, limit, unit, theme)
    drawn.update_layout(
        coloraxis={"colorscale": diverging(theme), "cmin": -limit, "cmax": limit, "colorbar": _bar(colors)},
        height=96 + len(variants) * (30 + row_height * len(rollouts)), hovermode="closest", showlegend=False,
    )  # fmt: skip
    drawn.update_xaxes(showgrid=False, showline=False, ticks="", tickformat="d")
    drawn.update_xaxes(title=unit, row=len(variants))
    drawn.update_yaxes(autorange="reversed", showgrid=False, showline=False, ticks="", type="category")
    return drawn


def full_colour(weights: pl.Series) -> float:
    """The weight of full colour, which one in twenty exceeds, so that a giant does not pale the rest."""
    size = weights.abs()
    return size.quantile(0.95, "nearest") or size.max() or 1.0  # type: ignore[return-value]


def _bar(colors: Palette) -> dict[str, object]:
    words = {"color": colors.muted, "size": 12}
    return {"title": {"text": "weight", "font": {"color": colors.text, "size": 13}}, "thickness": 12, "tickfont": words,
            "outlinewidth": 0, "len": 0.9}  # fmt: skip


def _panel(drawn: go.Figure, one: pl.DataFrame, row: int, limit: float, unit: str, theme: str) -> None:
    """The cells of one method, with their words where there is room."""
    names = {
        r: f"{r + 1}  R = {number(x) or '–'}"
        for r, x in one.group_by("rollout").first().select("rollout", "reward").iter_rows()
    }
    rollouts, width = sorted(names), int(one["position"].max()) + 1  # type: ignore[arg-type]
    z, words = np.full((len(rollouts), width), np.nan), np.full((len(rollouts), width), "", dtype=object)
    at = [rollouts.index(r) for r in one["rollout"]], one["position"].to_numpy()
    z[at], words[at] = one["weight"].to_numpy(), [html.escape(t) for t in one["token"]]
    drawn.add_heatmap(
        x=list(range(1, width + 1)), y=[names[r] for r in rollouts], z=z, coloraxis="coloraxis", xgap=2, ygap=2,
        customdata=words, hoverongaps=False,
        hovertemplate=f"rollout %{{y}}<br>{unit} %{{x}}: %{{customdata}}<br>weight %{{z:.3f}}<extra></extra>",
        row=row, col=1,
    )  # fmt: skip
    if width <= _FEW and max(map(len, one["token"])) <= _WORD:
        words_in = [ink(shade(w / limit, theme), theme) for w in one["weight"]]
        drawn.add_scatter(
            x=(one["position"] + 1).to_list(), y=[names[r] for r in one["rollout"]], mode="text",
            text=[html.escape(t) for t in one["token"]], textfont={"size": 11, "color": words_in}, hoverinfo="skip",
            row=row, col=1,
        )  # fmt: skip
