"""What every world takes and gives: rollouts, truth, policy, and the protocol of a world.

Axes: S independent runs (seeds), P prompts, G rollouts per prompt, K reward components, T tokens
(heads, turns or denoising steps), padded to a common length where rollouts differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "Ints", "Policy", "Rollouts", "Scored", "Truth", "World"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Rollouts:
    """What a world sampled in one step; a field that the world does not have is None.

    Attributes:
        rewards: reward components [S, P, G, K].
        actions: tokens, or the arm of each head [S, P, G, T].
        logp: log-probability of each action under the sampling policy [S, P, G, T], nats.
        mask: which tokens are real [S, P, G, T]; None means all of them.
        prompt: which prompt stands in each slot of the P axis [P] or [S, P]; None means 0..P-1.
        greedy_rewards: rewards of the policy's most likely response [S, P, K].
        logp_ref: log-probability under the reference policy [S, P, G, T], nats.
        turn: index of the turn that each token belongs to [S, P, G, T].
        turn_rewards: process reward of each turn [S, P, G, T].
        agent: index of the agent that acted [S, P, G, T].
        task: index of each prompt's task [P].
        hidden: hidden state in front of the unembedding, for each token [S, P, G, T, D].
        prediction_error: one-hot of the token minus the policy's probabilities [S, P, G, T, V].
        token_rewards: a learned or self-made reward of each token [S, P, G, T].
        pair_scores: what a judge gave rollout i when it was compared with rollout j, both orders of presentation
            added [S, P, G, G]; the diagonal means nothing.
        state: what the policy saw before each token, where the actions alone do not tell it [S, P, G, T].
        lengths: length of each response [S, P, G] in the world's own units, where tokens do not tell it.
    """

    rewards: Floats
    actions: Ints
    logp: Floats
    mask: NDArray[np.bool_] | None = None
    prompt: Ints | None = None
    greedy_rewards: Floats | None = None
    logp_ref: Floats | None = None
    turn: Ints | None = None
    turn_rewards: Floats | None = None
    agent: Ints | None = None
    task: Ints | None = None
    hidden: Floats | None = None
    prediction_error: Floats | None = None
    token_rewards: Floats | None = None
    pair_scores: Floats | None = None
    lengths: Floats | None = None
    state: Ints | None = None


@dataclass(frozen=True, eq=False)
class Truth:
    """What a world knows exactly about a policy and its rollouts.

    Attributes:
        value: expected reward of the prompt in each slot under the policy [S, P].
        advantage: expected reward of each rollout's actions minus `value` [S, P, G].
        gradient: exact gradient of the mean of `value` over the world's prompts, like the
            policy's parameters; None where it was not asked for.
    """

    value: Floats
    advantage: Floats
    gradient: Any = None


@dataclass(frozen=True, eq=False)
class Policy:
    """The parameters of S independent runs.

    Attributes:
        parameters: [S, ...]; the training loop updates it in place.
        seeds: seed of each run [S], uint64.
        memo: scratch space of the world that made the policy (results that depend on `parameters`
            alone, checked against them before every use). A copy of a policy starts without it.
            Because of it, one policy must not be used by two threads at once.
    """

    parameters: Any
    seeds: NDArray[np.uint64]
    memo: dict[str, Any] = field(default_factory=dict, init=False, repr=False)


@runtime_checkable
class World(Protocol):
    """Something that produces rollouts and knows the truth about them.

    Attributes:
        name: short name, as in the command line.
        prompts: number of prompts P.
        provides: names of the optional fields of `Rollouts` that the world can fill.
    """

    name: str
    prompts: int
    provides: tuple[str, ...]

    def init(self, seeds: Sequence[int] | NDArray[Any]) -> Policy:
        """A fresh policy for each seed."""
        ...

    def rollout(
        self,
        policy: Policy,
        group_size: int,
        step: int,
        *,
        attempt: int = 0,
        fields: Sequence[str] = (),
    ) -> Rollouts:
        """Sample `group_size` rollouts of every prompt, with the optional `fields` asked for.

        The result is a pure function of the policy, its seeds, `step` and `attempt` (the number of
        the draw, for a step that samples again).
        """
        ...

    def log_prob(self, policy: Policy, rollouts: Rollouts) -> Floats:
        """Log-probability of each action under `policy` [S, P, G, T], nats."""
        ...

    def gradient(self, policy: Policy, rollouts: Rollouts, weights: Floats) -> Any:
        """Σ w ∇log π over prompts, rollouts and tokens, like the parameters (weights [S,P,G,T])."""
        ...

    def truth(
        self, policy: Policy, rollouts: Rollouts, *, gradient: bool = True, weights: NDArray[Any] | None = None
    ) -> Truth:
        """Exact values and advantages of the weighted sum of the reward components, and on request its gradient.

        `weights` [K] are ones by default; the gradient is that of the mean value over the world's prompts.
        """
        ...

    def entropy(self, policy: Policy) -> Floats:
        """Entropy of the response, averaged over prompts [S], nats."""
        ...

    def kl(self, policy: Policy, other: Policy) -> Floats:
        """KL(policy ‖ other) of the response, averaged over prompts [S], nats."""
        ...


@runtime_checkable
class Scored(World, Protocol):
    """A world with scores beside log π whose gradient can be taken, such as a reward that is a smooth function.

    Attributes:
        scores: names of the scores.
    """

    scores: tuple[str, ...]

    def score(self, policy: Policy, rollouts: Rollouts, names: Sequence[str]) -> Floats:
        """The scores of these names under `policy` [S, P, G, len(names)]."""
        ...

    def score_gradient(self, policy: Policy, rollouts: Rollouts, weights: Floats, names: Sequence[str]) -> Any:
        """Σ w ∇score, like the parameters (weights [S, P, G, len(names)])."""
        ...
