"""Worlds by name, with settings that fit into a file, an address or a command line."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.errors import InputError, UnknownNameError
from lab.registry import fold

if TYPE_CHECKING:
    from simulators.records import World

__all__ = [
    "DEFAULTS", "WORLDS", "agents", "bandit", "captions", "delayed", "fixed", "graphs", "hidden_lm", "judged", "lengths",
    "preferences", "queries", "reward_hacks", "settings", "small_lm", "suited", "toy_lm", "turns", "world",
]  # fmt: skip


def bandit(
    prompts: int = 8,
    arms: int = 8,
    *,
    law: str = "bernoulli",
    noise: float = 0.3,
    seed: int | None = None,
    success: Sequence[Sequence[float]] | None = None,
) -> World:
    """A bandit of one head.

    Args:
        prompts: Number of prompts P.
        arms: Number of arms A.
        law: Name of the law of the reward around an arm's mean.
        noise: Spread of the reward under the laws that have one; see `simulators.bandit.families.noisy`.
        seed: Draws the mean of each arm uniformly from [0, 1); None: prompts from easy to hard, as
            `simulators.bandit.families.graded` makes them.
        success: Mean of each arm [P, A]; takes the place of prompts, arms and seed.
    """
    from simulators import Bandit
    from simulators.bandit.families import graded, noisy
    from simulators.random import uniforms

    if success is not None:
        return Bandit(means=_table(success), law=noisy(law, noise))
    if seed is None:
        return graded(prompts, arms, law=law, noise=noise)
    if prompts < 1 or arms < 1:
        raise InputError(f"prompts={prompts}, arms={arms}; both must be at least 1")
    # A step that no run comes to: the run with this seed must not draw its actions by the arms' own numbers.
    means = uniforms(seed, step=2**63, prompt=np.arange(prompts)[:, None], draw=np.arange(arms))
    return Bandit(means=means, law=noisy(law, noise))


def toy_lm(
    tasks: str | Sequence[str] = "arithmetic",
    prompts: int = 8,
    *,
    vocabulary: int = 8,
    length: int = 8,
    end: float = 0.0,
    seed: int = 0,
) -> World:
    """A toy language model on verifiable tasks; see `simulators.toy_lm`.

    Args:
        tasks: Names of its tasks (arithmetic, brackets, copy, reverse, length, targets, tool-call), one, a list, or
            joined by "+".
        prompts: Number of prompts P, shared evenly by the tasks.
        vocabulary: Number of tokens V, the end token included.
        length: Most tokens of a response T, the end token included.
        end: Initial logit of the end token; the other tokens have 0.
        seed: Draws the questions.
    """
    from simulators import ToyLM

    names = tasks.split("+") if isinstance(tasks, str) else tasks
    logits = np.append(end, np.zeros(max(vocabulary - 1, 0)))
    return ToyLM(names, prompts=prompts, vocabulary=vocabulary, length=length, logits=logits, seed=seed)


def hidden_lm(
    tasks: str | Sequence[str] = "targets",
    prompts: int = 4,
    *,
    vocabulary: int = 9,
    length: int = 6,
    width: int = 16,
    shared: float = 0.5,
    spread: float = 0.3,
    end: float = 0.0,
    seed: int = 0,
) -> World:
    """A toy language model with a hidden state, of which the unembedding is trained; see `simulators.hidden_lm`.

    Args:
        tasks: As in `toy_lm`.
        prompts: Number of prompts P, shared evenly by the tasks.
        vocabulary: Number of tokens V, the end token included.
        length: Most tokens of a response T, the end token included.
        width: Size of the hidden state D.
        shared: How much of a hidden state is common to all prompts.
        spread: Standard deviation of the initial unembedding.
        end: Fixed logit of the end token beside the model's own.
        seed: Draws the questions and the hidden states.
    """
    from simulators import HiddenLM

    names = tasks.split("+") if isinstance(tasks, str) else tasks
    fixed = np.append(end, np.zeros(max(vocabulary - 1, 0)))
    return HiddenLM(names, prompts=prompts, vocabulary=vocabulary, length=length, width=width, shared=shared,
                    spread=spread, logits=fixed, seed=seed)  # fmt: skip


def preferences(
    pairs: int = 30, length: int = 8, *, vocabulary: int = 6, signal: float = 1.0, noise: float = 1.0
) -> World:
    """Preference pairs with known token rewards, in groups of two; see `simulators.preferences`.

    Args:
        pairs: Number of pairs P.
        length: Tokens of a response T.
        vocabulary: Number of tokens V.
        signal: How much gold is in the self-made token rewards.
        noise: How much noise is in them.
    """
    from simulators import Preferences

    return Preferences(pairs, length=length, vocabulary=vocabulary, signal=signal, noise=noise)


def turns(
    task: str = "dialogue", prompts: int = 8, *, turns: int = 0, shared: bool = False, noise: float = 0.0
) -> World:
    """Episodes of several turns with process rewards; see `simulators.turns`.

    Args:
        task: Name of its task (dialogue, search, steps).
        prompts: Number of prompts P.
        turns: Most turns of an episode, the closing one not counted; 0: as many as the task says.
        shared: One policy for all prompts instead of one for each.
        noise: Standard deviation of the process rewards; 0: the task's own.
    """
    from simulators import Turns
    from simulators.turns.tasks import TASKS

    made = TASKS[task](noise=noise) if noise and task in TASKS else task
    return Turns(made, prompts=prompts, turns=turns or None, shared=shared)


def judged(
    prompts: int = 8, arms: int = 8, *, spread: float = 1.0, drift: float = 1.0, noise: float = 0.3, seed: int = 0
) -> World:
    """A bandit whose responses are judged one by one and in pairs; see `simulators.judged.world`.

    Args:
        prompts: Number of prompts P.
        arms: Arms of each prompt.
        spread: Standard deviation of the true utilities.
        drift: Standard deviation of what a call of the judge adds to all that it sees.
        noise: Standard deviation of the noise on each response.
        seed: Draws the utilities.
    """
    from simulators.judged.world import Judged

    if prompts < 1 or arms < 1:
        raise InputError(f"prompts={prompts}, arms={arms}; both must be at least 1")
    return Judged(np.random.default_rng(seed).normal(0, spread, (prompts, arms)), drift=drift, noise=noise)


def captions(prompts: int = 4) -> World:
    """Captions of 1 to 40 units, scored for precision, recall and language; see `simulators.captions`.

    Args:
        prompts: Number of images P.
    """
    from simulators.captions.world import Captions

    return Captions(prompts)


def delayed(prompts: int = 4, steps: int = 20, choices: int = 4, *, seed: int = 0) -> World:
    """Episodes of which only the return is seen; the step rewards are the true ones, see `simulators.delayed`.

    Args:
        prompts: Number of prompts P.
        steps: Steps of an episode T.
        choices: Choices at each step A.
        seed: Draws what can be chosen.
    """
    from simulators.delayed.world import Delayed

    return Delayed(prompts, steps=steps, choices=choices, seed=seed)


def small_lm(
    task: str = "arithmetic",
    prompts: int = 8,
    *,
    length: int = 0,
    layers: int = 2,
    width: int = 32,
    heads: int = 2,
    accuracy: float = 0.3,
    seed: int = 0,
    device: str = "auto",
    precision: str = "float32",
    model: str = "",
    lora: int = 8,
    shots: int = 2,
) -> World:
    """A small transformer on a text task, gradients by autograd; see `simulators.small_lm`.

    Args:
        task: Name of its task (arithmetic, countdown, sorting, brackets, tools).
        prompts: Prompts of a step P.
        length: Most tokens of a response T; 0: as many as the longest worked solution (of `model`: half more).
        layers: Blocks of the transformer.
        width: Its width.
        heads: Its attention heads.
        accuracy: Sampled accuracy at which its pretraining stops.
        seed: Draws problems and initial weights.
        device: "cpu", "cuda", "cuda:1" or "auto".
        precision: "float32", or "bfloat16" for the matrix products of the built-in model.
        model: Folder, GGUF file or hub name of a pretrained model in place of the built-in one, whose layers, width,
            heads and accuracy then mean nothing; see `simulators.small_lm.pretrained`.
        lora: Rank of what is trained of `model`; 0: every weight.
        shots: Worked problems in the prompts of `model`.
    """
    try:
        from simulators.small_lm.pretrained import PretrainedLM
        from simulators.small_lm.world import SmallLM
    except ModuleNotFoundError as missing:
        raise InputError(f"{missing.name} is not installed; pip install 'advantage-lab[torch]'") from None
    if model:
        return PretrainedLM(model, task, prompts=prompts, length=length, lora=lora, shots=shots, seed=seed,
                            device=device)  # fmt: skip
    return SmallLM(task, prompts=prompts, length=length, layers=layers, width=width, heads=heads, accuracy=accuracy,
                   seed=seed, device=device, precision=precision)  # fmt: skip


def agents(
    plan: str = "conditional", prompts: int = 8, arms: int = 4, *, penalty: float = 0.1, invalid: float = 0.0
) -> World:
    """Several agents on one trajectory; prompts from easy to hard, action a right with probability (a/(A-1))^h(p).

    Args:
        plan: Who is called when (conditional, solver-verifier, search); see `simulators.agents.tasks`.
        prompts: Number of prompts P.
        arms: Actions A of every agent; action 0 is invalid.
        penalty: Cost of an invalid call.
        invalid: Initial logit of action 0; the other actions have 0.
    """
    from simulators import Agents
    from simulators.bandit.families import EASIEST, HARDEST

    if prompts < 1 or arms < 2:
        raise InputError(f"prompts={prompts}, arms={arms}; at least 1 prompt and 2 actions are needed")
    hardness = np.geomspace(EASIEST, HARDEST, prompts)[:, None]
    logits = np.append(invalid, np.zeros(arms - 1))
    return Agents(plan, skill=np.linspace(0, 1, arms) ** hardness, penalty=penalty, logits=logits)


def graphs(members: int = 5, queries: int = 4, *, critical: int = 3, effect: float = 2.0, spread: float = 2.0) -> World:
    """Communication graphs among agents in a fixed order, a few of whose edges matter; see `simulators.graphs`.

    Args:
        members: Number of agents N, so that there are N(N - 1)/2 edges.
        queries: Number of queries P, their easiness at evenly spaced quantiles of N(0, spread^2).
        critical: Number of critical edges, the first ones.
        effect: What each of them adds, in logits.
        spread: Deviation of the easiness.
    """
    from statistics import NormalDist

    from simulators import Graphs

    if queries < 1 or critical < 0:
        raise InputError(f"queries={queries}, critical={critical}; at least 1 query and 0 critical edges are needed")
    easiness = [spread * NormalDist().inv_cdf((i + 0.5) / queries) for i in range(queries)]
    return Graphs(members, critical=range(critical), easiness=easiness, effect=effect)


def lengths(prompts: int = 16, *, longest: int = 16, slip: float = 0.15, shared: bool = True) -> World:
    """How long to respond, a policy shared by easy and hard prompts; see `simulators.lengths`.

    Args:
        prompts: Number of prompts P.
        longest: Most tokens of a response.
        slip: Probability that a response is wrong however long it is.
        shared: One policy for all prompts instead of one for each.
    """
    from simulators import Lengths

    return Lengths(prompts, longest=longest, slip=slip, shared=shared)


def queries(scenes: int = 4, objects: int = 4) -> World:
    """Set prediction in the plane, new scenes at every step, rewards with a gradient; see `simulators.queries`.

    Args:
        scenes: Scenes in a step P; the group size is their number of queries.
        objects: Objects of a scene J.
    """
    from simulators import Queries

    return Queries(scenes, objects=objects)


def reward_hacks(tasks: int = 64, *, trained: int = 6, shared: bool = True, refuse: float = -1.0) -> World:
    """Tasks whose metric can be gamed: rollouts are scored by the proxy, the gold reward is measured beside.

    Args:
        tasks: Number of tasks P.
        trained: Families trained on, of twelve.
        shared: Whether the feature that all families share learns.
        refuse: Initial logit of refusing, beside 2 of an honest answer and 0 of a hack.
    """
    from simulators.reward_hacks.world import BASE, RewardHacks

    return RewardHacks(tasks, trained=trained, shared=shared, base=(*BASE[:2], refuse))


#: Settings of a run that suit a world where they are not given.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "small-lm": {"optimizer": "adam", "lr": 0.0003, "evaluate": 50},
    "preferences": {"group_size": 2, "lr": 20.0},
    "delayed": {"lr": 20.0},
    "queries": {"group_size": 24, "lr": 0.05},
    "lengths": {"lr": 0.4},
}

#: Name of a world -> function that makes it from keyword settings.
WORLDS: Mapping[str, Callable[..., World]] = {
    "bandit": bandit,
    "toy-lm": toy_lm,
    "agents": agents,
    "graphs": graphs,
    "hidden-lm": hidden_lm,
    "preferences": preferences,
    "small-lm": small_lm,
    "judged": judged,
    "captions": captions,
    "turns": turns,
    "delayed": delayed,
    "reward-hacks": reward_hacks,
    "queries": queries,
    "lengths": lengths,
}


def world(name: str, /, **given: Any) -> World:
    """The world of that name.

    Args:
        name: One of `WORLDS`.
        **given: Its settings; the others keep their defaults.

    Raises:
        UnknownNameError: No such world, or it has no such setting.
        InputError: A setting has a value that the world cannot use.
    """
    known = settings(name)
    for key in given:
        if key not in known:
            raise UnknownNameError(f"setting of world {name!r},", key, known, f"it has {', '.join(known)}")
    try:
        return _maker(name)(**given)
    except (TypeError, ValueError) as error:
        raise InputError(f"world {name!r}: {error}") from None


def suited(world: World | str, /, **given: Any) -> Mapping[str, Any]:
    """What suits a run in a world where it is not given: learning rate, optimizer, group size and the like.

    Args:
        world: A world, or its name; a world of one's own that nobody declared suits nothing in particular.
        **given: Settings of the world, where it is a name.
    """
    name = world if isinstance(world, str) else world.name
    found = {fold(known): suits for known, suits in DEFAULTS.items()}.get(fold(name), {})
    if given.get("model") or type(world).__name__ == "PretrainedLM":
        return {key: value for key, value in found.items() if key != "evaluate"}
    return found


def fixed(world: World | str) -> frozenset[str]:
    """Those of the `suited` settings that a world cannot do otherwise."""
    name = world if isinstance(world, str) else world.name
    return frozenset({"group_size"} if fold(name) == "preferences" else ())


def settings(name: str) -> dict[str, Any]:
    """The settings of a world with their defaults.

    Raises:
        UnknownNameError: No such world.
    """
    return {p.name: p.default for p in inspect.signature(_maker(name)).parameters.values()}


def _maker(name: str) -> Callable[..., World]:
    found = {fold(known): maker for known, maker in WORLDS.items()}.get(fold(name))
    if found is None:
        raise UnknownNameError("world", name, WORLDS)
    return found


def _table(success: Any) -> Any:
    rows = [row if isinstance(row, Sequence | np.ndarray) else [row] for row in success]
    if len({len(row) for row in rows}) > 1:
        raise InputError(f"success has rows of {', '.join(str(len(r)) for r in rows)} arms; all prompts need as many")
    return np.atleast_2d(np.asarray(success, dtype=np.float64))
