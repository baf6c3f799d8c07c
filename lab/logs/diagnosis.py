"""What the rollouts of a real training run tell: signal, phantom advantages, and what other rules would have done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lab.advantages import names
from lab.advantages.statistics import NO_SIGNAL
from lab.logs.columns import column
from lab.logs.rules import all_advantages, reproduction, token_counts

if TYPE_CHECKING:
    from lab.logs.table import RolloutTable

__all__ = ["BESIDE", "LOGGED", "SIGN_ZERO", "Diagnosis", "diagnose"]

#: Name of the trainer's own advantages among the variants.
LOGGED = "logged"

#: An advantage smaller than this has no sign when it is compared with the log: trainers compute in float32.
SIGN_ZERO = 1e-6

#: Total rewards of a group that differ by less than this, relative to the largest, are equal in float32.
EQUAL = 4 * float(np.finfo(np.float32).eps)

#: Metrics of the trainer (`lab.logs.SCALARS`) that are set beside the measurements of each step, where it logged them.
BESIDE = ("grad_norm", "entropy", "kl", "loss", "learning_rate", "zero_std", "clip_share", "length")


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found.

    Attributes:
        table: The rollouts.
        groups: One row per group: step, group, prompt, reward (mean total), reward_low, reward_high, no_signal (the
            totals are all equal), equal_parts (each reward component is), phantom (equal_parts, yet an advantage),
            advantage_low and advantage_high as logged.
        steps: One row per step: step, prompts, reward, reward_std, missing (rollouts without any reward), no_signal and
            phantom (shares of groups), advantage_std and advantage_max (largest magnitude) as logged, and those of
            `BESIDE` that the trainer logged.
        by_variant: One row per rollout: step, group, rollout, then one column of advantages for `LOGGED` and for each
            variant; null where there is none, or where the variant leaves the rollout out of the update.
        changes: One row per variant: variant, compared (rollouts), changed (other sign than logged), flipped (opposite
            sign), silenced (logged one, now zero or left out), woken (logged zero), share (changed of compared).
        rules: How well each rule reproduces the logged advantages, the closest first (`lab.logs.rules.reproduction`).
        skipped: Variant -> why it could not be computed.
    """

    table: RolloutTable
    groups: pl.DataFrame
    steps: pl.DataFrame
    by_variant: pl.DataFrame
    changes: pl.DataFrame
    rules: pl.DataFrame
    skipped: Mapping[str, str] = field(default_factory=dict)

    @property
    def findings(self) -> tuple[str, ...]:
        """The main results as sentences."""
        return (*_about_signal(self), *_about_phantoms(self), *_about_rule(self), *_about_changes(self))

    @property
    def no_signal(self) -> float:
        """Share of groups whose total rewards are all equal."""
        return _share(self.groups["no_signal"])

    @property
    def phantoms(self) -> int:
        """Groups with equal rewards and an advantage all the same."""
        return int(self.groups["phantom"].sum())

    @property
    def phantom_size(self) -> float:
        """Largest magnitude among the advantages of these groups; 0 where there are none."""
        found = self.groups.filter("phantom").select("advantage_low", "advantage_high").to_numpy()
        return float(np.abs(found).max()) if found.size else 0.0

    @property
    def phantom_sign(self) -> str:
        """Sign of these advantages: "positive", "negative" or "mixed"; "" where there are none."""
        found = self.groups.filter("phantom")
        low, high = (found["advantage_low"] < -NO_SIGNAL).any(), (found["advantage_high"] > NO_SIGNAL).any()
        return "mixed" if low and high else "negative" if low else "positive" if high else ""

    @property
    def best(self) -> dict[str, Any] | None:
        """The row of `rules` that reproduces the logged advantages most closely; None without logged advantages."""
        return self.rules.row(0, named=True) if self.rules.height else None

    @property
    def variants(self) -> list[str]:
        """Names of the variants in `by_variant`, without the log's own."""
        return [c for c in self.by_variant.columns if c not in ("step", "group", "rollout", LOGGED)]

    def advantages(self, *variants: str) -> pl.DataFrame:
        """Tidy frame step, group, rollout, variant, advantage; all variants and `LOGGED` unless some are named."""
        chosen = list(variants) or [c for c in self.by_variant.columns if c not in ("step", "group", "rollout")]
        return self.by_variant.unpivot(
            chosen, index=["step", "group", "rollout"], variable_name="variant", value_name="advantage"
        )


