"""The log that My run looks at: which one, how it is read, and its diagnosis, opened once."""

from __future__ import annotations

import hashlib
import tempfile
from collections import OrderedDict
from collections.abc import Mapping
from itertools import chain, islice
from pathlib import Path, PurePath
from typing import Any

import lab
from lab.errors import InputError
from lab.explorers.kept import kept
from lab.explorers.panels import State
from lab.explorers.properties import Choice, Files, Flag, Property, Text, Whole
from lab.logs.diagnosis import Diagnosis
from lab.logs.formats import FORMATS
from lab.logs.loading import expanded
from lab.text import plain

__all__ = [
    "CORRECTIONS", "about", "bundled", "chosen", "edition", "follows", "if_opened", "lines", "log_state", "opened",
    "properties",
]  # fmt: skip

FOLDER, UPLOAD = "folder", "upload"
UPLOADED = 16  # megabytes that are taken, all files together
ENDINGS = [*FORMATS, ".json"]
MOST_FILES = 20_000  # that are looked at for their time
HELD = 6  # uploads that are held
CORRECTIONS = ("group_size", "rewards", "weights", "lengths", "repeats", "drop")
READ = "Read it another way"

_HELD: OrderedDict[str, dict[str, bytes]] = OrderedDict()


def bundled() -> dict[str, Path]:
    """The bundled logs; none where the lab was installed without its data."""
    try:
        return lab.logs.bundled()
    except InputError:
        return {}


def log_names() -> dict[str, str]:
    """What can be chosen, in words."""
    return {name: name.replace("_", " ") for name in bundled()} | {FOLDER: "a folder of mine", UPLOAD: "upload"}


def example() -> str:
    """The log of the first look."""
    return "two_rewards" if "two_rewards" in bundled() else FOLDER


def properties() -> list[Property]:
    """Which log, and how it is read where it does not say so itself."""
    holds = plain("Read are: " + "; ".join(f"{each.name}: {each.holds}" for each in lab.readers().values()) + ".")
    limit = f"Not in the link. At most {UPLOADED} MB in all; a longer log is read from its folder. {holds}"
    return [
        Choice(name="log", label="Training log", options=list(log_names()), names=log_names(), default=example()),
        Text(name="path", label="Folder or file on this computer", placeholder="~/runs/my_run", when={"log": [FOLDER]},
             help=f"A run's folder or one file of it. {holds}"),
        Flag(name="follow", label="Follow while it grows", default=False, when={"log": [FOLDER]},
             help="The page looks every few seconds. A file that is half written is left out until it is whole."),
        Files(name="files", label="Files of one log", when={"log": [UPLOAD]}, help=limit, take=hold, endings=ENDINGS,
              most=UPLOADED),
        Whole(name="group_size", label="Group size (0: as inferred)", default=0, low=0, high=4096, typed=True,
              group=READ),
        Text(name="rewards", label="Reward columns", placeholder="as inferred", help="Names with commas between.",
             group=READ),
        Text(name="weights", label="Their weights", placeholder="as inferred", help="Numbers with commas between.",
             group=READ),
        Text(name="lengths", label="Column of lengths in tokens", placeholder="as inferred", group=READ,
             help="For the rules that read how long a response is."),
        Flag(name="repeats", label="Keep steps that repeat the one before", default=False, group=READ),
        Flag(name="drop", label="Leave out groups that are not complete", default=False, group=READ),
    ]  # fmt: skip


def hold(files: Mapping[str, bytes]) -> str:
    """Keeps uploaded files in memory, the last few uploads; the name is made of what they hold."""
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    token = digest.hexdigest()
    _HELD[token] = dict(files)
    _HELD.move_to_end(token)
    while len(_HELD) > HELD:
        _HELD.popitem(last=False)
    return token


def chosen(state: State) -> bool:
    """Whether there is a log to open: a folder was typed, files were uploaded, or a bundled one is meant."""
    return bool({FOLDER: state["path"], UPLOAD: state["files"]}.get(state["log"], True))


def edition(state: State) -> object:
    """When the newest file of a log was written, so that a run that still grows is read again."""
    if not chosen(state) or state["log"] == UPLOAD:
        return None
    try:
        path = _place(state)
    except InputError:
        return None  # opening it says why
    files = chain([path], path.glob("*"), path.glob("*/*"))
    return max((f.stat().st_mtime for f in islice(files, MOST_FILES) if f.exists()), default=0.0)


