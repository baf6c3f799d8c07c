"""Gradient norms of every run, with their spikes marked."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from lab.figures.figure import figure
from lab.figures.lines import NOTHING, thin
from lab.figures.theme import fade, palette, style

__all__ = ["gradient_norms", "ring_of", "run_lines", "spike_marks", "ticks"]

_MOST_POINTS = 2000


@figure(
    guide="A row is a variant, a line one run; all variants met the same draws. A mark is a spike: a norm far above "
    "the median of the steps just before. The ring is the spike that is taken apart below. The axes are logarithmic.",
    columns=("variant", "seed", "step", "grad_norm", "score", "spike"),
)
def gradient_norms(
    frame: pl.DataFrame, *, theme: str, ring: tuple[str, int, int] | None = None, row_height: int = 130
) -> go.Figure:
    """Gradient norm over the steps of training, a row per variant.

    Args:
        frame: `lab.measures.spikes` of a trace: variant, seed, step, grad_norm, score, spike.
        theme: "light" or "dark".
        ring: Variant, seed and step of the spike to point at.
        row_height: Height of a variant's row in pixels.
    """
    variants = frame["variant"].unique(maintain_order=True).to_list()
    drawn = make_subplots(rows=len(variants), cols=1, shared_xaxes=True, shared_yaxes="all", vertical_spacing=0.04)
    runs = frame.select("variant", "seed").n_unique()
    for row, variant in enumerate(variants, start=1):
        one = frame.filter(pl.col("variant") == variant)
        run_lines(drawn, one, variant, theme, max(_MOST_POINTS // (2 * runs), 20), row=row)
        drawn.update_yaxes(title={"text": variant, "font": {"color": style(variant, theme).color}}, row=row, col=1)
        spike_marks(drawn, one.filter("spike"), variant, theme, row=row)
        if ring and ring[0] == variant:
            ring_of(drawn, one.filter((pl.col("seed") == ring[1]) & (pl.col("step") == ring[2])), theme, row=row)
    drawn.update_yaxes(type="log", **ticks(frame["grad_norm"].to_numpy()))
    steps = frame["step"].to_numpy()
    drawn.update_xaxes(range=[float(steps.min()), float(steps.max() + 0.015 * np.ptp(steps) + 0.5)])
    drawn.update_xaxes(title="step", row=len(variants))
    drawn.update_layout(height=90 + row_height * len(variants), showlegend=False, hovermode="closest")
    drawn.update_layout(margin={"t": 16, "l": 72})
    return drawn


def ticks(norm: NDArray) -> dict[str, Any]:
    """At most four ticks, at powers of ten, or at 1, 2, 5 times these where the norms span little."""
    seen = np.log10(norm[norm > NOTHING])
    low, high = (np.floor(seen.min()), np.ceil(seen.max())) if seen.size else (-1.0, 0.0)
    powers = 10.0 ** np.arange(low, high + 1, max(1, (high - low) // 3))
    values = powers if seen.size and np.ptp(seen) > 2 else np.outer(powers, [1, 2, 5]).ravel()
    return {"tickvals": values, "ticktext": [f"{v:g}" for v in values]}


def run_lines(
    drawn: go.Figure, one: pl.DataFrame, variant: str, theme: str, buckets: int, *, row: int, col: int = 1
) -> None:
    """All runs of a variant as one trace, with a gap after each; zero has no place on the axis."""
    parts = []
    for run in one.partition_by("seed", maintain_order=True):
        norm = np.where(run["grad_norm"] > NOTHING, run["grad_norm"], np.nan)
        kept = thin(norm, buckets)
        parts.append(np.array([run["step"].to_numpy()[kept], norm[kept], run["seed"].to_numpy()[kept]], dtype=float))
        parts.append(np.full((3, 1), np.nan))
    x, y, seed = np.concatenate(parts, axis=1)
    color = style(variant, theme).color
    drawn.add_scatter(
        x=x, y=y, mode="lines", line={"color": fade(color, 0.5), "width": 1}, name=variant, customdata=seed, row=row,
        col=col, hovertemplate="seed %{customdata:.0f}, step %{x}: %{y:.3g}<extra></extra>",
    )  # fmt: skip


def spike_marks(drawn: go.Figure, found: pl.DataFrame, variant: str, theme: str, *, row: int, col: int = 1) -> None:
    """A mark for every spike."""
    colors = palette(theme)
    drawn.add_scatter(
        x=found["step"].to_numpy(), y=found["grad_norm"].to_numpy(), mode="markers", name=f"spikes of {variant}",
        marker={"color": colors.flip, "size": 6}, customdata=found.select("seed", "score").to_numpy(), row=row, col=col,
        hovertemplate="spike: seed %{customdata[0]:.0f}, step %{x}<br>norm %{y:.3g}, score %{customdata[1]:.3g}"
        "<extra></extra>",
    )  # fmt: skip


def ring_of(drawn: go.Figure, one: pl.DataFrame, theme: str, *, row: int, col: int = 1) -> None:
    """A ring around the spike that is taken apart."""
    colors = palette(theme)
    marker = {"symbol": "circle-open", "size": 18, "color": colors.text, "line": {"width": 2}}
    drawn.add_scatter(x=one["step"].to_numpy(), y=one["grad_norm"].to_numpy(), mode="markers", marker=marker, row=row,
                      col=col, hoverinfo="skip", name="taken apart")  # fmt: skip
