"""What a reward function accepts, how many levels it has, and how many groups it would leave silent."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from lab.errors import InputError, check_whole
from lab.linting import judged
from lab.linting.calls import Answer, Example, RewardFunction
from lab.linting.probes import LENGTHS, PROBES, others, padded
from lab.logs.findings.contract import SEVERITIES, Finding

__all__ = ["Lint", "lint"]

SIZES = (4, 8, 16)
_SLOW = 1.0  # seconds of one call, after which no longer answer is tried


@dataclass(frozen=True)
class Lint:
    """What `lint` found.

    Attributes:
        function: Name of the reward function.
        style: How it was called: "trl", "verl" or "plain".
        scores: One row per sampled answer: example, sample, length (characters), score (null where there was none),
            kind ("number", "none", "not finite", "no number", "raised"), seconds.
        probes: One row per probe and example: probe, example, score, kind, said, paid (like a right answer), above (the
            mean of the sampled answers; null without any).
        levels: The distinct rewards of the sampled answers and the share of each, the highest first.
        silent: Share of groups whose rewards would all be equal, by group_size.
        times: Seconds of a call by length of the answer in characters.
        findings: What stands out, the worst first.
    """

    function: str
    style: str
    scores: pl.DataFrame
    probes: pl.DataFrame
    levels: pl.DataFrame
    silent: pl.DataFrame
    times: pl.DataFrame
    findings: tuple[Finding, ...]

    @property
    def worst(self) -> str:
        """Severity of the worst finding; "" where nothing stands out."""
        return self.findings[0].severity if self.findings else ""

    def facts(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        frames = {name: getattr(self, name).to_dicts() for name in ("levels", "silent", "probes", "times")}
        said = [{"severity": f.severity, "sentence": f.sentence, "share": f.share} for f in self.findings]
        return {"function": self.function, "style": self.style, "findings": said, **frames}

    def __str__(self) -> str:
        said = [f"{f.severity}: {f}" for f in self.findings] or ["Nothing stands out."]
        return "\n".join([f"{self.function}(), {self.scores.height} sampled answers", *said])


def lint(function: Callable[..., Any], examples: Iterable[Mapping[str, Any]], sizes: Sequence[int] = SIZES) -> Lint:
    """Try a reward function on answers that no one should be paid for, before it trains anything.

    Args:
        function: TRL's `f(completions, **columns)`, verl's `compute_score(data_source, solution_str, ground_truth,
            extra_info)`, or a plain `f(text, **columns)`; `async` or not.
        examples: Mappings with `prompt`; `completions`, answers sampled from the policy; `right`, an answer that
            deserves the full reward (else the best paid of the sampled ones stands for it); and the columns that the
            function reads.
        sizes: Group sizes for which the share of silent groups is said.

    Raises:
        InputError: No examples, an example without a prompt, or a function that asks for what they do not have.

    Examples:
        >>> import lab
        >>> def reward(text, answer):
        ...     return float(answer in text)
        >>> found = lab.lint(reward, [{"prompt": "2 + 2 = 4 or 5?", "completions": ["4", "5"], "answer": "4"}])
        >>> print(found.findings[0])
        The prompt repeated is paid like a right answer (1 of 1 examples).
    """
    rule, cases = RewardFunction(function), [Example.of(given, place) for place, given in enumerate(examples)]
    if not cases:
        raise InputError("there are no examples; at least one prompt with sampled answers is needed")
    sizes = [check_whole("sizes", size, least=2) for size in sizes]
    answers = [[rule(case, text) for text in case.completions] for case in cases]
    scores, probes, times = _scored(cases, answers), *_probed(rule, cases, answers)
    silent = pl.DataFrame({"group_size": sizes, "share": [_silent(answers, size) for size in sizes]},
                          schema={"group_size": pl.Int64, "share": pl.Float64})  # fmt: skip
    levels = scores.drop_nulls("score").group_by("score").len("share").sort("score", descending=True)
    levels = levels.with_columns(pl.col("share") / pl.col("share").sum())
    said = [*judged.answers(scores, probes), *judged.probes(probes), *judged.spread(scores, levels, silent),
            *judged.agreement(_again(rule, cases, answers)), *judged.speed(times)]  # fmt: skip
    ordered = tuple(sorted(said, key=lambda finding: SEVERITIES.index(finding.severity)))
    return Lint(rule.name, rule.style, scores, probes, levels, silent, times, ordered)


def _scored(cases: Sequence[Example], answers: Sequence[Sequence[Answer]]) -> pl.DataFrame:
    rows = [
        (place, sample, len(case.completions[sample]), _null(a.score), a.kind, a.said, a.seconds)
        for place, (case, given) in enumerate(zip(cases, answers, strict=True))
        for sample, a in enumerate(given)
    ]
    schema = {"example": pl.Int64, "sample": pl.Int64, "length": pl.Int64, "score": pl.Float64, "kind": pl.String,
              "said": pl.String, "seconds": pl.Float64}  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def _null(score: float) -> float | None:
    return None if math.isnan(score) else score


def _best(case: Example, given: Sequence[Answer]) -> str | None:
    """The answer that stands for a right one."""
    numbers = [a.score for a in given if not math.isnan(a.score)]
    if case.right is not None or not numbers or max(numbers) == min(numbers):
        return case.right
    return case.completions[max(range(len(given)), key=lambda i: (np.nan_to_num(given[i].score, nan=-np.inf), -i))]


def _probed(
    rule: RewardFunction, cases: Sequence[Example], answers: Sequence[Sequence[Answer]]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All probes of all examples that have a right answer, and the time of ever longer answers to the first."""
    rows, rights = [], [_best(case, given) for case, given in zip(cases, answers, strict=True)]
    for place, (case, right, other) in enumerate(zip(cases, rights, others(rights), strict=True)):
        if right is None:
            continue
        full = rule(case, right).score
        numbers = [a.score for a in answers[place] if not math.isnan(a.score)]
        for name, probe in PROBES.items():
            if (text := probe.text(case, right, other)) is None:
                continue
            a = rule(case, text)
            above = bool(a.score > np.mean(numbers) + 1e-9) if numbers else None
            rows.append((name, place, _null(a.score), a.kind, a.said, bool(a.score >= full - 1e-9), above))
    schema = {"probe": pl.String, "example": pl.Int64, "score": pl.Float64, "kind": pl.String, "said": pl.String,
              "paid": pl.Boolean, "above": pl.Boolean}  # fmt: skip
    first = next((i for i, right in enumerate(rights) if right is not None), None)
    times = [] if first is None else _timed(rule, cases[first], str(rights[first]))
    return pl.DataFrame(rows, schema=schema, orient="row"), pl.DataFrame(
        times, schema={"length": pl.Int64, "seconds": pl.Float64}, orient="row"
    )


