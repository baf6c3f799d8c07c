"""Groups of rollouts under several rules: rewards above, advantages below, in one column per rollout."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from lab.figures.figure import figure
from lab.figures.theme import fade, palette, style

__all__ = ["advantage_bars"]


@figure(
    guide="Each column is a rollout: its reward above, what every rule makes of it below, all on one scale. A rollout "
    "whose reward is above the true mean deserves a positive advantage; where a rule says the opposite (a wrong sign "
    "against the drawn reward) the bar is hollow and crossed. An arrow marks a bar beyond the scale; a row without "
    "bars teaches nothing.",
    columns=("variant", "prompt", "rollout", "reward", "true_advantage", "advantage", "flipped"),
)
def advantage_bars(
    frame: pl.DataFrame, *, theme: str, scale: float = 3.0, row_height: int = 84, level: str = "true mean"
) -> go.Figure:
    """Rewards and advantages of a few groups, a row per variant.

    Args:
        frame: `lab.studies.advantage_table`.
        theme: "light" or "dark".
        scale: Largest advantage drawn to scale; longer bars are cut there, their value stays written.
        row_height: Height of a variant's row in pixels.
        level: What the line among the rewards is called.
    """
    variants = frame["variant"].unique(maintain_order=True).to_list()
    rows = len(variants) + 1
    drawn = make_subplots(
        rows=rows, cols=1, shared_xaxes=True, vertical_spacing=0.03, row_heights=[2] + [1] * (rows - 1)
    )
    _rewards(drawn, frame.filter(pl.col("variant") == variants[0]), level, theme)
    for row, variant in enumerate(variants, start=2):
        _bars(drawn, frame.filter(pl.col("variant") == variant), row, scale, theme)
        drawn.update_yaxes(range=[-1.4 * scale, 1.4 * scale], tickvals=[-scale, 0, scale], row=row, col=1)
    drawn.update_xaxes(showgrid=False, showline=False, ticks="")
    drawn.update_layout(height=120 + row_height * (rows + 1), showlegend=False, hovermode="closest", bargap=0.4,
                        uniformtext={"mode": "show", "minsize": 11})  # fmt: skip
    return drawn


def _places(frame: pl.DataFrame) -> list[list[str]]:
    return [[f"prompt {p}" for p in frame["prompt"]], [f"{g}" for g in frame["rollout"]]]


def _rewards(drawn: go.Figure, one: pl.DataFrame, level: str, theme: str) -> None:
    """Points for the rewards and a line at what is expected (any rollout's reward minus its true advantage)."""
    colors = palette(theme)
    marks = {"size": 11, "color": colors.text}
    drawn.add_scatter(x=_places(one), y=one["reward"], mode="markers", marker=marks, name="reward", row=1, col=1,
                      hovertemplate="reward %{y:.4g}<extra></extra>")  # fmt: skip
    drawn.update_yaxes(title="reward", row=1, col=1)
    truth = one["reward"][0] - one["true_advantage"][0]
    drawn.add_hline(y=truth, line={"color": colors.truth, "width": 1}, annotation_text=level,
                    annotation_position="top right", row=1, col=1)  # fmt: skip


def _bars(drawn: go.Figure, one: pl.DataFrame, row: int, scale: float, theme: str) -> None:
    """Bars of one variant; those of the wrong sign hollow, crossed and in the colour of a flip."""
    variant = one["variant"][0]
    colors, look = palette(theme), style(variant, theme)
    fill = [fade(colors.flip, 0.2) if wrong else look.color for wrong in one["flipped"]]
    edge = [colors.flip if wrong else look.color for wrong in one["flipped"]]
    words = [_words(a, wrong, scale) for a, wrong in zip(one["advantage"], one["flipped"], strict=True)]
    drawn.add_bar(
        x=_places(one), y=one["advantage"].clip(-scale, scale), customdata=one["advantage"], name=variant, text=words,
        marker={"color": fill, "line": {"color": edge, "width": 1.5}}, textposition="outside", cliponaxis=False,
        textfont={"color": edge, "size": 12}, hovertemplate=f"{variant}: advantage %{{customdata:.4g}}<extra></extra>",
        row=row, col=1,
    )  # fmt: skip
    drawn.update_yaxes(title={"text": variant, "font": {"color": look.color}}, row=row, col=1)


def _words(advantage: float | None, wrong: bool, scale: float) -> str:
    """A bar's value: crossed where its sign is wrong, with an arrow where the bar is cut; empty where refused."""
    if advantage is None:
        return ""
    arrow = ("" if abs(advantage) <= scale else "↑" if advantage > 0 else "↓") + ("✕ " if wrong else "")
    return (arrow + (f"{advantage:.2f}" if abs(advantage) < 100 else f"{advantage:.0f}")).replace("-", "−")
