"""The graphs world against all of its graphs, one by one."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from simulators import Graphs
from simulators.records import Policy

WORLD = Graphs(3, critical=[0, 2], easiness=[-1.0, 0.5], effect=1.5, enough=1)


def policy_of(world: Graphs = WORLD, runs: int = 2, seed: int = 0) -> Policy:
    policy = world.init(range(runs))
    policy.parameters[...] = np.random.default_rng(seed).normal(size=policy.parameters.shape)
    return policy


def graphs(logits: np.ndarray) -> list[tuple[float, tuple[int, ...]]]:
    """Probability of every graph, by multiplying out."""
    p = 1 / (1 + np.exp(-logits))
    return [
        (float(np.prod([q if g else 1 - q for q, g in zip(p, each, strict=True)])), each)
        for each in itertools.product((0, 1), repeat=len(p))
    ]


def success(query: int, graph: tuple[int, ...]) -> float:
    return float(1 / (1 + np.exp(-([-1.0, 0.5][query] + 1.5 * (graph[0] + graph[2] - 1)))))


def test_truth_is_a_sum_over_all_graphs() -> None:
    policy, other = policy_of(), policy_of(seed=1)
    r = WORLD.rollout(policy, 4, 0)
    found = WORLD.truth(policy, r, weights=[2.0])
    for s in range(2):
        ways, theirs = graphs(policy.parameters[s]), dict((g, w) for w, g in graphs(other.parameters[s]))
        for p in range(2):
            value = 2 * sum(w * success(p, g) for w, g in ways)
            assert found.value[s, p] == pytest.approx(value)
            own = [2 * success(p, tuple(g)) - value for g in r.actions[s, p].tolist()]
            assert found.advantage[s, p] == pytest.approx(own)
        assert WORLD.entropy(policy)[s] == pytest.approx(-sum(w * np.log(w) for w, _ in ways))
        assert WORLD.kl(policy, other)[s] == pytest.approx(sum(w * np.log(w / theirs[g]) for w, g in ways))


def test_gradients_are_slopes() -> None:
    policy = policy_of(runs=1)
    r = WORLD.rollout(policy, 4, 0)
    w = np.random.default_rng(0).normal(size=r.actions.shape)
    found = WORLD.truth(policy, r).gradient, WORLD.gradient(policy, r, w)
    for e in range(3):
        step = np.eye(3)[e] * 1e-5
        ahead, back = (Policy(policy.parameters + sign * step, policy.seeds) for sign in (1, -1))
        value = [WORLD.truth(at, r).value.mean() for at in (ahead, back)]
        score = [(w * WORLD.log_prob(at, r)).sum() for at in (ahead, back)]
        assert found[0][0, e] == pytest.approx((value[0] - value[1]) / 2e-5, abs=1e-9)
        assert found[1][0, e] == pytest.approx((score[0] - score[1]) / 2e-5, abs=1e-8)


def test_edges_and_rewards_have_their_probabilities() -> None:
    policy = policy_of(runs=1)
    r = WORLD.rollout(policy, 50_000, 0)
    assert r.actions.mean(axis=2)[0] == pytest.approx(
        np.tile(WORLD.probabilities(policy.parameters[0]), (2, 1)), abs=0.01
    )
    assert r.rewards.mean(axis=2)[0, :, 0] == pytest.approx(WORLD.truth(policy, r).value[0], abs=0.01)
    assert np.array_equal(WORLD.log_prob(policy, r), r.logp)


def test_the_same_counters_give_the_same_bits_whatever_stands_beside_them() -> None:
    both, one = WORLD.rollout(WORLD.init([4, 9]), 8, 2), WORLD.rollout(WORLD.init([9]), 8, 2)
    for name in ("rewards", "actions", "logp"):
        assert np.array_equal(getattr(both, name)[1:], getattr(one, name))


def test_edges_go_forward() -> None:
    world = Graphs(5)
    assert len(world.edges) == 10 and all(i < j for i, j in world.edges)
    assert Graphs(2, critical=[0]).edges == ((0, 1),)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"members": 1}, "members must be at least 2"),
        ({"critical": [10]}, r"different edges in 0\.\.9"),
        ({"critical": [1, 1]}, "different edges"),
        ({"easiness": []}, "one number per query"),
        ({"effect": np.inf}, "must be finite"),
    ],
)
def test_bad_settings_are_named(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Graphs(**given)  # type: ignore[arg-type]


def test_bad_rollouts_are_named() -> None:
    policy = policy_of()
    r = WORLD.rollout(policy, 2, 0)
    for bad, said in (
        (replace(r, actions=r.actions + 1), "actions must be 1"),
        (replace(r, actions=r.actions[..., :2]), "actions must have shape"),
        (replace(r, prompt=np.array([0, 2])), "must name a query"),
    ):
        with pytest.raises(ValueError, match=said):
            WORLD.truth(policy, bad)
    with pytest.raises(ValueError, match="unknown field of the graphs world 'mask'"):
        WORLD.rollout(policy, 2, 0, fields=("mask",))
