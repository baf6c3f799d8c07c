"""A Gaussian policy trained on a learned reward, with the exact gold reward and the exact KL beside.

Responses are x = μ + ε, ε ~ N(0, I), in 16 dimensions, and the policy is μ. Every run has its own annotators and its
own reward model, so that bands over runs hold what differs between data sets too.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from simulators.errors import check_count, one_of
from simulators.learned_reward.annotators import Comparisons, annotate
from simulators.learned_reward.fitters import FITTERS, Fitter
from simulators.learned_reward.fitting import standardised
from simulators.learned_reward.gold import WIDTH
from simulators.learned_reward.gold import gold as gold_reward
from simulators.random import uniforms
from simulators.records import Floats, Policy, Rollouts, Truth, World, declare_field
from simulators.runs import asked, started

__all__ = ["LearnedReward", "Model"]

declare_field("response", "SPGD", "features of each response")
declare_field("reference_rewards", "SPMK", "rewards of responses of the initial policy to the same prompt")

_REFERENCE = 1 << 20  # attempt of the draws of the references


class Model(Protocol):
    """S reward models: scores [S, ...] of responses [S, ..., D], their means and slopes under N(at, I), at [S, D]."""

    def __call__(self, responses: Floats) -> Floats:
        """Scores [S, ...]."""
        ...

    def mean(self, at: Floats) -> Floats:
        """E score [S]."""
        ...

    def slope(self, at: Floats) -> Floats:
        """Gradient of `mean` [S, D]."""
        ...


class LearnedReward(World):
    """A Gaussian policy whose reward was learned from comparisons of base responses.

    All P groups of a step are drawn from one policy N(μ, I), which starts at 0.

    Args:
        gold: "bowl", "linear" or "mlp", see `simulators.learned_reward.gold`.
        comparisons: of each run.
        flips: share of labels that are swapped.
        beta: sharpness of the annotators.
        personas: kinds of annotators, who each want something of their own beside the gold reward.
        disagreement: how much that weighs, in standard deviations of the gold reward.
        reward_model: a name of `simulators.learned_reward.fitters`, or a function (comparisons, seeds) -> S of `Model`.
        prompts: groups in a step P.
        references: base responses M of each group whose rewards a rule may read.
        seed: of the gold reward.

    Attributes:
        meant: the gold reward.

    Raises:
        ValueError: sizes below one, no such gold or reward model.

    Source: preference-substrate card, Gaussian policy.
    """

    name = "learned-reward"
    provides: tuple[str, ...] = ("response", "reference_rewards")
    components: tuple[str, ...] = ("proxy",)

    def __init__(
        self, gold: str = "bowl", *, comparisons: int = 300, flips: float = 0.0, beta: float = 2.0, personas: int = 1,
        disagreement: float = 0.0, reward_model: str | Fitter = "bradley-terry", prompts: int = 16,
        references: int = 10, seed: int = 0,
    ) -> None:  # fmt: skip
        self.prompts = check_count("prompts", prompts, least=1)
        self.comparisons = check_count("comparisons", comparisons, least=1)
        self.references = check_count("references", references, least=1)
        self.meant = gold_reward(gold, seed)
        self.meant.mean(np.zeros((1, WIDTH)))  # refuses what no Gaussian policy can draw
        self.label = reward_model if isinstance(reward_model, str) else getattr(reward_model, "__name__", "own")
        self._fit = one_of("reward model", reward_model, FITTERS) if isinstance(reward_model, str) else reward_model
        self._annotate = partial(
            annotate, self.meant, beta=beta, flips=flips, personas=personas, disagreement=disagreement
        )
        self._annotate(1)  # refuses annotators that are none
        self._models: dict[int, Any] = {}
        self._one = threading.Lock()

    def __repr__(self) -> str:
        noise = ", ".join(f"{name}={value:g}" for name, value in self._annotate.keywords.items())
        return f"LearnedReward({self.meant.name}, comparisons={self.comparisons}, {noise}, reward_model={self.label})"

    def init(self, seeds: Sequence[int] | NDArray[Any]) -> Policy:
        """μ = 0 [S, 16] for S seeds, whose reward models are fitted here."""
        policy = started(np.zeros(WIDTH), seeds)
        self.models(policy.seeds)
        return policy

    def data(self, seeds: Sequence[int] | NDArray[Any]) -> Comparisons:
        """The comparisons of these runs [S, N, 16]."""
        return self._annotate(self.comparisons, seeds=[int(s) for s in seeds])

    def models(self, seeds: Sequence[int] | NDArray[Any]) -> list[Any]:
        """The reward model of each run, with mean 0 and deviation 1 on base responses."""
        keys = [int(s) for s in seeds]
        with self._one:
            due = [s for s in dict.fromkeys(keys) if s not in self._models]
            if due:
                found = standardised(self._fit(self.data(due), due), self.meant.draw)
                self._models |= {s: found[[i]] for i, s in enumerate(due)}
        return [self._models[s] for s in keys]

    def rollout(
        self, policy: Policy, group_size: int, step: int, *, attempt: int = 0, fields: Sequence[str] = ()
    ) -> Rollouts:
        """P groups of G responses; the action of a response is 0, and `response` [S, P, G, 16] says what it is.

        Args:
            policy: Centres and seeds of the runs.
            group_size: G.
            step: This and `attempt` tell the draws.
            attempt: Number of the draw, for a step that samples again.
            fields: "reference_rewards" [S, P, M, 1], of base responses that are the same at every step.
        """
        groups, step, attempt = asked(self, policy, group_size, step, attempt, fields, each=4 * WIDTH)
        noise = self._noise(policy.seeds, groups, step=step, attempt=attempt)
        response = policy.parameters[:, None, None] + noise
        extra = {"response": response}
        if "reference_rewards" in fields:
            base = self._noise(policy.seeds, self.references, step=0, attempt=_REFERENCE)
            extra["reference_rewards"] = self.proxy(policy, base)[..., None]
        rewards, actions = self.proxy(policy, response), np.zeros((*response.shape[:-1], 1), np.int64)
        return Rollouts(rewards[..., None], actions, _density(noise)[..., None], extra=extra)

    def _noise(self, seeds: NDArray[np.uint64], groups: int, **counters: int) -> Floats:
        """Normals [S, P, G, 16] (Box and Muller)."""
        u = uniforms(seeds[:, None, None, None], **counters, prompt=np.arange(self.prompts)[:, None, None],
                     rollout=np.arange(groups)[:, None], draw=np.arange(WIDTH))  # fmt: skip
        radius, angle = np.sqrt(-2 * np.log1p(-u[..., ::2])), 2 * np.pi * u[..., 1::2]
        return np.concatenate((radius * np.cos(angle), radius * np.sin(angle)), axis=-1)

    def proxy(self, policy: Policy, response: Floats) -> Floats:
        """Learned reward [S, ...] of responses [S, ..., 16], by the model of each run."""
        return np.concatenate([m(x[None]) for m, x in zip(self.models(policy.seeds), response, strict=True)])

    def log_prob(self, policy: Policy, rollouts: Rollouts) -> Floats:
        """Log-density of each response under `policy` [S, P, G, 1], nats."""
        return _density(self._away(policy, rollouts))[..., None]

    def _away(self, policy: Policy, rollouts: Rollouts) -> Floats:
        if np.any(rollouts.actions):
            raise ValueError("the action of a response is 0; what was drawn stands in 'response'")
        return np.asarray(rollouts.extra["response"] - policy.parameters[:, None, None])

    def gradient(self, policy: Policy, rollouts: Rollouts, weights: Floats) -> Floats:
        """Σ w ∇log π = Σ w (x − μ) [S, 16], the weights [S, P, G, 1]."""
        return np.asarray((weights * self._away(policy, rollouts)).sum((1, 2)))

    def truth(
        self, policy: Policy, rollouts: Rollouts, *, gradient: bool = True, weights: NDArray[Any] | None = None
    ) -> Truth:
        """Exact mean of the learned reward, of which training makes more, and its gradient [S, 16]."""
        scale = 1.0 if weights is None else float(np.asarray(weights)[0])
        models, at = self.models(policy.seeds), policy.parameters
        value = scale * np.concatenate([m.mean(row[None]) for m, row in zip(models, at, strict=True)])
        shape = rollouts.rewards.shape[:2]
        advantage = scale * rollouts.rewards[..., 0] - value[:, None, None]
        slope = np.concatenate([m.slope(row[None]) for m, row in zip(models, at, strict=True)]) if gradient else None
        return Truth(np.broadcast_to(value[:, None], shape).copy(), advantage, None if slope is None else scale * slope)

    def entropy(self, policy: Policy) -> Floats:
        """Entropy of a response [S], nats: that of 16 standard normals."""
        return np.full(policy.seeds.size, 0.5 * WIDTH * (1 + np.log(2 * np.pi)))

    def kl(self, policy: Policy, other: Policy) -> Floats:
        """KL(policy ‖ other) of a response [S], nats: ‖μ − μ'‖²/2."""
        return np.asarray(((policy.parameters - other.parameters) ** 2).sum(-1) / 2)

    def gold(self, policy: Policy) -> Floats:
        """Expected gold reward [S], exact."""
        return self.meant.mean(policy.parameters)


def _density(noise: Floats) -> Floats:
    return -0.5 * ((noise**2).sum(-1) + noise.shape[-1] * np.log(2 * np.pi))
