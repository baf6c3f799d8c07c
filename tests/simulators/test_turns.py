"""The world of turns against an enumeration of every hidden path, and its tasks as they are described."""

from collections import defaultdict
from typing import Any

import numpy as np
import pytest

from simulators import Turns
from simulators.records import Policy, Rollouts, World
from simulators.turns.tasks import TASKS

FREE = {"dialogue": 2, "search": 3, "steps": 4}
FIELDS = ("turn", "turn_rewards")
History = tuple[tuple[int, int], ...]


def world(task: str, **given: Any) -> Turns:
    return Turns(task, prompts=3, turns=FREE[task], **given)


def policy(w: Turns, seeds: int = 2) -> Policy:
    made = w.init(range(seeds))
    made.parameters[...] = np.random.default_rng(3).normal(size=made.parameters.shape)
    return made


def probabilities(logits: Any) -> Any:
    weight = np.exp(logits - logits.max(-1, keepdims=True))
    return weight / weight.sum(-1, keepdims=True)


def enumerate_paths(w: Turns, prompt: int, pi: Any) -> dict[History, tuple[float, float]]:
    """History of (view, action) -> its probability, and its probability times its chance of reward."""
    task = w.task
    found: dict[History, list[float]] = defaultdict(lambda: [0.0, 0.0])

    def close(history: History, p: float, q: int) -> None:
        found[history][0] += p
        found[history][1] += p * task.win[q]

    def walk(history: History, p: float, q: int, turn: int) -> None:
        view = int(task.seen[q])
        if turn == w.turns:
            return close((*history, (view, task.closing)) if task.closing >= 0 else history, p, q)
        for a in range(len(task.actions)):
            here, mass = (*history, (view, a)), p * pi[view, a]
            if a == task.closing:
                close(here, mass, q)
                continue
            for after, chance in zip(task.following[q, a], task.chance[q, a], strict=True):
                if chance > 0:
                    walk(here, mass * chance, int(after), turn + 1)

    walk((), 1.0, int(w.starts[prompt]), 0)
    return {history: (p, won) for history, (p, won) in found.items()}


def free(w: Turns, history: History) -> History:
    """The turns at which the policy chose."""
    return history[: w.turns]


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("task", TASKS)
def test_truth_entropy_and_length_are_those_of_the_enumeration(task: str, shared: bool) -> None:
    w = world(task, shared=shared)
    made = policy(w)
    truth = w.truth(made, w.rollout(made, 2, 0))
    pi = probabilities(made.parameters)
    value, entropy, turns = (np.zeros((2, 3)) for _ in range(3))
    gradient = np.zeros(made.parameters.shape)
    for s in range(2):
        for p, row in enumerate(w.rows):
            for history, (mass, won) in enumerate_paths(w, p, pi[s, row]).items():
                value[s, p] += won
                turns[s, p] += mass * sum(a != w.task.closing for _, a in history)
                for view, a in free(w, history):
                    entropy[s, p] -= mass * np.log(pi[s, row, view, a])
                    gradient[s, row, view] -= won * pi[s, row, view] / 3
                    gradient[s, row, view, a] += won / 3
    assert truth.value == pytest.approx(value, abs=1e-12)
    assert truth.gradient == pytest.approx(gradient, abs=1e-12)
    assert w.entropy(made) == pytest.approx(entropy.mean(-1))
    assert w.mean_turns(made) == pytest.approx(turns)


@pytest.mark.parametrize("task", TASKS)
def test_the_advantage_of_an_episode_is_filtered_from_what_was_seen(task: str) -> None:
    w = world(task)
    made = policy(w, 1)
    drawn = w.rollout(made, 30, 0)
    truth, pi = w.truth(made, drawn), probabilities(made.parameters)[0]
    assert drawn.mask is not None
    assert drawn.state is not None
    for p in range(3):
        paths = enumerate_paths(w, p, pi[p])
        for g in range(30):
            n = int(drawn.mask[0, p, g].sum())
            seen = zip(drawn.state[0, p, g, :n].tolist(), drawn.actions[0, p, g, :n].tolist(), strict=True)
            mass, won = paths[tuple(seen)]
            assert truth.advantage[0, p, g] == pytest.approx(won / mass - truth.value[0, p], abs=1e-12)


@pytest.mark.parametrize("task", TASKS)
def test_episodes_are_drawn_with_their_probabilities(task: str) -> None:
    w = Turns(task, prompts=2, shared=True)
    made = w.init(range(4))
    drawn = w.rollout(made, 2000, 0, fields=FIELDS)
    assert drawn.mask is not None
    value = w.truth(made, drawn, gradient=False).value
    error = 4 * 0.5 / np.sqrt(4 * 2000)
    assert drawn.rewards.mean((0, 2, 3)) == pytest.approx(value[0], abs=error)
    lengths = drawn.mask.sum(-1) - (w.task.closing >= 0)
    assert lengths.mean((0, 2)) == pytest.approx(w.mean_turns(made)[0], abs=4 * lengths.std() / np.sqrt(8000) + 1e-9)


