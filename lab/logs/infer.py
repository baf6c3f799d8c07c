"""What a completion log does not say: which columns are rewards, their weights, the group size, which rows repeat.

Every function returns its answer with the sentences that tell where it came from, so that a reader can correct it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
import polars as pl

from lab.errors import InputError, UnknownNameError
from lab.logs.columns import INNER, column
from lab.logs.contract import COLUMNS, Known
from lab.text import listed

__all__ = ["drop_repeats", "reward_columns", "reward_weights"]


def drop_repeats(frame: pl.DataFrame, keep: bool) -> tuple[pl.DataFrame, tuple[int, ...], list[str]]:
    """Leave out steps whose rows are those of the step before; the rows are in the order of their steps.

    A trainer that uses a generation batch for several updates (`steps_per_generation`, `num_iterations`) logs it again
    under each step.

    Returns:
        The frame, the steps that repeat, and what was done.
    """
    runs, content = frame["step"].rle().struct.unnest(), frame.drop("step", "_file", "_row")
    steps, lengths = runs["value"].to_list(), runs["len"].to_list()
    starts = accumulate(lengths, initial=0)
    parts = [content.slice(start, length) for start, length in zip(starts, lengths, strict=False)]
    same = [a.equals(b) for a, b in pairwise(parts)]
    repeats = tuple(step for step, repeated in zip(steps[1:], same, strict=True) if repeated)
    if not repeats:
        return frame, (), []
    said = (
        f"{len(repeats)} of {len(steps)} steps only repeat the rows of the step before, as a generation batch that "
        f"serves several updates does (steps_per_generation, num_iterations): {listed(repeats)}."
    )
    if keep:
        return frame, repeats, [said + " They are kept, as keep_repeats=True asks."]
    return (
        frame.filter(~pl.col("step").is_in(repeats)),
        repeats,
        [said + " They are left out; keep_repeats=True keeps them."],
    )


def reward_columns(frame: pl.DataFrame, given: Sequence[str] | None, known: Known) -> tuple[list[str], list[str]]:
    """Which columns are reward components, in the order of the log; and where that came from.

    The caller's word comes first, then the log's own. Otherwise every floating-point column is taken: trainers write
    rewards as floating point, so an integer column is an extra one.
    """
    candidates = [c for c in frame.columns if c not in ("step", "prompt", "completion", "advantage", *INNER)]
    numeric = [c for c in candidates if frame[c].dtype.is_numeric() or frame[c].dtype in (pl.Null, pl.Boolean)]
    if given is not None:
        return _named(frame, given, candidates, numeric), [f"Reward columns as given: {listed(_names(given))}."]
    if found := [c for c in candidates if c in known.rewards]:
        where = known.said.get("rewards", "the log itself")
        return _named(frame, found, candidates, numeric), [f"Reward columns named by {where}: {listed(found)}."]
    floats = [c for c in numeric if frame[c].dtype.is_float()] or [
        c for c in numeric if frame[c].dtype.is_integer() and c not in COLUMNS
    ]
    if not floats:
        raise InputError(
            f"no reward column in {frame['_file'][0]}: beside step, prompt, completion and advantage it has "
            f"{listed(candidates) or 'nothing'}, and none of these holds numbers; "
            "a log of rollouts needs one numeric column per reward function"
        )
    rest = [c for c in numeric if c not in floats and c not in COLUMNS]
    other = f" Read as extra columns: {listed(rest)}." if rest else ""
    return floats, [
        f"Reward columns assumed: {listed(floats)}.{other} Nothing names them; reward_columns= corrects it."
    ]


def _names(given: Sequence[str]) -> list[str]:
    """The names that a caller gave; a single one may stand without a list.

    Raises:
        InputError: These are no names.
    """
    try:
        names = [given] if isinstance(given, str) else list(given)
    except TypeError:
        names = []
    if not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"reward_columns={given!r}; it must be a list of names, such as ['score']")
    return names


def _named(frame: pl.DataFrame, given: Sequence[str], candidates: list[str], numeric: list[str]) -> list[str]:
    names = _names(given)
    if len(set(names)) != len(names):
        raise InputError(f"reward_columns={names}; name each column once")
    for name in names:
        if name not in candidates:
            raise UnknownNameError("reward column", name, candidates, f"the log has {listed(candidates)}")
        if name not in numeric:
            raise InputError(
                f"{frame['_file'][0]}: reward column {name!r} is {frame[name].dtype}; it must hold numbers"
            )
    return names


def reward_weights(
    columns: Sequence[str], given: Sequence[float] | None, known: Known, metrics: pl.DataFrame
) -> tuple[list[float], list[str]]:
    """Weight of each reward component [K], and where it came from.

    The caller's word, then the log's own, then its metrics: the logged `reward` is sum_k w_k times the logged
    `reward/<k>`, so K or more different steps give the weights by least squares. Otherwise ones.
    """
    size = len(columns)
    if given is not None:
        return _checked_weights(given, size), [f"Reward weights as given: {listed(given)}."]
    if set(columns) <= set(known.weights):
        chosen = [known.weights[c] for c in columns]
        where = known.said.get("weights", "the log")
        return chosen, [] if chosen == [1.0] else [f"Reward weights from {where}: {listed(chosen)}."]
    solved = _solve_weights(columns, metrics)
    if solved == [1.0]:
        return solved, []
    if solved is not None:
        where = known.said.get("metrics", "the log")
        return solved, [f"Reward weights from the means in {where}: {listed(solved)}."]
    return [1.0] * size, (
        [] if size == 1 else ["Reward weights assumed to be 1: nothing tells them; reward_weights= corrects it."]
    )


def _checked_weights(given: Sequence[float], size: int) -> list[float]:
    try:
        weights = [float(w) for w in given]
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"reward_weights={given!r}; they must be finite numbers, one per reward column") from None
    if len(weights) != size or not np.isfinite(weights).all():
        raise InputError(f"reward_weights={weights}; {size} finite number(s) are needed, one per reward column")
    return weights


def _solve_weights(columns: Sequence[str], metrics: pl.DataFrame) -> list[float] | None:
    """Least squares over the logged steps, accepted only if it explains every one of them.

    To 1e-5 of the largest sum of the parts; each part is scaled by its largest mean, so that a long one hides no other.
    """
    names = [f"reward/{c}" for c in columns]
    logged = {c for c in metrics.columns if c.startswith("reward/")}
    if logged != set(names) or "reward" not in metrics.columns:
        return None
    numbers = metrics.select(map(column, (*names, "reward"))).drop_nulls().to_numpy()
    numbers = numbers[np.isfinite(numbers).all(axis=1)]
    means, total = numbers[:, :-1], numbers[:, -1]
    scale = np.abs(means).max(axis=0, initial=0.0)
    if not len(numbers) or not scale.all() or np.linalg.matrix_rank(means / scale, tol=1e-3) < len(columns):
        return None
    exact = np.linalg.lstsq(means / scale, total)[0] / scale
    weights = [float(f"{w:.4g}") for w in exact]
    close = np.abs(means @ weights - total) <= 1e-5 * max(np.abs(means * weights).sum(axis=1).max(), 1e-12)
    return weights if close.all() else None
