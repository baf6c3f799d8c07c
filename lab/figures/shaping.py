"""What dense rewards pay and teach: rewards of the steps, the greedy policy at each place of a chain and of a grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl

from lab.figures.figure import figure
from lab.figures.marks import ON_TOP, tiles
from lab.figures.theme import fade, palette, style

__all__ = ["chain_policies", "grid_policies", "step_rewards"]

_SIGNS = {"back": "←", "forward": "→", "search": "○", "up": "↑", "right": "→", "down": "↓", "left": "←"}
_ROW, _HEAD, _FOOT = 88, 44, 60  # pixels
_TITLE, _GAP = 0.25, 0.04  # of a row: its name, and what is left free below


@figure(
    guide="A row is what one reward teaches. Columns are positions, the goal is at the right end; bars are the share "
    "of runs whose greedy policy goes forward, goes back or stays, and the sign above is what is exactly best for "
    "that reward. Forward everywhere arrives. A policy that stays, or turns back before the end, hovers: it has found "
    "pay that the goal does not give.",
    columns=("variant", "position", "action", "share", "optimal"),
)
def chain_policies(frame: pl.DataFrame, *, theme: str, height: int = 0) -> go.Figure:
    """Learned and optimal actions at each position of a chain, a row per reward.

    Args:
        frame: `lab.studies.shaping_policies`.
        theme: "light" or "dark".
        height: In pixels; 0: by the number of rows.
    """
    colors, traces, titles = palette(theme), list[dict[str, Any]](), []
    hues = {"forward": colors.hues[0], "back": colors.hues[1], "search": colors.flip}
    variants = frame["variant"].unique(maintain_order=True).to_list()
    rows, positions = len(variants), frame["position"].unique().sort().to_list()
    layout: dict[str, Any] = {
        "height": height or _HEAD + _FOOT + _ROW * rows, "barmode": "stack", "bargap": 0.12, "hovermode": "x unified",
        "margin": {"l": 8, "r": 8, "t": _HEAD, "b": _FOOT}, "legend": ON_TOP,
        "xaxis": {"title": "position (the goal lies behind the last one)", "tickvals": positions, "showgrid": False,
                  "anchor": "free", "position": 0, "range": [positions[0] - 0.6, positions[-1] + 0.6]},
    }  # fmt: skip
    for row, variant in enumerate(variants):
        axis, one = str(row + 1) if row else "", frame.filter(pl.col("variant") == variant)
        for action, color in hues.items():
            taken = one.filter(pl.col("action") == action)
            traces.append({
                "type": "bar", "x": taken["position"].to_numpy(), "y": taken["share"].to_numpy(), "yaxis": f"y{axis}",
                "marker": {"color": fade(color, 0.85)}, "name": {"search": "stays (search)"}.get(action, action),
                "legendgroup": action, "showlegend": row == 0, "hovertemplate": "%{y:.0%}",
            })  # fmt: skip
        best = one.filter(pl.col("optimal"))
        traces.append({
            "type": "scatter", "x": best["position"].to_numpy(), "y": np.full(best.height, 1.17), "mode": "text",
            "yaxis": f"y{axis}", "text": [_SIGNS[a] for a in best["action"]], "showlegend": False,
            "textfont": {"color": colors.text, "size": 15}, "hoverinfo": "skip", "cliponaxis": False,
        })  # fmt: skip
        top = 1 - row / rows
        domain = [max(0.0, top - (1 - _GAP) / rows), top - _TITLE / rows]
        layout[f"yaxis{axis}"] = {"domain": domain, "range": [0, 1.35], "visible": False, "fixedrange": True}
        titles.append({
            "text": f"<b>{variant}</b>", "xref": "paper", "yref": "paper", "x": 0, "y": domain[1], "xanchor": "left",
            "yanchor": "bottom", "font": {"color": colors.text, "size": 14},
        })  # fmt: skip
    return go.Figure(data=traces, layout=layout | {"annotations": titles})


@figure(
    guide="A cell holds the likeliest step of the policy and its probability; the darker, the longer the policy is "
    "there (expected discounted visits). From the corner above left, arrows should lead to the goal, below right. A "
    "dark cell elsewhere is a place where the policy lingers because it is paid to.",
    columns=("variant", "row", "column", "action", "probability", "visits"),
)
def grid_policies(frame: pl.DataFrame, *, theme: str, height: int = 320) -> go.Figure:
    """Policies on a grid with a goal, side by side.

    Args:
        frame: `lab.studies.blend_policies` of one heuristic.
        theme: "light" or "dark".
        height: In pixels.
    """
    colors, drawn = palette(theme), go.Figure()
    variants = frame["variant"].unique(maintain_order=True).to_list()
    most = float(frame.filter(pl.col("action").is_not_null())["visits"].max())  # type: ignore[arg-type]
    for k, variant in enumerate(variants):
        axis, one = str(k + 1) if k else "", frame.filter(pl.col("variant") == variant)
        y, x = one["row"].to_numpy(), one["column"].to_numpy()
        visits, words = np.full((y.max() + 1, x.max() + 1), np.nan), np.full((y.max() + 1, x.max() + 1), "goal", object)
        for cell in one.filter(pl.col("action").is_not_null()).iter_rows(named=True):
            place = cell["row"], cell["column"]
            visits[place] = cell["visits"]
            words[place] = f"<span style='font-size:20px'>{_SIGNS[cell['action']]}</span><br>{cell['probability']:.0%}"
        drawn.add_heatmap(
            z=visits, zmin=0, zmax=most, colorscale=[[0, colors.panel], [1, fade(colors.hues[0], 0.75)]], xgap=3,
            ygap=3, showscale=False, xaxis=f"x{axis}", yaxis=f"y{axis}", hoverongaps=False,
            hovertemplate="row %{y}, column %{x}: %{z:.2f} discounted visits<extra></extra>",
        )  # fmt: skip
        drawn.add_scatter(
            x=x, y=y, mode="text", text=words[y, x], textfont={"color": colors.text, "size": 13}, showlegend=False,
            hoverinfo="skip", xaxis=f"x{axis}", yaxis=f"y{axis}",
        )  # fmt: skip
        drawn.update_layout(tiles(k, len(variants), 0.05))
        drawn.add_annotation(
            text=f"<b>{variant}</b>", xref=f"x{axis} domain", yref="paper", x=0.5, y=1.01, yanchor="bottom",
            font={"color": colors.text, "size": 14},
        )  # fmt: skip
    drawn.update_layout(height=height, hovermode="closest", margin={"l": 8, "r": 8, "t": 34, "b": 8})
    return drawn


@figure(
    guide="Bars are what each step really earns, lines what is said of it: the nearer a line is to the ends of bars, "
    "the better a step is told apart from its neighbours. The return spread evenly is level: it tells none apart.",
    columns=("variant", "step", "reward"),
)
def step_rewards(frame: pl.DataFrame, *, theme: str, truth: str = "true", height: int = 360) -> go.Figure:
    """Rewards of the steps of one episode, the true ones and what was made of the return.

    Args:
        frame: `lab.studies.redistributed_episode`.
        theme: "light" or "dark".
        truth: The variant drawn as bars.
        height: In pixels.
    """
    colors, drawn = palette(theme), go.Figure()
    for variant in frame["variant"].unique(maintain_order=True):
        one = frame.filter(pl.col("variant") == variant)
        place = {"x": one["step"].to_numpy(), "y": one["reward"].to_numpy(), "hovertemplate": "%{y:.2f}"}
        if variant == truth:
            drawn.add_bar(**place, name=variant, marker_color=fade(colors.truth, 0.25))
        else:
            look = style(variant, theme)
            drawn.add_scatter(**place, name=variant, mode="lines", line={"color": look.color, "dash": look.dash})
    drawn.update_layout(
        height=height, bargap=0.15, xaxis={"title": "step of the episode"}, yaxis={"title": "reward", "zeroline": True}
    )
    return drawn
