"""Open a training log of any trainer that has a reader."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import polars as pl

from lab.errors import InputError
from lab.logs import infer
from lab.logs.columns import INNER, changes, column, moved, reward_values, tidy
from lab.logs.contract import Raw, Reader, reader_of, readers
from lab.logs.evaluations import evaluation_rows
from lab.logs.formats import FORMATS, names_in, tables, unfinished
from lab.logs.groups import number_groups
from lab.logs.parquet import status
from lab.logs.table import RolloutTable
from lab.logs.texts import PLACE, is_short
from lab.text import listed, printable

__all__ = ["expanded", "load"]

_TABLE = ("group", "rollout", "reward")  # columns of the table that a log's own must not stand in for
_SCHEMA = {"step": pl.Int64, "prompt": pl.String, "group": pl.Int64, "rollout": pl.Int64, "completion": pl.String,
           "reward": pl.Float64, "advantage": pl.Float64}  # fmt: skip


@contextmanager
def _in_one_line() -> Iterator[None]:
    """Names and paths of a log stand in errors, too; whatever they hold, an error is one printable line."""
    try:
        yield
    except InputError as reason:
        raise InputError(printable(reason)) from None


@_in_one_line()
def load(
    path: str | Path,
    *,
    steps: Iterable[int] | None = None,
    group_size: int | None = None,
    reward_columns: Sequence[str] | None = None,
    reward_weights: Sequence[float] | None = None,
    keep_repeats: bool = False,
    incomplete: str = "keep",
    reader: str | None = None,
    growing: bool = False,
) -> RolloutTable:
    """Open a training log: a run's folder, or one file of it.

    The reader is chosen by looking at the files. What the log does not say is inferred, and `notes` of the result says
    what and from where; the options correct it.

    Args:
        path: Folder or file; `~` is the home folder.
        steps: Read these steps only, e.g. `range(1, 101)`.
        group_size: Rollouts per prompt G.
        reward_columns: Names of the reward components.
        reward_weights: Weight of each component [K].
        keep_repeats: Keep steps that repeat the rows of the step before.
        incomplete: Groups that have another size than most: "keep" them as they are (rows that do not fit a
            `group_size` of yours are refused), "drop" them, or "error".
        reader: Name of the reader, where the files do not tell it.
        growing: The run still writes: files of a folder that are not written to their end are left out, and named.

    Returns:
        The rollouts, ordered by step, group and rollout. A reward or advantage that is no finite number is null.

    Raises:
        InputError: Nothing to read there, a damaged or foreign file, columns of the wrong type, or more than
             1,000,000 rows (10,000,000 of Parquet) or 1 GiB (of Parquet, beside texts); the message names the
             file and what would be right.
        UnknownNameError: A name in `reward_columns` that the log does not have, or no such reader.
    """
    wanted = _wanted(steps)
    source, chosen, raw = _raw(path, reader, wanted, growing)
    if raw.frame.is_empty():
        return _metrics_alone(raw, source, chosen.name, wanted)
    rows, notes = _rows(raw, source, wanted)
    raw = replace(raw, frame=rows.clear())  # what it held is not needed any more, and may be much
    columns, about_columns = infer.reward_columns(rows, reward_columns, raw.known)
    weights, about_weights = infer.reward_weights(columns, reward_weights, raw.known, raw.metrics)
    rows, broken, missing = reward_values(rows, columns, raw.lacking)
    rows, evaluated, apart = evaluation_rows(rows, columns, weights, raw.metrics, raw.known)
    rows, repeats, repeated = infer.drop_repeats(rows, keep_repeats)
    names = moved(rows, _TABLE)
    known = replace(raw.known, groups=names.get(raw.known.groups or "", raw.known.groups))
    columns = [names.get(c, c) for c in columns]
    rows, size, about_groups = number_groups(rows.rename(names).with_row_index("_place"), group_size, known, incomplete)
    evaluated, _, _ = number_groups(evaluated.rename(names), None, replace(known, group_size=None), "keep")
    notes += [*repeated, *about_columns, *about_weights, *apart, *about_groups, *missing]
    place = rows["_place"]
    return RolloutTable(
        _assemble(rows, columns, weights),
        tuple(columns),
        tuple(weights),
        size,
        tuple(map(printable, notes)),
        source,
        raw.metrics,
        repeats,
        raw.trainer or chosen.name,
        raw.tokens,
        _assemble(evaluated, columns, weights),
        _where(broken, rows, names),
        None if place.is_sorted() else place,
    )


def _where(broken: pl.DataFrame, rows: pl.DataFrame, names: Mapping[str, str]) -> pl.DataFrame:
    """What is no finite number by step, group and rollout."""
    placed = broken.join(rows.select("_file", "_row", "step", "group", "rollout"), on=["_file", "_row"])
    return placed.select("step", "group", "rollout", pl.col("column").replace(names), "value").sort(
        "step", "group", "rollout"
    )


def _raw(path: str | Path, name: str | None, wanted: Container[int] | None, growing: bool) -> tuple[Path, Reader, Raw]:
    """The folder or file of the log, its reader, and what that reads."""
    source = expanded(path)
    status(source)
    left_out: list[Path] = []
    before = unfinished.set(left_out if growing else None)
    try:
        named, chosen = source, reader_of(source, name)
        if chosen is None:
            source, chosen = _below(source)
        raw = chosen.read(source, wanted)
    finally:
        unfinished.reset(before)
    if source != named:
        raw = replace(raw, notes=(f"The only log in {named} is that in {source.relative_to(named)}.", *raw.notes))
    if left_out:
        said = f"Left out, because it is not written to its end yet: {listed(f.name for f in left_out)}."
        raw = replace(raw, notes=(*raw.notes, said))
    return source, chosen, raw


def _metrics_alone(raw: Raw, source: Path, trainer: str, wanted: Container[int] | None) -> RolloutTable:
    """The table of a log without rollouts."""
    known = raw.metrics["step"].to_list()
    metrics = raw.metrics.filter([wanted is None or step in wanted for step in known])
    if not metrics.height:
        has = f"it has {len(known)}: {listed(known)}" if known else "it has neither rollouts nor metrics of any step"
        raise InputError(f"{source} has none of the wanted steps; {has}" if known else f"{source} is empty: {has}")
    notes = [f"Metrics of {metrics.height} steps, without any rollouts.", *raw.notes]
    empty = pl.DataFrame(schema=_SCHEMA)
    return RolloutTable(empty, (), (), None, tuple(map(printable, notes)), source, metrics,
                        trainer=raw.trainer or trainer, evaluation=empty)  # fmt: skip


def expanded(path: str | Path) -> Path:
    """The path with the home folder in place of `~`.

    Raises:
        InputError: It is no path, or there is no such home folder.
    """
    try:
        return Path(path).expanduser()
    except (TypeError, RuntimeError) as reason:
        raise InputError(f"{path!r} is no path: {reason}") from None


_DEEP, _MANY = 2, 256  # folders below the one that was named, and how many of them are looked at


def _below(path: Path) -> tuple[Path, Reader]:
    """The one log in the folders below: a repository or a tracker keeps it a folder or two down.

    Raises:
        InputError: There is none, or there are several.
    """
    folders = [path]
    for _ in range(_DEEP):
        inner = [f for folder in folders for f in _folders(folder)]
        folders = list({f.resolve(): f for f in reversed(inner)}.values())[::-1][:_MANY]
        logs = [(f, found) for f in folders if (found := reader_of(f))]
        if len(logs) == 1:
            return logs[0]
        if logs:
            names = listed(f.relative_to(path) for f, _ in logs)
            raise InputError(f"{path} holds several runs; open one of them: {names}")
    raise InputError(_unknown(path))


def _folders(path: Path) -> list[Path]:
    """The folders in a folder that are not hidden, links to folders last; none where it cannot be listed."""
    try:
        found = [f for f in path.iterdir() if not f.name.startswith(".") and f.is_dir()]
        return sorted(found, key=lambda f: (f.is_symlink(), f.name))
    except OSError:
        return []


def _wanted(steps: Iterable[int] | None) -> Container[int] | None:
    if steps is None or isinstance(steps, range):
        return steps
    try:
        return {int(step) for step in steps}
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"steps={steps!r}; it must be whole numbers, such as range(1, 101) or [1, 5]") from None


def _rows(raw: Raw, source: Path, wanted: Container[int] | None) -> tuple[pl.DataFrame, list[str]]:
    """The wanted rows in the order of the steps, with the file and row that each came from."""
    needed = ("step",) if raw.known.groups else ("step", "prompt", "completion")
    frame = raw.frame if "_file" in raw.frame.columns else tidy(raw.frame, source, needed)
    if wanted is not None:
        known = frame["step"].unique().sort().to_list()
        frame = frame.filter(pl.col("step").is_in([step for step in known if step in wanted]))
        if frame.is_empty():
            raise InputError(f"{source} has none of the wanted steps; it has {len(known)}: {listed(known)}")
    _check_steps(frame)
    files = frame["_file"].n_unique()
    read = f"{frame.height} rows of {frame['step'].n_unique()} steps from {files} file(s)."
    silent = [] if "advantage" in frame.columns else [_SILENT]
    left = [_LEFT] if "completion" in frame.columns and is_short(frame, "completion") else []
    rows = frame if frame["step"].is_sorted() else frame.sort("step", maintain_order=True)
    return rows, [read, *left, *raw.notes, *silent, *_back(frame), *_among(frame)]


def _back(frame: pl.DataFrame) -> list[str]:
    """A file in which the steps go back: two runs, or one that was resumed, were written into it."""
    if frame["step"].is_sorted():
        return []
    before = pl.col("step").shift(1).over("_file")
    back = frame.select("_file", "step", before.alias("before")).filter(pl.col("before") > pl.col("step"))
    if back.is_empty():
        return []
    file, step, before = back.row(0)
    return [f"The steps go back from {before} to {step} in {file}: two runs, or one that was resumed, may stand in it."]


def _among(frame: pl.DataFrame) -> list[str]:
    """A file whose steps begin before those of another end: the files of two runs, or of one that was resumed."""
    spans = _trained(frame).group_by("_file").agg(pl.col("step").min().alias("first"), pl.col("step").max())
    for (file, first, last), (other, begins, _) in pairwise(spans.sort("first", "_file").iter_rows()):
        if begins < last:
            return [
                f"The steps of {other} begin at {begins}, among those of {file} ({first} to {last}): two runs, or one "
                "that was resumed, may stand in this folder."
            ]
    return []


def _trained(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows that no reader has marked as evaluated."""
    marked = frame.schema.get("evaluation") == pl.Boolean
    return frame.filter(~column("evaluation").fill_null(False)) if marked else frame


