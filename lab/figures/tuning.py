"""Where a variant ends over the learning rate: the picture behind a fair comparison."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl

from lab.figures.figure import figure
from lab.figures.marks import bounds, whiskers
from lab.figures.theme import style

__all__ = ["tuning"]


@figure(
    guide="Points are means over the runs on which learning rates are chosen, with 95% intervals; the large one is the "
    "learning rate that a variant is judged at, on other runs. Two lines that only lie side by side take steps of "
    "different lengths; what counts is how high each gets. A best at the last point may not be the best there is.",
    columns=("variant", "lr", "mean", "low", "high", "best"),
)
def tuning(frame: pl.DataFrame, *, theme: str, label: str = "final value", height: int = 360) -> go.Figure:
    """Final value over the learning rate, a line per variant.

    Args:
        frame: `lab.tune`, or the curve of `lab.compare(..., fair=True)`.
        theme: "light" or "dark".
        label: Name and unit of what is judged.
        height: In pixels.
    """
    drawn = go.Figure()
    variants = frame["variant"].unique(maintain_order=True).to_list()
    for place, variant in enumerate(variants):
        look, one = style(variant, theme), frame.filter(pl.col("variant") == variant).sort("lr")
        aside = 1.03 ** (place - (len(variants) - 1) / 2)
        drawn.add_scatter(
            x=one["lr"].to_numpy() * aside, y=one["mean"].to_numpy(), mode="lines+markers", name=variant,
            line=look.line, error_y=whiskers(one, "mean", look.color),
            marker={"symbol": look.symbol, "color": look.color, "size": [14 if b else 7 for b in one["best"]]},
            customdata=bounds(one), hovertemplate="%{y:.4g}  (%{customdata[0]:.4g} to %{customdata[1]:.4g})",
        )  # fmt: skip
    rates = frame["lr"].unique().sort().to_list()
    drawn.update_xaxes(title="learning rate", type="log", tickvals=rates, ticktext=[f"{lr:g}" for lr in rates])
    drawn.update_layout(height=height, yaxis_title=label, hovermode="closest")
    return drawn