def diagnose(table: RolloutTable, variants: Sequence[str] | None = None, *, lengths: str | None = None) -> Diagnosis:
    """Read the signs of a real run from its rollouts.

    Args:
        table: Rollouts of a training log (`lab.load`).
        variants: Advantage rules to compare with; None: all but the presets. Rules that read what the log does not have
            are left out, with the reason.
        lengths: Logged column that holds the response lengths in tokens, for the rules that read them.

    Raises:
        UnknownNameError: No such rule or column.
        InputError: The column of lengths does not hold whole numbers.
    """
    chosen = names(presets=False) if variants is None else list(variants)
    counts = None if lengths is None else token_counts(table, lengths)
    found, skipped = all_advantages(table, chosen, counts)
    logged = table.frame["advantage"].to_numpy()
    by_variant = table.frame.select("step", "group", "rollout", pl.col("advantage").alias(LOGGED)).with_columns(
        pl.Series(name, values, pl.Float64, nan_to_null=True) for name, values in found.items()
    )
    groups = _groups(table)
    rules = reproduction(table, counts)
    return Diagnosis(table, groups, _steps(table, groups), by_variant, _changes(found, logged), rules, skipped)


def _share(column: pl.Series) -> float:
    return float(column.mean() or 0.0)  # type: ignore[arg-type]


def _groups(table: RolloutTable) -> pl.DataFrame:
    """Equal totals are judged in float32, as trainers add rewards; equal parts exactly."""
    total, advantage = pl.col("reward"), pl.col("advantage")
    spread, largest = _total(table).max() - _total(table).min(), _total(table).abs().max()
    alike = pl.all_horizontal(pl.lit(True), *(column(c).drop_nulls().n_unique() <= 1 for c in table.reward_columns))
    equal = (spread <= EQUAL * largest).fill_null(True)
    loud = (advantage.abs() > NO_SIGNAL).any()
    return table.frame.group_by("step", "group", maintain_order=True).agg(
        pl.col("prompt").first(),
        total.mean(),
        total.min().alias("reward_low"),
        total.max().alias("reward_high"),
        equal.alias("no_signal"),
        alike.alias("equal_parts"),
        (alike & equal & loud).fill_null(False).alias("phantom"),
        advantage.min().alias("advantage_low"),
        advantage.max().alias("advantage_high"),
    )


def _total(table: RolloutTable) -> pl.Expr:
    """The total reward, scaled where the sum of finite parts would not be finite."""
    if not table.frame["reward"].is_infinite().any():
        return pl.col("reward")
    largest = max(abs(w) for w in table.reward_weights)
    parts = [column(c) * (w / largest) for c, w in zip(table.reward_columns, table.reward_weights, strict=True)]
    return pl.sum_horizontal(part / len(parts) for part in parts)


def _steps(table: RolloutTable, groups: pl.DataFrame) -> pl.DataFrame:
    total, advantage = pl.col("reward"), pl.col("advantage")
    rollouts = table.frame.group_by("step", maintain_order=True).agg(
        total.mean(),
        total.std().alias("reward_std"),
        total.is_null().sum().alias("missing"),
        advantage.std().alias("advantage_std"),
        advantage.abs().max().alias("advantage_max"),
    )
    shares = groups.group_by("step", maintain_order=True).agg(
        pl.len().alias("prompts"), pl.col("no_signal", "phantom").mean()
    )
    own = [
        "step",
        "prompts",
        "reward",
        "reward_std",
        "missing",
        "no_signal",
        "phantom",
        "advantage_std",
        "advantage_max",
    ]
    trainer = table.metrics.select("step", *(c for c in BESIDE if c in table.metrics.columns))
    return rollouts.join(shares, on="step").select(own).join(trainer, on="step", how="left", maintain_order="left")


