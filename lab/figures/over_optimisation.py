"""Gold and learned reward over the distance from the initial policy."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import polars as pl

from lab.figures.figure import figure
from lab.figures.marks import ON_TOP
from lab.figures.theme import fade, palette, style
from lab.trace import summarise

__all__ = ["over_optimisation"]

_DASHED = {"proxy": "dot", "gold": "solid"}


@figure(
    guide="Full lines are the gold reward, which is meant; dotted ones the learned reward, which is optimised; both in "
    "standard deviations of the initial policy's responses, so that they would lie on each other if the reward model "
    "were right. A ring marks the highest gold reward: beyond it, more of the learned reward costs what is meant. "
    "Bands are 95% intervals over runs, each with annotators and a reward model of its own.",
    columns=("variant", "seed", "step", "kl", "proxy", "gold"),
)
def over_optimisation(frame: pl.DataFrame, *, theme: str, turns: pl.DataFrame | None = None) -> go.Figure:
    """Mean gold and learned reward over √KL, a colour per method.

    Args:
        frame: `lab.studies.optimisation_curve` and `lab.studies.best_of_n_curve`, with at least two runs.
        theme: "light" or "dark".
        turns: `lab.studies.turning_points` of it: the highest gold rewards are marked.
    """
    drawn = go.Figure()
    for name in frame["variant"].unique(maintain_order=True):
        one, look = summarise(frame.filter(variant=name), ["kl", "gold", "proxy"]), style(name, theme)
        for reward in ("proxy", "gold"):
            _line(drawn, one, reward, name, look.color)
    for row in turns.iter_rows(named=True) if turns is not None else ():
        drawn.add_scatter(
            x=[row["kl"] ** 0.5], y=[row["gold"]], mode="markers", legendgroup=row["variant"], showlegend=False,
            marker={"size": 14, "symbol": "circle-open", "color": style(row["variant"], theme).color,
                    "line": {"width": 2.5}},
            hovertemplate=f"highest gold reward: %{{y:.2f}} at {row['kl']:.2f} nats<extra></extra>",
        )  # fmt: skip
    for reward, words in (("gold", "gold reward"), ("proxy", "learned reward")):
        drawn.add_scatter(x=[None], y=[None], mode="lines", name=words, legendgroup=words,
                          line={"color": palette(theme).muted, "dash": _DASHED[reward], "width": 2})  # fmt: skip
    drawn.add_hline(y=0, line={"color": palette(theme).axis, "width": 1})
    drawn.update_xaxes(title="distance from the initial policy, √KL (√nats)", rangemode="tozero")
    drawn.update_yaxes(title="reward (standard deviations)")
    drawn.update_layout(height=480, hovermode="closest", legend=dict(ON_TOP))
    return drawn


def _line(drawn: go.Figure, one: pl.DataFrame, reward: str, name: str, color: str) -> None:
    """Band and line of one reward of one method; the gold line stands in the legend."""
    rows = one.filter(metric=reward)
    x, step = np.sqrt(one.filter(metric="kl")["mean"].to_numpy()), rows["step"].to_numpy()
    mean, low, high = (rows[part].to_numpy() for part in ("mean", "low", "high"))
    words = "gold" if reward == "gold" else "learned"
    drawn.add_scatter(
        x=[*x, *x[::-1]], y=[*high, *low[::-1]], fill="toself", fillcolor=fade(color, 0.13), line={"width": 0},
        mode="lines", hoverinfo="skip", showlegend=False, legendgroup=name,
    )  # fmt: skip
    drawn.add_scatter(
        x=x, y=mean, mode="lines", name=name, legendgroup=name, showlegend=reward == "gold",
        line={"color": color, "width": 2.5 if reward == "gold" else 2, "dash": _DASHED[reward]},
        customdata=np.stack([low, high, step], -1),
        hovertemplate=f"{words} %{{y:.2f}} (%{{customdata[0]:.2f}} to %{{customdata[1]:.2f}}), "
                      f"{'n =' if name == 'best of n' else 'step'} %{{customdata[2]}}",
    )  # fmt: skip
