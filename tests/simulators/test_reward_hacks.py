"""The world of proxy and gold against plain loops, finite differences and its edges."""

import numpy as np
import pytest

import lab
from simulators.records import Policy, World
from simulators.reward_hacks.world import BASE, GOLD, PROXY, RewardHacks, graders, metrics


def moved(world: RewardHacks, seeds: range = range(3)) -> Policy:
    """A policy away from its start."""
    policy = world.init(seeds)
    policy.parameters[...] += np.random.default_rng(5).normal(0, 0.7, policy.parameters.shape)
    return policy


def probabilities(world: RewardHacks, policy: Policy, s: int, p: int) -> np.ndarray:
    """π of one task, written out."""
    phi = world._tasks(policy)[1][s, p]
    scores = [float(np.exp(sum(w * x for w, x in zip(row, phi, strict=True)))) for row in policy.parameters[s]]
    return np.array(scores) / sum(scores)


def value(world: RewardHacks, policy: Policy, s: int, rewards: np.ndarray) -> float:
    families = world._tasks(policy)[0][s]
    each = [probabilities(world, policy, s, p) @ rewards[families[p]] for p in range(world.prompts)]
    return float(np.mean(each))


def test_it_is_a_world_and_draws_the_same_again() -> None:
    world = RewardHacks(5)
    assert isinstance(world, World)
    first, alone = (RewardHacks(5).rollout(RewardHacks(5).init(s), 4, 7) for s in ([2, 9], [9]))
    assert np.array_equal(first.rewards[1:], alone.rewards) and np.array_equal(first.logp[1:], alone.logp)
    assert first.rewards.shape == first.actions.shape == (2, 5, 4, 1)
    assert not np.array_equal(first.actions, world.rollout(world.init([2, 9]), 4, 8).actions)


def test_answers_come_as_often_as_their_probability() -> None:
    world = RewardHacks(3)
    policy = moved(world, range(1))
    rollouts = world.rollout(policy, 40_000, 0)
    for p in range(3):
        shares = np.bincount(rollouts.actions[0, p, :, 0], minlength=3) / 40_000
        assert shares == pytest.approx(probabilities(world, policy, 0, p), abs=0.01)
    assert np.array_equal(rollouts.rewards, np.array(PROXY)[rollouts.actions])


def test_truth_is_the_sum_over_answers() -> None:
    world = RewardHacks(4, families=3, trained=2, proxy=[PROXY, (0, 1, 2), PROXY])
    policy = moved(world)
    rollouts = world.rollout(policy, 6, 0)
    truth = world.truth(policy, rollouts, weights=[2.0])
    for s in range(3):
        assert truth.value[s].mean() == pytest.approx(2 * value(world, policy, s, world.rewards))
        assert world.gold(policy)[s] == pytest.approx(value(world, policy, s, world.golds))
    assert truth.advantage + truth.value[..., None] == pytest.approx(2 * rollouts.rewards[..., 0])


@pytest.mark.parametrize("shared", [True, False])
def test_gradients_agree_with_finite_differences(shared: bool) -> None:
    world = RewardHacks(4, families=3, trained=2, shared=shared)
    policy = moved(world, range(2))
    rollouts = world.rollout(policy, 5, 0)
    weights = np.random.default_rng(1).normal(size=rollouts.logp.shape)
    exact, scored = world.truth(policy, rollouts).gradient, world.gradient(policy, rollouts, weights)
    for place in np.ndindex(policy.parameters.shape):
        if not shared and place[2] == 0:
            assert exact[place] == scored[place] == 0
            continue
        ends = []
        for sign in (1, -1):
            policy.parameters[place] += sign * 1e-5
            scores = (weights * world.log_prob(policy, rollouts)).sum(axis=(1, 2, 3))
            ends.append([value(world, policy, place[0], world.rewards), scores[place[0]]])
            policy.parameters[place] -= sign * 1e-5
        slopes = (np.array(ends[0]) - ends[1]) / 2e-5
        assert [exact[place], scored[place]] == pytest.approx(slopes, abs=1e-7)


def test_entropy_and_kl() -> None:
    world = RewardHacks(2)
    policy, start = moved(world, range(1)), world.init([0])
    ours, theirs = ([probabilities(world, x, 0, p) for p in range(2)] for x in (policy, start))
    assert world.entropy(policy)[0] == pytest.approx(np.mean([-(p @ np.log(p)) for p in ours]))
    assert world.kl(policy, start)[0] == pytest.approx(
        np.mean([p @ np.log(p / q) for p, q in zip(ours, theirs, strict=True)])
    )
    assert world.kl(start, start)[0] == 0


def test_slots_stand_for_their_tasks() -> None:
    world = RewardHacks(4)
    policy = moved(world, range(2))
    rollouts = world.rollout(policy, 3, 0)
    whole, weights = world.log_prob(policy, rollouts), np.ones(rollouts.logp.shape)
    from dataclasses import replace

    picked = replace(rollouts, actions=rollouts.actions[:, [2, 0]], prompt=np.array([2, 0]))
    assert np.array_equal(world.log_prob(policy, picked), whole[:, [2, 0]])
    weights[:, [1, 3]] = 0
    ours, theirs = world.gradient(policy, picked, np.ones((2, 2, 3, 1))), world.gradient(policy, rollouts, weights)
    assert ours == pytest.approx(theirs)