def follows(state: State) -> bool:
    """Whether the log is looked at again and again."""
    return bool(state["log"] == FOLDER and state["path"] and state["follow"])


def opened(state: State) -> Diagnosis:
    """The diagnosis of the log.

    Raises:
        InputError: It cannot be read so.
    """
    options = corrections(state)
    if state["log"] == UPLOAD:
        return _uploaded(state["files"], options, state["lengths"])
    return _read(str(_place(state)), edition(state), options, state["lengths"])


def if_opened(state: State) -> Diagnosis | None:
    """The diagnosis; None where there is none, which the picture tells in words."""
    try:
        return opened(state) if chosen(state) else None
    except Exception:  # said where the picture is drawn
        return None


def log_state(state: State) -> dict[str, Any]:
    """The part of the state that says which log it is and how it is read."""
    return {name: state[name] for name in ("log", "path", "follow", "files", *CORRECTIONS)}


def about(found: Diagnosis) -> str:
    """What the log has, in a sentence."""
    table = found.table
    whose = f"A log of {plain(table.trainer)}" if table.trainer else "A log"
    if table.frame.is_empty():
        return f"{whose}: metrics of {table.metrics.height:,} steps, no rollouts."
    evaluated = f", and {table.evaluation.height:,} evaluated" if table.evaluation.height else ""
    size = f"groups of {table.group_size}" if table.group_size else "groups of different sizes"
    rollouts = f"{found.groups.height:,} {size}, {table.frame.height:,} rollouts"
    return f"{whose}: {len(table.steps):,} steps, {rollouts}{evaluated}."


def corrections(state: State) -> dict[str, Any]:
    """The options of `lab.load` that the reader has set."""
    given = {
        "group_size": state["group_size"], "reward_columns": _names(state["rewards"]),
        "reward_weights": _numbers(state["weights"]), "keep_repeats": state["repeats"],
        "incomplete": "drop" if state["drop"] else "", "growing": follows(state),
    }  # fmt: skip
    return {name: value for name, value in given.items() if value}


def lines(state: State) -> list[str]:
    """Lines that open the same log."""
    place = f"lab.logs.bundled()[{state['log']!r}]"
    place = {FOLDER: repr(state["path"]), UPLOAD: repr("FOLDER")}.get(state["log"], place)
    options = "".join(f", {name}={value!r}" for name, value in corrections(state).items())
    lengths = f", lengths={state['lengths']!r}" if state["lengths"] else ""
    return ["import lab", "", f"table = lab.load({place}{options})", f"found = lab.diagnose(table{lengths})"]


@kept(4)
def _read(path: str, written: object, options: dict[str, Any], lengths: str) -> Diagnosis:
    return lab.diagnose(lab.load(path, **options), lengths=lengths or None)


@kept(3)
def _uploaded(token: str, options: dict[str, Any], lengths: str) -> Diagnosis:
    """Uploaded files lie on disk only while they are read."""
    if token not in _HELD:
        raise InputError("these files are no longer held here; upload them once more")
    with tempfile.TemporaryDirectory() as folder:
        for name, content in _HELD[token].items():
            (Path(folder) / PurePath(name).name).write_bytes(content)
        try:
            return lab.diagnose(lab.load(folder, **options), lengths=lengths or None)
        except InputError as error:
            raise InputError(str(error).replace(f"{folder}/", "").replace(folder, "the upload")) from None


def _place(state: State) -> Path:
    """Where the log lies; addresses of other machines are refused."""
    if state["log"] != FOLDER:
        return bundled()[state["log"]]
    path = state["path"]
    if path.startswith(("//", "\\\\")) or "://" in path:
        raise InputError(f"{path} lies on another machine; only folders of this computer are opened")
    return expanded(path)


def _names(text: str) -> list[str]:
    """Items between commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _numbers(text: str) -> list[float]:
    """Numbers between commas."""
    try:
        return [float(part) for part in _names(text)]
    except ValueError:
        raise InputError(f"weights {text!r}: numbers with commas between them were expected, such as 1, 0.5") from None