_LEFT = "The log is long: its texts stay in the files, and are read again where they are shown."
_SILENT = "The log has no advantages, so nothing can be compared with the trainer's own."


def _check_steps(frame: pl.DataFrame) -> None:
    """Refuse a step whose rows stand in several files; what was evaluated may stand apart."""
    kind = [column("evaluation")] if frame.schema.get("evaluation") == pl.Boolean else []
    places = frame.select("step", "_file", *kind)
    places = places.filter(pl.any_horizontal(changes(name) for name in places.columns)).unique()
    files = places.group_by("step", *kind).agg(pl.col("_file").sort())
    shared = files.filter(pl.col("_file").list.len() > 1).sort("step")
    if shared.height:
        step, names = shared.select("step", "_file").row(0)
        raise InputError(
            f"step {step} stands in several files: {listed(names)}; two runs, or one that was resumed, may stand in "
            "this folder: keep the files of one"
        )


def _assemble(frame: pl.DataFrame, columns: Sequence[str], weights: Sequence[float]) -> pl.DataFrame:
    """Total reward, logged advantage, and the order of the columns."""
    unscored = pl.all_horizontal(column(c).is_null() for c in columns)
    parts = (column(c) * w for c, w in zip(columns, weights, strict=True))
    total = pl.when(unscored).then(None).otherwise(pl.sum_horizontal(parts)).alias("reward")
    advantage = pl.col("advantage") if "advantage" in frame.columns else pl.lit(None, pl.Float64).alias("advantage")
    short = is_short(frame, "prompt") or is_short(frame, "completion")
    lead = ["step", "prompt", "group", "rollout", "completion", *(PLACE if short else ()), *columns]
    extra = [c for c in frame.columns if c not in (*lead, "advantage", *INNER)]
    return frame.select(*map(column, lead), total, advantage, *map(column, extra))


def _unknown(path: Path) -> str:
    """What is there instead of a log, and what would be one."""
    known = "; ".join(f"{r.name} ({r.holds})" for r in readers().values())
    if not path.is_dir():
        return _unknown_file(path, known)
    entries = sorted(p.name for p in path.iterdir())
    if not entries:
        return f"{path} is empty; readers: {known}"
    file = next(iter(tables(path)), None)
    seen = f"; {_unknown_file(file, '')}" if file else ""
    return (
        f"{path} is a folder without any log that is known here; it holds {listed(entries, 6)}{seen}; readers: {known}"
    )


def _unknown_file(file: Path, known: str) -> str:
    if file.suffix not in FORMATS:
        said = f"{file} is no log that is known here: tables are read from {', '.join(FORMATS)} files"
    else:
        said = f"{file} is no log that is known here: its columns are {listed(names_in(file)) or 'none'}"
    return f"{said}; readers: {known}" if known else said