def test_imitation_is_descent_as_a_plain_loop_does_it() -> None:
    world = RewardHacks(families=4, trained=2)
    policy = world.init([3])
    start = policy.parameters.copy()
    family, features = world._drawn(policy, 4, 10, range(2))
    steps = list(world.imitate(policy, share=1.0, demonstrations=10, steps=3, lr=0.4, decay=0.1))
    w = start[0].copy()
    for _ in range(3):
        pull = np.zeros_like(w)
        for phi in features[0]:
            p = np.exp(w @ phi) / np.exp(w @ phi).sum()
            pull += np.outer(np.eye(3)[1] - p, phi) / 10
        w += 0.4 * (pull - 0.1 * (w - start[0]))
    assert steps == [0, 1, 2, 3]
    assert policy.parameters[0] == pytest.approx(w)
    assert set(family[0]) == {0, 1}


def test_families_are_trained_on_or_held_out_and_never_both() -> None:
    assert list(RewardHacks(trained=2).held_out) == [6, 7, 8, 9, 10, 11]
    assert list(RewardHacks(trained=10).held_out) == [10, 11]
    everything = RewardHacks(trained=12)
    seen = everything.outcome(everything.init([0, 1]), tasks=10)
    assert np.isnan([seen.hack, seen.proxy, seen.gold]).all()
    assert np.isfinite(everything.outcome(everything.init([0]), held_out=False, tasks=10).gold).all()


def test_hacks_of_all_and_of_none_of_the_demonstrations() -> None:
    world = RewardHacks()
    rates = []
    for share in (0.0, 1.0):
        policy = world.init(range(4))
        list(world.imitate(policy, share=share, demonstrations=60, steps=40))
        rates.append(world.outcome(policy, tasks=200).hack.mean())
    start = world.outcome(world.init(range(4)), tasks=200).hack.mean()
    assert rates[0] < start < rates[1]


def test_without_the_shared_feature_only_the_trained_families_change() -> None:
    world = RewardHacks(shared=False)
    policy, start = world.init(range(4)), world.init(range(4))
    list(world.imitate(policy, demonstrations=60, steps=40))
    assert np.array_equal(policy.parameters[..., 0], start.parameters[..., 0])
    assert abs(world.outcome(policy).hack - world.outcome(start).hack).max() < 0.02
    assert (world.outcome(policy, held_out=False).hack > world.outcome(start, held_out=False).hack + 0.1).all()


def test_a_lax_grader_pays_better_for_a_hack_and_a_strict_one_for_honesty() -> None:
    world = graders((0.0, 1.0))
    assert world.answers == 6
    assert world.rewards[0] == pytest.approx([0.6, 1.0, 1.0, 0.1, 0.0, 0.0])
    assert world.golds[0] == pytest.approx(np.repeat(GOLD, 2))
    start = world.outcome(world.init(range(8)))
    three = RewardHacks(base=np.array(BASE))
    assert start.gold.mean() == pytest.approx(three.outcome(three.init(range(8))).gold.mean(), abs=0.03)


def test_a_game_pays_under_its_own_metric_only() -> None:
    world = metrics(2, families=4, trained=2)
    assert world.rewards[0] == pytest.approx([0.6, 1.0, world.rewards[0, 2], 0.0]) and world.rewards[0, 2] < 0.6
    assert world.rewards[1] == pytest.approx(world.rewards[0][[0, 2, 1, 3]])
    assert np.array_equal(world.rewards[2:], world.rewards[:2])
    assert world.golds[0] == pytest.approx([1.0, 0.1, 0.1, 0.0])
    assert metrics(1).rewards == pytest.approx(RewardHacks().rewards)
    ours, theirs = (w.outcome(w.init(range(8)), tasks=200).gold.mean() for w in (metrics(3), RewardHacks()))
    assert ours == pytest.approx(theirs, abs=0.03)


def test_training_on_the_proxy_measures_the_gold_beside_it() -> None:
    trace = lab.train(RewardHacks(8), ["grpo", "dapo"], steps=4, seeds=2, measure="full")
    assert {"value", "gold", "cosine"} <= set(trace.frame.columns)
    assert trace.frame["gold"].null_count() == 0
    from simulators import Bandit

    assert "gold" not in lab.train(Bandit(success=[0.2, 0.8]), steps=2, seeds=2, measure="full").frame.columns


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: RewardHacks(0), "tasks must be at least 1"),
        (lambda: RewardHacks(trained=13), "trained must be at most .* 12, not 13"),
        (lambda: RewardHacks(proxy=[1, 2]), r"proxy must be finite rewards \(3,\) or \(12, 3\)"),
        (lambda: RewardHacks(gold=[1, 2, np.nan]), "gold must be finite"),
        (lambda: RewardHacks(base=[1]), "two answers or more"),
        (lambda: RewardHacks().init([]), "one or more integers"),
        (
            lambda: RewardHacks().rollout(RewardHacks().init([0]), 2, 0, fields=["turn"]),
            "unknown field of the reward-hacks world 'turn'",
        ),
        (lambda: RewardHacks().outcome(RewardHacks().init([0]), tasks=0), "tasks must be at least 1"),
        (lambda: list(RewardHacks().imitate(RewardHacks().init([0]), share=1.5)), "share must be from 0 to 1"),
        (lambda: metrics(0), "count must be at least 1"),
        (lambda: graders([2.0]), "levels must be one or more numbers from 0 to 1"),
    ],
)
def test_bad_input_is_named(make: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()  # type: ignore[operator]


def test_weights_and_actions_of_another_shape_are_refused() -> None:
    world = RewardHacks(2)
    policy = world.init([0])
    rollouts = world.rollout(policy, 3, 0)
    with pytest.raises(ValueError, match="weights must have the actions' shape"):
        world.gradient(policy, rollouts, np.ones((1, 2, 3)))
    with pytest.raises(ValueError, match="actions must have shape"):
        world.log_prob(world.init([0, 1]), rollouts)
