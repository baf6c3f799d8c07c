"""The agents world against a walk through all of its trajectories, and the plans themselves."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from simulators import Agents
from simulators.agents.tasks import ORCHESTRAS, Orchestra, conditional, search, solver_verifier
from simulators.records import Policy

SKILL = np.random.default_rng(3).random((2, 3, 2))
PLANS = {
    "conditional": conditional(2, after_wrong=0.5, after_right=0.2),
    "solver-verifier": solver_verifier(2),
    "search": search(2, needed=1),
}


def world_of(plan: str, **given: float) -> Agents:
    made = PLANS[plan]
    return Agents(made, skill=SKILL[:, : len(made.agents)], penalty=0.1, **given)


def policy_of(world: Agents, runs: int = 2, seed: int = 0) -> Policy:
    policy = world.init(range(runs))
    policy.parameters[...] = np.random.default_rng(seed).normal(size=policy.parameters.shape)
    return policy


Way = tuple[float, tuple[tuple[int, int], ...], bool]


def trajectories(world: Agents, logits: np.ndarray, p: int) -> Iterator[Way]:
    """Probability, calls (agent, action) and outcome of every way through the plan on one prompt."""
    pi = np.exp(logits[p]) / np.exp(logits[p]).sum(-1, keepdims=True)
    states = len(world.plan.agent)

    def onward(state: int, chance: float, calls: tuple[tuple[int, int], ...]):  # type: ignore[no-untyped-def]
        if state >= states:
            yield chance, calls, state == states + 1
            return
        n = int(world.plan.agent[state])
        for a in range(world.arms):
            for right, sure in ((0, 1 - world.skill[p, n, a]), (1, world.skill[p, n, a])):
                for after, step in enumerate(world.plan.follow[state, right]):
                    if sure * step > 0:
                        yield from onward(after, chance * pi[n, a] * sure * step, (*calls, (n, a)))

    yield from onward(0, 1.0, ())


def worth(world: Agents, calls: tuple[tuple[int, int], ...], won: bool, c: tuple[float, float] = (1.0, 1.0)) -> float:
    return c[0] * won - c[1] * 0.1 * sum(a == 0 for _, a in calls)


@pytest.mark.parametrize("plan", PLANS)
def test_value_entropy_and_calls_are_sums_over_all_trajectories(plan: str) -> None:
    world = world_of(plan)
    policy, other = policy_of(world), policy_of(world, seed=1)
    rollouts = world.rollout(policy, 2, 0)
    found = world.truth(policy, rollouts, gradient=False, weights=[1.0, 0.5])
    calls, entropy, kl = world.calls(policy), world.entropy(policy), world.kl(policy, other)
    log_pi, log_other = (x - np.log(np.exp(x).sum(-1, keepdims=True)) for x in (policy.parameters, other.parameters))
    for s in range(2):
        ways = [list(trajectories(world, policy.parameters[s], p)) for p in range(2)]
        for p, each in enumerate(ways):
            assert sum(w for w, *_ in each) == pytest.approx(1)
            expected = sum(w * worth(world, how, won, (1.0, 0.5)) for w, how, won in each)
            assert found.value[s, p] == pytest.approx(expected, abs=1e-12)
            for n in range(len(world.agents)):
                assert calls[s, p, n] == pytest.approx(sum(w * sum(who == n for who, _ in how) for w, how, _ in each))
        nats = [sum(w * sum(log_pi[s, p][c] for c in how) for w, how, _ in each) for p, each in enumerate(ways)]
        cross = [sum(w * sum(log_other[s, p][c] for c in how) for w, how, _ in each) for p, each in enumerate(ways)]
        assert entropy[s] == pytest.approx(-np.mean(nats))
        assert kl[s] == pytest.approx(np.mean(nats) - np.mean(cross))


@pytest.mark.parametrize("plan", PLANS)
def test_advantage_averages_over_all_trajectories_that_look_alike(plan: str) -> None:
    world = world_of(plan)
    policy = policy_of(world)
    rollouts = world.rollout(policy, 8, 5)
    found = world.truth(policy, rollouts, gradient=False)
    for s, p, g in np.ndindex(2, 2, 8):
        real = rollouts.mask[s, p, g]
        seen = tuple(zip(rollouts.agent[s, p, g, real], rollouts.actions[s, p, g, real], strict=True))
        alike = [(w, won) for w, how, won in trajectories(world, policy.parameters[s], p) if how == seen]
        total = sum(w for w, _ in alike)
        expected = sum(w * worth(world, seen, won) for w, won in alike) / total
        assert found.advantage[s, p, g] == pytest.approx(expected - found.value[s, p], abs=1e-12)


@pytest.mark.parametrize("plan", PLANS)
def test_gradient_of_the_truth_is_that_of_the_value(plan: str) -> None:
    world = world_of(plan)
    policy = policy_of(world, runs=1)
    rollouts = world.rollout(policy, 2, 0)
    found = world.truth(policy, rollouts, weights=[1.0, 0.5]).gradient

    def value(at: np.ndarray) -> float:
        moved = Policy(at, policy.seeds)
        return float(world.truth(moved, rollouts, gradient=False, weights=[1.0, 0.5]).value.mean())

    for place in np.ndindex(policy.parameters.shape):
        step = np.zeros_like(policy.parameters)
        step[place] = 1e-5
        slope = (value(policy.parameters + step) - value(policy.parameters - step)) / 2e-5
        assert found[place] == pytest.approx(slope, abs=1e-9)


@pytest.mark.parametrize("plan", PLANS)
def test_sampled_trajectories_have_their_probabilities(plan: str) -> None:
    world = world_of(plan)
    policy = policy_of(world, runs=1)
    rollouts = world.rollout(policy, 40_000, 0)
    value = world.truth(policy, rollouts, gradient=False).value[0]
    assert rollouts.rewards.sum(-1).mean(-1)[0] == pytest.approx(value, abs=0.01)
    counted = np.stack([(rollouts.mask & (rollouts.agent == n)).sum(-1).mean(-1)[0] for n in range(len(world.agents))])
    expected = world.calls(policy)[0]
    assert np.abs(counted.T - expected).max() < 0.02


def test_gradient_is_that_of_the_log_probabilities() -> None:
    world = world_of("conditional")
    policy = policy_of(world, runs=1)
    rollouts = world.rollout(policy, 4, 0)
    weights = np.random.default_rng(0).normal(size=rollouts.actions.shape)
    found = world.gradient(policy, rollouts, weights)

    def total(at: np.ndarray) -> float:
        return float((weights * world.log_prob(Policy(at, policy.seeds), rollouts)).sum())

    for place in np.ndindex(policy.parameters.shape):
        step = np.zeros_like(policy.parameters)
        step[place] = 1e-5
        slope = (total(policy.parameters + step) - total(policy.parameters - step)) / 2e-5
        assert found[place] == pytest.approx(slope, abs=1e-8)
    assert np.array_equal(world.log_prob(policy, rollouts), rollouts.logp)


def test_scores_are_the_outcome_less_the_calls_own_penalty() -> None:
    world = world_of("search")
    r = world.rollout(policy_of(world), 16, 3)
    assert r.mask is not None and r.turn_rewards is not None
    expected = np.where(r.mask, r.rewards[..., :1] - 0.1 * (r.actions == 0), 0.0)
    assert r.turn_rewards == pytest.approx(expected)
    assert r.rewards[..., 1] == pytest.approx(-0.1 * (r.mask & (r.actions == 0)).sum(-1))
    assert not r.actions[~r.mask].any() and not r.logp[~r.mask].any()


def test_the_same_counters_give_the_same_bits_whatever_stands_beside_them() -> None:
    world = world_of("conditional")
    both, one = world.rollout(world.init([4, 9]), 8, 2, attempt=1), world.rollout(world.init([9]), 8, 2, attempt=1)
    for name in ("rewards", "actions", "mask", "agent", "turn_rewards", "logp"):
        assert np.array_equal(getattr(both, name)[1:], getattr(one, name))
    again = world.rollout(world.init([9]), 8, 3, attempt=1)
    assert not np.array_equal(again.actions, one.actions)


def test_slots_may_stand_for_any_prompt() -> None:
    world = world_of("conditional")
    policy = policy_of(world)
    r = world.rollout(policy, 4, 0)
    turned = replace(r, prompt=np.array([1, 0]), **{n: getattr(r, n)[:, ::-1] for n in ("actions", "mask", "agent")})
    assert np.array_equal(world.log_prob(policy, turned), world.log_prob(policy, r)[:, ::-1])
    assert world.truth(policy, turned).advantage == pytest.approx(world.truth(policy, r).advantage[:, ::-1])


def test_plans_call_as_they_say() -> None:
    assert [ORCHESTRAS[n]().length for n in ORCHESTRAS] == [6, 3, 7]
    world = Agents(skill=[[0.0], [1.0]])
    calls = world.calls(world.init([0]))[0]
    assert calls == pytest.approx(np.array([[1, 4, 0.5], [1, 1, 0.05]]))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"plan": "serch"}, "unknown orchestra 'serch'; nearest: 'search'"),
        ({"skill": [1.5]}, "it must be from 0 to 1"),
        ({"skill": np.ones((2, 2, 2))}, r"\[P, 3, A\], not \(2, 2, 2\)"),
        ({"penalty": -1}, "penalty must be a finite number of at least 0"),
        ({"logits": np.zeros(3)}, "do not broadcast"),
        ({"logits": np.nan}, "must be finite"),
    ],
)
def test_bad_settings_are_named(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Agents(**{"skill": [0.0, 1.0], **given})  # type: ignore[arg-type]


def test_a_plan_that_goes_back_is_refused() -> None:
    follow = np.zeros((2, 2, 4))
    follow[0, :, 1] = follow[1, :, 0] = 1
    with pytest.raises(ValueError, match="followed by a later one"):
        Orchestra("ring", ("a",), np.zeros(2, int), follow)
    with pytest.raises(ValueError, match="must be a distribution"):
        Orchestra("leak", ("a",), np.zeros(2, int), follow / 2)
    with pytest.raises(ValueError, match="calls must be at least 1"):
        conditional(0)


def test_bad_rollouts_are_named() -> None:
    world = world_of("conditional")
    policy = world.init([0])
    r = world.rollout(policy, 2, 0)
    for bad, said in (
        (replace(r, agent=None), "need agent and mask"),
        (replace(r, actions=r.actions + 2), r"actions must lie in 0\.\.1"),
        (replace(r, agent=r.agent + 3), r"agent must lie in 0\.\.2"),
        (replace(r, prompt=np.array([0, 2])), r"prompt must lie in 0\.\.1"),
        (replace(r, agent=np.zeros_like(r.agent)), "cannot produce"),
    ):
        with pytest.raises(ValueError, match=said):
            world.truth(policy, bad)
    with pytest.raises(ValueError, match="unknown field of the agents world 'turn'"):
        world.rollout(policy, 2, 0, fields=("turn",))
    with pytest.raises(ValueError, match="weights must be 2 finite numbers"):
        world.truth(policy, r, weights=[1.0])
