"""What a finding is, what a check of a log is, and the list of checks.

A check is a function of a diagnosis that returns what it has found, or nothing. Its keyword arguments are its
thresholds: they are declared there, said in words by the decorator, and can be set by hand.

    @check(
        "policy.entropy",
        definition="the entropy falls below a share of what it was at the beginning",
        threshold="below {share:.0%} of the first step",
        advice="a higher clip for rising probabilities (DAPO), or an entropy bonus",
        source="DAPO, arXiv 2503.14476",
    )
    def entropy(run: Facts, *, share: float = 0.1) -> Finding | None:
        ...
        return Finding("warning", "The entropy fell from 1.2 to 0.01 nats by step 40.", rows)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from lab.errors import InputError
from lab.logs.facts import Facts
from lab.text import counted, printable

__all__ = ["SEVERITIES", "Check", "Evidence", "Finding", "check", "checks", "findings_of"]

#: How bad a finding is, the worst first: something is broken; the run learns less than it could; worth knowing.
SEVERITIES = ("alarm", "warning", "note")


@dataclass(frozen=True)
class Evidence:
    """What draws a finding: `getattr(lab.figures, figure)(frame, **options)`.

    Attributes:
        figure: Name of a function of `lab.figures`.
        frame: Its tidy frame.
        options: Its options.
    """

    figure: str
    frame: pl.DataFrame
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """A registered check.

    Attributes:
        kind: Family and name, `signal.solved`.
        definition: What is looked for.
        threshold: From where on, in words with the numbers.
        advice: What to try.
        source: The paper, documentation or thread it comes from.
        run: The function `(diagnosis, *, thresholds) -> Finding | None`.
        thresholds: Name -> value of each.
    """

    kind: str
    definition: str
    threshold: str
    advice: str
    source: str
    run: Callable[..., Finding | None]
    thresholds: Mapping[str, Any]

    @property
    def family(self) -> str:
        """The file of the check: signal, advantages, rewards, policy."""
        return self.kind.partition(".")[0]


@dataclass(frozen=True)
class Finding:
    """One thing that a log tells; `str(finding)` is its sentence.

    Attributes:
        severity: One of `SEVERITIES`.
        sentence: What was found, with its numbers; one or two sentences.
        rows: The groups, rollouts or steps concerned: step, where they apply group and rollout, and what was found.
        share: Share of the groups, rollouts or steps that are concerned, where that is a share.
        evidence: What draws it.
        check: The check that found it.
    """

    severity: str
    sentence: str
    rows: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema={"step": pl.Int64}))
    share: float | None = None
    evidence: Evidence | None = None
    check: Check | None = None

    def __post_init__(self) -> None:
        """Raises InputError for a severity that is none."""
        if self.severity not in SEVERITIES:
            raise InputError(f"severity {self.severity!r}; it must be one of {', '.join(SEVERITIES)}")

    def __str__(self) -> str:
        return self.sentence

    @property
    def kind(self) -> str:
        """Family and name of its check, `signal.solved`."""
        return self.check.kind if self.check else ""

    @property
    def first_step(self) -> int | None:
        """First step concerned."""
        found = self.rows["step"].min() if "step" in self.rows.columns else None
        return found if isinstance(found, int) else None

    def facts(self) -> dict[str, Any]:
        """Everything but the frames, as plain values: for JSON and reports."""
        about = {name: getattr(self.check, name, "") for name in ("definition", "threshold", "advice", "source")}
        return {
            "kind": self.kind, "severity": self.severity, "sentence": self.sentence, "share": self.share,
            "first_step": self.first_step, "rows": self.rows.height, **about,
        }  # fmt: skip


_CHECKS: dict[str, Check] = {}
_ORDER = {family: place for place, family in enumerate(("log", "signal", "advantages", "rewards", "policy"))}


def check(
    kind: str, *, definition: str, threshold: str = "", advice: str = "", source: str = ""
) -> Callable[[Callable[..., Finding | None]], Callable[..., Finding | None]]:
    """Decorator that registers a function `(diagnosis, *, thresholds) -> Finding | None`; see `Check`.

    Args:
        kind: Family and name, with a dot between.
        definition: What is looked for, as the end of "there is this finding where ...".
        threshold: Words with the keyword arguments of the function in braces, "below {share:.0%}".
        advice: What to try.
        source: Where this is from.

    Raises:
        InputError: The kind has no family, or another function has it.
    """
    if not all(kind.partition(".")):
        raise InputError(f"kind {kind!r}; it must be a family and a name, such as 'signal.solved'")

    def decorate(run: Callable[..., Finding | None]) -> Callable[..., Finding | None]:
        known = _CHECKS.get(kind)
        if known and (known.run.__module__, known.run.__qualname__) != (run.__module__, run.__qualname__):
            raise InputError(f"check {kind!r} exists already (in {known.run.__module__}); choose another name")
        given = {p.name: p.default for p in inspect.signature(run).parameters.values() if p.kind is p.KEYWORD_ONLY}
        _CHECKS[kind] = Check(kind, definition, threshold.format(**given), advice, source, run, given)
        return run

    return decorate


def checks() -> dict[str, Check]:
    """All checks by their kind; those of the lab first, family by family."""
    import lab.logs.findings as own

    return dict(sorted(_CHECKS.items(), key=lambda item: not item[1].run.__module__.startswith(own.__name__)))


def findings_of(run: Facts) -> tuple[Finding, ...]:
    """What all checks find in a log, the worst first; before them one calm sentence where nothing is wrong."""
    seen = ((each, each.run(run)) for each in checks().values())
    found = [replace(f, check=each, sentence=printable(f.sentence)) for each, f in seen if f]
    found.sort(key=lambda each: (SEVERITIES.index(each.severity), _ORDER.get(each.kind.partition(".")[0], len(_ORDER))))
    healthy = not found or found[0].severity == "note"
    return (Finding("note", _calm(run), check=_HEALTHY), *found) if healthy else tuple(found)


_HEALTHY = Check("log.healthy", "no check finds anything worse than a note", "", "", "", lambda run: None, {})


def _calm(run: Facts) -> str:
    """The sentence of a healthy run."""
    groups, silent = run.groups.height, int(run.groups["no_signal"].sum())
    zero = "loss" in run.table.metrics.columns and run.table.metrics["loss"].abs().max() == 0
    aside = " A loss of 0 is normal with one update per batch: the advantages of a group cancel in it." if zero else ""
    if not groups:
        return (
            f"Nothing looks wrong in the metrics of {run.table.metrics.height} steps; the log has no rollouts.{aside}"
        )
    if silent == groups:
        none = f"none of its {counted(groups, 'group')} has anything to learn from"
        return f"Nothing in this log looks wrong, but {none}.{aside}"
    every = "its one group has" if groups == 1 else f"each of the {groups} groups has"
    teach = f"{groups - silent} of {groups} groups have" if silent else every
    return f"Nothing in this log looks wrong: {teach} different rewards, so there is something to learn.{aside}"
