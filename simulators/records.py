"""What every world takes and gives: rollouts, truth, policy, and the base of every world.

Axes: S independent runs (seeds), P prompts, G rollouts per prompt, K reward components, T tokens
(heads, turns or denoising steps), padded to a common length where rollouts differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

from simulators.errors import unknown_name

__all__ = [
    "FIELDS",
    "Bools",
    "Field",
    "Floats",
    "Ints",
    "Policy",
    "Rollouts",
    "Truth",
    "World",
    "adopted",
    "check_fields",
    "declare_field",
]  # fmt: skip

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Field(NamedTuple):
    """What an array of the rollouts means.

    Attributes:
        axes: one letter each, such as "SPGT"; letters beyond S, P, G, K and T are the field's own. S may be left out of
            an array that is the same for all runs.
        meaning: in words, with units.
        everywhere: whether a rule finds it in every world, given or made by the loop.
        kind: what its numbers are, float, int or bool.
    """

    axes: str
    meaning: str
    everywhere: bool = False
    kind: type = float

    def axis(self, letter: str, array: Any) -> int:
        """Where an axis stands in an array of this field."""
        return self.axes[len(self.axes) - array.ndim :].index(letter)


@dataclass(frozen=True, eq=False)
class Rollouts:
    """What a world sampled in one step; a field that the world does not have is None.

    `FIELDS` is this table of fields, with those added by `declare_field`, whose arrays are in `extra`.
    """

    rewards: Annotated[Floats, Field("SPGK", "reward components", everywhere=True)]
    actions: Annotated[Ints, Field("SPGT", "tokens, or the arm of each head", everywhere=True)]
    logp: Annotated[Floats, Field("SPGT", "log-probability under the sampling policy, nats", everywhere=True)]
    mask: Annotated[Bools | None, Field("SPGT", "which tokens are real; None: all of them", everywhere=True)] = None
    prompt: Annotated[Ints | None, Field("SP", "which prompt stands in each slot; None: 0 to P-1")] = None
    greedy_rewards: Annotated[Floats | None, Field("SPK", "rewards of the policy's most likely response")] = None
    logp_ref: Annotated[Floats | None, Field("SPGT", "log-probability under the reference, nats", everywhere=True)] = (
        None
    )
    turn: Annotated[Ints | None, Field("SPGT", "index of the turn that each token belongs to")] = None
    turn_rewards: Annotated[Floats | None, Field("SPGT", "process reward of each turn")] = None
    agent: Annotated[Ints | None, Field("SPGT", "index of the agent that acted")] = None
    task: Annotated[Ints | None, Field("P", "index of each prompt's task")] = None
    hidden: Annotated[Floats | None, Field("SPGTD", "hidden state in front of the unembedding, by token")] = None
    prediction_error: Annotated[Floats | None, Field("SPGTV", "one-hot of the token minus its probabilities")] = None
    token_rewards: Annotated[Floats | None, Field("SPGT", "a learned or self-made reward of each token")] = None
    pair_scores: Annotated[Floats | None, Field("SPGG", "a judge's score of i against j, both orders added")] = None
    lengths: Annotated[Floats | None, Field("SPG", "length of each response, where tokens do not tell it")] = None
    state: Annotated[Ints | None, Field("SPGT", "what the policy saw before each token, beyond its actions")] = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.extra:
            if name not in FIELDS or name in _OWN:
                raise ValueError(f"extra field {name!r} of the rollouts is not declared; see records.declare_field")

    def get(self, name: str) -> Any:
        """A field by name, None where these rollouts do not have it."""
        return getattr(self, name) if name in _OWN else self.extra.get(name)

    def held(self) -> dict[str, Any]:
        """The fields that are not None."""
        own = ((name, getattr(self, name)) for name in _OWN)
        return {name: array for name, array in own if array is not None} | dict(self.extra)

    @classmethod
    def of(cls, held: Mapping[str, Any]) -> Rollouts:
        """Rollouts of these fields, as `held` gives them."""
        further = {name: array for name, array in held.items() if name not in _OWN}
        return cls(**{name: held[name] for name in held if name in _OWN}, extra=further)


def _kind(hint: Any) -> type:
    """What the numbers of an annotated array are."""
    kinds = ((Ints, int), (Bools, bool))
    return next((kind for array, kind in kinds if array == hint or array in get_args(hint)), float)


#: The fields of rollouts by name: the one table that worlds, rules, doors and batteries read.
FIELDS: dict[str, Field] = {
    name: kind.__metadata__[0]._replace(kind=_kind(get_args(kind)[0]))
    for name, kind in get_type_hints(Rollouts, include_extras=True).items()
    if hasattr(kind, "__metadata__")
}
_OWN = tuple(FIELDS)


def declare_field(name: str, axes: str, meaning: str, kind: type | None = None) -> None:
    """Add a field that rules can read and a world puts in `Rollouts.extra`, such as ("noise", "SPGTD", "...").

    Args:
        name: what it is called, as a parameter of a rule.
        axes: one letter each, P among them; see `Field`.
        meaning: in words.
        kind: what its numbers are, int or bool; None: float, or what they are already.

    Raises:
        ValueError: the name is no name or stands for something else, or the axes have no P.
    """
    new = Field(axes, meaning, kind=kind or (FIELDS[name].kind if name in FIELDS else float))
    if not name.isidentifier() or FIELDS.get(name, new) != new:
        raise ValueError(f"field {name!r}: {FIELDS[name].meaning if name in FIELDS else 'it must be a Python name'}")
    if "P" not in axes or not set(axes) <= set(ascii_uppercase):
        raise ValueError(f"field {name!r} has axes {axes!r}; they must be capital letters, P among them")
    FIELDS[name] = new


def check_fields(rollouts: Rollouts) -> None:
    """Refuse a field whose axes are not those of `FIELDS`, or one of whose axes has another length than elsewhere.

    Raises:
        ValueError: naming the field, its shape and the right one.
    """
    sizes = dict(zip("SPGK", rollouts.rewards.shape, strict=False)) | {"T": np.shape(rollouts.actions)[-1]}
    for name, array in rollouts.held().items():
        axes, shape = FIELDS[name].axes, np.shape(array)
        named = axes[1:] if axes[0] == "S" and len(shape) == len(axes) - 1 else axes
        if len(shape) != len(named) or any(sizes.get(a, n) != n for a, n in zip(named, shape, strict=True)):
            right = ", ".join(f"{a}={sizes[a]}" if a in sizes else a for a in axes)
            raise ValueError(f"field {name!r} of the rollouts has shape {shape}; it must be [{right}]")


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
        further: further blocks of parameters by name, such as "critic" [S, ...]; each has an optimizer of its own.
        memo: scratch space of the world that made the policy (results that depend on `parameters`
            alone, checked against them before every use). A copy of a policy starts without it.
            Because of it, one policy must not be used by two threads at once.
    """

    parameters: Any
    seeds: NDArray[np.uint64]
    further: Mapping[str, Any] = field(default_factory=dict)
    memo: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def blocks(self) -> dict[str, Any]:
        """All parameters by block; "policy" are those that act."""
        return {"policy": self.parameters, **self.further}


