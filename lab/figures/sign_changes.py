"""How many rollouts of a log would have had another sign under other rules."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl

from lab.figures.figure import figure
from lab.figures.marks import SHARE
from lab.figures.theme import palette

__all__ = ["sign_changes"]

_KINDS = {"flipped": "opposite sign", "silenced": "now zero or left out", "woken": "no longer zero"}


@figure(
    guide="Share of the logged rollouts that a rule would have pushed another way: the opposite way, not at all, or at "
    "all where the trainer gave nothing. A rule without a bar agrees with the log in every sign.",
    columns=("variant", "compared", "changed", *_KINDS),
)
def sign_changes(frame: pl.DataFrame, *, theme: str, height: int | None = None) -> go.Figure:
    """Stacked bars, a variant each, the most changed on top.

    Args:
        frame: `Diagnosis.changes`: variant, compared, changed, flipped, silenced, woken.
        theme: "light" or "dark".
        height: In pixels; by the number of variants by default.
    """
    colors = palette(theme)
    hues = {"flipped": colors.flip, "silenced": colors.muted, "woken": colors.hues[4]}
    drawn = go.Figure()
    for kind, words in _KINDS.items():
        share = frame[kind] / frame["compared"]
        drawn.add_bar(
            y=frame["variant"], x=share.to_numpy(), name=words, orientation="h", marker_color=hues[kind],
            customdata=frame[kind].to_numpy(), hovertemplate="%{customdata} rollouts (%{x:.1%})",
        )  # fmt: skip
    ends = (frame["changed"] / frame["compared"]).to_numpy()
    drawn.add_scatter(
        y=frame["variant"], x=ends, mode="text", text=[f" {n}" for n in frame["changed"]], textposition="middle right",
        textfont={"color": colors.muted, "size": 12}, hoverinfo="skip", showlegend=False, cliponaxis=False,
    )  # fmt: skip
    drawn.update_layout(barmode="stack", bargap=0.3, hovermode="y unified", height=height or 110 + 24 * frame.height)
    drawn.update_xaxes(title="share of rollouts", range=[0, max(*ends, 0.05) * 1.1], **SHARE)
    drawn.update_yaxes(autorange="reversed", showgrid=False, dtick=1)
    return drawn
