"""Prompts and answers of tinker-cookbook's rollouts, from the transcripts that stand beside them.

train_logtree.json (tinker-cookbook 0.6, utils/logtree.py, `Trace.to_dict`) is a tree of nodes: tag, attrs, children,
data. A section has a heading and a body. Each group that was logged is a section `Group Rollout` (rl/rollouts.py,
`do_group_rollout`), with sections `Prompt`, `Policy Response` and `Reward` for each answer in the order in which the
answers came (rl/problem_env.py, `ProblemEnv.step`), then `Trajectory <n> Episode` with the totals of each rollout.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict

from lab.errors import InputError
from lab.logs.readers.trl.sidecars import read_json

__all__ = ["texts"]

_GROUP = "Group Rollout"
_NONE = "There are no texts: train_logtree.json, which tinker-cookbook writes where num_groups_to_log is set, has none."
_ORDER = (
    "Texts are of train_logtree.json, which has those of the first groups; where rollouts of a group have equal "
    "rewards, which of them gave which answer is not logged: the answers stand in the order in which they came."
)


class Logtree(BaseModel):
    """A transcript, as far as it is read.

    Attributes:
        root: The first node.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    root: dict[str, Any]


@dataclass
class _Group:
    """What the transcript has of one group.

    Attributes:
        prompt: What was asked.
        answers: The answers in the order in which they came.
        rewards: Reward of each, as it is printed.
        totals: Total reward of each rollout, as it is printed.
    """

    prompt: str = ""
    answers: list[str] = field(default_factory=list)
    rewards: list[str] = field(default_factory=list)
    totals: list[str] = field(default_factory=list)


def texts(frame: pl.DataFrame, files: Sequence[Path]) -> tuple[pl.DataFrame, list[str]]:
    """The rollouts with their prompts and answers where the transcripts have them, and what is said of it."""
    rows = frame.with_row_index("_at").select("_at", "_file", "_group", "total_reward").rows()
    grouped: dict[str, dict[str, list[tuple[int, str]]]] = defaultdict(lambda: defaultdict(list))
    for at, file, group, total in rows:
        grouped[file][group].append((at, _printed(total)))
    prompts, answers = [""] * frame.height, [""] * frame.height
    notes = []
    for file in files:
        try:
            logged = _logged(file)
        except InputError as reason:
            notes.append(f"The texts of a step are left out: {reason}.")
            continue
        for (at, answer), prompt in _matched(list(grouped[str(file)].values()), logged):
            prompts[at], answers[at] = prompt, answer
    found = any(prompts) or any(answers)
    told = frame.with_columns(pl.Series("prompt", prompts, pl.String), pl.Series("completion", answers, pl.String))
    return told, [*notes, _ORDER if found else _NONE]


def _matched(
    groups: Sequence[list[tuple[int, str]]], logged: Sequence[_Group]
) -> Iterator[tuple[tuple[int, str], str]]:
    """(Row, answer) and prompt of each rollout whose group was logged, which the totals of its rollouts tell."""
    left = iter(groups)
    for group in logged:
        rows = next((rows for rows in left if [total for _, total in rows] == group.totals), None)
        if rows is None:
            return
        answers = list(zip(group.rewards, group.answers, strict=False))
        if sorted(reward for reward, _ in answers) != sorted(group.totals):
            answers = []
        for at, total in rows:
            own = next((a for a in answers if a[0] == total), None)
            if own:
                answers.remove(own)
            yield (at, own[1] if own else ""), group.prompt


def _logged(rollouts: Path) -> list[_Group]:
    """The groups that the transcript beside a file of rollouts has.

    Raises:
        InputError: It is damaged.
    """
    tree = read_json(rollouts.with_name(rollouts.name.replace("_rollout_summaries.jsonl", "_logtree.json")), Logtree)
    return [_group(section) for title, section in _sections(tree.root) if title == _GROUP] if tree else []


def _group(node: dict[str, Any]) -> _Group:
    group = _Group()
    for title, section in _sections(node):
        if title == "Prompt" and not group.prompt:
            group.prompt = _conversation(section)
        elif title == "Policy Response":
            group.answers.append(_conversation(section))
        elif title == "Reward":
            group.rewards.append(_cells(section).get("reward", ""))
        elif title.startswith("Trajectory ") and title.endswith(" Episode"):
            group.totals.append(_cells(section).get("total_return", ""))
    return group


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    """A node and all below it, in the order of the text."""
    waiting = [node]
    while waiting:
        now = waiting.pop()
        if isinstance(now, dict):
            yield now
            below = now.get("children")
            waiting += reversed(below) if isinstance(below, list) else []


def _sections(root: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Heading and node of each section below a node."""
    for node in _nodes(root):
        if node.get("tag") == "section" and node is not root:
            heading = next(iter(node.get("children") or []), None)
            yield _text(heading), node


def _text(node: Any) -> str:
    inside = node.get("children") if isinstance(node, dict) else None
    return "".join(part for part in inside if isinstance(part, str)) if isinstance(inside, list) else ""


def _cells(section: dict[str, Any]) -> dict[str, str]:
    """The tables of a section as one mapping from the left column to the right one."""
    cells = [_text(node) for node in _nodes(section) if node.get("tag") == "td"]
    return dict(zip(cells[::2], cells[1::2], strict=False))


def _conversation(section: dict[str, Any]) -> str:
    """The messages of a section: that of one as it is, several as `role: content` lines."""
    data = [node["data"] for node in _nodes(section) if isinstance(node.get("data"), dict)]
    messages = [m for d in data for m in d.get("messages") or [] if isinstance(m, dict)]
    said = [_content(message.get("content")) for message in messages]
    alone = len(messages) == 1
    return said[0] if alone else "\n".join(f"{m.get('role')}: {c}" for m, c in zip(messages, said, strict=True))


def _content(content: Any) -> str:
    """Text of a message, whose content may stand in parts."""
    if isinstance(content, list):
        parts = [part.get("text", part.get("thinking")) for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _printed(reward: Any) -> str:
    return f"{reward:.3f}" if isinstance(reward, int | float) else ""
