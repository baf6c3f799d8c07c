"""The bandit world: each prompt a softmax over arms, each arm a mean reward, all truth in a sum.

A prompt has H heads (usually one), each an independent softmax over A arms with its own logits.
Head h takes arm a_h and yields reward component h, drawn from the reward law around
means[p, h, a_h]. A head is a token of the rollout, so T = K = H.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulators import reward_laws
from simulators.bandit import kernels
from simulators.bandit import step as lane
from simulators.errors import check_numbers
from simulators.records import Floats, Ints, Policy, Rollouts, Truth, World
from simulators.reward_laws import BERNOULLI, Law
from simulators.runs import asked, started
from simulators.softmax import Tables, initial, tables
from simulators.stride import Stride
from simulators.stride import warm as warm_stride

__all__ = ["Bandit", "warm"]


class Bandit(World):
    """A contextual bandit with a softmax policy per prompt and head.

    Args:
        success: expected reward of each arm, [A], [P, A] or [P, H, A]; under the Bernoulli law
            this is its probability of success.
        means: another name for `success`, for laws where it is no probability.
        law: the reward law or its name (`simulators.reward_laws`), or one per head. All laws but
            Bernoulli are additive: reward = mean + X − centre.
        logits: initial logits, broadcast to [P, H, A].

    Raises:
        ValueError: for shapes that do not fit, numbers that are not finite, a success outside
            [0, 1], an unknown law, or one without a mean.
    """

    name = "bandit"
    provides: tuple[str, ...] = ("greedy_rewards",)

    def __init__(
        self,
        success: ArrayLike | None = None,
        *,
        means: ArrayLike | None = None,
        law: str | Law | Sequence[str | Law] = "bernoulli",
        logits: ArrayLike = 0.0,
    ) -> None:
        if (success is None) == (means is None):
            raise ValueError("Bandit needs success=[P, A] or means=[P, H, A], and not both")
        self.means = _checked_means(success if means is None else means)
        self.laws = _checked_laws(law, self.means)
        self.logits = initial(logits, self.means.shape, "[P, H, A]")
        self.prompts, self.heads, self.arms = self.means.shape
        noise = np.zeros((self.heads, max(len(one.parameters) for one in self.laws)))
        for row, one in zip(noise, self.laws, strict=True):
            row[: len(one.parameters)] = one.parameters
        codes, centres = ([getattr(x, k) for x in self.laws] for k in ("code", "centre"))
        self.tables = self.means, np.array(codes), noise, np.array(centres, np.float64)

    def __repr__(self) -> str:
        sizes = f"prompts={self.prompts}, heads={self.heads}, arms={self.arms}"
        return f"Bandit({sizes}, law={', '.join(map(str, dict.fromkeys(self.laws)))})"

    def init(self, seeds: Sequence[int] | NDArray[Any]) -> Policy:
        """The initial logits [S, P, H, A] for S seeds, integers from 0 to 2**64 − 1."""
        return started(self.logits, seeds)

    def rollout(
        self, policy: Policy, group_size: int, step: int, *, attempt: int = 0, fields: Sequence[str] = ()
    ) -> Rollouts:
        """Sample G rollouts of every prompt: rewards, actions and logp [S, P, G, H].

        Args:
            policy: logits [S, P, H, A].
            group_size: G, at least 1.
            step: counter of the training step, from 0.
            attempt: counter of the draw within the step, for filters that sample again.
            fields: "greedy_rewards" also draws the reward of each prompt's most likely arms.

        Raises:
            ValueError: for G < 1, a negative counter, or a field that a bandit does not provide.
        """
        groups, step, attempt = asked(self, policy, group_size, step, attempt, fields, each=4 * self.heads)
        table = self._tables(policy)
        world = self.tables
        counters = policy.seeds, np.uint64(step), np.uint64(attempt)
        shape = (policy.seeds.size, self.prompts, groups, self.heads)
        out = np.empty(shape), np.empty(shape, np.int64), np.empty(shape)
        kernels.sample(*world, *counters, table.logits, table.cumulative, table.log_total, *out)
        greedy = None
        if fields:
            greedy = np.empty((policy.seeds.size, self.prompts, self.heads))
            kernels.sample_greedy(*world, *counters, table.logits, greedy)
        return Rollouts(*out, greedy_rewards=greedy)

    def stride(self, policy: Policy, group_size: int, step: int) -> Stride:
        """The fast lane of the training loop: one kernel call per step, see `simulators.bandit.step`."""
        rollouts = self.rollout(policy, group_size, step)
        truth, moved = np.empty((self.prompts, group_size)), np.empty((self.prompts, self.heads), np.bool_)
        scratch = np.empty(self.means.shape), np.empty(self.prompts), truth, moved
        return Stride(lane.advance, policy, rollouts, step, self.tables, scratch)

    def log_prob(self, policy: Policy, rollouts: Rollouts) -> Floats:
        """log π(a) of each head's arm under `policy` [S, P, G, H], nats."""
        table = self._tables(policy)
        slots, actions = self._checked(policy, rollouts)
        out = np.empty(actions.shape)
        self._check_arms(kernels.log_prob(table.logits, table.log_total, slots, actions, out))
        return out

    def gradient(self, policy: Policy, rollouts: Rollouts, weights: ArrayLike) -> Floats:
        """Σ w ∇log π with respect to the logits [S, P, H, A].

        ∂/∂logit(p,h,b) = Σ over rollouts g of the prompt's slots of w · (1[a = b] − π(b)).

        Args:
            policy: logits [S, P, H, A].
            rollouts: actions [S, P, G, H]; several slots may stand for one prompt.
            weights: w, of the same shape as the actions.
        """
        table = self._tables(policy)
        slots, actions = self._checked(policy, rollouts)
        w = np.ascontiguousarray(weights, np.float64)
        if w.shape != actions.shape:
            raise ValueError(f"weights must have the actions' shape {actions.shape}, not {w.shape}")
        out = np.zeros(table.logits.shape)
        self._check_arms(kernels.score_gradient(table.probabilities, slots, actions, w, out))
        return out

    def truth(
        self,
        policy: Policy,
        rollouts: Rollouts,
        *,
        gradient: bool = True,
        weights: ArrayLike | None = None,
    ) -> Truth:
        """Exact value, advantages and gradient of the weighted sum of the reward components.

        value = Σ_h c_h Σ_a π_h(a) means(p,h,a);  advantage = Σ_h c_h means(p,h,a_h) − value.

        Args:
            policy: logits [S, P, H, A].
            rollouts: actions [S, P, G, H]; value and advantage are those of its slots.
            gradient: also give the gradient of the mean value over all prompts of the world
                [S, P, H, A]: c π (means − value of the head) / P.
            weights: c, the weight of each component [K]; ones by default.
        """
        table = self._tables(policy)
        slots, actions = self._checked(policy, rollouts)
        means = self.means if weights is None else self.means * self._components(weights)
        values = np.empty(table.log_total.shape)
        value, advantage = np.empty(slots.shape), np.empty(actions.shape[:3])
        pi = table.probabilities
        self._check_arms(kernels.expected_rewards(means, pi, slots, actions, values, value, advantage))
        exact = pi * (means - values[..., None]) / self.prompts if gradient else None
        return Truth(value, advantage, exact)

    def responses(self, policy: Policy) -> tuple[Floats, list[Floats], list[Floats]] | None:
        """The arms of the first run and the chance of a reward of 0 or 1, where there is one head; see `World`."""
        if self.heads > 1 or self.laws[0].code != BERNOULLI:
            return None
        shares = [np.stack([1 - q, q], axis=-1) for q in self.means[:, 0]]
        return self._tables(policy).probabilities[0, :, 0], [np.array([0.0, 1.0])] * self.prompts, shares

    def entropy(self, policy: Policy) -> Floats:
        """−Σ π log π, summed over heads, averaged over prompts [S], nats."""
        return -_mean_log(self._tables(policy), self._tables(policy))

    def kl(self, policy: Policy, other: Policy) -> Floats:
        """Σ π log(π / π_other), summed over heads, averaged over prompts [S], nats."""
        ours, theirs = self._tables(policy), self._tables(other)
        if ours.logits.shape != theirs.logits.shape:
            raise ValueError("kl needs two policies of the same number of seeds")
        return np.maximum(_mean_log(ours, ours) - _mean_log(ours, theirs), 0.0)

    def _tables(self, policy: Policy) -> Tables:
        shape = np.shape(policy.parameters)
        if len(shape) != 4 or shape[1:] != self.means.shape or shape[0] != policy.seeds.size:
            wanted = (policy.seeds.size, *self.means.shape)
            raise ValueError(f"the policy of this bandit has logits {wanted}, not {shape}")
        return tables(policy)

    def _checked(self, policy: Policy, rollouts: Rollouts) -> tuple[Ints, Ints]:
        """The prompt of each slot [S, P] and the actions [S, P, G, H], fit for the kernels."""
        actions = np.ascontiguousarray(rollouts.actions, np.int64)
        if actions.ndim != 4 or (actions.shape[0], actions.shape[3]) != (
            policy.seeds.size,
            self.heads,
        ):
            wanted = f"({policy.seeds.size}, P, G, {self.heads})"
            raise ValueError(f"actions must have shape {wanted}, not {actions.shape}")
        prompt = np.arange(self.prompts) if rollouts.prompt is None else rollouts.prompt
        if np.shape(prompt)[-1:] != actions.shape[1:2]:
            raise ValueError(f"{actions.shape[1]} slots of actions, {np.shape(prompt)} prompts")
        if rollouts.prompt is not None and not np.all((prompt >= 0) & (prompt < self.prompts)):
            raise ValueError(f"rollouts.prompt must lie in 0..{self.prompts - 1}")
        slots = np.broadcast_to(prompt, actions.shape[:2])
        return np.ascontiguousarray(slots, np.int64), actions

    def _check_arms(self, valid: bool) -> None:
        if not valid:
            raise ValueError(f"actions must lie in 0..{self.arms - 1}")

    def _components(self, weights: ArrayLike) -> Floats:
        c = np.asarray(weights, np.float64)
        if c.shape != (self.heads,) or not np.isfinite(c).all():
            raise ValueError(f"weights must be {self.heads} finite numbers, one per component")
        return c[:, None]


