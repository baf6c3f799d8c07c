"""Rates against a setting: sign flips by group size and by reward law, groups without signal by success probability.

Formulas are lines, draws are points with their 95% intervals; where both are known the points should sit on the lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl

from lab.figures.figure import figure
from lab.figures.marks import SHARE, points
from lab.figures.theme import ramp, style
from lab.measures.metrics import AGAINST_DRAWN, AGAINST_EXPECTED

__all__ = ["flips_by_law", "flips_by_size", "levels_by_size", "silence", "silence_by_size"]


@figure(
    guide="Points are draws with 95% intervals; where all groups can be listed, a line shows the exact rate (otherwise "
    "a dotted line only joins the points). Lower is better; half is a coin. A rate that falls with the group size is "
    "the baseline's own noise. The axis says what a sign is held against: the reward that a rollout drew from a law, "
    "or in a world what its action earns on average.",
    columns=("variant", "group_size", "kind", "rate", "low", "high"),
)
def flips_by_size(frame: pl.DataFrame, *, theme: str, height: int = 420) -> go.Figure:
    """Sign-flip rate against the group size under one reward law, a line per variant.

    Args:
        frame: `lab.studies.sign_flip_study` for one law, or `lab.experiment.by_group_size` of "sign_flip".
        theme: "light" or "dark".
        height: In pixels.
    """
    against = AGAINST_DRAWN if "law" in frame.columns else AGAINST_EXPECTED
    return _by_size(frame, theme, height, f"rollouts of the wrong sign<br>{against}")


@figure(
    guide="Points are means over batches at the first policy with 95% intervals; dotted lines only join them. High is "
    "bad: those groups were sampled and scored, and moved nothing. A larger group is seldom all alike.",
    columns=("variant", "group_size", "kind", "rate", "low", "high"),
)
def silence_by_size(frame: pl.DataFrame, *, theme: str, height: int = 420) -> go.Figure:
    """Share of groups without signal against the group size in a world, a line per variant.

    Args:
        frame: `lab.experiment.by_group_size` of "no_signal".
        theme: "light" or "dark".
        height: In pixels.
    """
    return _by_size(frame, theme, height, "groups without signal")


def _by_size(frame: pl.DataFrame, theme: str, height: int, title: str) -> go.Figure:
    """Rates against the group size, a line per variant."""
    drawn = go.Figure()
    variants = frame["variant"].unique(maintain_order=True).to_list()
    for place, variant in enumerate(variants):
        look = style(variant, theme)
        one = frame.filter(pl.col("variant") == variant).drop_nulls("rate").sort("group_size")
        exact, simulated = (one.filter(pl.col("kind") == kind) for kind in ("exact", "simulated"))
        aside = 1.02 ** (place - (len(variants) - 1) / 2)
        line = exact if exact.height else simulated
        drawn.add_scatter(
            x=line["group_size"].to_numpy(), y=line["rate"].to_numpy(), mode="lines", name=variant, legendgroup=variant,
            line=look.line if exact.height else look.line | {"dash": "dot"}, showlegend=False,
            hovertemplate="exact: %{y:.2%}" if exact.height else None, hoverinfo=None if exact.height else "skip",
        )  # fmt: skip
        points(drawn, simulated["group_size"].to_numpy() * aside, simulated, "rate", color=look.color,
               symbol=look.symbol, name=variant, legendgroup=variant)  # fmt: skip
    sizes = frame["group_size"].unique().sort().to_list()
    drawn.update_xaxes(title="group size G (rollouts per prompt)", type="log", tickvals=sizes, ticktext=sizes)
    drawn.update_layout(height=height, hovermode="closest")
    drawn.update_yaxes(title=title, **SHARE)
    return drawn


@figure(
    guide="One column per reward law, one point per variant with its 95% interval; a dash is the exact rate where all "
    "groups can be listed. Lower is better; half is a coin. With right-or-wrong rewards a mean lies between the two, "
    "so no sign is ever wrong against the reward that was drawn; tails and skew pull mean and median apart.",
    columns=("variant", "law", "kind", "rate", "low", "high"),
)
def flips_by_law(frame: pl.DataFrame, *, theme: str, height: int = 420) -> go.Figure:
    """Sign-flip rate against the reward law at one group size, a point per variant.

    Args:
        frame: `lab.studies.sign_flip_study` at one group size.
        theme: "light" or "dark".
        height: In pixels.
    """
    drawn = go.Figure()
    laws = frame["law"].unique(maintain_order=True).to_list()
    variants = frame["variant"].unique(maintain_order=True).to_list()
    for place, variant in enumerate(variants):
        look = style(variant, theme)
        aside = 0.6 * ((place + 0.5) / len(variants) - 0.5)
        for kind in ("exact", "simulated"):
            one = frame.filter((pl.col("variant") == variant) & (pl.col("kind") == kind)).drop_nulls("rate")
            x = np.array([laws.index(law) + aside for law in one["law"]])
            if kind == "simulated":
                points(drawn, x, one, "rate", color=look.color, symbol=look.symbol, name=variant, legendgroup=variant)
            elif one.height:
                mark = {"symbol": "line-ew", "size": 18, "line": {"color": look.color, "width": 2}}
                drawn.add_scatter(x=x, y=one["rate"].to_numpy(), mode="markers", marker=mark, legendgroup=variant,
                                  name=variant, showlegend=False, hovertemplate="exact: %{y:.2%}")  # fmt: skip
    names = [law.replace("_", "<br>") for law in laws]
    drawn.update_xaxes(tickvals=list(range(len(laws))), ticktext=names, range=[-0.5, len(laws) - 0.5], showgrid=False)
    drawn.update_layout(height=height, hovermode="closest")
    drawn.update_yaxes(title=f"rollouts of the wrong sign<br>{AGAINST_DRAWN}", **SHARE)
    return drawn


@figure(
    guide="Lines are exact (every number of successes listed), points are draws with 95% intervals. High is bad: those "
    "groups were sampled and scored, and moved nothing. A larger group helps in the middle and hardly at the ends.",
    columns=("success", "group_size", "kind", "share", "low", "high"),
)
def silence(frame: pl.DataFrame, *, theme: str, height: int = 420) -> go.Figure:
    """Share of groups without signal against the success probability, a line per group size.

    Args:
        frame: `lab.studies.signal_study`.
        theme: "light" or "dark".
        height: In pixels.
    """
    drawn = go.Figure()
    sizes = frame["group_size"].unique().sort().to_list()
    for size, color in zip(sizes, ramp(len(sizes), theme), strict=True):
        one = frame.filter(pl.col("group_size") == size).drop_nulls("share").sort("success")
        exact, simulated = (one.filter(pl.col("kind") == kind) for kind in ("exact", "simulated"))
        group: dict[str, Any] = {"legendgroup": str(size), "name": f"G = {size}"}
        drawn.add_scatter(
            x=exact["success"].to_numpy(), y=exact["share"].to_numpy(), mode="lines",
            line={"color": color, "width": 2}, hovertemplate="exact: %{y:.1%}", **group,
        )  # fmt: skip
        points(drawn, simulated["success"].to_numpy(), simulated, "share", color=color, showlegend=not exact.height,
               **group)  # fmt: skip
    drawn.update_traces(marker_size=6)
    drawn.update_xaxes(title="success probability p of a rollout", range=[-0.02, 1.02], tickformat=".1f")
    drawn.update_layout(height=height, hovermode="closest")
    drawn.update_yaxes(title="groups without signal", **SHARE)
    return drawn


@figure(
    guide="How many different groups of right-or-wrong rewards a rule can tell apart, counted over all of them. Higher "
    "keeps more of what was scored; two rules on one line are blind to the same differences. The axis is logarithmic.",
    columns=("rule", "components", "group_size", "levels"),
)
def levels_by_size(
    frame: pl.DataFrame, *, theme: str, height: int = 360, rules: Sequence[str] | None = None
) -> go.Figure:
    """Number of groups that a rule tells apart against the group size, a line per rule.

    Args:
        frame: `lab.studies.level_counts` for one number of components.
        theme: "light" or "dark".
        height: In pixels.
        rules: Order of the lines; that of the frame by default.
    """
    drawn = go.Figure()
    for place, rule in enumerate(rules or frame["rule"].unique(maintain_order=True).to_list()):
        one, look = frame.filter(pl.col("rule") == rule).sort("group_size"), style(rule, theme)
        drawn.add_scatter(
            x=one["group_size"].to_numpy(), y=one["levels"].to_numpy(), mode="lines+markers", name=rule,
            line=look.line,
            marker={"symbol": look.symbol, "size": 11 - 2 * (place % 4), "color": look.color},
            hovertemplate="%{y} groups told apart",
        )  # fmt: skip
    drawn.update_xaxes(title="group size G", tickvals=frame["group_size"].unique().sort().to_list())
    drawn.update_yaxes(title="groups told apart", type="log", dtick=1)
    drawn.update_layout(height=height)
    return drawn
