"""What the rollouts of a real training run tell: what went wrong, and what other rules would have done."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from lab.advantages import names, rule
from lab.logs.facts import Facts
from lab.logs.findings.contract import Finding, findings_of
from lab.logs.loading import load
from lab.logs.rules import token_counts
from lab.logs.table import RolloutTable

__all__ = ["Diagnosis", "diagnose"]


class Diagnosis(Facts):
    """What `diagnose` found: the facts of a log (see `Facts`), and what they mean."""

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What went wrong and what is worth knowing, the worst first; `str(finding)` is a sentence."""
        return findings_of(self)


def diagnose(
    log: RolloutTable | str | Path, variants: Sequence[str] | None = None, *, lengths: str | None = None
) -> Diagnosis:
    """Say what went wrong in a training run, and what is worth knowing of it.

    Args:
        log: A training log that was opened with `lab.load`, or its path.
        variants: Advantage rules to compare with; None: all but the presets. Rules that read what the log does not have
            are left out, with the reason.
        lengths: Logged column that holds the response lengths in tokens, for the rules that read them; None: the
            column `length`, if the log has one.

    Raises:
        UnknownNameError: No such rule or column.
        InputError: The column of lengths does not hold whole numbers, or the log cannot be read.
    """
    table = log if isinstance(log, RolloutTable) else load(log)
    chosen = names(presets=False) if variants is None else [rule(variant).name for variant in variants]
    own = table.logged("length")
    known = own is not None and own.dtype.is_integer() and not own.has_nulls()
    column = "length" if lengths is None and known else lengths
    return Diagnosis(table, tuple(chosen), None if column is None else token_counts(table, column))
