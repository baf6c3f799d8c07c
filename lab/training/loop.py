"""The one path: rollouts, reward rule, advantage rule, objective, gradient, optimizer. Every world walks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab import advantages, objectives
from lab.advantages.credit import Credit
from lab.errors import InputError, check_whole
from lab.measures.advantage import FLOORS, per_rollout
from lab.methods import Variant
from lab.objectives.door import Weights
from lab.registry import Rule, find
from lab.sampling.refill import first_slots, refill
from lab.training.fit import check_components, fields_read, lacking, named, scores_weighed, world_of
from lab.training.learner import Learner
from lab.training.moment import Memory, Moment, acting, kept_tokens
from lab.training.optimizers import on_host
from lab.training.settings import Settings
from simulators.random import DRAWS, uniforms
from simulators.records import Policy, Rollouts, World, check_fields

__all__ = ["Moment", "Settings", "Walk", "lacking", "world_of"]

Array = NDArray[Any]
_Credited = tuple[Credit, Array | None]


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
        self.filter, self.reward, self.combine = (variant.rule(kind) for kind in ("filter", "reward", "combine"))
        self.fields, self.scores = fields_read(self.world, variant), scores_weighed(self.world, variant)
        self.policy: Policy = world.init(seeds)
        self.max_grad_norm = settings.max_grad_norm or variant.max_grad_norm
        self.learner = Learner(self.policy, settings, self.max_grad_norm)
        remembering = [rule for rule in (self.reward, self.combine) if rule and rule.memory]
        self.memory: Memory = {rule.kind: rule.memory(len(self.policy.seeds)) for rule in remembering if rule.memory}
        self._after = self.memory
        weights = settings.reward_weights
        self.reward_weights = None if weights is None else np.asarray(weights, dtype=np.float64)
        options = variant.options.get("advantage", {})
        together = None if self.combine else self.reward_weights  # else each component is weighed by itself
        self._advantages = advantages.bind(find("advantage", variant.advantage), options, together)
        rule = find("objective", variant.objective)
        self._objective = objectives.bind(rule, variant.options.get("objective", {}))
        self._reads = tuple(f for f in rule.fields if f != "logp_ref")
        self._compares = variant.kl is not None or "logp_ref" in rule.fields
        self.step, self._checked = 0, False

    @cached_property
    def start(self) -> Policy:
        """The policy before the first step, for KL terms; made when it is first asked for."""
        return self.world.init(self.policy.seeds)

    def look(self, *, gradient: bool = True) -> Moment:
        """Sample, score, weigh and (unless `gradient` is False) differentiate at the present policy; nothing moves."""
        self._after = self.memory
        drawn = self._sample()
        rollouts, rewards, kept, slots = self._filtered(drawn, self._rewards(drawn))
        moment = self._weighed(self._credited(rollouts, rewards, kept, slots), rollouts.logp)
        estimate = self._pull(rollouts, moment.weights) if gradient else None
        return replace(moment, gradient=estimate, memory=self._after)

    def advance(self, moment: Moment) -> Array | None:
        """Move the parameters by the moment's gradient, and by further epochs on the same rollouts.

        Returns:
            Log-probabilities before the last epoch's move [S, P, G, T], or None with one epoch.
        """
        self._ascend(moment.gradient)
        self._after, logp_new = moment.memory, None
        for _ in range(self.settings.epochs - 1):
            logp_new = self.world.log_prob(self.policy, moment.rollouts)
            self._ascend(self._pull(moment.rollouts, self._weighed(moment, logp_new).weights))
        self.step, self.memory = self.step + 1, self._after
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

    def follow(self, other: Walk) -> None:
        """Stand where another walk of the world stands: its step, its policy, the memory of rules that both have."""
        self.step = other.step
        for name, block in self.policy.blocks.items():
            block[...] = other.policy.blocks[name]
        both = [kind for kind in self.memory if self.variant.rules[kind] == other.variant.rules.get(kind)]
        self.memory = self.memory | {kind: other.memory[kind] for kind in both}

    def _sample(self, attempt: int = 0) -> Rollouts:
        size = self.settings.group_size + self.variant.extra_rollouts
        with named(self.world):
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
        if "mask" in self.reward.fields and given["mask"] is None:
            given["mask"] = np.ones(rollouts.logp.shape, dtype=bool)
        return np.asarray(self._answer(self.reward, rollouts.rewards, given))

    def _answer(self, rule: Rule, given: Array, fields_and_options: Mapping[str, Any]) -> Any:
        """What a rule answers; what it remembers from now on is put aside."""
        if rule.kind not in self._after:
            return rule.function(given, **fields_and_options)
        answer, now = rule.function(given, **fields_and_options, memory=self._after[rule.kind])
        self._after = self._after | {rule.kind: now}
        return answer

    def _credit(self, rewards: Array, rollouts: Rollouts, k: int | None = None) -> Credit:
        """Advantages of the rewards [S, P, G, K]; with `k` those of one component by itself, times its weight."""
        assert self.advantage is not None
        fields, weights = {f: rollouts.get(f) for f in self.advantage.fields}, self.reward_weights
        if "greedy_rewards" in self.fields:
            greedy = fields["greedy_rewards"]
            total = greedy.sum(-1) if weights is None else greedy @ weights
            fields["greedy_rewards"] = total if k is None else greedy[..., k]
        credit = self._advantages(rewards if k is None else rewards[..., k : k + 1], fields)
        if k is not None and weights is not None:
            credit = credit._replace(advantage=credit.advantage * weights[k])
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
        told = {"step": self.step} if "step" in rule.options else {}
        return given | {**rule.options, **told, **self.variant.options.get(rule.kind, {})}

    def _filtered(self, rollouts: Rollouts, rewards: Array) -> tuple[Rollouts, Array, Any, Any]:
        """Rollouts, rewards, prompts that the filter keeps [S, P] and slots, once dropped prompts are drawn again."""
        if self.filter is None:
            return rollouts, rewards, None, None
        rule, options = self.filter, self.variant.given("filter")

        def useful(scored: Array) -> Array:
            return np.asarray(rule.function(advantages.added(scored, self.reward_weights), **options))

        kept = useful(rewards)
        if not self.variant.refill or kept.all():
            return rollouts, rewards, kept, None
        return refill(rollouts, rewards, kept, self.variant.refill, self._again, useful)

    def _own_credit(self, rewards: Array, rollouts: Rollouts, slots: Any, k: int | None = None) -> Credit:
        """Credit of each run from the slots that it needed, whatever else was drawn for the others of its block."""
        if slots is None:
            return self._credit(rewards, rollouts, k)
        parts = {n: self._credit(rewards[:, :n], first_slots(rollouts, n), k) for n in np.unique(slots)}
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

    def _kept(self, rewards: Array, rollouts: Rollouts, kept: Any, slots: Any, k: int | None = None) -> _Credited:
        """Credit, and the rollouts that take part: those that neither the filter nor the advantage rule leaves out."""
        credit = self._own_credit(rewards, rollouts, slots, k)
        if kept is None:
            return credit, credit.keep
        keep = np.repeat(kept[..., None], rewards.shape[-2], axis=-1)
        return credit, keep if credit.keep is None else keep & credit.keep

    def _credited(self, rollouts: Rollouts, rewards: Array, kept: Any, slots: Any, k: int | None = None) -> Moment:
        """The step before anything is weighed; with `k`, of one reward component by itself."""
        own = rewards if k is None else rewards[..., k : k + 1]
        if self.combine is None or k is not None:
            credit, keep = self._kept(rewards, rollouts, kept, slots, k)
            return Moment(self.step, rollouts, own, credit, keep, kept_tokens(rollouts, keep), {}, None, slots)
        check_components(self.world, self.variant, rewards.shape[-1], self.reward_weights)
        parts = tuple(self._credited(rollouts, rewards, kept, slots, k) for k in range(rewards.shape[-1]))
        return replace(parts[0], rewards=rewards, parts=parts)

    def _again(self, attempt: int) -> tuple[Rollouts, Array]:
        rollouts = self._sample(attempt)
        return rollouts, self._rewards(rollouts)

    def shares(self, moment: Moment) -> list[Any]:
        """What each of the world's prompts adds to the gradient of the block that acts [P]; their sum is that."""
        prompts = self.world.prompts  # sampled again, prompts stand in the same order
        weighed = moment.weights.items()
        own = np.arange(moment.rewards.shape[1]) % prompts == np.arange(prompts)[:, None]
        return [
            acting(self._pull(moment.rollouts, {n: np.where(mine[:, None, None], w, 0.0) for n, w in weighed}))
            for mine in own
        ]

    def _pull(self, rollouts: Rollouts, weights: Mapping[str, Array]) -> Any:
        return self.world.pull(self.policy, rollouts, weights)

    def _weighed(self, moment: Moment, logp_new: Array) -> Moment:
        """The step with the weights of each score at the present policy, the penalty's included."""
        if self.combine is None:
            weights = self._weights(moment.rollouts, moment.rewards, moment.credit, moment.mask, logp_new)
            return replace(moment, weights=weights)
        parts = tuple(
            replace(
                part, weights=self._weights(part.rollouts, part.rewards, part.credit, part.mask, logp_new, kl=False)
            )
            for part in moment.parts
        )
        whole = replace(moment, parts=parts).joined(self._shares(parts))
        penalty = self._penalty(whole, logp_new)
        if penalty is None:
            return whole
        return replace(whole, weights=whole.weights | {"logp": whole.weights.get("logp", 0.0) + penalty})

    def _shares(self, parts: Sequence[Moment]) -> Array:
        """Share of each part [K, S], from the gradient that it has by itself."""
        assert self.combine is not None
        gradients = self._gradients(parts)
        given = self._given(self.combine, parts[0].rollouts)
        shares = np.asarray(self._answer(self.combine, gradients, given), dtype=np.float64)
        if shares.shape != gradients.shape[:2]:
            raise InputError(
                f"variant {self.variant.name!r}: combining rule {self.combine.name!r} gives shape {shares.shape}; it "
                f"must be one share for each component and run, {gradients.shape[:2]}"
            )
        return shares

    def _gradients(self, parts: Sequence[Moment]) -> Array:
        """The gradient of each part [K, S, N]; [K, S, 0] between the steps at which the rule asks for them."""
        assert self.combine is not None
        every = self.variant.given("combine").get("every", 1)
        if self.step % check_whole("every", every, 1):
            return np.empty((len(parts), len(self.policy.seeds), 0))
        pulls = [on_host(acting(self._pull(part.rollouts, part.weights))) for part in parts]
        gradients = np.stack([pull.reshape(len(pull), -1) for pull in pulls])
        if not np.isfinite(gradients).all():
            self._not_finite()
        return gradients

    def _weights(
        self, rollouts: Rollouts, rewards: Array, credit: Credit, mask: Any, logp_new: Array, *, kl: bool = True
    ) -> Weights:
        """Weights of each score at the present policy, with the penalty's unless `kl` is False."""
        given = self._read(rollouts, rewards, credit, mask)
        reference = self.world.log_prob(self.start, rollouts) if self._compares else None
        return self._objective(logp_new, credit.advantage, given, self.variant.kl if kl else None,
                               self.variant.kl_beta, reference, mask)  # fmt: skip

    def _read(self, rollouts: Rollouts, rewards: Array, credit: Credit, mask: Any) -> dict[str, Any]:
        """Fields that the objective reads."""
        here = {"mask": mask, "rewards": rewards, "clip_scale": credit.clip_scale}
        if self.scores:
            here["scores"] = self.world.scores_of(self.policy, rollouts, self.scores)
        return {f: here[f] if f in here else rollouts.get(f) for f in self._reads}

    def _penalty(self, moment: Moment, logp_new: Array) -> Array | None:
        """Weights on log π of the penalty alone, where there is one: it counts once, whatever is combined."""
        kl, beta = self.variant.kl, self.variant.kl_beta
        if kl is None or beta == 0.0:
            return None
        assert self.objective is not None
        read = self._read(moment.rollouts, moment.rewards, moment.credit, moment.mask)
        given = {"mask": moment.mask, **self.variant.options.get("objective", {}), **read}
        return objectives.penalty(
            self.objective, given, logp_new, kl, beta, self.world.log_prob(self.start, moment.rollouts)
        )

    def fast_lane(self, plain_measures: bool) -> Any:
        """The world's kernel that does a whole step, where it has one and this walk is of the plain kind; else None.

        Plain: one step of ascent per batch along one gradient, no reward rule, no resampling, no penalty, no further
        field or block.
        """
        plain = (
            self.settings.optimizer == "sgd" and self.settings.epochs == 1 and plain_measures
            and self.reward is None and self.variant.kl is None and not self.variant.refill and not self.fields
            and self.reward_weights is None and not self.scores and self.combine is None and not self.policy.further
        )  # fmt: skip
        if not plain or not self.world.can("stride"):
            return None
        size = self.settings.group_size + self.variant.extra_rollouts
        with named(self.world):
            return self.world.stride(self.policy, size, self.step)

    def advance_fast(self, fast: Any, row: Array) -> None:
        """One step in the fast lane: the rules here, everything else in the world's kernel."""
        rollouts = fast.rollouts
        rollouts, rewards, kept, slots = self._filtered(rollouts, rollouts.rewards)
        credit, keep = self._kept(rewards, rollouts, kept, slots)
        mask = rollouts.mask if keep is None else kept_tokens(rollouts, keep)
        weights = self._weights(rollouts, rewards, credit, mask, rollouts.logp)["logp"]
        advantage = credit.advantage if credit.advantage.ndim == 3 else per_rollout(credit.advantage, rollouts.mask)
        limit = np.inf if self.max_grad_norm is None else self.max_grad_norm
        if not fast.advance(advantage, keep, weights, self.learner.optimizers["policy"].lr, limit, row, FLOORS):
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
