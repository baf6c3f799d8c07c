"""What the completions of a log say as texts: whether there are any, what marks an answer and what it is."""

from __future__ import annotations

import polars as pl

from lab.logs.facts import Facts
from lab.logs.texts import blank, key, place

__all__ = ["MARKUP", "answer", "some_steps", "texts"]

#: Tags, and what marks an answer: the parts of a completion that are format and not content.
MARKUP = r"</?[A-Za-z_][\w-]*>|\\boxed|```|####"


def texts(run: Facts) -> pl.DataFrame | None:
    """The rollouts with a reward: step, group, rollout, prompt, completion, reward; of a long log the place of each.

    Rollouts without either text are left out: some trainers write down only a few. None where the rest has no texts to
    tell apart: one and the same completion in every row stands in place of what was not written down.
    """
    frame = run.table.frame
    rows = frame.select("step", "group", "rollout", "prompt", "completion", "reward", *place(frame))
    written = ~(blank(rows, "prompt") & blank(rows, "completion"))
    there = rows.select(pl.all_horizontal(pl.all().is_not_null(), written)).to_series()
    rows = rows if there.all() else rows.filter(there)
    said = key(rows, "completion")
    return rows if rows.select((said != said.first()).any()).item() else None


def some_steps(rows: pl.DataFrame, most: int) -> pl.DataFrame:
    """The rollouts of an even choice of steps, so that there are about `most`."""
    every = -(-rows.height // most)
    return rows if every <= 1 else rows.filter(pl.col("step").rle_id() % every == 0)


def answer(completion: pl.Expr) -> pl.Expr:
    """What a completion answers: the text of its answer tag or box, else what stands behind its last tag."""
    inside = (r"(?s)<answer>(.*?)</answer>", r"\\boxed\{([^{}]*)\}", r"(?s).*(?:####|</\w+>)(.*)$")
    found = pl.coalesce(completion.str.extract(pattern) for pattern in inside)
    return pl.coalesce(found, completion).str.strip_chars()
