"""Tokens as text, coloured by what pushes each of them, one table for each method.

Python stays the only place with formulas: the module is sent words, weights as they are written, and colours on which
the words can be read.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from lab.figures.group_matrix import number
from lab.figures.theme import ink, palette, shade
from lab.figures.token_weights import full_colour

__all__ = ["payload"]

Cell = tuple[str, str, str, str, str]  # word, weight, mark, background, ink


def payload(frame: pl.DataFrame, *, unit: str, theme: str, by: str = "variant", flow: bool = False) -> dict[str, Any]:
    """What the module draws: a table for each method, a row for each rollout, a cell for each token.

    Args:
        frame: `lab.measures.token_weights` of one or several methods: rollout, position, token, weight, reward.
        unit: What a cell is, "token" or "turn".
        theme: "light" or "dark".
        by: Column with the names of the tables.
        flow: Lines of text, each word as wide as it is, in place of columns.
    """
    colors, limit = palette(theme), full_colour(frame["weight"])
    methods = frame[by].unique(maintain_order=True).to_list()
    columns, rollouts = int(frame["position"].max() or 0) + 1, frame["rollout"].unique().sort().to_list()  # type: ignore[arg-type]
    named = {name: getattr(colors, name) for name in ("paper", "panel", "text", "muted")}
    stops = ", ".join(shade(k / 2, theme) for k in range(-2, 3))
    return {
        "unit": unit, "flow": flow, "corner": f"rollout \\ {unit}", "columns": columns,
        "letters": int(frame["token"].str.len_chars().max() or 1),  # type: ignore[arg-type]
        "methods": [{"name": name, "rows": _rows(frame.filter(pl.col(by) == name), rollouts, columns, limit, theme)}
                    for name in methods],
        "legend": [f"less likely {number(-limit)}", f"{number(limit)} likelier"],
        "gradient": f"linear-gradient(to right, {stops})",
        "hint": f"Point at a {unit}, or walk with the arrow keys: its weight under every method.",
        "colors": named | {"focus": colors.hues[0]},
    }  # fmt: skip


def _rows(one: pl.DataFrame, rollouts: list[int], columns: int, limit: float, theme: str) -> list[dict[str, Any]]:
    """The rollouts of a method, each with its label and a cell, or nothing, at every position."""
    rows = []
    for rollout in rollouts:
        mine = one.filter(pl.col("rollout") == rollout)
        cells: list[Cell | None] = [None] * columns
        for position, token, weight in mine.select("position", "token", "weight").iter_rows():
            background = shade(weight / limit, theme)
            mark = "" if weight == 0 else "↑" if weight > 0 else "↓"
            cells[position] = (token.replace(" ", "␣"), number(weight), mark, background, ink(background, theme))
        reward = number(mine["reward"][0]) if mine.height else ""
        rows.append({"label": f"{rollout + 1}  R = {reward or '–'}", "cells": cells})
    return rows
