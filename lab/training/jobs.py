"""Blocks of seeds that walk the one path side by side, and the trace of what was measured on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lab.errors import InputError, check_whole
from lab.measures.gauge import Gauge
from lab.measures.metrics import columns
from lab.methods import Variant
from lab.sizes import check_memory
from lab.trace import Trace
from lab.training.loop import Settings, Walk
from lab.world_registry import fixed
from simulators.records import World

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Job", "blocks_of", "check_sizes", "gathered", "job_of", "seeds_of"]

Array = NDArray[Any]
_NO_ROW = np.empty((0, 0))
_PER_ROLLOUT = 8.0 * 5  # bytes: action, log-probability, reward, advantage and weight, of each token at least
_WORTH_A_THREAD = 2048  # rollouts per step from which on splitting seeds over threads pays


@dataclass
class Job:
    """One block of seeds of one variant, and how far it has come."""

    walk: Walk
    gauge: Gauge
    seeds: Array
    steps: int
    every: int
    done: int = 0
    rows: list[Array] = field(default_factory=list)
    at: list[int] = field(default_factory=list)

    def run(self, stop: Callable[[], bool], until: int | None = None) -> Job:
        """Walk to the last step, or to the step `until`, or until `stop` says so."""
        end = self.steps if until is None else min(until, self.steps)
        fast = self.walk.fast_lane(self.gauge.plain) if self.walk.step < end else None
        while self.walk.step < end and not stop():
            if fast is None:
                self._one(self.walk.step)
            else:
                self._one_fast(fast, self.walk.step)
            self.done += 1
        if fast is not None:
            fast.finish()
        return self

    def forget(self) -> None:
        """Let go of what was measured so far, once it is written down."""
        self.rows, self.at = [], []

    def recall(self, trace: pl.DataFrame) -> None:
        """Take back rows that were measured before and written down as a trace of this job's runs."""
        self.at = trace.filter(seed=int(self.seeds[0]))["step"].to_list()
        shape = len(self.seeds), len(self.at), len(self.gauge.names)
        self.rows = list(trace.select(self.gauge.names).to_numpy().reshape(shape).transpose(1, 2, 0))

    def _measured(self, step: int) -> bool:
        return (self.gauge.regular and self._due(step, self.every)) or self._held_out(step)

    def _held_out(self, step: int) -> bool:
        """Whether held-out problems are tried: as often as was asked for, or whenever something is measured."""
        return bool(self.gauge.names) and self._due(step, self.walk.settings.evaluate or self.every)

    def _due(self, step: int, every: int) -> bool:
        return step % every == 0 or step == self.steps - 1

    def _one(self, step: int) -> None:
        moment, measured = self.walk.look(), self._measured(step)
        held_out = self._held_out(step)
        row = self.gauge.before(self.walk.policy, self.walk.start, moment, held_out=held_out) if measured else {}
        logp_new = self.walk.advance(moment)
        if measured:
            row |= self.gauge.after(self.walk.policy, self.walk.start, moment, logp_new)
            self.at.append(step)
            self.rows.append(np.array([row[name] for name in self.gauge.names]))

    def _one_fast(self, fast: Any, step: int) -> None:
        row = _NO_ROW
        if self._measured(step):
            row = np.empty((len(self.gauge.names), len(self.seeds)))
            self.at.append(step)
            self.rows.append(row)
        self.walk.advance_fast(fast, row)


def job_of(
    world: World,
    v: Variant,
    seeds: Array,
    settings: Settings,
    *,
    steps: int | None = None,
) -> Job:
    """One block of seeds of a variant, ready to run; to another step than the last one where `steps` says so."""
    if v.extra_rollouts and "group_size" in fixed(world):
        raise InputError(f"variant {v.name!r} draws {v.extra_rollouts} more rollouts than the group size; world "
                         f"{world.name!r} knows group_size={settings.group_size} alone")  # fmt: skip
    walk = Walk(world, v, seeds, settings)
    assert walk.objective is not None
    options = {**walk.objective.options, **v.options.get("objective", {})}
    gauge = Gauge(settings.measure, walk.world, walk.objective, options, walk.reward_weights,
                  held_out=settings.evaluate > 0, reference=settings.reference_rollouts)  # fmt: skip
    return Job(walk, gauge, seeds, settings.steps if steps is None else steps, settings.every)


def seeds_of(seeds: int | Sequence[int]) -> Array:
    """Seeds as an array: n means 0 to n - 1.

    Raises:
        InputError: None, negative or repeated seeds.
    """
    if not isinstance(seeds, Iterable):
        return np.arange(check_whole("seeds", seeds, 1), dtype=np.int64)
    array = np.asarray(list(seeds))
    whole = array.size > 0 and array.dtype.kind in "iu" and array.min() >= 0 and array.max() < 2**63
    if not whole or len(set(array.tolist())) != array.size:
        raise InputError(
            f"seeds={seeds!r}; they must be whole numbers from 0 to 2**63 - 1, all different, at least one"
        )
    return array.astype(np.int64)


def check_sizes(world: World, settings: Settings, seeds: int, steps: int) -> None:
    """Refuse a run that this machine has no memory for.

    Args:
        world: The world.
        settings: The settings of the run.
        seeds: Runs of all variants that walk at the same time.
        steps: Steps whose rows are held in memory.

    Raises:
        InputError: Rollouts or rows do not fit; the message has the estimate.
    """
    tokens = getattr(world, "length", 1)
    rollouts = float(seeds) * world.prompts * settings.group_size * (tokens if isinstance(tokens, int) else 1)
    check_memory(f"group_size={settings.group_size}, prompts={world.prompts}, runs={seeds}", _PER_ROLLOUT * rollouts)
    rows = float(seeds) * (steps // settings.every) * len(columns(settings.measure))
    check_memory(f"steps={steps}, runs={seeds}, every={settings.every}", 8.0 * rows + 8.0 * seeds)


def blocks_of(seeds: Array, width: int, rollouts_per_seed: int, together: int) -> list[Array]:
    """Blocks of seeds: one for each thread that is worth it, and none of more runs than the world's `together`."""
    most = max(1, len(seeds) * rollouts_per_seed // _WORTH_A_THREAD)
    return list(np.array_split(seeds, max(min(width, most, len(seeds)), -(-len(seeds) // together))))


def gathered(jobs: Sequence[Job]) -> Trace:
    """What the blocks of a run measured, as one trace."""
    found: dict[str, Variant] = {}
    parts, finals = [], []
    for job in jobs:
        v = job.walk.variant
        found.setdefault(v.name, v)
        table = np.array(job.rows).reshape(len(job.at), len(job.gauge.names), len(job.seeds))
        rows = {name: table[:, i] for i, name in enumerate(job.gauge.names)}
        parts.append((v.name, job.seeds, np.array(job.at, dtype=np.int64), rows))
        finals.append((v.name, job.walk.policy))
    return Trace(tuple(found.values()), tuple(parts), tuple(finals))
