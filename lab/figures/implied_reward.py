"""How far the reward that an estimator implies is from the true one: over success and group size, and side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import plotly.graph_objects as go
import polars as pl

from lab.figures.figure import figure
from lab.figures.marks import ON_TOP, bounds, heading, panel, whiskers
from lab.figures.theme import palette, ramp, style

__all__ = ["implied_distances", "implied_lift", "implied_over_success"]

_BESIDE, _BELOW = 0.05, 0.2  # room between panels, as shares of the picture


@figure(
    guide="A panel per variant, a line per group size. 0 is good: on average the update climbs the true reward. 1 is "
    "what a rule that never learns would have, 2 the reward turned round. The distance is lowest where the two prompts "
    "are equally hard; how it grows towards the ends is the price of a scale or a baseline that depends on p. Lines "
    "are exact, points are draws with 95% intervals.",
    columns=("variant", "group_size", "success", "kind", "distance", "low", "high"),
)
def implied_over_success(frame: pl.DataFrame, *, theme: str, columns: int = 3, height: int = 0) -> go.Figure:
    """Distance of the implied from the true reward against the success probability, a panel per variant.

    Args:
        frame: `lab.studies.implied_reward_study`.
        theme: "light" or "dark".
        columns: Panels side by side.
        height: In pixels; 0: by the number of panels.
    """
    variants = frame["variant"].unique(maintain_order=True).to_list()
    sizes = frame["group_size"].unique().sort().to_list()
    known = frame.drop_nulls("distance")
    top = max(0.1, 1.08 * float(known["high"].max() or 0.0))  # type: ignore[arg-type]
    across = min(columns, len(variants))
    rows = -(-len(variants) // across)
    traces, titles = list[dict[str, Any]](), []
    layout: dict[str, Any] = {
        "height": height or 110 + 250 * rows, "hovermode": "closest", "margin": {"t": 66, "l": 52}, "legend": ON_TOP,
    }  # fmt: skip
    for place, variant in enumerate(variants):
        one, axis = known.filter(pl.col("variant") == variant), str(place + 1) if place else ""
        x = {"range": [0, 1], "tickvals": [0, 0.5, 1], "title": "success p"}
        y = {"range": [-0.02 * top, top], "nticks": 6, "showticklabels": place % across == 0, "title": "distance"}
        below = _BELOW if rows < 3 else 0.12
        layout |= panel(place, len(variants), across, x, y, beside=_BESIDE, below=below)
        words = variant if one.height else f"{variant}: not defined here"
        titles.append(heading(f"<b>{words}</b>", axis, theme))
        traces += _lines(one, sizes, axis, theme)
    return go.Figure(data=traces, layout=layout | {"annotations": titles})


def _lines(one: pl.DataFrame, sizes: list[int], axis: str, theme: str) -> Iterator[dict[str, Any]]:
    """One variant's lines in its panel; the legend has every group size once."""
    for size, color in zip(sizes, ramp(len(sizes), theme), strict=True):
        part = one.filter(pl.col("group_size") == size).sort("success")
        guessed = part.height > 0 and (part["kind"] == "drawn").all()
        look: dict[str, Any] = {"line": {"color": color, "width": 2, "dash": "dot" if guessed else "solid"}}
        if guessed:
            look |= {"error_y": whiskers(part, "distance", color), "marker": {"size": 6, "color": color}}
        group = {"type": "scatter", "name": f"G = {size}", "legendgroup": str(size)}
        yield group | look | {
            "x": part["success"].to_numpy(), "y": part["distance"].to_numpy(), "xaxis": f"x{axis}", "yaxis": f"y{axis}",
            "mode": "lines+markers" if guessed else "lines", "showlegend": False,
            "hovertemplate": f"p = %{{x:.2f}}, G = {size}: %{{y:.3f}}<extra></extra>",
        }  # fmt: skip
        if not axis:
            yield group | {"x": [None], "y": [None], "mode": "lines", "line": {"color": color, "width": 2}}


@figure(
    guide="How much a prompt of this success probability weighs beside the other one, in the reward that the estimator "
    "implies: 1 is what the true reward says, 2 means that a right answer to it counts as two. The axis is "
    "logarithmic. A rule that divides by the spread lifts easy and hard prompts; one that falls below 1 neglects them.",
    columns=("variant", "group_size", "success", "lift"),
)
def implied_lift(frame: pl.DataFrame, *, theme: str, height: int = 380) -> go.Figure:
    """Implied reward of right minus wrong, relative to the other prompt, against the success probability.

    Args:
        frame: `lab.studies.implied_reward_study` at one group size.
        theme: "light" or "dark".
        height: In pixels.
    """
    drawn = go.Figure()
    for variant in frame["variant"].unique(maintain_order=True).to_list():
        look = style(variant, theme)
        one = frame.filter((pl.col("variant") == variant) & (pl.col("lift") > 0)).sort("success")
        drawn.add_scatter(
            x=one["success"].to_numpy(), y=one["lift"].to_numpy(), mode="lines", name=variant,
            line=look.line, hovertemplate="weighs %{y:.3g} times",
        )  # fmt: skip
    color = palette(theme).muted
    drawn.add_hline(y=1.0, line={"color": color, "width": 1, "dash": "dot"})
    drawn.update_xaxes(title="success probability p", range=[0, 1], tickformat=".1f")
    ticks = [0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.5, 1.7, 2, 3, 5, 10]
    drawn.update_yaxes(
        title="weight beside the other prompt", type="log", tickvals=ticks, ticktext=list(map(str, ticks))
    )
    drawn.update_layout(height=height)
    return drawn


@figure(
    guide="STARC distance between the true reward and the one that the estimator implies, at the first policy: its "
    "expected advantage of each response. 0 is good, 1 a reward that is 0 everywhere, 1.41 no relation. Diamonds are "
    "exact, circles drawn, with 95% intervals; a variant without a mark reads what this world lacks, or refuses such "
    "rewards.",
    columns=("variant", "kind", "distance", "low", "high"),
)
def implied_distances(frame: pl.DataFrame, *, theme: str, height: int = 0) -> go.Figure:
    """Distance of the implied from the true reward, a row per variant.

    Args:
        frame: `lab.studies.implied_distance`.
        theme: "light" or "dark".
        height: In pixels; 0: by the number of variants.
    """
    drawn, variants = go.Figure(), frame["variant"].to_list()
    for row in frame.drop_nulls("distance").partition_by("variant", maintain_order=True):
        look = style(row["variant"][0], theme)
        bars = whiskers(row, "distance", look.color)
        drawn.add_scatter(
            x=row["distance"].to_numpy(), y=row["variant"].to_list(), mode="markers", error_x=bars, showlegend=False,
            marker={"size": 11, "color": look.color, "symbol": "diamond" if row["kind"][0] == "exact" else "circle"},
            customdata=bounds(row), name=row["variant"][0],
            hovertemplate="%{x:.4f} (%{customdata[0]:.4f} to %{customdata[1]:.4f})",
        )  # fmt: skip
    largest = float(frame["high"].max() or 0.0)  # type: ignore[arg-type]
    drawn.update_xaxes(
        title="distance from the true reward", range=[-0.03 * max(largest, 0.1), 1.1 * max(largest, 0.1)]
    )
    drawn.update_yaxes(categoryorder="array", categoryarray=variants[::-1], range=[-0.6, len(variants) - 0.4])
    drawn.update_layout(height=height or 110 + 38 * len(variants), hovermode="closest", margin={"t": 16})
    return drawn
