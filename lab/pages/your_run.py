"""Your run: what a real training log tells, and what other rules would have made of its rewards."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path, PurePath
from typing import Any

import polars as pl
import streamlit as st

import lab
from lab import advantages
from lab.errors import InputError
from lab.explorers.contract import MY_RUN, Topic
from lab.explorers.properties import Choice, Choices, Flag, Text, Whole
from lab.figures.agreement import agreement
from lab.figures.group_map import group_map
from lab.figures.group_matrix import group_matrix
from lab.figures.log_steps import log_steps
from lab.figures.sign_changes import sign_changes
from lab.logs.columns import column
from lab.logs.diagnosis import Diagnosis
from lab.logs.formats import FORMATS
from lab.logs.frames import group_map_frame, group_rows, nearest_group, recomputed
from lab.logs.loading import expanded
from lab.logs.table import RolloutTable
from lab.pages.shell import Page
from lab.text import plain, printable

FOLDER, UPLOAD = "folder", "upload"
UPLOADED = 16  # megabytes that are taken, all files together


def bundled() -> dict[str, Path]:
    """The bundled logs; none where the lab was installed without its repository."""
    try:
        return lab.logs.bundled()
    except InputError:
        return {}


LOGS = list(bundled())
WORDS = {name: name.replace("_", " ") for name in LOGS} | {FOLDER: "a folder of mine", UPLOAD: "upload"}
RULES = advantages.names()
HOLDS = plain("Read are: " + "; ".join(f"{each.name}: {each.holds}" for each in lab.readers().values()) + ".")

page = Page(Topic(
    name="your-run",
    label="Your run",
    room=MY_RUN,
    title="What did my training run learn from?",
    properties=[
        Choice(name="log", label="Training log", options=[*LOGS, FOLDER, UPLOAD], names=WORDS,
               default="two_rewards" if LOGS else FOLDER),
        Text(name="path", label="Folder or file on this computer", placeholder="~/runs/my_run",
             help="A run's folder or one file of it. " + HOLDS),
        Choices(name="rules", label="Rules for the group below", options=RULES,
                default=["dr_grpo", "gdpo", "mc-grpo", "ngrpo", "bnpo"]),
        Whole(name="step", label="Step", default=0, low=0, high=10**9, typed=True,
              help="The step of the log that is nearest to it is shown."),
        Whole(name="group", label="Group", default=0, low=0, high=10**6, typed=True),
        Whole(name="group_size", label="Group size (0: as inferred)", default=0, low=0, high=4096, typed=True),
        Text(name="rewards", label="Reward columns", placeholder="as inferred", help="Names with commas between."),
        Text(name="weights", label="Their weights", placeholder="as inferred", help="Numbers with commas between."),
        Text(name="lengths", label="Column of lengths in tokens", placeholder="none",
             help="For the rules that read how long a response is."),
        Flag(name="repeats", label="Keep steps that repeat the one before", default=False),
        Flag(name="drop", label="Leave out groups that are not complete", default=False),
    ],
    questions={
        "Two rewards: which rules change a sign?": {},
        "All rewards are equal: where do advantages come from?": {"log": "equal_rewards"},
        "Which batches were logged twice?": {"log": "reused_batches"},
    },
))  # fmt: skip
ENDINGS = [*FORMATS, ".json"]
MOST_FILES = 20_000  # that are looked at for their time
CORRECTIONS = ("group_size", "rewards", "weights", "lengths", "repeats", "drop")


def names(text: str) -> list[str]:
    """Items between commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def numbers(text: str) -> list[float]:
    """Numbers between commas."""
    try:
        return [float(part) for part in names(text)]
    except ValueError:
        raise InputError(f"weights {text!r}: numbers with commas between them were expected, such as 1, 0.5") from None


def corrections(state: dict[str, Any]) -> dict[str, Any]:
    """The options of `lab.load` that the reader has set."""
    given = {
        "group_size": state["group_size"], "reward_columns": names(state["rewards"]),
        "reward_weights": numbers(state["weights"]), "keep_repeats": state["repeats"],
        "incomplete": "drop" if state["drop"] else "",
    }  # fmt: skip
    return {name: value for name, value in given.items() if value}


def local(path: str) -> Path:
    """A path on this computer; addresses of other machines are refused."""
    if path.startswith(("//", "\\\\")) or "://" in path:
        raise InputError(f"{path} lies on another machine; only folders of this computer are opened")
    return expanded(path)


def changed_at(path: Path) -> float:
    """When the newest file of a log was written, so that a run that still grows is read again."""
    files = chain([path], path.glob("*"), path.glob("*/*"))
    return max((f.stat().st_mtime for f in islice(files, MOST_FILES) if f.exists()), default=0.0)


def looked_at(table: RolloutTable, lengths: str) -> Diagnosis:
    """The diagnosis, with its slow parts computed while the reader is told to wait."""
    found = lab.diagnose(table, lengths=lengths or None)
    _ = found.findings, found.what_if
    return found


@st.cache_resource(max_entries=6, show_spinner="Reading the log …")
def opened(path: str, stamp: float, options: dict[str, Any], lengths: str) -> Diagnosis:
    """The diagnosis of a log on this computer; `stamp` tells an older state of the same files apart."""
    return looked_at(lab.load(path, **options), lengths)


