"""What other rules would have made of a log's rewards: signs, groups, and the reward that is climbed."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from lab.figures.figure import figure
from lab.figures.theme import palette

__all__ = ["what_if"]

_ROLLOUTS = {"flipped": "opposite sign", "silenced": "now zero or left out", "woken": "no longer zero"}
_TITLES = ("rollouts with another sign", "groups: fall silent | wake up", "distance of the reward climbed")
_FURTHEST = 2**0.5  # distance of rewards without any relation


@figure(
    guide="A row is a rule on the rewards of the log. Left: rollouts that it would push the other way, not at all, or "
    "at all where the trainer gave nothing. Middle: groups that get an advantage where the log gives none (to the "
    "right), and the other way round (to the left). Right: how far the reward that is climbed lies from the logged "
    "one; 0 is the same, at the dotted line there is no relation, and the hollow point is the log's own.",
    columns=("variant", "compared", "changed", *_ROLLOUTS, "groups", "groups_woken", "groups_silenced", "distance"),
)
def what_if(frame: pl.DataFrame, *, theme: str, height: int | None = None) -> go.Figure:
    """Three measurements of each rule, a row each, in the order of the frame.

    Args:
        frame: `lab.logs.what_if`: the log's own row first.
        theme: "light" or "dark".
        height: In pixels; by the number of rules by default.
    """
    colors = palette(theme)
    hues = {"flipped": colors.flip, "silenced": colors.muted, "woken": colors.hues[4]}
    drawn = make_subplots(rows=1, cols=3, shared_yaxes=True, horizontal_spacing=0.04)
    rules = frame.slice(1)
    for kind, words in _ROLLOUTS.items():
        share, said = (rules[kind] / rules["compared"]).to_numpy(), f"rollouts (%{{x:.1%}}), {words}<extra></extra>"
        drawn.add_bar(y=rules["variant"], x=share, name=words, orientation="h", marker_color=hues[kind], row=1, col=1,
                      customdata=rules[kind].to_numpy(), hovertemplate="%{y}: %{customdata} " + said)  # fmt: skip
    for kind, side in {"groups_woken": 1, "groups_silenced": -1}.items():
        hue = hues[kind.removeprefix("groups_")]
        share = (side * rules[kind] / rules["groups"]).to_numpy()
        drawn.add_bar(y=rules["variant"], x=share, orientation="h", marker_color=hue, showlegend=False, row=1, col=2,
                      customdata=rules[kind].to_numpy(),
                      hovertemplate="%{y}: %{customdata} groups (%{x:.1%})<extra></extra>")  # fmt: skip
    _distances(drawn, frame, theme)
    _axes(drawn, rules, height)
    return drawn


def _distances(drawn: go.Figure, frame: pl.DataFrame, theme: str) -> None:
    colors, rules, own = palette(theme), frame.slice(1), frame["distance"][0]
    drawn.add_scatter(
        y=rules["variant"], x=rules["distance"].to_numpy(), mode="markers", showlegend=False, row=1, col=3,
        marker={"size": 10, "color": colors.hues[0]}, hovertemplate="%{y}: %{x:.3f}<extra></extra>",
    )  # fmt: skip
    if own is not None:
        drawn.add_scatter(
            y=rules["variant"], x=[own] * rules.height, mode="markers", name=f"distance of {frame['variant'][0]}",
            marker={"size": 10, "color": colors.text, "symbol": "circle-open", "line": {"width": 1.5}}, row=1, col=3,
            hovertemplate="as it is: %{x:.3f}<extra></extra>",
        )  # fmt: skip
    drawn.add_vline(x=_FURTHEST, line={"color": colors.muted, "width": 1, "dash": "dot"}, row=1, col=3)


def _axes(drawn: go.Figure, rules: pl.DataFrame, height: int | None) -> None:
    most = max([*(rules["changed"] / rules["compared"]), 0.05])
    groups = max([*(rules["groups_woken"] / rules["groups"]), *(rules["groups_silenced"] / rules["groups"]), 0.05])
    drawn.update_layout(barmode="relative", bargap=0.35, hovermode="closest",
                        height=height or 150 + 30 * rules.height)  # fmt: skip
    for place, words in enumerate(_TITLES, start=1):
        drawn.update_xaxes(title=words, row=1, col=place)
    drawn.update_xaxes(range=[0, most * 1.1], tickformat=".0%", nticks=5, row=1, col=1)
    drawn.update_xaxes(range=[-groups * 1.1, groups * 1.1], tickformat=".0%", nticks=5, row=1, col=2)
    drawn.update_xaxes(range=[-0.08, 2.0], nticks=5, row=1, col=3)
    drawn.update_yaxes(autorange="reversed", showgrid=False, dtick=1)
