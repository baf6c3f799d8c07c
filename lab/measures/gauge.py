"""Measuring one step of a block of runs: a row of numbers for each run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lab.errors import InputError
from lab.measures import advantage as a
from lab.measures import gradient as g
from lab.measures.metrics import HELD_OUT, REFERENCE, Metric, columns, metric
from lab.measures.reference import against_reference
from lab.registry import Rule
from simulators.records import Policy, Truth, World
from simulators.stride import MEASURES

if TYPE_CHECKING:
    from lab.training.moment import Moment

__all__ = ["Gauge"]

Array = NDArray[Any]


class Gauge:
    """What is measured at each step; a measurement whose truth a world can't know is absent.

    A world says so by having no `truth`, and what else it cannot do by having no such method.

    Args:
        measure: "basic", "full", names of measurements, or None.
        world: The world.
        objective: The variant's objective, for its clip test.
        options: That objective's options.
        weights: Weight of each reward component [K], for the reward and the truth; None: ones.
        held_out: Whether held-out problems are tried too.
        reference: Rollouts of the reference gradient; 0: there is none.

    Raises:
        InputError: The world has no held-out problems, or it knows its gradient exactly; or a measurement against a
            reference is named without rollouts for it.
    """

    def __init__(
        self, measure: str | Sequence[str] | None, world: World, objective: Rule, options: dict[str, Any],
        weights: Array | None = None, *, held_out: bool = False, reference: int = 0,
    ) -> None:  # fmt: skip
        self.world, self.objective, self.options, self.weights = world, objective, options, weights
        self.reference = reference
        asked = columns([*columns(measure), *(HELD_OUT if held_out else ()), *(REFERENCE if reference else ())])
        _check_asked(world, held_out, reference, [metric(name) for name in asked])
        found = [m for name in asked for m in metric(name).found_in(world, objective)]
        self.metrics = {m.name: m for m in found}
        self.names = list(self.metrics)
        self.needs = frozenset(need for m in found for need in m.needs)
        self.reads = frozenset(read for m in found for read in m.reads)
        self.plain = not self.names or self.names == list(MEASURES)
        self.regular = any("held_out" not in m.reads for m in found)

    def before(self, policy: Policy, start: Policy, moment: Moment, *, held_out: bool = True) -> dict[str, Array]:
        """Measurements at the policy that sampled, each run over its own slots: one array [S] per name.

        `held_out` says whether held-out problems are tried at this step; where not, they are NaN.
        """

        @cache
        def tried() -> Mapping[str, Array]:
            none = dict.fromkeys(("greedy", "sampled", "pass"), np.full(len(policy.seeds), np.nan))
            return {**none, **(self.world.evaluate(policy, samples=8) if held_out else {})}

        def measured(moment: Moment) -> dict[str, Array]:
            step = _Step(self, policy, start, moment, tried)
            return {name: step.measured(m) for name, m in self.metrics.items() if "logp_new" not in m.reads}

        if moment.slots is None:
            return measured(moment)
        parts = {n: measured(moment.first(n)) for n in np.unique(moment.slots)}
        whole = parts.pop(max(parts))
        for n, part in parts.items():
            for name, values in whole.items():
                whole[name] = np.where(moment.slots == n, part[name], values)
        return whole

    def after(self, policy: Policy, start: Policy, moment: Moment, logp_new: Array | None) -> dict[str, Array]:
        """Measurements after the last epoch of a step: the share of clipped tokens."""
        step = _Step(self, policy, start, moment, dict, logp_new)
        return {name: step.measured(m) for name, m in self.metrics.items() if "logp_new" in m.reads}


class _Step:
    """What the functions of measurements read of one step, by name (`INPUTS`); computed when the first of them does."""

    def __init__(
        self, gauge: Gauge, policy: Policy, start: Policy, moment: Moment,
        tried: Callable[[], Mapping[str, Array]], logp_new: Array | None = None,
    ) -> None:  # fmt: skip
        self.world, self.objective, self.options = gauge.world, gauge.objective, gauge.options
        self.policy, self.start, self.moment, self.logp_new = policy, start, moment, logp_new
        self.keep, self.gradient = moment.keep, moment.policy_gradient
        self._gauge, self._tried = gauge, tried

    def measured(self, one: Metric) -> Array:
        """A measurement of this step, checked: one number for each run [S]."""
        given = {read: one.n if read == "n" else getattr(self, read) for read in one.reads}
        found = np.asarray(one.function(**given), dtype=np.float64)
        right = self.moment.rewards.shape[:1]
        if found.shape != right:
            raise InputError(
                f"measurement {one.name!r} returned shape {found.shape}; it must be one number for each run, "
                f"shape {right}"
            )
        return found

    @cached_property
    def advantage(self) -> Array:
        return self.moment.advantage

    @cached_property
    def used(self) -> Array:
        return self.advantage if self.keep is None else np.where(self.keep, self.advantage, 0.0)

    @cached_property
    def rewards(self) -> Array:
        each, weights = self.moment.rewards, self._gauge.weights
        return np.asarray(each.sum(axis=-1) if weights is None else each @ weights)

    @cached_property
    def basic(self) -> dict[str, Array]:
        truth = self.truth.advantage if "truth" in self._gauge.needs else np.zeros(self.advantage.shape)
        return a.basic(self.advantage, truth, self.rewards, self.keep)

    @cached_property
    def truth(self) -> Truth:
        gradient, weights = "exact_gradient" in self._gauge.reads, self._gauge.weights
        return self.world.truth(self.policy, self.moment.rollouts, gradient=gradient, weights=weights)

    @property
    def exact_gradient(self) -> Any:
        return self.truth.gradient

    @cached_property
    def agent_norms(self) -> Array:
        return g.agent_norms(self.gradient, self.world.agent_axis)

    @property
    def held_out(self) -> Mapping[str, Array]:
        return self._tried()

    @cached_property
    def against_reference(self) -> dict[str, Array]:
        number, weights, step = self._gauge.reference, self._gauge.weights, self.moment.step
        batches = self.world.reference(self.policy, self.moment.rollouts, number, step=step, weights=weights)
        return against_reference(self.gradient, batches)


def _check_asked(world: World, held_out: bool, reference: int, asked: Sequence[Metric]) -> None:
    """Refuse what was asked for and the world can't give."""
    if held_out and not world.can("evaluate"):
        raise InputError(f"evaluate: world {world.name!r} has no held-out problems; leave it out")
    if reference and not world.can("reference"):
        raise InputError(
            f"reference_rollouts={reference}: world {world.name!r} "
            + ("knows its exact gradient; measure 'cosine'" if world.exact else "has none")
        )
    lacking = sorted(m.name for m in asked if "reference" in m.needs)
    if lacking and not reference:
        raise InputError(f"measurement {lacking[0]!r} needs reference_rollouts, the number of rollouts to compare with")