def _changes(found: Mapping[str, NDArray[Any]], logged: NDArray[Any]) -> pl.DataFrame:
    """How many rollouts have another sign than in the log, the most changed variant first."""
    known = np.isfinite(logged)
    before = _sign(logged[known])
    rows = []
    for name, values in found.items() if known.any() else ():
        after = _sign(values[known])
        changed = after != before
        kinds = (before * after < 0, (before != 0) & (after == 0), (before == 0) & (after != 0))
        rows.append((name, len(before), int(changed.sum()), *(int(k.sum()) for k in kinds), float(changed.mean())))
    schema = {"variant": pl.String, "compared": pl.Int64, "changed": pl.Int64, "flipped": pl.Int64,
              "silenced": pl.Int64, "woken": pl.Int64, "share": pl.Float64}  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row").sort("changed", descending=True, maintain_order=True)


def _sign(values: NDArray[Any]) -> NDArray[Any]:
    return np.where(np.abs(np.nan_to_num(values)) <= SIGN_ZERO, 0, np.sign(np.nan_to_num(values)))


# ------------------------------------------------------------------------------------------------- sentences


def _about_signal(d: Diagnosis) -> list[str]:
    total, silent = d.groups.height, int(d.groups["no_signal"].sum())
    if not total:
        return ["The log has no rollouts: only the trainer's own metrics can be read."]
    if not silent:
        return [f"Each of the {total} groups has different rewards: there is something to learn in every one."]
    said = [f"{silent} of {total} groups ({d.no_signal:.1%}) have equal rewards: nothing in them can be learnt."]
    uneven = d.groups.filter(pl.col("no_signal") & ~pl.col("equal_parts")).height
    if uneven:
        said.append(f"In {uneven} of them the parts differ and cancel: a rule that normalises each reward sees them.")
    return said


def _about_phantoms(d: Diagnosis) -> list[str]:
    if not d.phantoms:
        return []
    sign = "of either sign" if d.phantom_sign == "mixed" else f"all {d.phantom_sign}"
    said = [
        f"{d.phantoms} of these groups have advantages all the same (phantom advantages), {sign}, up to "
        f"{d.phantom_size:.2e}: rounding in the trainer, not signal."
    ]
    reported = d.steps["zero_std"].mean() if "zero_std" in d.steps.columns else None
    if isinstance(reported, float) and reported < d.no_signal - 1e-9:
        said.append(f"The trainer itself reported {reported:.1%} of groups without spread (zero_std).")
    return said


def _about_rule(d: Diagnosis) -> list[str]:
    best = d.best
    if best is None:
        return ["The log has no advantages, so there is nothing to compare the rules with."]
    if d.by_variant[LOGGED].abs().max() == 0:
        return ["All logged advantages are zero, which does not tell the trainer's rule."]
    off = f"largest difference {best['max_error']:.1e}"
    if not best["reproduces"]:
        return [f"No rule reproduces the logged advantages; the nearest is {best['rule']} ({off})."]
    same = d.rules.filter("reproduces")["rule"].unique(maintain_order=True).to_list()
    others = [name for name in same if name.partition("@")[0] != best["rule"].partition("@")[0]]
    also = f" {', '.join(others[:3])} would have given the same here." if others else ""
    return [f"The logged advantages are those of {best['rule']} in {best['precision']} ({off}).{also}"]


def _about_changes(d: Diagnosis) -> list[str]:
    if d.changes.is_empty():
        return []
    most, least = d.changes.row(0, named=True), d.changes.row(-1, named=True)
    if not most["changed"]:
        return ["None of the variants would have changed the sign of a rollout."]
    fewest: list[str] = d.changes.filter(pl.col("changed") == least["changed"])["variant"].to_list()
    return [
        f"Of the variants {most['variant']} changes the most signs: {most['changed']} of {most['compared']} rollouts "
        f"({most['share']:.1%}); the fewest: {least['changed']} ({', '.join(fewest[:4])})."
    ]
