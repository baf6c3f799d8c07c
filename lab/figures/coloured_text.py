"""What a model wrote, token by token as text, coloured by what pushes each token."""

from __future__ import annotations

import html

import plotly.graph_objects as go
import polars as pl

from lab.figures.figure import figure
from lab.figures.group_matrix import number
from lab.figures.theme import diverging, ink, palette, shade
from lab.figures.token_weights import full_colour

__all__ = ["coloured_text"]

_ROOM = 0.8  # letters of air in the box of a token
_SIZE = pl.col("token").str.len_chars() + _ROOM
_MOST = 100  # letters of a line that are still read
_MONO = '"Source Code Pro", ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace'


@figure(
    guide="A line is a response, a box one of its tokens, R its reward. Blue is made likelier, orange less likely, "
    "stronger colour harder; grey is left alone. One colour along a line: all of its tokens get the same credit.",
    columns=("rollout", "position", "token", "weight", "reward"),
)
def coloured_text(
    frame: pl.DataFrame, *, theme: str, among: pl.DataFrame | None = None, row_height: int = 30
) -> go.Figure:
    """The responses of one group as text, each token in a box with the colour of its weight.

    Args:
        frame: `lab.measures.token_weights` of one method: rollout, position, token, weight, reward.
        theme: "light" or "dark".
        among: Rows of several pictures that are compared: they get one scale of colour and of width.
        row_height: In pixels.
    """
    colors, whole = palette(theme), frame if among is None else among
    limit, across = full_colour(whole["weight"]), _longest(whole)
    boxed = frame.sort("rollout", "position").with_columns(size=_SIZE)
    boxed = boxed.with_columns(left=pl.col("size").cum_sum().over("rollout") - pl.col("size"))
    rows = boxed["rollout"].unique().sort().to_list()
    rewards = dict(boxed.group_by("rollout").agg(pl.col("reward").first()).iter_rows())
    words = [html.escape(t).replace(" ", "␣") for t in boxed["token"]]
    words_in = [ink(shade(w / limit, theme), theme) for w in boxed["weight"]]
    drawn = go.Figure()
    drawn.add_bar(
        x=boxed["size"], base=boxed["left"], y=[rows.index(r) for r in boxed["rollout"]], orientation="h", width=0.84,
        marker={"color": boxed["weight"], "coloraxis": "coloraxis", "line": {"color": colors.paper, "width": 2}},
        text=words if across <= _MOST else None, textposition="inside", insidetextanchor="middle", textangle=0,
        constraintext="none", insidetextfont={"family": _MONO, "size": 12, "color": words_in},
        customdata=list(zip(words, boxed["weight"], boxed["position"] + 1, strict=True)),
        hovertemplate="token %{customdata[2]}: %{customdata[0]}<br>weight %{customdata[1]:.3f}<extra></extra>",
    )  # fmt: skip
    drawn.update_layout(
        coloraxis={"colorscale": diverging(theme), "cmin": -limit, "cmax": limit, "showscale": False},
        height=16 + row_height * len(rows), hovermode="closest", showlegend=False, barmode="overlay",
        margin={"l": 84, "r": 4, "t": 8, "b": 8},
    )  # fmt: skip
    drawn.update_xaxes(visible=False, range=[0, across])
    drawn.update_yaxes(
        autorange="reversed", showgrid=False, showline=False, ticks="", tickvals=list(range(len(rows))),
        ticktext=[f"{r + 1}  R = {number(rewards[r]) or '–'}" for r in rows],
    )  # fmt: skip
    return drawn


def _longest(frame: pl.DataFrame) -> float:
    """Letters of the longest line, the air in its boxes included."""
    line = [c for c in ("variant", "when", "rollout") if c in frame.columns]
    return float(frame.group_by(line).agg(_SIZE.sum().alias("size"))["size"].max())  # type: ignore[arg-type]
