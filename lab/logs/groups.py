"""The groups of a log: rows that a reader has told apart, or rows of one prompt, and how many make a group.

Where the log names the group of each row, that is taken. Otherwise a run of equal consecutive prompts is one group, or
several where the same prompt stands in adjacent groups; where no prompt stands beside itself, all rows of a prompt
within a step are one group. Groups may be of different sizes.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lab.errors import InputError, check_whole
from lab.logs.columns import changes, column, since
from lab.logs.contract import Known
from lab.logs.texts import PLACE, key, whole
from lab.text import listed, printable

__all__ = ["number_groups"]

_INCOMPLETE = ("keep", "drop", "error")
_MIN_BLOCKS = 16
_ZERO = 1e-3
_APART = "The rows of a prompt do not stand together; all rows of a step with the same prompt are read as one group."


def number_groups(
    frame: pl.DataFrame, given: int | None, known: Known, incomplete: str
) -> tuple[pl.DataFrame, int | None, list[str]]:
    """Add `group` and `rollout`, both counted from 0 within the step.

    Args:
        frame: Rows in the order of the log, with `_file` and `_row`.
        given: Rollouts per prompt G, if the caller says it.
        known: What the log says of its groups.
        incomplete: What becomes of rows that are no whole group: "keep" (groups of another size; refused where the
            caller gives the size), "drop", or "error".

    Returns:
        The frame, G (None where the groups are of different sizes), and where that came from.

    Raises:
        InputError: Rows are left over and may not be, or G is no size of a group of this log.
    """
    if incomplete not in _INCOMPLETE:
        raise InputError(f"incomplete={incomplete!r}; it must be one of {listed(_INCOMPLETE)}")
    if frame.is_empty():
        return frame.with_columns(group=pl.lit(0, pl.Int64), rollout=pl.lit(0, pl.Int64)).clear(), None, []
    frame, exact, told = _told_apart(frame, known)
    runs = _runs(frame)
    size, from_where = _size(frame, runs, given, known, exact)
    notes = [*told, *from_where]
    whole = pl.col("length") == size if exact else pl.col("length") % size == 0
    bad = runs.filter(~whole)
    if bad.height and (incomplete == "error" or (given is not None and incomplete == "keep")):
        raise InputError(_incomplete(bad, size, exact))
    if bad.height and incomplete == "drop":
        frame = frame.join(runs.filter(whole).select("_run"), on="_run", how="semi", maintain_order="left")
        notes.append(f"{bad['length'].sum()} rows left out: they stand in groups that are not {size} rows long.")
    if frame.is_empty():
        raise InputError(f"no prompt stands in a group of {size} rows; group_size= gives another size")
    doubled = 0 if exact else runs.filter(pl.col("length") > size).height
    if doubled:
        notes.append(
            f"{doubled} times the same prompt stands in adjacent groups; each {size} rows are read as one group."
        )
    return _numbered(frame, size, exact, notes)


def _numbered(
    frame: pl.DataFrame, size: int, exact: bool, notes: list[str]
) -> tuple[pl.DataFrame, int | None, list[str]]:
    """The groups: a run of rows, or each `size` rows of it and what is left over; and what is said of their sizes."""
    row = since(changes("_run"))
    place = row if exact else row % size
    numbered = frame.with_columns(rollout=place, group=(place == 0).cum_sum().cast(pl.Int64))
    lengths = numbered["group"].rle().struct.field("len")
    first = pl.when(changes("step")).then("group").forward_fill()
    numbered = numbered.with_columns(pl.col("group") - first)
    other = lengths.filter(lengths != size)
    if lengths.n_unique() > 1:
        notes.append(
            f"{len(other)} of {len(lengths)} groups have {_between(other)} rollouts instead of {size}; they are kept "
            "as they are, incomplete='drop' leaves them out."
        )
    return numbered, int(lengths[0]) if lengths.n_unique() == 1 else None, notes


def _between(lengths: pl.Series) -> str:
    low, high = lengths.sort().gather([0, -1])
    return f"{low}" if low == high else f"{low} to {high}"


def _told_apart(frame: pl.DataFrame, known: Known) -> tuple[pl.DataFrame, bool, list[str]]:
    """The frame with `_run`, the number of the run of rows that belong together; whether a run is exactly one group."""
    if known.groups is not None:
        if known.groups not in frame.columns:
            raise InputError(f"{frame['_file'][0]}: its reader names {known.groups!r} as the group; no such column")
        missing = frame[known.groups].alias("").is_null()
        if missing.any():
            row = int(missing.arg_max() or 0)
            where = f"{frame['_file'][row]}, row {frame['_row'][row]}"
            raise InputError(f"{where}: the group is missing; a log that names its groups does so in every row")
        return _gathered(frame, column(known.groups)), True, []
    prompt = key(frame, "prompt")
    run = frame.with_columns((changes("step") | (prompt != prompt.shift(1))).cum_sum().alias("_run"))
    if _usual(_runs(run)) > 1:
        return run, False, []
    together = _gathered(frame, key(frame, "prompt"))
    return (together, True, [_APART]) if _usual(_runs(together)) > 1 else (run, False, [])


def _gathered(frame: pl.DataFrame, key: pl.Expr) -> pl.DataFrame:
    """Rows of the same key brought together within the step, in the order in which the keys appear."""
    first = pl.col("_run").first().over("step", key)
    return frame.with_row_index("_run").with_columns(first).sort("_run", maintain_order=True)


def _runs(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per run: its number, step, prompt, file, row (of the first), length."""
    start = frame.select(pl.arg_where(changes("_run"))).to_series()
    length = start.cast(pl.Int64).extend_constant(frame.height, 1).diff().drop_nulls()
    return frame.select("_run", "step", "prompt", *PLACE)[start].with_columns(length.alias("length"))


