"""The sentences of a lint: what is worth saying of each table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl

from lab.linting.probes import PROBES
from lab.logs.findings.contract import Finding
from lab.text import listed, printable

__all__ = ["agreement", "answers", "probes", "speed", "spread"]

MANY_SILENT = 0.5  # share of groups without signal from which it is said as a warning
LONGER = 0.5  # rank correlation with the length, within prompts
_FAULTS = {
    "raised": ("alarm", "It fails"),
    "no number": ("alarm", "It gives something that is no number"),
    "not finite": ("alarm", "It gives a reward that is not finite"),
    "none": ("note", "It gives None, so trainers leave the rollout out,"),
}


def answers(scores: pl.DataFrame, tried: pl.DataFrame) -> Iterator[Finding]:
    """What came instead of a number, on sampled answers and on probes."""
    asked = pl.concat([scores.select(pl.lit("a sampled answer").alias("probe"), "example", "kind", "said"),
                       tried.select("probe", "example", "kind", "said")])  # fmt: skip
    for kind, (severity, words) in _FAULTS.items():
        rows = asked.filter(pl.col("kind") == kind)
        if not rows.is_empty():
            where = [PROBES[p].label if p in PROBES else p for p in rows["probe"].unique(maintain_order=True)]
            first = "" if kind == "none" else f": {printable(rows['said'][0])[:100]}"
            yield Finding(severity, f"{words} on {listed(where, 4)}{first}.", rows, rows.height / asked.height)


def probes(tried: pl.DataFrame) -> Iterator[Finding]:
    """Probes that are paid and should not be, or the other way round."""
    for name, probe in PROBES.items():
        of = tried.filter((pl.col("probe") == name) & pl.col("score").is_not_null())
        label = probe.label[0].upper() + probe.label[1:]
        paid, above = of.filter("paid"), of.filter(pl.col("above").fill_null(False))
        counted = f"of {of.height} examples)."
        if probe.wanted is True and paid.height < of.height:
            lost = of.filter(~pl.col("paid"))
            yield Finding(probe.severity, f"{label} loses reward ({lost.height} {counted}", lost, _share(lost, of))
        elif probe.wanted is not True and not paid.is_empty():
            said = f"{label} is paid like a right answer ({paid.height} {counted}"
            yield Finding(probe.severity, said, paid, _share(paid, of))
        elif probe.wanted is False and not above.is_empty():
            said = f"{label} is paid more than the average sampled answer, so training makes it likelier"
            yield Finding("warning", f"{said} ({above.height} {counted}", above, _share(above, of))


def _share(some: pl.DataFrame, all_: pl.DataFrame) -> float:
    return some.height / all_.height


def spread(scores: pl.DataFrame, levels: pl.DataFrame, silent: pl.DataFrame) -> Iterator[Finding]:
    """Levels, silent groups, and whether longer answers are paid more."""
    if scores.is_empty():
        yield Finding("note", "There are no sampled answers ('completions'), so nothing can be said of the spread.")
        return
    if levels.height == 1:
        yield Finding("alarm", f"Every sampled answer gets the same reward, {levels['score'][0]:g}: nothing can be "
                               "learnt from it.", scores)  # fmt: skip
    elif levels.height > 1:
        chances = [(f"{share:.0%} at G = {size}", share) for size, share in silent.iter_rows() if share is not None]
        if chances:
            worst = "warning" if chances[0][1] >= MANY_SILENT else "note"
            few = f"The rewards have {levels.height} levels" if levels.height <= 12 else "The rewards are fine-grained"
            said = f"{few}; groups with equal rewards, which teach nothing: {', '.join(c for c, _ in chances)}."
            yield Finding(worst, said, levels, chances[0][1])
    rank = _with_length(scores)
    if rank is not None and rank >= LONGER:
        yield Finding("warning", f"Longer answers are paid more (rank correlation {rank:.2f} within prompts).", scores)


def _with_length(scores: pl.DataFrame) -> float | None:
    """Mean over prompts of Spearman's correlation of reward and length, weighed by samples; None without spread."""
    found = (
        scores.drop_nulls("score")
        .with_columns(pl.col("score", "length").rank("average").over("example"))
        .group_by("example")
        .agg(pl.corr("score", "length").alias("rank"), pl.len())
        .filter(pl.col("rank").is_not_nan() & (pl.col("len") >= 4))
    )
    return None if found.is_empty() else float(np.average(found["rank"], weights=found["len"]))


def agreement(changed: Mapping[str, tuple[int, int]]) -> Iterator[Finding]:
    """Rewards that are not the same when asked again, or beside others."""
    words = {"again": "asked a second time", "together": "asked in one call with the other answers to the prompt"}
    for how, (others, asked) in changed.items():
        if others:
            said = f"{others} of {asked} sampled answers get another reward when {words[how]}."
            yield Finding("warning", said, share=others / asked)


def speed(times: pl.DataFrame) -> Iterator[Finding]:
    """A time that grows faster than the answer."""
    if times.height < 2:
        return
    (short, quick), (long, slow) = times.row(0), times.row(-1)
    if slow > 0.1 and slow / max(quick, 1e-4) > 4 * long / short:
        said = (
            f"Its time grows faster than the answer: {quick:.2g} s at {short:,} characters, {slow:.2g} s at {long:,}."
        )
        yield Finding("warning", said, times)
    elif slow > 1.0:
        yield Finding("note", f"One answer of {long:,} characters takes {slow:.2g} s.", times)