def _timed(rule: RewardFunction, case: Example, right: str) -> list[tuple[int, float]]:
    found: list[tuple[int, float]] = []
    for length in LENGTHS:
        found.append((length, rule(case, padded(right, length)).seconds))
        if found[-1][1] > _SLOW:
            break
    return found


def _silent(answers: Sequence[Sequence[Answer]], size: int) -> float | None:
    """Mean over prompts of the chance that all rewards of a group are equal.

    Groups are drawn from the sampled answers, without putting back where there are at least `size` of them.
    """
    chances = []
    for given in answers:
        counts = Counter(round(a.score, 12) for a in given if not math.isnan(a.score))
        total = counts.total()
        if total >= size:
            chances.append(sum(math.comb(n, size) for n in counts.values()) / math.comb(total, size))
        elif total > 1:
            chances.append(sum((n / total) ** size for n in counts.values()))
    return float(np.mean(chances)) if chances else None


def _again(
    rule: RewardFunction, cases: Sequence[Example], answers: Sequence[Sequence[Answer]]
) -> Mapping[str, tuple[int, int]]:
    """How many sampled answers get another reward: asked again, and all of a prompt in one call; of how many."""
    again = [(a, rule(case, text)) for case, given in zip(cases, answers, strict=True)
             for a, text in zip(given, case.completions, strict=True)]  # fmt: skip
    together = []
    for case, given in zip(cases, answers, strict=True):
        at_once = rule.together(case) if given else None
        if at_once is not None and len(at_once) == len(given):
            together += list(zip(given, at_once, strict=True))
    pairs = {"again": again, "together": together}
    return {how: (sum(not _same(a, b) for a, b in found), len(found)) for how, found in pairs.items()}


def _same(a: Answer, b: Answer) -> bool:
    return a.kind == b.kind and (math.isnan(a.score) or math.isclose(a.score, b.score, abs_tol=1e-9))
