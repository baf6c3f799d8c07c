"""Advantage rules on logged rewards: what each would have given, and which of them the trainer used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lab.advantages import credit, names, rule
from lab.errors import InputError, MissingFieldError, UnknownNameError
from lab.measures.advantage import per_rollout

if TYPE_CHECKING:
    from lab.logs.table import Batch, RolloutTable

__all__ = [
    "MAX_TOKENS",
    "MOST",
    "REPRODUCES",
    "advantages_of",
    "all_advantages",
    "computed",
    "precisions",
    "reads_lengths",
    "reproduction",
    "rounded",
    "token_counts",
    "tolerance",
]

Array = NDArray[Any]

#: Tokens of a step that are laid out for the rules that read response lengths.
MAX_TOKENS = 50_000_000

#: A rule reproduces logged advantages if it is this close everywhere, relative to the largest of them.
REPRODUCES = 1e-5

#: From this share of the rollouts on, a rule is that of the log, with exceptions.
MOST = 0.9


def reads_lengths(name: str) -> bool:
    """Whether a rule's advantages depend on how long the responses are (tried on six rollouts)."""
    return "mask" in rule(name).fields and _uneven(rule(name).name, rule(name).function)


@cache
def _uneven(name: str, function: Callable[..., Any]) -> bool:
    """Whether lengths move the advantages of a rule; `function` is the rule that goes by that name."""
    rewards = np.array([[0.0, 1.0, 3.0], [2.0, 0.0, 1.0]])
    lengths = np.array([[1, 4, 2], [3, 1, 4]])
    masks = (np.ones((2, 3, 4), dtype=bool), np.arange(4) < lengths[..., None])
    even, ragged = (per_rollout(credit(name, rewards, mask=mask).advantage, mask, 2) for mask in masks)
    return not np.allclose(even, ragged, rtol=0, atol=1e-9)


def token_counts(table: RolloutTable, column: str) -> Array:
    """Response lengths [rows] from a column of the log.

    Raises:
        UnknownNameError: The log has no such column. InputError: it does not hold whole numbers, 0 or more.
    """
    if column not in table.extra_columns:
        raise UnknownNameError("column of lengths", column, table.extra_columns, "lengths= names a logged column")
    values = table.frame[column]
    numbers = values.cast(pl.Float64).to_numpy() if values.dtype.is_numeric() else np.array([np.nan])
    if not (np.isfinite(numbers).all() and (numbers >= 0).all() and (numbers == np.floor(numbers)).all()):
        raise InputError(f"lengths={column!r}: a response has 0, 1, 2, ... tokens; the column holds something else")
    return numbers.astype(np.int64)


def advantages_of(table: RolloutTable, name: str, *, precision: str = "float64", counts: Array | None = None) -> Array:
    """Advantages [rows] that a rule gives to the logged rewards, in the order of the table's frame.

    Args:
        table: Rollouts of a log; its weights are used.
        name: An advantage rule or preset.
        precision: As in `lab.advantages.compute`.
        counts: Response lengths [rows], for the rules that read them.

    Returns:
        One advantage per rollout; NaN where the rule leaves a rollout out of the update.

    Raises:
        MissingFieldError: The rule reads what the log does not have.
        InputError: The rule cannot use these rewards.
    """
    lacking = [field for field in rule(name).required if field != "mask"]
    if lacking:
        raise MissingFieldError(f"{name} reads {', '.join(lacking)}, which the log does not have")
    if not rule(name).components and table.frame["reward"].is_infinite().any():
        raise InputError(f"{name} reads the sum of the rewards, which is not finite here")
    ragged = reads_lengths(name)
    if ragged and counts is None:
        raise MissingFieldError(f"{name} reads the response lengths; lengths= names the column that holds them")
    out = np.full(table.frame.height, np.nan)
    for place, part in table.parts():
        out[place] = _of_part(part, name, precision, counts[place] if ragged and counts is not None else None)
    return out