def warm() -> None:
    """Compile every kernel of the bandit, or load it from the disk cache."""
    world = Bandit(np.full((1, 2), 0.5))
    policy = world.init([0])
    rollouts = world.rollout(policy, 2, 0, fields=("greedy_rewards",))
    world.gradient(policy, rollouts, world.log_prob(policy, rollouts))
    world.truth(policy, rollouts)
    world.kl(policy, policy)
    warm_stride(world.stride(policy, 2, 0))


def _checked_means(means: Any) -> Floats:
    table = check_numbers("the expected rewards of the arms", means)
    if table.ndim not in (1, 2, 3) or table.size == 0:
        raise ValueError(f"arms must have shape [A], [P, A] or [P, H, A], not {table.shape}")
    shape = {1: (1, 1, -1), 2: (table.shape[0], 1, -1), 3: table.shape}[table.ndim]
    return table.reshape(shape)


def _checked_laws(law: str | Law | Sequence[str | Law], means: Floats) -> tuple[Law, ...]:
    """One law per head of `means` [P, H, A]; Bernoulli heads need means from 0 to 1."""
    heads = means.shape[1]
    given = [law] * heads if isinstance(law, str | Law) else law
    laws = tuple(map(reward_laws.law, given))
    if len(laws) != heads:
        raise ValueError(f"law must be one law, or one for each of the {heads} heads, not {law}")
    for one, table in zip(laws, means.swapaxes(0, 1), strict=True):
        if one.code == BERNOULLI and not ((table >= 0) & (table <= 1)).all():
            raise ValueError(f"success must be from 0 to 1, not {table.min():g} to {table.max():g}")
        if np.isnan(one.mean):
            raise ValueError(f"{one} has no mean, so a bandit with it has no expected reward")
    return laws


def _mean_log(weights: Tables, policy: Tables) -> Floats:
    """E[log policy(a)] with arms from `weights`, summed over heads, averaged over prompts [S]."""
    out = np.empty(policy.logits.shape[0])
    kernels.expected_log(weights.probabilities, policy.logits, policy.log_total, out)
    return out