def test_scores_of_steps_are_those_of_the_process_reward_model() -> None:
    w = Turns("steps", prompts=1)
    drawn = w.rollout(w.init([0]), 3000, 0, fields=FIELDS)
    assert drawn.turn_rewards is not None
    assert drawn.mask is not None
    for a, mean in enumerate((0.9, 0.3, 0.8)):
        found = drawn.turn_rewards[drawn.mask & (drawn.actions == a)]
        assert found.mean() == pytest.approx(mean, abs=0.01)
        assert found.std() == pytest.approx(0.05, abs=0.01)
        assert found.max() <= 1.0
    assert not drawn.turn_rewards[~drawn.mask].any()


@pytest.mark.parametrize("task", ["dialogue", "search"])
def test_process_rewards_telescope(task: str) -> None:
    """Their sum is what the episode changed in φ, or in the probability of the right answer."""
    w = Turns(task, prompts=4)
    first = np.unique(np.round(w.rollout(w.init([0]), 500, 0, fields=FIELDS).turn_rewards.sum(-1), 9))  # type: ignore[union-attr]
    levels = 1 - w.task.win if task == "dialogue" else w.task.win
    scale = np.sqrt(12) if task == "dialogue" else 1.0
    starts = levels[w.starts]
    possible = (starts[:, None] - levels if task == "dialogue" else levels - starts[:, None]) * scale
    assert np.abs(first[:, None] - possible.ravel()).min(axis=1).max() < 1e-9


def test_the_close_is_forced_after_the_last_turn() -> None:
    w = Turns("steps", prompts=1, turns=3, logits=[0, 0, 0, -50.0])
    made = w.init([0])
    drawn = w.rollout(made, 5, 0, fields=FIELDS)
    assert drawn.mask is not None
    assert drawn.actions.shape == (1, 1, 5, 4)
    assert drawn.mask.all()
    assert (drawn.actions[..., -1] == 3).all()
    assert not drawn.logp[..., -1].any()
    assert np.array_equal(w.log_prob(made, drawn), drawn.logp)
    weights = np.zeros(drawn.actions.shape)
    weights[..., -1] = 1.0
    assert not w.gradient(made, drawn, weights).any()


def test_score_gradient_is_that_of_finite_differences() -> None:
    w = world("search", shared=True)
    made = policy(w, 1)
    drawn = w.rollout(made, 6, 0)
    weights = np.random.default_rng(0).normal(size=drawn.actions.shape)
    found = w.gradient(made, drawn, weights)
    for at in np.ndindex(*made.parameters.shape):
        values = []
        for move in (1e-6, -1e-6):
            moved = Policy(made.parameters.copy(), made.seeds)
            moved.parameters[at] += move
            values.append((weights * w.log_prob(moved, drawn)).sum())
        assert found[at] == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-6)


def test_kl_is_that_of_many_episodes() -> None:
    w = world("search")
    one, other = policy(w), w.init(range(2))
    drawn = w.rollout(one, 20000, 0)
    ratio = (w.log_prob(one, drawn) - w.log_prob(other, drawn)).sum(-1)
    assert w.kl(one, other) == pytest.approx(ratio.mean((1, 2)), abs=4 * ratio.std() / np.sqrt(60000))
    assert not w.kl(one, one).any()


@pytest.mark.parametrize("task", TASKS)
def test_a_run_does_not_depend_on_its_neighbours(task: str) -> None:
    w = Turns(task, prompts=2)
    assert isinstance(w, World)
    together = w.rollout(policy(w, 3), 4, 7, attempt=1, fields=FIELDS)
    again = w.rollout(policy(w, 3), 6, 7, attempt=1, fields=FIELDS)
    for name in ("rewards", "actions", "logp", "mask", "turn_rewards", "state", "turn"):
        assert np.array_equal(getattr(together, name), getattr(again, name)[:, :, :4])
    assert not np.array_equal(together.actions, w.rollout(policy(w, 3), 4, 8).actions)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"task": "step"}, "nearest: 'steps'"),
        ({"prompts": 0}, "prompts must be at least 1"),
        ({"turns": 0}, "turns must be at least 1"),
        ({"turns": 9000}, "at most 8000"),
        ({"logits": np.zeros(7)}, "do not broadcast"),
        ({"logits": np.nan}, "must be finite"),
    ],
)
def test_bad_settings_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Turns(**given)


def test_bad_rollouts_are_refused() -> None:
    w = Turns("steps", prompts=1, turns=2)
    made = w.init([0])
    drawn = w.rollout(made, 2, 0)
    assert drawn.state is not None
    with pytest.raises(ValueError, match="carry `state`"):
        w.log_prob(made, Rollouts(drawn.rewards, drawn.actions, drawn.logp))
    with pytest.raises(ValueError, match="cannot happen"):
        w.log_prob(made, Rollouts(drawn.rewards, drawn.actions + 9, drawn.logp, state=drawn.state))
    with pytest.raises(ValueError, match="cannot happen"):
        w.truth(made, Rollouts(drawn.rewards, drawn.actions, drawn.logp, state=drawn.state + 1))
    with pytest.raises(ValueError, match="weights must have"):
        w.gradient(made, drawn, [1.0])
    with pytest.raises(ValueError, match="world of turns has logits"):
        w.log_prob(Policy(np.zeros((1, 2, 2)), made.seeds), drawn)
    with pytest.raises(ValueError, match="one finite number"):
        w.truth(made, drawn, weights=[1.0, 2.0])
    with pytest.raises(ValueError, match="unknown field"):
        w.rollout(made, 2, 0, fields=("greedy_rewards",))
