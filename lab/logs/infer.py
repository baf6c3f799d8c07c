"""What a completion log does not say: which columns are rewards, their weights, the group size, which rows repeat.

Every function returns its answer with the sentences that tell where it came from, so that a reader can correct it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lab.errors import InputError, UnknownNameError
from lab.logs.sidecars import RunInfo, TrainerState

__all__ = ["drop_repeats", "group_size", "number_groups", "reward_columns", "reward_weights"]

_MIN_BLOCKS = 16
_ZERO = 1e-3


def listed(values: Iterable[object], limit: int = 12) -> str:
    """`1, 2, 3` and how many more."""
    shown = [str(v) for v in values]
    return ", ".join(shown[:limit]) + (f" and {len(shown) - limit} more" if len(shown) > limit else "")


def drop_repeats(frame: pl.DataFrame, keep: bool) -> tuple[pl.DataFrame, tuple[int, ...], list[str]]:
    """Leave out steps whose rows are those of the step before.

    A trainer that uses a generation batch for several updates (`steps_per_generation`, `num_iterations`) logs it again
    under each step.

    Returns:
        The frame, the steps that repeat, and what was done.
    """
    parts = frame.partition_by("step", maintain_order=True, include_key=False)
    content = [part.drop("_file", "_row") for part in parts]
    same = [False] + [a.equals(b) for a, b in zip(content[1:], content, strict=False)]
    steps = frame["step"].unique(maintain_order=True).to_list()
    repeats = tuple(step for step, repeated in zip(steps, same, strict=True) if repeated)
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


def reward_columns(
    frame: pl.DataFrame, given: Sequence[str] | None, state: TrainerState | None, info: RunInfo | None
) -> tuple[list[str], list[str]]:
    """Which columns are reward components, in the order of the log; and where that came from.

    The caller's word comes first, then the keys `rewards/<name>/mean` of trainer_state.json, then `reward_funcs` of
    run_info.json. Otherwise every floating-point column is taken: TRL writes rewards as floating point, so an integer
    column is an extra one.
    """
    candidates = [c for c in frame.columns if c not in ("step", "prompt", "completion", "advantage", "_file", "_row")]
    numeric = [c for c in candidates if frame[c].dtype.is_numeric() or frame[c].dtype in (pl.Null, pl.Boolean)]
    if given is not None:
        return _named(frame, list(given), candidates, numeric), [f"Reward columns as given: {listed(given)}."]
    for source, names in (
        ("trainer_state.json", state and state.rewards()),
        ("run_info.json", info and info.reward_funcs),
    ):
        found = [c for c in candidates if c in (names or ())]
        if found:
            return _named(frame, found, candidates, numeric), [f"Reward columns named by {source}: {listed(found)}."]
    floats = [c for c in numeric if frame[c].dtype.is_float()] or [c for c in numeric if frame[c].dtype.is_integer()]
    if not floats:
        raise InputError(
            f"no reward column in {frame['_file'][0]}: beside step, prompt, completion and advantage it has "
            f"{listed(candidates) or 'nothing'}, and none of these holds numbers; "
            "a log of rollouts needs one numeric column per reward function"
        )
    rest = [c for c in numeric if c not in floats]
    other = f" Read as extra columns: {listed(rest)}." if rest else ""
    return floats, [
        f"Reward columns assumed: {listed(floats)}.{other} Nothing names them; reward_columns= corrects it."
    ]


def _named(frame: pl.DataFrame, names: list[str], candidates: list[str], numeric: list[str]) -> list[str]:
    if not names or len(set(names)) != len(names):
        raise InputError(f"reward_columns={names}; name at least one column, and each once")
    for name in names:
        if name not in candidates:
            raise UnknownNameError("reward column", name, candidates, f"the log has {listed(candidates)}")
        if name not in numeric:
            raise InputError(
                f"{frame['_file'][0]}: reward column {name!r} is {frame[name].dtype}; it must hold numbers"
            )
    return names


def reward_weights(
    columns: Sequence[str],
    given: Sequence[float] | None,
    state: TrainerState | None,
    info: RunInfo | None,
) -> tuple[list[float], list[str]]:
    """Weight of each reward component [K], and where it came from.

    The caller's word, then run_info.json, then trainer_state.json: the logged `reward` is sum_k w_k times the logged
    `rewards/<k>/mean`, so K or more different steps give the weights by least squares. Otherwise ones.
    """
    size = len(columns)
    if given is not None:
        return _checked_weights(given, size), [f"Reward weights as given: {listed(given)}."]
    if info and (weights := info.weights) and info.reward_funcs and set(columns) <= set(info.reward_funcs):
        by_name = dict(zip(info.reward_funcs, weights, strict=False))
        if set(columns) <= set(by_name):
            chosen = [by_name[c] for c in columns]
            return chosen, [f"Reward weights from run_info.json: {listed(chosen)}."]
    solved = _solve_weights(columns, state) if state else None
    if solved == [1.0]:
        return solved, []
    if solved is not None:
        return solved, [f"Reward weights from the means in trainer_state.json: {listed(solved)}."]
    return [1.0] * size, (
        [] if size == 1 else ["Reward weights assumed to be 1: nothing tells them; reward_weights= corrects it."]
    )


def _checked_weights(given: Sequence[float], size: int) -> list[float]:
    try:
        weights = [float(w) for w in given]
    except (TypeError, ValueError):
        raise InputError(f"reward_weights={given!r}; they must be numbers") from None
    if len(weights) != size or not np.isfinite(weights).all():
        raise InputError(f"reward_weights={weights}; {size} finite number(s) are needed, one per reward column")
    return weights


def _solve_weights(columns: Sequence[str], state: TrainerState) -> list[float] | None:
    """Least squares over the logged steps, accepted only if it explains every one of them (to 1e-5 of the largest)."""
    frame = state.frame()
    names = [f"rewards/{c}/mean" for c in columns]
    if not {*names, "reward"} <= set(frame.columns) or set(state.rewards()) != set(columns):
        return None
    numbers = frame.select(*names, "reward").drop_nulls().to_numpy()
    numbers = numbers[np.isfinite(numbers).all(axis=1)]
    means, total = numbers[:, :-1], numbers[:, -1]
    if not len(numbers) or np.linalg.matrix_rank(means, tol=1e-3 * np.abs(means).max()) < len(columns):
        return None
    exact = np.linalg.lstsq(means, total)[0]
    weights = [float(f"{w:.4g}") for w in exact]
    close = np.abs(means @ np.asarray(weights) - total) <= 1e-5 * max(np.abs(total).max(), 1e-12)
    return weights if close.all() else None


def group_size(frame: pl.DataFrame, given: int | None, info: RunInfo | None) -> tuple[int, list[str]]:
    """Rollouts per prompt G, and where it came from.

    The caller's word, then run_info.json, then the lengths of the runs of equal consecutive prompts: a run is one
    group, or several where the same prompt stands in adjacent groups, so G divides every length. TRL's advantages sum
    to zero in a group; where they do so in every one of at least 16 smaller blocks, the smaller block is the group.
    """
    if given is not None:
        if isinstance(given, bool) or int(given) != given or given < 1:
            raise InputError(f"group_size={given!r}; it must be a whole number of rollouts, 1 or more")
        return int(given), [f"Group size as given: {given}."]
    if info and info.group_size:
        return info.group_size, [f"Group size {info.group_size} from run_info.json."]
    lengths = _runs(frame)["length"]
    size = int(np.gcd.reduce(lengths.to_numpy()))
    if size == 1:
        size = int(lengths.mode().max())  # type: ignore[arg-type]
    smaller = _zero_sum_divisor(frame, size)
    if smaller:
        why = "the advantages sum to zero in every block of that size; the same prompt stands in adjacent groups"
        return smaller, [f"Group size {smaller} inferred: {why}. group_size= corrects it."]
    return size, [
        f"Group size {size} inferred from equal consecutive prompts; group_size= corrects it.",
        *_doubt(frame, size),
    ]


def _doubt(frame: pl.DataFrame, size: int) -> list[str]:
    """What speaks against the inferred size."""
    runs = _runs(frame)
    doubts = []
    if runs.height == frame["step"].n_unique():
        doubts.append(
            f"Every step holds one prompt only, so it could also be several groups of fewer than {size} rollouts."
        )
    if size == 1:
        doubts.append("No prompt is repeated, so nothing is relative to a group; were the rows shuffled after logging?")
    return doubts


def _runs(frame: pl.DataFrame) -> pl.DataFrame:
    """Runs of equal consecutive prompts within a step: step, prompt, file, row (of the first), length."""
    return (
        frame.group_by(pl.struct("step", "prompt").rle_id().alias("run"), maintain_order=True)
        .agg(pl.first("step", "prompt", "_file", "_row"), pl.len().cast(pl.Int64).alias("length"))
        .drop("run")
    )


def _zero_sum_divisor(frame: pl.DataFrame, size: int) -> int | None:
    if "advantage" not in frame.columns or size < 4:
        return None
    values = frame["advantage"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    if len(values) % size:
        return None
    divisors = (d for d in range(2, size // 2 + 1) if size % d == 0)
    return next((d for d in divisors if _sums_to_zero(values.reshape(-1, d))), None)


def _sums_to_zero(blocks: NDArray[np.float64]) -> bool:
    telling = blocks[np.abs(blocks).max(axis=1) > 10 * _ZERO]
    return len(telling) >= _MIN_BLOCKS and bool((np.abs(telling.mean(axis=1)) <= _ZERO).all())


def number_groups(frame: pl.DataFrame, size: int, incomplete: str) -> tuple[pl.DataFrame, list[str]]:
    """Add `group` and `rollout`, both counted from 0 within the step.

    Args:
        frame: Rows in the order of the log.
        size: Rollouts per prompt.
        incomplete: "error", or "drop" to leave out the runs of a prompt that are no multiple of `size` long.

    Raises:
        InputError: A run is no multiple of `size` long.
    """
    if incomplete not in ("error", "drop"):
        raise InputError(f"incomplete={incomplete!r}; it must be 'error' or 'drop'")
    runs = _runs(frame)
    bad = runs.filter(pl.col("length") % size != 0)
    notes = []
    if bad.height and incomplete == "error":
        raise InputError(_incomplete(bad, size))
    if bad.height:
        run = pl.struct("step", "prompt").rle_id()
        frame = frame.filter((pl.len().over(run) % size) == 0)
        notes.append(
            f"{bad['length'].sum()} rows left out: their prompts stand in groups that are not {size} rows long."
        )
    if frame.is_empty():
        raise InputError(f"no prompt stands in a group of {size} rows; group_size= gives another size")
    doubled = runs.filter((pl.col("length") > size) & (pl.col("length") % size == 0)).height
    if doubled:
        notes.append(
            f"{doubled} times the same prompt stands in adjacent groups; each {size} rows are read as one group."
        )
    row = pl.int_range(pl.len()).over("step")
    return frame.with_columns((row // size).alias("group"), (row % size).alias("rollout")), notes


def _incomplete(bad: pl.DataFrame, size: int) -> str:
    first = bad.row(0, named=True)
    return (
        f"{first['_file']}, row {first['_row']}: the prompt {first['prompt'][:60]!r} stands in {first['length']} "
        f"consecutive rows of step {first['step']}, which is no multiple of the group size {size} "
        f"({bad.height} such places); "
        "group_size= gives another size, incomplete='drop' leaves these rows out"
    )
