"""What the completions of a log say as texts: whether there are any, and which of them are empty."""

from __future__ import annotations

import polars as pl

from lab.logs.facts import Facts

__all__ = ["MARKUP", "answer", "empty", "some_steps", "texts"]

#: Tags, and what marks an answer: the parts of a completion that are format and not content.
MARKUP = r"</?[A-Za-z_][\w-]*>|\\boxed|```|####"

_EMPTY = r"^(?:\s|</?[A-Za-z_][\w-]*>|(?:assistant|user|system|tool):)*$"


def texts(run: Facts) -> pl.DataFrame | None:
    """The rollouts with a reward: step, group, rollout, prompt, completion, reward.

    Rollouts without either text are left out: some trainers write down only a few. None where the rest has no texts to
    tell apart: one and the same completion in every row stands in place of what was not written down.
    """
    rows = run.table.frame.select("step", "group", "rollout", "prompt", "completion", "reward").drop_nulls()
    rows = rows.filter((pl.col("prompt") != "") | (pl.col("completion") != ""))
    said = pl.col("completion")
    return rows if rows.select((said != said.first()).any()).item() else None


def some_steps(rows: pl.DataFrame, most: int) -> pl.DataFrame:
    """The rollouts of an even choice of steps, so that there are about `most`."""
    every = -(-rows.height // most)
    return rows if every == 1 else rows.filter(pl.col("step").rank("dense") % every == 1)


def empty(completion: pl.Expr) -> pl.Expr:
    """Whether nothing is left of a completion but tags, names of roles and white space."""
    return completion.str.contains(_EMPTY)


def answer(completion: pl.Expr) -> pl.Expr:
    """What a completion answers: the text of its answer tag or box, else what stands behind its last tag."""
    inside = (r"(?s)<answer>(.*?)</answer>", r"\\boxed\{([^{}]*)\}", r"(?s).*(?:####|</\w+>)(.*)$")
    found = pl.coalesce(completion.str.extract(pattern) for pattern in inside)
    return pl.coalesce(found, completion).str.strip_chars()
