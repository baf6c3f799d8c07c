"""Gradient norms of every agent, beside each other under two normalisations or more."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from lab.figures.figure import figure
from lab.figures.gradient_norms import ring_of, run_lines, spike_marks, ticks
from lab.figures.theme import palette, style

__all__ = ["agent_norms"]

_MOST_POINTS = 3000
_SPAN = 1000.0  # from the largest norm down to what is shown at most


@figure(
    guide="A row is an agent, a column a variant, a line one run. All axes are the same and logarithmic, down to a "
    "thousandth of the largest norm at most. A mark is a spike: a norm far above the median of the steps just before. "
    "An agent whose line lies high or leaps is normalised by what others earn. The ring is the step that is taken "
    "apart below.",
    columns=("variant", "agent", "seed", "step", "grad_norm", "score", "spike"),
)
def agent_norms(
    frame: pl.DataFrame, *, theme: str, ring: tuple[str, str, int, int] | None = None, row_height: int = 150
) -> go.Figure:
    """Gradient norm of every agent over the steps of training.

    Args:
        frame: `lab.measures.agent_spikes` of a trace.
        theme: "light" or "dark".
        ring: Variant, agent, seed and step of the spike to point at.
        row_height: Height of an agent's row in pixels.
    """
    variants, agents = (frame[name].unique(maintain_order=True).to_list() for name in ("variant", "agent"))
    drawn = make_subplots(
        rows=len(agents), cols=len(variants), shared_xaxes=True, shared_yaxes="all", vertical_spacing=0.05,
        horizontal_spacing=0.02, column_titles=variants,
    )  # fmt: skip
    buckets = max(_MOST_POINTS // (2 * frame.select("variant", "agent", "seed").n_unique()), 20)
    for (agent, variant), one in frame.partition_by("agent", "variant", as_dict=True, maintain_order=True).items():
        place = {"row": agents.index(agent) + 1, "col": variants.index(variant) + 1}
        run_lines(drawn, one, variant, theme, buckets, **place)
        spike_marks(drawn, one.filter("spike"), variant, theme, **place)
        if ring and ring[:2] == (variant, agent):
            ring_of(drawn, one.filter((pl.col("seed") == ring[2]) & (pl.col("step") == ring[3])), theme, **place)
    _axes(drawn, frame, variants, agents, theme)
    drawn.update_layout(height=90 + row_height * len(agents), showlegend=False, hovermode="closest")
    drawn.update_layout(margin={"t": 36, "l": 72})
    return drawn


def _axes(drawn: go.Figure, frame: pl.DataFrame, variants: list[str], agents: list[str], theme: str) -> None:
    """The same logarithmic axis everywhere, agents on the left, variants in their colours on top."""
    norm = frame["grad_norm"].to_numpy()
    some = norm[norm > max(norm.max() / _SPAN, 0)]
    low, high = (np.quantile(some, 0.002), some.max()) if some.size else (0.1, 1.0)
    shown = np.log10([low / 1.2, high * 2])
    drawn.update_yaxes(type="log", range=shown.tolist(), **ticks(norm[norm >= low]))
    for row, agent in enumerate(agents, start=1):
        drawn.update_yaxes(title=agent, row=row, col=1)
    drawn.update_xaxes(title="step", row=len(agents))
    steps = frame["step"].to_numpy()
    drawn.update_xaxes(range=[float(np.min(steps)), float(np.max(steps))])
    for title, variant in zip(drawn.layout.annotations, variants, strict=True):
        title.font = {"color": style(variant, theme).color, "size": 15}
    drawn.update_layout(font_color=palette(theme).text)
