"""The policy as its responses show it: how long they are, how many are cut off, and whether they repeat themselves."""

from __future__ import annotations

import zlib

import polars as pl

from lab.logs.columns import column
from lab.logs.facts import Facts
from lab.logs.findings.contract import Finding, check
from lab.logs.findings.texts import texts
from lab.logs.findings.trends import Change, curve, progress, series, thirds
from lab.logs.texts import letters as letters_of
from lab.logs.texts import whole


@check(
    "policy.length",
    definition="responses become much longer and the reward does not rise with them",
    threshold="by a factor of {times:g} and {errors:g} standard errors from the first to the last third of at least "
    "{least} steps, the reward not up by as many",
    advice="a penalty for overlong responses (DAPO), a loss without a length term (Dr. GRPO), a lower learning rate",
    source="Dr. GRPO, arXiv 2503.20783, on lengths that grow where the answers are wrong; DAPO, arXiv 2503.14476",
)
def length(run: Facts, *, times: float = 2.0, errors: float = 4.0, least: int = 6) -> Finding | None:
    """Responses that grow without end."""
    steps = series(run, "length")
    way = progress(run, "length", least=least)
    if way is None or way.first <= 0 or way.last < times * way.first or not way.rises(errors) or _pays(run, errors):
        return None
    said = (
        f"Responses grow from {way.first:.4g} to {way.last:.4g} tokens (first third of the steps to last) and the "
        f"reward does not rise with them{_rewards(run)}."
    )
    rows = steps.filter(pl.col("value") >= times * way.first)
    return Finding("warning", said, rows, rows.height / steps.height, curve(steps, "tokens of a response"))


@check(
    "policy.truncated",
    definition="many responses are cut off at the longest length, before they can have an answer",
    threshold="{most:.0%} or more in the last third of the steps, or {some:.0%} or more that have become more by "
    "{grows:.0%}, and the reward does not rise",
    advice="a larger longest length; leave cut-off responses out of the loss, or shape their reward (DAPO); prompts "
    "that ask for less",
    source="TRL, https://github.com/huggingface/trl/issues/5697 (nearly all are cut off, the reward stays 0); DAPO, "
    "arXiv 2503.14476, overlong filtering",
)
def truncated(
    run: Facts, *, most: float = 0.9, some: float = 0.25, grows: float = 0.2, errors: float = 4.0
) -> Finding | None:
    """Responses without an end."""
    steps = series(run, "truncated")
    if steps.is_empty():
        return None
    size = max(steps.height // 3, 1)
    first, last = (float(part["value"].mean()) for part in (steps.head(size), steps.tail(size)))  # type: ignore[arg-type]
    many = last >= most or (last >= some and last - first >= grows)
    if not many or _pays(run, errors):
        return None
    said = (
        f"{last:.1%} of the responses are cut off in the last third of the steps, {first:.1%} in the first, and the "
        f"reward does not rise{_rewards(run)}{_cost(run)}."
    )
    rows = steps.filter(pl.col("value") >= min(most, some))
    return Finding("warning", said, rows, last, curve(steps, "share of responses cut off"))


def _pays(run: Facts, errors: float) -> bool:
    """Whether the reward rises from the first to the last third of the steps."""
    way = _way(run)
    return way is not None and way.rises(errors)


def _way(run: Facts) -> Change | None:
    return progress(run, "reward")


def _rewards(run: Facts) -> str:
    way = _way(run)
    return "" if way is None else f" ({way.first:.4g} to {way.last:.4g})"


def _cost(run: Facts) -> str:
    """What cut-off responses are paid against the others, where the rollouts are marked."""
    if run.table.logged("truncated") is None:
        return ""
    cut = column("truncated").cast(pl.Boolean)
    kinds = run.table.frame.group_by(cut.alias("cut")).agg(pl.col("reward").mean()).drop_nulls()
    paid = dict(kinds.iter_rows())
    return f": those cut off are paid {paid[True]:.4g}, the others {paid[False]:.4g}" if len(paid) == 2 else ""


@check(
    "policy.repetition",
    definition="completions repeat themselves: they compress to a small part of their length",
    threshold="at least {share:.0%} of those with {letters} letters or more in the last third of the steps compress to "
    "less than 1/{ratio:g}, and {grows:g} times as many as in the first third",
    advice="a penalty for repeated n-grams, a lower learning rate; look whether the reward pays for length",
    source="Whisper, arXiv 2212.04356, which tells text that repeats itself by how far gzip compresses it",
)
def repetition(
    run: Facts, *, share: float = 0.05, ratio: float = 6.0, letters: int = 200, grows: float = 2.0, most: int = 4096
) -> Finding | None:
    """Text that goes round in circles; of many rollouts an even choice is read."""
    rows = texts(run)
    rows = None if rows is None else rows.filter(letters_of(rows, "completion") >= letters)
    if rows is None or rows.is_empty():
        return None
    rows = whole(rows.gather_every(-(-rows.height // most)))
    rows = rows.with_columns(pl.Series("ratio", [_squeezed(text) for text in rows["completion"]]))
    again = pl.col("ratio") > ratio
    first, last = (part.select(again.mean()).item() or 0.0 for part in thirds(rows))
    found = rows.filter(again)
    if last < share or last < grows * first:
        return None
    said = (
        f"{last:.1%} of the long completions of the last steps repeat themselves (they compress to less than "
        f"1/{ratio:g}), {first:.1%} of the first ones: the policy goes round in circles."
    )
    shares = rows.group_by("step", maintain_order=True).agg(again.mean().alias("value"))
    where = found.select("step", "group", "rollout", "ratio", "reward")
    return Finding("warning", said, where, found.height / rows.height, curve(shares, "share that repeats itself"))


def _squeezed(text: str) -> float:
    """How many times smaller zlib makes a text."""
    raw = text.encode("utf-8", "replace")
    return len(raw) / len(zlib.compress(raw, 1))