def _of_part(table: RolloutTable, name: str, precision: str, counts: Array | None) -> Array:
    """Advantages [rows] of whole steps; one step after the other where the rule reads how long the responses are."""
    out = np.full(table.frame.height, np.nan)
    steps = table.frame["step"].to_numpy()
    for batch in table.batches():
        if counts is None:
            out[np.isin(steps, batch.steps)] = _credit(table, name, batch, precision, None)
            continue
        for step in batch.steps:
            rows = steps == step
            out[rows] = _credit(table, name, table.at(step), precision, counts[rows])
    return out


def _credit(table: RolloutTable, name: str, batch: Batch, precision: str, counts: Array | None) -> Array:
    """Advantages of the batch's rollouts, in the order of the rows."""
    fields: dict[str, Any] = {}
    if counts is not None:
        if counts.size * counts.max() > MAX_TOKENS:
            raise InputError(
                f"a step has room for {counts.size * counts.max()} tokens; up to {MAX_TOKENS} are laid out"
            )
        lengths = np.zeros(batch.present.shape, dtype=np.int64)
        lengths[batch.present] = counts
        fields["mask"] = np.arange(max(counts.max(), 1)) < lengths[..., None]
    weights = table.reward_weights
    with np.errstate(over="ignore", invalid="ignore"):
        made = credit(name, batch.rewards.copy(), weights=weights, precision=precision, missing="skip", **fields)
    advantage = per_rollout(np.asarray(made.advantage, dtype=np.float64), fields.get("mask"), batch.advantages.ndim)
    kept: Array = advantage if made.keep is None else np.where(made.keep, advantage, np.nan)
    return kept[batch.present]


def all_advantages(
    table: RolloutTable, variants: Sequence[str], counts: Array | None
) -> tuple[dict[str, Array], dict[str, str]]:
    """Advantages [rows] of each rule, and the reason for each that was left out."""
    found: dict[str, Array] = {}
    skipped: dict[str, str] = {}
    for name in dict.fromkeys(rule(variant).name for variant in variants):
        try:
            found[name] = advantages_of(table, name, counts=counts)
        except Exception as reason:  # a user's own rule may fail in any way, the others are still worth seeing
            skipped[name] = str(reason) or type(reason).__name__
    return found, skipped


def reproduction(
    table: RolloutTable, counts: Array | None = None, variants: Sequence[str] | None = None
) -> pl.DataFrame:
    """How closely each rule and preset reproduces the logged advantages, the closest first.

    Args:
        table: Rollouts of a log; of a long one a few hundred groups tell as much as all (`lab.logs.estimator.sample`).
        counts: Response lengths [rows], for the rules that read them.
        variants: Rules and presets to try; None: all, tournaments only where none of the others reproduces the log.

    Returns:
        Columns rule, precision ("float32", "float64"; "bfloat16" or "2 decimals" where every logged advantage is such a
        number), max_error and mean_error (absolute), same_sign (share of the rollouts where the rule and the log are
        both not zero), share (of the rollouts where one of them is not zero, those that are as close as this to the 90%
        quantile), reproduces (max_error at most 1e-5 of the largest logged advantage, 1/128 in bfloat16, half of the
        last decimal). Without rows where the log has no advantages. Rules that reproduce equally well: those of the
        log's trainer first.
    """
    logged = table.frame["advantage"].to_numpy()
    rows: list[_Row] = []
    for tried in _in_turn(variants) if np.isfinite(logged).any() else ():
        pairs = [(name, precision) for name in tried for precision in precisions(logged)]
        with np.errstate(over="ignore", invalid="ignore"):
            rows += filter(None, (_comparison(table, *pair, logged, counts) for pair in pairs))
        if any(row[-1] for row in rows):
            break
    schema = {"rule": pl.String, "precision": pl.String, "max_error": pl.Float64, "mean_error": pl.Float64,
              "same_sign": pl.Float64, "share": pl.Float64, "reproduces": pl.Boolean}  # fmt: skip
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    exact = pl.col("reproduces") & pl.col("precision").is_in(_EXACT)
    tier = pl.when(exact).then(0).when("reproduces").then(1).when(pl.col("share") >= MOST).then(2).otherwise(3)
    error = pl.when(exact).then(0.0).when(pl.col("share") >= MOST).then(1 - pl.col("share")).otherwise("max_error")
    own = f"@{table.trainer}" if table.trainer else "@"
    foreign = pl.col("rule").str.contains(own, literal=True) != bool(table.trainer)
    return frame.sort(tier, error, foreign, "max_error", maintain_order=True)


