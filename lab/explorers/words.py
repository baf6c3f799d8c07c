"""Words that several explorers use: lists of names, means with their intervals, first steps, and errors."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import polars as pl

from lab.errors import LabError
from lab.methods import variant
from lab.text import plain
from lab.trace import standing

__all__ = ["WAY_OUT", "head_start", "in_words", "interval", "listed"]

WAY_OUT = "Change a setting, or choose *Back to the defaults* under *Link*."

_MUCH = 1.5  # times as long: from here on curves may part by the length of the steps alone


def listed(names: Sequence[str]) -> str:
    """Names as a sentence lists them."""
    words = [f"**{name}**" for name in names]
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def interval(row: dict[str, Any]) -> str:
    """A mean with its 95% interval, as text."""
    if row["low"] is None:
        return f"{row['mean']:z.3f}"
    return f"{row['mean']:z.3f} ({row['low']:z.3f} to {row['high']:z.3f})"


def head_start(frame: pl.DataFrame) -> str:
    """Whose first step was much longer than whose: at one learning rate, that alone parts the curves.

    Args:
        frame: A trace with `grad_norm`, of plain ascent; without that column nothing is said.
    """
    if "grad_norm" not in frame.columns:
        return ""
    limit = pl.col("variant").replace_strict({v: variant(v).max_grad_norm for v in frame["variant"].unique()})
    first = frame.filter(step=0).with_columns(pl.min_horizontal("grad_norm", limit.cast(pl.Float64)))
    steps = standing(first, "grad_norm").filter(pl.col("mean") > 0).sort("mean")
    if steps.height < 2 or steps["mean"][-1] < _MUCH * steps["mean"][0]:
        return ""
    longest, shortest = steps.row(-1, named=True), steps.row(0, named=True)
    ratio = longest["mean"] / shortest["mean"]
    times = f"{ratio:.1f}" if ratio < 10 else f"{ratio:,.0f}"
    return (
        f" At the same learning rate {longest['variant']}'s first step was {times} times as long as "
        f"{shortest['variant']}'s; that alone may move their curves apart."
    )


def in_words(error: Exception) -> str:
    """What an error says to the reader, and a way out, as Markdown; an error of Python goes into the log."""
    if isinstance(error, LabError):
        return f"{plain(str(error).rstrip('.'))}."
    logging.getLogger(__name__).error("an error behind a picture", exc_info=error)
    if isinstance(error, MemoryError):
        said = "This needs more memory than this computer has; choose fewer seeds, prompts or rollouts"
    else:
        name = "" if isinstance(error, ValueError | TypeError | OSError) else f"{type(error).__name__}: "
        said = f"This could not be computed: {name}{error}"
    return f"{plain(said.rstrip('.'))}. {WAY_OUT}"
