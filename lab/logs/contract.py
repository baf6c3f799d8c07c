"""What a reader of a trainer's log is, what it hands over, and the list of readers.

A reader of your own, in a notebook or a file of plugins:

    import lab, polars as pl

    @lab.reader("mine", recognises=lambda path: path.suffix == ".mine", holds="one .mine file for a run")
    def read(path, steps):
        frame = pl.read_csv(path, separator=";")            # step, prompt, completion, rewards, advantage
        return lab.logs.Raw(frame, lab.logs.Known(groups="uid", rewards=("score",)))
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from lab.errors import InputError, UnknownNameError
from lab.text import listed

__all__ = ["COLUMNS", "SCALARS", "Known", "Raw", "Reader", "reader", "reader_of", "readers"]

#: Names of a trainer's own metrics, the same for every trainer; `reward/<name>` is the mean of one reward, and a metric
#: that is not among them keeps the trainer's name.
SCALARS: Mapping[str, str] = {
    "reward": "mean total reward",
    "reward_std": "deviation of the total reward",
    "zero_std": "share of groups without spread, as the trainer counts them",
    "grad_norm": "norm of the gradient",
    "entropy": "entropy of the policy, in nats per token",
    "kl": "divergence from the reference policy",
    "clip_share": "share of tokens that the clip acts on",
    "length": "mean tokens of a response",
    "truncated": "share of responses that were cut off",
    "loss": "loss",
    "learning_rate": "learning rate",
}


#: Columns of rollouts that mean the same whatever the trainer; `Raw.frame` has them where the log tells them, and any
#: other column keeps the trainer's name.
COLUMNS: Mapping[str, str] = {
    "step": "step of the run, a whole number",
    "prompt": "text, or a list of messages with role and content",
    "completion": "likewise",
    "advantage": "what the trainer used; NaN where it was NaN",
    "evaluation": "Boolean: the row was evaluated and not trained on",
    "length": "tokens of the completion, a whole number",
    "truncated": "Boolean: the completion was cut off at the longest length",
}


def _no_metrics() -> pl.DataFrame:
    return pl.DataFrame(schema={"step": pl.Int64})


@dataclass(frozen=True)
class Known:
    """What a log says of itself; it is not inferred.

    Attributes:
        group_size: Rollouts per prompt G.
        groups: Column that tells the groups of a step apart; rows of one group need not stand together.
        rewards: Columns that hold the reward components.
        weights: Weight of each component, by its name.
        said: Where it stands, for the sentences: "group_size", "rewards" or "weights" -> a file, say.
    """

    group_size: int | None = None
    groups: str | None = None
    rewards: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    said: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Raw:
    """A log as a reader hands it over.

    Attributes:
        frame: One row per rollout in the order of the log: step, prompt, completion (the last two may be missing where
            `known.groups` is given), the rewards, whatever of `COLUMNS` the log tells, and whatever else there is.
            Groups may be of different sizes. A log of metrics alone has a frame without rows (`pl.DataFrame()`).
        known: What the log says of itself.
        metrics: One row per step: step and the trainer's own metrics, named as in `SCALARS`.
        notes: What was read and left out, in sentences.
        tokens: One row per token, where the log has them: step, group, rollout, token (0, 1, ...), and their columns.
        lacking: Columns that only some files have -> the first file that lacks it.
        trainer: Whose log it is, where that is not the reader's name.
    """

    frame: pl.DataFrame
    known: Known = field(default_factory=Known)
    metrics: pl.DataFrame = field(default_factory=_no_metrics)
    notes: tuple[str, ...] = ()
    tokens: pl.DataFrame | None = None
    lacking: Mapping[str, Path] = field(default_factory=dict)
    trainer: str = ""


@dataclass(frozen=True)
class Reader:
    """A registered reader.

    Attributes:
        name: The trainer's name; presets of rules named `<rule>@<name>` are that trainer's.
        recognises: Whether a file or folder that exists is a log of this trainer, told by names and first lines.
        read: The log, of the given steps alone where it is quick to leave others out (None: all).
        holds: What such a log consists of, for those whose folder is not recognised.
    """

    name: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, Container[int] | None], Raw]
    holds: str


_READERS: dict[str, Reader] = {}


def reader(name: str, *, recognises: Callable[[Path], bool], holds: str) -> Callable[..., Callable[..., Raw]]:
    """Decorator that registers a function `(path, steps) -> Raw` as a reader; see `Reader` for the arguments.

    Raises:
        InputError: Another function reads logs under that name.
    """

    def decorate(read: Callable[..., Raw]) -> Callable[..., Raw]:
        known = _READERS.pop(name, None)
        if known and (known.read.__module__, known.read.__qualname__) != (read.__module__, read.__qualname__):
            _READERS[name] = known
            raise InputError(f"reader {name!r} exists already (in {known.read.__module__}); choose another name")
        _READERS[name] = Reader(name, recognises, read, holds)
        return read

    return decorate


def readers() -> dict[str, Reader]:
    """All readers by name; those of the lab first, in alphabetical order."""
    import lab.logs.readers as own

    return dict(sorted(_READERS.items(), key=lambda item: not item[1].read.__module__.startswith(own.__name__)))


def reader_of(path: Path, name: str | None = None) -> Reader | None:
    """The reader that recognises a log; of several the one registered last, so that your own comes before the lab's.

    Args:
        path: A file or folder that exists.
        name: Take this one, whatever the log looks like.

    Raises:
        UnknownNameError: No reader has that name.
    """
    known = readers()
    if name is not None and name not in known:
        raise UnknownNameError("reader", name, known, f"readers: {listed(known)}")
    return known[name] if name else next((r for r in reversed(known.values()) if r.recognises(path)), None)
