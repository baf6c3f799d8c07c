"""Rollouts as a tidy table, and back: a table of one step of one run is a world on which every variant can be tried."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lab.errors import InputError
from simulators.recorded.world import Recorded
from simulators.records import Policy, Rollouts, Truth, World

if TYPE_CHECKING:
    import polars as pl

    from lab.training.loop import Moment

__all__ = ["END", "Table", "recorded", "rollout_table", "sampled_tables"]

Array = NDArray[Any]

#: How the token that ends a response is written: its text is empty.
END = "⏎"


class Table(Protocol):
    """A table of one run at one step: what `rollout_table` is, and what a world may bring in its `rollout_tables`."""

    def __call__(
        self, moment: Moment, truth: Truth | None, world: Any, run: int = 0, *, start: Policy | None = None
    ) -> pl.DataFrame:
        """Rows of the run with that index on the S axis; every run and step has the same columns."""
        ...


def sampled_tables(world: World) -> dict[str, Table]:
    """Tables that are written at the sampled steps of a run: its rollouts, and what the world brings by name.

    Raises:
        InputError: A name that no file can have, or one that is taken.
    """
    own: Mapping[str, Table] = getattr(world, "rollout_tables", {})
    for name in own:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in ("trace", "rollouts"):
            raise InputError(f"world {world.name!r}: table {name!r}; a name has small letters, digits and _, and is "
                             "neither trace nor rollouts")  # fmt: skip
    return {**own, "rollouts": rollout_table}


def rollout_table(
    moment: Moment, truth: Truth | None, world: World, run: int = 0, *, start: Policy | None = None
) -> pl.DataFrame:
    """The rollouts of one run (index on the S axis) at one step, a row each.

    Columns slot (the place of the prompt among the step's P), prompt (its name: the same number, or that of a scene or
    a problem), rollout, action, reward (after the reward rule, components added; the world's own components stand
    beside it as `reward_1` ... where there are several), advantage, true_advantage (null without a truth), keep. An
    action of several tokens is text, separated by blanks. A prompt that was sampled again within the step numbers its
    rollouts on.

    A world of language adds question, answer (a right one), text, and by token: tokens (their text), logp and, where
    the initial policy `start` is given, logp_ref (nats, in float32).
    """
    import polars as pl

    own = None if moment.slots is None else moment.slots[run]
    moment = moment if own is None else moment.first(own)
    slots, rewards = _slots(moment, world.prompts, run), moment.rewards[run]
    size = rewards.shape[1]
    attempt = np.arange(len(slots))[:, None] // world.prompts
    components = moment.rollouts.rewards[run].reshape(slots.size * size, -1)
    columns = {
        "slot": np.repeat(np.arange(len(slots)) % world.prompts, size),
        "prompt": np.repeat(slots, size),
        "rollout": (attempt * size + np.arange(size)).reshape(-1),
        "action": _actions(moment, run),
        "reward": rewards.sum(axis=-1).reshape(-1),
        **({f"reward_{k}": r for k, r in enumerate(components.T, 1)} if len(components.T) > 1 else {}),
        "advantage": moment.advantage[run].reshape(-1),
        "true_advantage": None if truth is None else truth.advantage[run, :own].reshape(-1),
        "keep": np.ones(slots.size * size, dtype=bool) if moment.keep is None else moment.keep[run].reshape(-1),
    }
    kinds: dict[str, Any] = {"true_advantage": pl.Float64}
    if world.can("problem"):
        columns |= _language(moment, world, run, slots, start)
        kinds |= {name: pl.List(pl.Float32) for name in ("logp", "logp_ref") if name in columns}
    return pl.DataFrame(columns, schema_overrides=kinds)


def recorded(frame: pl.DataFrame) -> Recorded:
    """The rollouts of one step of one run, as `rollout_table` has them for a world of language, as a world.

    Raises:
        InputError: They are not there, or those of several steps or runs.
    """
    lacking = [name for name in ("question", "tokens", "logp") if name not in frame.columns]
    if lacking or frame.is_empty():
        raise InputError(f"recorded rollouts need rows with {', '.join(lacking) or 'the columns of one step'}")
    keys = [c for c in ("variant", "seed", "step") if c in frame.columns]
    if keys and frame.select(keys).n_unique() > 1:
        raise InputError(f"rollouts of several runs or steps; choose one by {', '.join(keys)}")
    starts = np.flatnonzero(np.diff(frame["rollout"].to_numpy()) != 1)  # one prompt may stand in several slots
    size = int(starts[0]) + 1 if starts.size else frame.height
    length = int(frame["tokens"].list.len().max())  # type: ignore[arg-type]
    words = sorted(frame["tokens"].explode().unique().to_list())
    number = {word: i for i, word in enumerate(words)}
    shape = (1, -1, size, length)

    def laid_out(rows: Any, fill: float, kind: Any) -> Array:
        table = np.full((frame.height, length), fill, dtype=kind)
        for row, values in zip(table, rows, strict=True):
            row[: len(values)] = values
        return table.reshape(shape)

    components = sorted((c for c in frame.columns if c.startswith("reward_")), key=lambda c: int(c[7:])) or ["reward"]
    reference = laid_out(frame["logp_ref"], 0.0, np.float64) if "logp_ref" in frame.columns else None
    rollouts = Rollouts(
        frame.select(components).to_numpy().reshape(1, -1, size, len(components)).astype(np.float64),
        laid_out([[number[t] for t in row] for row in frame["tokens"]], 0, np.int64),
        laid_out(frame["logp"], 0.0, np.float64),
        laid_out([[True] * n for n in frame["tokens"].list.len()], False, np.bool_),
        logp_ref=reference,
    )
    return Recorded(rollouts, words)


def _language(moment: Moment, world: World, run: int, slots: Array, start: Policy | None) -> dict[str, Any]:
    """The columns question, answer, text, tokens, logp, logp_ref of a world of language."""
    rollouts, size = moment.rollouts, moment.rewards.shape[2]
    assert rollouts.mask is not None
    real = rollouts.mask[run].reshape(-1, rollouts.mask.shape[-1])

    def by_row(array: Array) -> list[list[Any]]:
        flat = array[run].reshape(real.shape)
        return [row[valid].tolist() for row, valid in zip(flat, real, strict=True)]

    problems = [world.problem(p) for p in slots.tolist()]
    said = [
        world.pieces(row, p) for row, p in zip(by_row(rollouts.actions), np.repeat(slots, size).tolist(), strict=True)
    ]
    columns = {
        "question": [question for question, _ in problems for _ in range(size)],
        "answer": [answer for _, answer in problems for _ in range(size)],
        "text": ["".join(row) for row in said],
        "tokens": [[*row[:-1], row[-1] or END] for row in said],
        "logp": by_row(rollouts.logp),
    }
    return columns | ({} if start is None else {"logp_ref": by_row(world.log_prob(start, rollouts))})


def _slots(moment: Moment, prompts: int, run: int = 0) -> Array:
    """Which prompt stands in each slot of the run's P axis."""
    given = moment.rollouts.prompt
    if given is None:
        return np.arange(prompts)
    return np.asarray(given if given.ndim == 1 else given[run])


def _actions(moment: Moment, run: int) -> Any:
    actions, mask = moment.rollouts.actions[run], moment.rollouts.mask
    flat = actions.reshape(-1, actions.shape[-1])
    if flat.shape[-1] == 1:
        return flat[:, 0]
    real = np.ones(flat.shape, dtype=bool) if mask is None else mask[run].reshape(flat.shape)
    return [" ".join(map(str, tokens[valid])) for tokens, valid in zip(flat, real, strict=True)]
