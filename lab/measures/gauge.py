"""Measuring one step of a block of runs: a row of numbers for each run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lab.errors import InputError
from lab.measures import advantage as a
from lab.measures import gradient as g
from lab.measures.metrics import HELD_OUT, METRICS, MOST_AGENTS, MOST_COMPONENTS, OWN, REFERENCE, columns
from lab.measures.reference import against_reference
from lab.registry import Rule
from simulators.records import Policy, Truth, World

if TYPE_CHECKING:
    from lab.training.loop import Moment

__all__ = ["Gauge"]

Array = NDArray[Any]

#: Measurement -> the method without which a world does not have it.
_NEEDS = (
    dict.fromkeys(("value", "sign_flip", "cosine", "grad_error"), "truth") | dict.fromkeys(HELD_OUT, "evaluate")
    | {"gold": "gold", "entropy": "entropy", "kl_start": "kl"}
)  # fmt: skip
_NEED_GRADIENT = frozenset(("cosine", "grad_error"))


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
        self.exact, self.reference = world.exact, reference
        chosen = {*columns(measure), *(HELD_OUT if held_out else ()), *(REFERENCE if reference else ())}
        _check_asked(world, held_out, reference, chosen)
        self.names = [n for n in METRICS if n in chosen and (n not in _NEEDS or world.can(_NEEDS[n]))]
        if "clip_share" in self.names and "clipped" not in objective.extras:
            self.names.remove("clip_share")
        self.agents = {n: i for i in range(MOST_AGENTS) if (n := f"grad_norm_agent_{i}") in self.names}
        self.names = [n for n in self.names if self.agents.get(n, -1) < len(world.agents)]
        named = len(world.components)
        parts = {f"reward_{k + 1}": k for k in range(MOST_COMPONENTS)}
        self.names = [n for n in self.names if parts.get(n, -1) < (named if named > 1 else 0)]
        self.parts = {n: k for n, k in parts.items() if n in self.names}
        self.plain = not self.names or self.names == columns("basic")
        self.regular = not set(self.names) <= set(HELD_OUT)

    def before(self, policy: Policy, start: Policy, moment: Moment, *, held_out: bool = True) -> dict[str, Array]:
        """Measurements at the policy that sampled, each run over its own slots: one array [S] per name.

        `held_out` says whether held-out problems are tried at this step; where not, they are NaN.
        """
        row = self._own_slots(policy, start, moment)
        if not set(HELD_OUT).isdisjoint(self.names):
            tried = self.world.evaluate(policy, samples=8) if held_out else {}
            none = np.full(len(policy.seeds), np.nan)
            named = zip(HELD_OUT, ("greedy", "sampled", "pass"), strict=True)
            row |= {name: tried.get(there, none) for name, there in named if name in self.names}
        return row

    def _own_slots(self, policy: Policy, start: Policy, moment: Moment) -> dict[str, Array]:
        if moment.slots is None:
            return self._before(policy, start, moment)
        parts = {n: self._before(policy, start, moment.first(n)) for n in np.unique(moment.slots)}
        whole = parts.pop(max(parts))
        for n, part in parts.items():
            for name, values in whole.items():
                whole[name] = np.where(moment.slots == n, part[name], values)
        return whole

    def _before(self, policy: Policy, start: Policy, moment: Moment) -> dict[str, Array]:
        rewards, advantage, keep, gradient = moment.rewards, moment.advantage, moment.keep, moment.policy_gradient
        truth = self._truth(policy, moment)
        total = rewards.sum(axis=-1) if self.weights is None else rewards @ self.weights
        row = {
            **a.basic(advantage, truth.advantage, total, keep),
            "value": truth.value[:, : self.world.prompts].mean(axis=-1), "grad_norm": g.norm(gradient),
        }  # fmt: skip
        if not self.agents.keys().isdisjoint(self.names):
            norms = g.agent_norms(gradient, self.world.agent_axis)
            row |= {name: norms[:, n] for name, n in self.agents.items() if n < norms.shape[1]}
        row |= {
            name: moment.rollouts.rewards[..., k].mean((1, 2)) for name, k in self.parts.items() if name in self.names
        }
        row |= self._further(policy, start, advantage, keep, gradient, truth.gradient)
        row |= {name: _own(name, moment, policy, self.world) for name in self.names if name in OWN}
        if not set(REFERENCE).isdisjoint(self.names):
            batches = self.world.reference(
                policy, moment.rollouts, self.reference, step=moment.step, weights=self.weights
            )
            row |= against_reference(gradient, batches)
        return {name: values for name, values in row.items() if name in self.names}

    def _truth(self, policy: Policy, moment: Moment) -> Truth:
        """The world's truth, or zeros where it has none: what is computed from them is not among the names."""
        if self.exact:
            return self.world.truth(
                policy, moment.rollouts, gradient=not _NEED_GRADIENT.isdisjoint(self.names), weights=self.weights
            )
        none = np.zeros(moment.advantage.shape)
        return Truth(none[..., 0], none, 0 * moment.policy_gradient)

    def _further(
        self, policy: Policy, start: Policy, advantage: Array, keep: Any, gradient: Array, exact: Array
    ) -> dict[str, Array]:
        """The measurements beyond the basic ones, each computed only where it is among the names."""
        used = advantage if keep is None else np.where(keep, advantage, 0.0)
        ways: dict[str, Callable[[], Array]] = {
            "cosine": lambda: g.cosine(gradient, exact),
            "grad_error": lambda: g.relative_error(gradient, exact),
            "advantage_std": lambda: a.advantage_spread(used),
            "levels": lambda: np.asarray(a.distinct_levels(advantage).mean(axis=-1)),
            "effective_rollouts": lambda: a.effective_rollouts(used),
            "entropy": lambda: self.world.entropy(policy),
            "kl_start": lambda: self.world.kl(policy, start),
            "gold": lambda: self.world.gold(policy),
            "kept": lambda: np.ones(len(advantage)) if keep is None else keep.mean(axis=(-2, -1)),
        }
        return {name: ways[name]() for name in self.names if name in ways}

    def after(self, moment: Moment, logp_new: Array | None) -> dict[str, Array]:
        """Measurements after the last epoch of a step: the share of clipped tokens, its mean over several gradients."""
        if "clip_share" not in self.names:
            return {}
        if logp_new is None:
            return {"clip_share": np.zeros(len(moment.rewards))}
        return {"clip_share": np.mean([self._clipped(part, logp_new) for part in moment.parts or (moment,)], axis=0)}

    def _clipped(self, moment: Moment, logp_new: Array) -> Array:
        from lab import objectives

        given = {k: v for k, v in self.options.items() if k in self.objective.options}
        here = {"mask": moment.mask, "clip_scale": moment.credit.clip_scale, "rewards": moment.rewards}
        read = [f for f in self.objective.fields if f != "logp_ref"]
        given |= {f: here[f] if f in here else moment.rollouts.get(f) for f in read}
        share = objectives.clip_share(self.objective.name, logp_new, moment.credit.advantage, **given)
        if share is None:
            raise InputError(f"objective {self.objective.name!r} has no clip test")
        return share


def _own(name: str, moment: Moment, policy: Policy, world: World) -> Array:
    """A measurement that a user declared, checked: one number for each run [S]."""
    found = np.asarray(OWN[name](moment, policy, world), dtype=np.float64)
    if found.shape != moment.rewards.shape[:1]:
        raise InputError(
            f"measurement {name!r} returned shape {found.shape}; it must be one number for each run, shape "
            f"{moment.rewards.shape[:1]}"
        )
    return found


def _check_asked(world: World, held_out: bool, reference: int, chosen: set[str]) -> None:
    """Refuse what was asked for and the world can't give."""
    if held_out and not world.can("evaluate"):
        raise InputError(f"evaluate: world {world.name!r} has no held-out problems; leave it out")
    if reference and not world.can("reference"):
        raise InputError(
            f"reference_rollouts={reference}: world {world.name!r} "
            + ("knows its exact gradient; measure 'cosine'" if world.exact else "has none")
        )
    lacking = sorted(chosen.intersection(REFERENCE))
    if lacking and not reference:
        raise InputError(f"measurement {lacking[0]!r} needs reference_rollouts, the number of rollouts to compare with")
