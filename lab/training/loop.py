"""The one path: rollouts, reward rule, advantage rule, objective, gradient, optimizer. Every world walks it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab import advantages, objectives
from lab.advantages.credit import Credit
from lab.errors import InputError, MissingFieldError, worlds_with
from lab.measures.advantage import FLOORS, per_rollout
from lab.methods import Variant
from lab.objectives.door import Weights
from lab.registry import FIELDS, Rule, find
from lab.sampling.refill import first_slots, refill
from lab.training.learner import Learner
from lab.training.moment import Memory, Moment
from lab.training.settings import Settings
from simulators.random import DRAWS, uniforms
from simulators.records import Policy, Rollouts, World, adopted, check_fields

__all__ = ["Moment", "Settings", "Walk", "lacking", "world_of"]

Array = NDArray[Any]


def world_of(given: Any) -> World:
    """A world, or an object with the methods of one, as a world; InputError names what it lacks."""
    try:
        return adopted(given)
    except TypeError as refusal:
        raise InputError(str(refusal)) from None


@contextmanager
def _named(world: World) -> Iterator[None]:
    """What a world refuses to sample is an InputError that names the world."""
    try:
        yield
    except ValueError as refusal:
        raise InputError(f"world {world.name!r}: {refusal}") from refusal


def lacking(world: World, rule: Rule) -> list[str]:
    """Fields that a rule needs and the world does not provide."""
    return [f for f in rule.required if not FIELDS[f].everywhere and f not in world.provides]


class Walk:
    """A block of seeds of one variant in one world, step by step.

    Args:
        world: The world.
        variant: The method.
        seeds: Seeds of the runs [S].
        settings: Everything else.

    Raises:
        MissingFieldError: A rule of the variant reads a field that the world does not provide, or its objective takes
            the gradient of a score that it does not have.
    """

    def __init__(self, world: World, variant: Variant, seeds: Sequence[int] | Array, settings: Settings) -> None:
        self.world, self.variant, self.settings = world_of(world), variant, settings
        self.advantage = variant.rule("advantage")
        self.objective = variant.rule("objective")
        self.filter, self.reward = variant.rule("filter"), variant.rule("reward")
        self.fields, self.scores = self._wanted(), self._scored()
        self.policy: Policy = world.init(seeds)
        self.max_grad_norm = settings.max_grad_norm or variant.max_grad_norm
        self.learner = Learner(self.policy, settings, self.max_grad_norm)
        started = None if self.reward is None else self.reward.memory
        self.memory: Memory = {} if started is None else {"reward": started(len(self.policy.seeds))}
        self._after = self.memory
        weights = settings.reward_weights
        self.reward_weights = None if weights is None else np.asarray(weights, dtype=np.float64)
        options = variant.options.get("advantage", {})
        self._advantages = advantages.bind(find("advantage", variant.advantage), options, self.reward_weights)
        rule = find("objective", variant.objective)
        self._objective = objectives.bind(rule, variant.options.get("objective", {}))
        self._reads = tuple(f for f in rule.fields if f != "logp_ref")
        self._compares = variant.kl is not None or "logp_ref" in rule.fields
        self.step, self._checked = 0, False

    def _wanted(self) -> tuple[str, ...]:
        """Fields that the rules read and the world has to fill; those that every world has are left out."""
        wanted: set[str] = set()
        for rule in filter(None, (self.advantage, self.objective, self.reward)):
            wanted |= {f for f in rule.fields if f in self.world.provides}
            absent = lacking(self.world, rule)
            if absent:
                has = ", ".join(sorted(self.world.provides)) or "no optional field"
                raise MissingFieldError(
                    f"variant {self.variant.name!r}: {rule.kind} rule {rule.name!r} reads {', '.join(absent)}; "
                    f"world {self.world.name!r} provides {has} ({worlds_with(absent)})"
                )
        return tuple(sorted(f for f in wanted if not FIELDS[f].everywhere))

    def _scored(self) -> tuple[str, ...]:
        """The world's scores on whose gradient the objective's weights act; none of them: log π."""
        assert self.objective is not None
        names: tuple[str, ...] = tuple(self.objective.extras.get("scores", ()))
        absent = [n for n in names if n not in self.world.scores]
        if absent:
            raise MissingFieldError(
                f"variant {self.variant.name!r}: objective {self.objective.name!r} takes the gradient of "
                f"{', '.join(absent)}; world {self.world.name!r} has that of log π alone ({worlds_with(absent)})"
            )
        return names

    @cached_property
    def start(self) -> Policy:
        """The policy before the first step, for KL terms; made when it is first asked for."""
        return self.world.init(self.policy.seeds)

    def look(self, *, gradient: bool = True) -> Moment:
        """Sample, score, weigh and (unless `gradient` is False) differentiate at the present policy; nothing moves."""
        self._after = self.memory
        rollouts = self._sample()
        rewards = self._rewards(rollouts)
        credit = self._credit(rewards, rollouts)
        rollouts, rewards, credit, keep, slots = self._filtered(rollouts, rewards, credit)
        mask = _kept_tokens(rollouts, keep)
        weights = self._weights(rollouts, rewards, credit, mask, rollouts.logp)
        estimate = self._pull(rollouts, weights) if gradient else None
        return Moment(self.step, rollouts, rewards, credit, keep, mask, weights, estimate, slots, self._after)

    def advance(self, moment: Moment) -> Array | None:
        """Move the parameters by the moment's gradient, and by further epochs on the same rollouts.

        Returns:
            Log-probabilities before the last epoch's move [S, P, G, T], or None with one epoch.
        """
        self._ascend(moment.gradient)
        logp_new = None
        for _ in range(self.settings.epochs - 1):
            logp_new = self.world.log_prob(self.policy, moment.rollouts)
            weights = self._weights(moment.rollouts, moment.rewards, moment.credit, moment.mask, logp_new)
            self._ascend(self._pull(moment.rollouts, weights))
        self.step, self.memory = self.step + 1, moment.memory
        return logp_new

    def state(self) -> dict[str, Array]:
        """All that changes from step to step, as arrays: the step, the blocks of parameters, what rules remember."""
        kept = {f"memory/{kind}/{n}": np.array(x) for kind, held in self.memory.items() for n, x in held.items()}
        return {"step": np.array(self.step), **self.learner.state(), **kept}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go back to where `state` was taken, or on to it.

        Raises:
            InputError: It is not the state of such a walk.
        """
        own = dict(state)
        if "parameters" in state:  # as it was written when a policy had one block
            own = {name if name == "step" else f"policy/{name}": array for name, array in state.items()}
        remembered = [f"memory/{kind}/{name}" for kind, held in self.memory.items() for name in held]
        absent = [name for name in ("step", *remembered) if name not in own]
        if absent:
            raise InputError(f"the state has no {absent[0]!r}; it has {', '.join(sorted(own))}")
        self.learner.restore(own)
        self.step = int(own["step"])
        for kind, held in self.memory.items():
            self.memory = self.memory | {kind: {n: np.array(own[f"memory/{kind}/{n}"]) for n in held}}

    def _sample(self, attempt: int = 0) -> Rollouts:
        size = self.settings.group_size + self.variant.extra_rollouts
        with _named(self.world):
            rollouts = self.world.rollout(self.policy, size, self.step, attempt=attempt, fields=self.fields)
        if not self._checked:
            self._check(rollouts)
        return rollouts

    def _check(self, rollouts: Rollouts) -> None:
        try:
            check_fields(rollouts)
        except ValueError as reason:
            raise InputError(f"world {self.world.name!r}: {reason}") from None
        self._checked = True

    def _rewards(self, rollouts: Rollouts) -> Array:
        if self.reward is None:
            return rollouts.rewards
        given = self._given(self.reward, rollouts)
        if "reward" in self._after:
            given["memory"] = self._after["reward"]
        if "mask" in self.reward.fields and given["mask"] is None:
            given["mask"] = np.ones(rollouts.logp.shape, dtype=bool)
        result = self.reward.function(rollouts.rewards, **given)
        if "reward" in self._after:
            result, now = result
            self._after = self._after | {"reward": now}
        return np.asarray(result)

    def _credit(self, rewards: Array, rollouts: Rollouts) -> Credit:
        assert self.advantage is not None
        fields = {f: rollouts.get(f) for f in self.advantage.fields}
        if "greedy_rewards" in self.fields:
            greedy, weights = fields["greedy_rewards"], self.reward_weights
            fields["greedy_rewards"] = greedy.sum(-1) if weights is None else greedy @ weights
        credit = self._advantages(rewards, fields)
        return self._flipped(credit) if self.variant.signflip else credit

    def _flipped(self, credit: Credit) -> Credit:
        """Each rollout's advantage with the other sign, with probability `signflip`; draws of its own."""
        slots, size = credit.advantage.shape[1:3]
        seeds, prompts = self.policy.seeds[:, None, None], np.arange(slots)[:, None]
        u = uniforms(seeds, step=self.step, prompt=prompts, rollout=np.arange(size), draw=DRAWS - 1)
        sign = np.where(u < self.variant.signflip, -1.0, 1.0)
        sign = sign.reshape(*sign.shape, *[1] * (credit.advantage.ndim - 3))
        return credit._replace(advantage=credit.advantage * sign)

    def _given(self, rule: Rule, rollouts: Rollouts) -> dict[str, Any]:
        given = {f: rollouts.get(f) for f in rule.fields}
        return given | {**rule.options, **self.variant.options.get(rule.kind, {})}

    def _filtered(self, rollouts: Rollouts, rewards: Array, credit: Credit) -> tuple[Rollouts, Array, Credit, Any, Any]:
        if self.filter is None:
            return rollouts, rewards, credit, credit.keep, None
        rule, options = self.filter, self.variant.given("filter")

        def useful(scored: Array) -> Array:
            return np.asarray(rule.function(advantages.added(scored, self.reward_weights), **options))

        kept, slots = useful(rewards), None
        if self.variant.refill and not kept.all():
            rollouts, rewards, kept, slots = refill(rollouts, rewards, kept, self.variant.refill, self._again, useful)
            credit = self._own_credit(rewards, rollouts, slots)
        keep = np.repeat(kept[..., None], rewards.shape[-2], axis=-1)
        return rollouts, rewards, credit, keep if credit.keep is None else keep & credit.keep, slots

    def _own_credit(self, rewards: Array, rollouts: Rollouts, slots: Array) -> Credit:
        """Credit of each run from the slots that it needed, whatever else was drawn for the others of its block."""
        parts = {n: self._credit(rewards[:, :n], first_slots(rollouts, n)) for n in np.unique(slots)}
        whole = parts.pop(max(parts))

        def joined(name: str) -> Any:
            array = getattr(whole, name)
            if array is None or not parts:
                return array
            array = array.copy()
            for n, part in parts.items():
                array[slots == n, :n] = getattr(part, name)[slots == n]
            return array

        return Credit(joined("advantage"), joined("keep"), joined("clip_scale"))

    def _again(self, attempt: int) -> tuple[Rollouts, Array]:
        rollouts = self._sample(attempt)
        return rollouts, self._rewards(rollouts)

    def shares(self, moment: Moment) -> list[Any]:
        """What each of the world's prompts adds to the moment's gradient [P], like the parameters; their sum is it."""
        prompts = self.world.prompts  # sampled again, prompts stand in the same order
        own = np.arange(moment.rewards.shape[1]) % prompts == np.arange(prompts)[:, None]
        return [
            self._pull(moment.rollouts, {n: np.where(mine[:, None, None], w, 0.0) for n, w in moment.weights.items()})
            for mine in own
        ]

    def _pull(self, rollouts: Rollouts, weights: Mapping[str, Array]) -> Any:
        return self.world.pull(self.policy, rollouts, weights)

    def _weights(self, rollouts: Rollouts, rewards: Array, credit: Credit, mask: Any, logp_new: Array) -> Weights:
        """Weights of each score at the present policy, the penalty's included."""
        here = {"mask": mask, "rewards": rewards, "clip_scale": credit.clip_scale}
        if self.scores:
            here["scores"] = self.world.scores_of(self.policy, rollouts, self.scores)
        given = {f: here[f] if f in here else rollouts.get(f) for f in self._reads}
        reference = self.world.log_prob(self.start, rollouts) if self._compares else None
        penalty = self.variant.kl, self.variant.kl_beta, reference, mask
        return self._objective(logp_new, credit.advantage, given, *penalty)

    def fast_lane(self, plain_measures: bool) -> Any:
        """The world's kernel that does a whole step, where it has one and this walk is of the plain kind; else None.

        Plain: one step of ascent per batch, no reward rule, no resampling, no penalty, no further field.
        """
        plain = (
            self.settings.optimizer == "sgd" and self.settings.epochs == 1 and plain_measures
            and self.reward is None and self.variant.kl is None and not self.variant.refill and not self.fields
            and self.reward_weights is None and not self.scores
        )  # fmt: skip
        if not plain or not self.world.can("stride"):
            return None
        size = self.settings.group_size + self.variant.extra_rollouts
        with _named(self.world):
            return self.world.stride(self.policy, size, self.step)

    def advance_fast(self, fast: Any, row: Array) -> None:
        """One step in the fast lane: the rules here, everything else in the world's kernel."""
        rollouts = fast.rollouts
        credit = self._credit(rollouts.rewards, rollouts)
        rollouts, rewards, credit, keep, _ = self._filtered(rollouts, rollouts.rewards, credit)
        mask = rollouts.mask if keep is None else _kept_tokens(rollouts, keep)
        weights = self._weights(rollouts, rewards, credit, mask, rollouts.logp)["logp"]
        advantage = credit.advantage if credit.advantage.ndim == 3 else per_rollout(credit.advantage, rollouts.mask)
        limit = np.inf if self.max_grad_norm is None else self.max_grad_norm
        if not fast.advance(advantage, keep, weights, self.settings.lr, limit, row, FLOORS):
            self._not_finite()
        self.step += 1

    def _not_finite(self) -> None:
        raise InputError(
            f"variant {self.variant.name!r}, step {self.step}: the gradient is not finite; its rules gave weights that "
            "are infinite or not a number (lab.advantages.check shows how a rule behaves on standard inputs)"
        )

    def _ascend(self, gradient: Any) -> None:
        if not self.learner.ascend(gradient):
            self._not_finite()


def _kept_tokens(rollouts: Rollouts, keep: Array | None) -> Array | None:
    if keep is None:
        return rollouts.mask
    every = np.ones(rollouts.logp.shape, dtype=bool) if rollouts.mask is None else rollouts.mask
    return every & keep[..., None]
