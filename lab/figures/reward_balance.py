"""Several rewards in one step: how much of it each has, and whose own gradient it opposes."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from lab.figures.figure import figure
from lab.figures.theme import ink, palette, style

__all__ = ["opposed_rewards", "opposed_share", "reward_sectors"]

_AGAINST = pl.col("cosine") < -1e-9
_COLUMNS = ("variant", "seed", "step", "reward", "weight", "cosine")


def opposed_share(frame: pl.DataFrame) -> dict[str, float]:
    """Share of batches in which some reward's own gradient points against the step, by variant."""
    batches = frame.group_by("variant", "seed", "step", maintain_order=True).agg(_AGAINST.any())
    return dict(batches.group_by("variant", maintain_order=True).agg(pl.col("cosine").mean()).iter_rows())


@figure(
    guide="Each ring is the step of a method, a sector the weight of a reward's own gradient in it, on average over "
    "the batches. In the middle: the share of batches in which the step opposes some reward's own gradient, so that "
    "this reward falls. A reward that few samples earn has a narrow sector where rewards are added first.",
    columns=_COLUMNS,
)
def reward_sectors(frame: pl.DataFrame, *, theme: str) -> go.Figure:
    """Weights of the rewards as sectors, a ring for each method.

    Args:
        frame: `lab.studies.balance_study`, of one or more methods.
        theme: "light" or "dark".
    """
    colors, share = palette(theme), opposed_share(frame)
    drawn = make_subplots(cols=len(share), specs=[[{"type": "domain"}] * len(share)], horizontal_spacing=0.02)
    for column, (variant, opposed) in enumerate(share.items(), start=1):
        one = frame.filter(variant=variant).group_by("reward", maintain_order=True).agg(pl.col("weight").mean())
        hues = [colors.hues[k % len(colors.hues)] for k in range(one.height)]
        drawn.add_trace(
            go.Pie(labels=one["reward"].to_list(), values=one["weight"].clip(0).to_list(), hole=0.58, sort=False,
                   direction="clockwise", name=variant, textinfo="percent", texttemplate="%{percent:.0%}",
                   insidetextorientation="horizontal", textposition="inside",
                   insidetextfont={"color": [ink(hue, theme) for hue in hues], "size": 13},
                   marker={"colors": hues, "line": {"color": colors.paper, "width": 2}},
                   hovertemplate="%{label}: %{percent:.0%} of the weight<extra>" + variant + "</extra>"),
            row=1, col=column,
        )  # fmt: skip
        place = {"x": (column - 0.5) / len(share), "xanchor": "center", "xref": "paper", "yref": "paper"}
        words = {"size": 14, "color": colors.text}
        drawn.add_annotation(y=0.5, text=f"<b>{opposed:.0%}</b><br>opposed", font=words, **place)
        drawn.add_annotation(y=0, yanchor="top", yshift=-6, text=variant, font=words, **place)
    drawn.update_layout(height=330, margin={"l": 8, "r": 8, "t": 44, "b": 36}, legend={"y": 1.04})
    return drawn


@figure(
    guide="How often a step points against the own gradient of each reward. 0 is a step that serves all of them, one "
    "half is what a step knows nothing of. Cosines are taken before the optimizer, which turns the step.",
    columns=_COLUMNS,
)
def opposed_rewards(frame: pl.DataFrame, *, theme: str) -> go.Figure:
    """Share of batches in which each reward is opposed, a bar for each method.

    Args:
        frame: `lab.studies.balance_study`, of one or more methods.
        theme: "light" or "dark".
    """
    drawn = go.Figure()
    heard = frame.drop_nulls("cosine").group_by("variant", "reward", maintain_order=True).agg(_AGAINST.mean())
    for variant in frame["variant"].unique(maintain_order=True):
        one = heard.filter(variant=variant)
        drawn.add_bar(x=one["reward"], y=one["cosine"], name=variant, marker_color=style(variant, theme).color,
                      hovertemplate="%{y:.0%} of batches")  # fmt: skip
    drawn.update_yaxes(range=[0, 1], tickformat=".0%", title="batches")
    drawn.update_layout(height=330, barmode="group")
    return drawn
