"""What every world takes and gives: rollouts, truth, policy, and the base of every world.

Axes: S independent runs (seeds), P prompts, G rollouts per prompt, K reward components, T tokens
(heads, turns or denoising steps), padded to a common length where rollouts differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "Ints", "Policy", "Rollouts", "Scored", "Truth", "World", "adopted"]

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


class World:
    """Something that produces rollouts and, where it can, knows the truth about them.

    A world has a `name` and a number of `prompts`, and defines the first four methods; what it can do beyond them is
    up to it. The base says no to all the rest, so that `can` answers for every world.

    Attributes:
        name: short name, as in the command line.
        prompts: number of prompts P.
        provides: names of the optional fields of `Rollouts` that the world can fill.
        components: names of the reward components [K]; none where they need no names.
        scores: names of the scores beside log π whose gradient can be taken, see `Scored`.
        agents: names of the agents, where several act.
        agent_axis: axis of the parameters and of a gradient along which the agents stand.
        together: most runs that one thread should walk side by side; None: any number.
        fresh: whether each step has prompts of its own, so that those of two steps cannot be compared.
    """

    name: str
    prompts: int
    provides: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    agent_axis: int = 0
    together: int | None = None
    fresh: bool = False

    def init(self, seeds: Sequence[int] | NDArray[Any]) -> Policy:
        """A fresh policy for each seed."""
        raise self._cannot("init")

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
        raise self._cannot("rollout")

    def log_prob(self, policy: Policy, rollouts: Rollouts) -> Floats:
        """Log-probability of each action under `policy` [S, P, G, T], nats."""
        raise self._cannot("log_prob")

    def gradient(self, policy: Policy, rollouts: Rollouts, weights: Floats) -> Any:
        """Σ w ∇log π over prompts, rollouts and tokens, like the parameters (weights [S,P,G,T])."""
        raise self._cannot("gradient")

    def truth(
        self, policy: Policy, rollouts: Rollouts, *, gradient: bool = True, weights: NDArray[Any] | None = None
    ) -> Truth:
        """Exact values and advantages of the weighted sum of the reward components, and on request its gradient.

        `weights` [K] are ones by default; the gradient is that of the mean value over the world's prompts.
        """
        raise self._cannot("truth")

    def entropy(self, policy: Policy) -> Floats:
        """Entropy of the response, averaged over prompts [S], nats."""
        raise self._cannot("entropy")

    def kl(self, policy: Policy, other: Policy) -> Floats:
        """KL(policy ‖ other) of the response, averaged over prompts [S], nats."""
        raise self._cannot("kl")

    def gold(self, policy: Policy) -> Floats:
        """What the rewards stand for, and training does not see [S]."""
        raise self._cannot("gold")

    def evaluate(self, policy: Policy, samples: int = 8) -> Mapping[str, Floats]:
        """Accuracy on problems kept apart [S]: "greedy", "sampled", and "pass", right at least once in `samples`."""
        raise self._cannot("evaluate")

    def reference(
        self, policy: Policy, rollouts: Rollouts, number: int, *, step: int, weights: NDArray[Any] | None = None
    ) -> Floats:
        """Estimates [B, S, ...] of the gradient from `number` rollouts of their own, in a world without a truth."""
        raise self._cannot("reference")

    def stride(self, policy: Policy, group_size: int, step: int) -> Any:
        """The fast lane of the training loop: whole steps in one kernel, see `simulators.stride`.

        It has the numbers of the class that wrote it. A class that draws or weighs its rollouts in another way does
        not inherit it: `can("stride")` is false, unless it says `stride = Base.stride` itself.
        """
        raise self._cannot("stride")

    def pieces(self, tokens: Sequence[int] | NDArray[Any], prompt: int = 0) -> list[str]:
        """What each action of a response to a prompt says, "" for what ends it; its number where it has no words."""
        return [str(int(t)) for t in tokens]

    def problem(self, prompt: int) -> tuple[str, str]:
        """The question of a prompt and a right answer, in a world of language."""
        raise self._cannot("problem")

    @property
    def exact(self) -> bool:
        """Whether values, advantages and gradients are known without error."""
        return self.can("truth")

    def can(self, ability: str) -> bool:
        """Whether the world has a method of its own, such as "gold"."""
        own = _home(type(self), ability)
        same = _WALKED if ability == "stride" else ()
        return own is not World and all(issubclass(own, _home(type(self), method)) for method in same)

    def _cannot(self, ability: str) -> NotImplementedError:
        return NotImplementedError(f"world {self.name!r} has no method {ability!r}")


_NEEDED = ("init", "rollout", "log_prob", "gradient")
_WALKED = ("rollout", "log_prob", "gradient", "truth", "entropy")  # what a stride does by itself


def _home(kind: type, name: str) -> type:
    """The class that an attribute of a class comes from; the base where there is none."""
    return next((base for base in kind.__mro__ if name in vars(base)), World)


class _Adopted(World):
    """A world whose class does not have the base: its own attributes, and the defaults for the others."""

    def __init__(self, own: Any) -> None:
        self._own = own
        for name in (*World.__annotations__, *vars(World)):
            if not name.startswith("_") and name not in ("can", "exact") and hasattr(own, name):
                setattr(self, name, getattr(own, name))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_own"], name)

    def __repr__(self) -> str:
        return repr(self._own)

    def can(self, ability: str) -> bool:
        method = getattr(self._own, ability, None)
        return method is not None and getattr(method, "__func__", method) is not getattr(World, ability, None)


def adopted(given: Any) -> World:
    """What was given as a world: an object whose class has the needed methods, but not the base, gets the defaults.

    Raises:
        TypeError: It lacks what every world has; the message names it.
    """
    world = given if isinstance(given, World) else _Adopted(given)
    methods = [name for name in _NEEDED if not world.can(name)]
    if len(methods) == len(_NEEDED):
        raise TypeError(f"world={given!r}; it must be a world, such as simulators.Bandit(success=[0.2, 0.8])")
    missing = [f"attribute {name!r}" for name in ("name", "prompts") if not hasattr(given, name)]
    missing += [f"method {name!r}" for name in methods]
    if missing:
        raise TypeError(f"world={given!r}: it has no {', no '.join(missing)}; simulators.World says what they do")
    return world


class Scored(World):
    """A world with scores beside log π whose gradient can be taken, such as a reward that is a smooth function."""

    def score(self, policy: Policy, rollouts: Rollouts, names: Sequence[str]) -> Floats:
        """The scores of these names under `policy` [S, P, G, len(names)]."""
        raise self._cannot("score")

    def score_gradient(self, policy: Policy, rollouts: Rollouts, weights: Floats, names: Sequence[str]) -> Any:
        """Σ w ∇score, like the parameters (weights [S, P, G, len(names)])."""
        raise self._cannot("score_gradient")