class World:
    """Something that produces rollouts and, where it can, knows the truth about them.

    A world has a `name` and a number of `prompts`, and defines the first four methods; what it can do beyond them is
    up to it. The base says no to all the rest, so that `can` answers for every world.

    Attributes:
        name: short name, as in the command line.
        prompts: number of prompts P.
        provides: names of the optional fields of `Rollouts` that the world can fill.
        components: names of the reward components [K]; none where they need no names.
        scores: names of the scores beside "logp" whose gradient can be taken, see `scores_of` and `pull`.
        agents: names of the agents, where several act.
        agent_axis: axis of the parameters and of a gradient along which the agents stand.
        together: most runs that one thread should walk side by side; None: any number.
        suits: settings of a run that suit it, such as {"lr": 4.0}, beside those of its declaration.
        offline: whether its rollouts are data, so that the policy draws none.
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
    suits: Mapping[str, Any] = MappingProxyType({})
    offline: bool = False
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

    def scores_of(self, policy: Policy, rollouts: Rollouts, names: Sequence[str]) -> dict[str, Floats]:
        """Scores by name [S, P, G, T]: "logp", which every world has, and those of `scores`.

        Raises:
            ValueError: No such score.
        """
        for name in names:
            if name != "logp":
                raise unknown_name(f"score of the {self.name} world", name, ("logp", *self.scores))
        return {name: self.log_prob(policy, rollouts) for name in names}

    def pull(self, policy: Policy, rollouts: Rollouts, weights: Mapping[str, Floats]) -> Any:
        """Σ w ∇score over the scores that are weighed, like the parameters; the weights of each are [S, P, G, T].

        A world whose policy has further blocks gives the gradient of each block by name, "policy" among them.
        """
        return self.gradient(policy, rollouts, weights["logp"])

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

    def responses(self, policy: Policy) -> tuple[Floats, list[Floats], list[Floats]] | None:
        """All responses of the first run and their rewards, where both are few; None where rewards are not.

        Probabilities of the responses [P, A]; by prompt the values of a reward [V] and the chances of each [A, V].
        """
        raise self._cannot("responses")

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
_WALKED = ("rollout", "log_prob", "gradient", "pull", "truth", "entropy")  # what a stride does by itself


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