def _usual(runs: pl.DataFrame) -> int:
    """The most frequent length, the largest of several."""
    return int(runs["length"].mode().max())  # type: ignore[arg-type]


def _size(
    frame: pl.DataFrame, runs: pl.DataFrame, given: int | None, known: Known, exact: bool
) -> tuple[int, list[str]]:
    """Rollouts per prompt G, and where it came from: the caller's word, the log's own, or the lengths of the runs.

    The most frequent length is the size; runs of another length are groups of another size, or not complete. A smaller
    size needs a reason, since the same prompt may stand in adjacent groups: the advantages sum to zero in every one of
    at least 16 smaller blocks, or a length that divides all others is as frequent as any and nothing speaks against it.
    """
    if given is not None:
        size = check_whole("group_size", given, 1)
        return _possible(size, frame, "as given"), [f"Group size as given: {size}."]
    if known.group_size:
        where = f"from {known.said.get('group_size', 'the log')}"
        return _possible(known.group_size, frame, where), [f"Group size {known.group_size} {where}."]
    if exact:
        size = _usual(runs)
        return size, [f"Group size {size}, as most of the groups have.", *_doubt(runs, size)]
    size, why = _inferred(frame, runs)
    if why:
        return size, [f"Group size {size} inferred: {why}. group_size= corrects it."]
    return size, [
        f"Group size {size} inferred from equal consecutive prompts; group_size= corrects it.",
        *_doubt(runs, size, consecutive=True),
    ]


def _possible(size: int, frame: pl.DataFrame, where: str) -> int:
    if size > frame.height:
        raise InputError(f"group size {size} ({where}), but the log has {frame.height} rows; group_size= gives another")
    return size


def _inferred(frame: pl.DataFrame, runs: pl.DataFrame) -> tuple[int, str]:
    """Group size from the lengths of the runs, and the reason if it is not simply the most frequent one."""
    modes = runs["length"].mode().sort().to_list()
    size, common = modes[-1], int(np.gcd.reduce(runs["length"].to_numpy()))
    for smaller in (d for d in range(2, size // 2 + 1) if size % d == 0):
        blocks = _blocks(frame, runs, smaller)
        agrees = bool((np.abs(blocks.mean(axis=1)) <= _ZERO).all())
        if agrees and len(blocks) >= _MIN_BLOCKS:
            return (
                smaller,
                "the advantages sum to zero in every block of that size; the same prompt stands in adjacent groups",
            )
        if agrees and smaller == common and smaller in modes:
            return smaller, "it divides the number of rows of every prompt, and is as frequent as any other"
    return size, ""


def _blocks(frame: pl.DataFrame, runs: pl.DataFrame, size: int) -> NDArray[np.float64]:
    """Advantages of all blocks of that many rows [blocks, size], without those that are too small to tell."""
    if "advantage" not in frame.columns:
        return np.empty((0, size))
    fitting = runs.filter(pl.col("length") % size == 0).select("_run")
    rows = frame.select("_run", "advantage").join(fitting, on="_run", how="semi", maintain_order="left")
    values = rows["advantage"].cast(pl.Float64)
    blocks = values.fill_null(np.nan).to_numpy().reshape(-1, size)
    return blocks[np.abs(blocks).max(axis=1) > 10 * _ZERO]


def _doubt(runs: pl.DataFrame, size: int, *, consecutive: bool = False) -> list[str]:
    """What speaks against the size."""
    doubts = []
    if consecutive and runs.height == runs["step"].n_unique():
        doubts.append(
            f"Every step holds one prompt only, so it could also be several groups of fewer than {size} rollouts."
        )
    if size == 1:
        doubts.append("No prompt is repeated, so nothing is relative to a group; were the rows shuffled after logging?")
    return doubts


def _incomplete(bad: pl.DataFrame, size: int, exact: bool) -> str:
    first = bad.row(0, named=True)
    prompt = whole(bad.head(1).select("prompt", *PLACE))["prompt"][0]
    rows = f"the prompt {printable(prompt[:60])!r} stands in {first['length']}"
    wrong = (
        f"{rows} rows of one group of step {first['step']}, the group size is {size}"
        if exact
        else f"{rows} consecutive rows of step {first['step']}, which is no multiple of the group size {size}"
    )
    return (
        f"{first['_file']}, row {first['_row']}: {wrong} ({bad.height} such places); "
        "group_size= gives another size, incomplete='drop' leaves these rows out"
    )