def _in_turn(variants: Sequence[str] | None) -> tuple[Sequence[str], ...]:
    """Rules to try at once, and those that are slow, for where none of these reproduces the log: tournaments."""
    if variants is not None:
        return (variants,)
    known = names()
    slow = [name for name in known if name.partition("@")[0] in _SLOW]
    return [name for name in known if name not in slow], slow


_SLOW = ("arenarl",)
_EXACT = ("float32", "float64")
_Row = tuple[str, str, float, float, float | None, float, bool]


def precisions(logged: Array) -> tuple[str, ...]:
    """Precisions in which such advantages may have been computed, or written down: `3 decimals`, say."""
    known = logged[np.isfinite(logged)]
    with np.errstate(over="ignore", invalid="ignore"):
        brief = ["bfloat16"] if (rounded(known) == known).all() else []
        places = next((n for n in range(5) if (np.round(known, n) == known).all()), None)
    return ("float32", "float64", *brief, *([f"{places} decimals"] if places in _DECIMALS else []))


_DECIMALS = (2, 3, 4)  # fewer tell no rule, more are as good as float32


def rounded(values: Array) -> Array:
    """Values in bfloat16 (the nearest, the even one of two), as float64."""
    bits = np.asarray(values, dtype=np.float32).view(np.uint32)
    upper = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return upper.view(np.float32).astype(np.float64)


def tolerance(precision: str, largest: float) -> float:
    """Difference up to which a rule reproduces what was logged, if the largest advantage is of this size."""
    if precision.endswith("decimals"):
        return 0.501 * 10.0 ** -int(precision[0])
    return (2.0**-7 if precision == "bfloat16" else REPRODUCES) * max(largest, 1e-12)


def computed(table: RolloutTable, name: str, precision: str, counts: Array | None) -> Array:
    """As `advantages_of`; in bfloat16, too (float32, rounded), and without lengths as if all were equally long."""
    if counts is None and reads_lengths(name):
        counts = np.ones(table.frame.height, dtype=np.int64)
    if precision == "bfloat16":
        return rounded(advantages_of(table, name, precision="float32", counts=counts))
    return advantages_of(table, name, precision=precision if precision in _EXACT else "float64", counts=counts)


def _comparison(table: RolloutTable, name: str, precision: str, logged: Array, counts: Array | None) -> _Row | None:
    """One row of `reproduction`; None where the rule does not apply, or drops rollouts that have a logged advantage."""
    try:
        given = computed(table, name, precision, counts)
    except Exception:  # as in `all_advantages`
        return None
    both = np.isfinite(logged)
    given = np.where(np.isnan(given) & (logged == 0), 0.0, given)  # left out of the update
    if not both.any() or np.isnan(given[both]).any():
        return None
    a, b = given[both], logged[both]
    error, signed, told = np.abs(a - b), (a != 0) & (b != 0), (a != 0) | (b != 0)
    same = float((np.sign(a) == np.sign(b))[signed].mean()) if signed.any() else None
    near = tolerance(precision, np.abs(b).max())
    typical = tolerance(precision, np.quantile(np.abs(b[told]), 0.9)) if told.any() else near
    share = float((error[told] <= typical).mean()) if told.any() else 1.0
    return name, precision, float(error.max()), float(error.mean()), same, share, bool(error.max() <= near)