@st.cache_resource(max_entries=3, show_spinner="Reading the log …")
def uploaded(files: dict[str, bytes], options: dict[str, Any], lengths: str) -> Diagnosis:
    """The diagnosis of uploaded files, which lie on disk only while they are read."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / PurePath(name).name).write_bytes(content)
        try:
            return looked_at(lab.load(folder, **options), lengths)
        except InputError as error:
            raise InputError(str(error).replace(f"{folder}/", "").replace(folder, "the upload")) from None


def read(state: dict[str, Any]) -> Diagnosis:
    """The diagnosis of the log that the state names."""
    options, lengths = corrections(state), state["lengths"]
    if state["log"] == UPLOAD:
        return uploaded({file.name: file.getvalue() for file in files}, options, lengths)
    path = local(state["path"]) if state["log"] == FOLDER else bundled()[state["log"]]
    return opened(str(path), changed_at(path), options, lengths)


def source(state: dict[str, Any]) -> Sequence[Any]:
    """The widgets that choose the log; returns uploaded files."""
    page.control("log")
    if state["log"] == FOLDER:
        page.control("path")
    if state["log"] != UPLOAD:
        return []
    given = st.file_uploader("Files of one log (not kept, not in the link)", type=ENDINGS,
                             help=f"At most {UPLOADED} MB in all; a longer log is read from its folder. {HOLDS}",
                             accept_multiple_files=True, max_upload_size=UPLOADED)  # fmt: skip
    if sum(file.size for file in given) > UPLOADED * 2**20:
        st.error(f"These files have more than {UPLOADED} MB in all; read the log from its folder on this computer.")
        st.stop()
    return given


def code(state: dict[str, Any], found: Diagnosis) -> str:
    """Lines that repeat the diagnosis."""
    bundled = f"lab.logs.bundled()[{state['log']!r}]"
    place = repr(state["path"]) if state["log"] == FOLDER else repr("FOLDER") if state["log"] == UPLOAD else bundled
    options = "".join(f", {name}={value!r}" for name, value in corrections(state).items())
    lengths = f", lengths={state['lengths']!r}" if state["lengths"] else ""
    return "\n".join([
        "import lab",
        "",
        f"table = lab.load({place}{options})",
        *(f"# {printable(note)}" for note in found.table.notes),
        f"found = lab.diagnose(table{lengths})",
        "print(*found.findings, sep='\\n')",
        "lab.figures.sign_changes(found.changes)",
        "by_variant = found.by_variant",
        "",
        "from lab.logs.frames import group_map_frame, group_rows, recomputed",
        "lab.figures.group_map(group_map_frame(found))",
        f"lab.figures.group_matrix(group_rows(found, {step}, {group}, {state['rules']!r}))",
        "lab.figures.log_steps(found.steps)",
        *["lab.figures.agreement(recomputed(found))"] * (again.height > 0),
    ])  # fmt: skip


state = page.open()
with page.controls():
    files = source(state)
    for name in ("step", "group", "rules"):
        page.control(name)
    st.markdown("###### Read it another way")
    for name in CORRECTIONS:
        page.control(name)
if (state["log"] == FOLDER and not state["path"]) or (state["log"] == UPLOAD and not files):
    page.say("Choose a training log of your own; the bundled ones show what there is to see.")
    st.stop()

found = page.ask(read, state)
said = [*map(str, found.findings), *filter(None, [found.what_if])]
page.say(plain(" ".join(said[:2])))
step, group = nearest_group(found, state["step"], state["group"])
here = found.table.frame.filter((pl.col("step") == step) & (pl.col("group") == group))
columns = list(dict.fromkeys(["rollout", "completion", *found.table.reward_columns, "reward", "advantage"]))
again = page.ask(recomputed, found)
with page.first:
    if found.changes.height:
        st.subheader("Signs that other rules would change", anchor=False)
        page.show(sign_changes, found.changes, fill=True)
    else:
        st.subheader("Groups", anchor=False)
        page.show(group_map, group_map_frame(found), fill=True)
st.caption(plain(" ".join(["How the log was read:", *found.table.notes, *said[2:]])))
with page.panels():
    if found.changes.height:
        with st.container():
            st.subheader("Groups", anchor=False)
            page.show(group_map, group_map_frame(found))
    with st.container():
        st.subheader(f"Step {step}, group {group}", anchor=False)
        page.show(group_matrix, page.ask(group_rows, found, step, group, state["rules"]))
    with st.container():
        st.subheader("Its rollouts", anchor=False)
        st.text(f"Prompt: {here['prompt'][0]}")
        st.dataframe(here.select([column(name) for name in columns]), hide_index=True, key="your-run-group")
    with st.container():
        st.subheader("Step by step", anchor=False)
        page.show(log_steps, found.steps)
    if again.height:
        with st.container():
            st.subheader("Logged against recomputed", anchor=False)
            page.show(agreement, again)
if found.skipped:
    st.caption(plain("Rules left out: " + "; ".join(found.skipped.values()) + "."))
page.finish(code(state, found), found.by_variant, "the signs that other rules would change, rollout by rollout")
