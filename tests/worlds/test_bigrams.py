"""The world of bigram tables: samples, exact numbers against all trajectories, rewards beside a reference."""

import itertools

import numpy as np
import pytest

import lab
from simulators import Bigrams
from simulators.bigrams.tables import features, frequencies, pool, sample, softmax
from simulators.records import Policy, Rollouts

EVERY = np.array(list(itertools.product(range(3), repeat=4)))


@pytest.fixture
def small():
    """A world of 81 trajectories, a policy of it, and all of its trajectories with their chances."""
    world = Bigrams(2, vocabulary=3, length=4, policies=2)
    policy = world.init([7])
    said = Rollouts(np.zeros((1, 1, 81, 1)), EVERY[None, None], np.zeros((1, 1, 81, 4)))
    return world, policy, said, np.exp(world.log_prob(policy, said).sum(-1).ravel())


def test_a_trajectory_is_drawn_symbol_by_symbol():
    logits, u = np.random.default_rng(0).normal(size=(2, 4, 3)), np.random.default_rng(1).random((2, 5, 6))
    found = sample(logits[:, None], u)
    for run in range(2):
        for row in range(5):
            before = 3
            for t in range(6):
                upto = np.cumsum(softmax(logits[run, before]))
                before = int(np.searchsorted(upto, u[run, row, t], side="right"))
                assert found[run, row, t] == before


def test_features_are_counted_by_hand():
    found = features([0, 1, 1, 0], 2)
    assert found.tolist() == [0.5, 0.5, 0.0, 1 / 3, 1 / 3, 1 / 3]
    assert features([[0, 1], [1, 1]], 2)[:, 2:].tolist() == [[0, 1, 0, 0], [0, 0, 0, 1]]


def test_exact_numbers_are_those_of_all_trajectories(small):
    world, policy, said, chance = small
    assert chance.sum() == pytest.approx(1)
    assert world.entropy(policy)[0] == pytest.approx(-(chance * np.log(chance)).sum())
    target = Policy(world.target(policy), policy.seeds)
    theirs = np.exp(world.log_prob(target, said).sum(-1).ravel())
    assert world.kl(policy, target)[0] == pytest.approx((chance * np.log(chance / theirs)).sum())
    pairs = features(EVERY, 3)[:, 3:]
    assert chance @ pairs == pytest.approx(frequencies(policy.parameters, 4).ravel())
    assert world.gold(policy)[0] == pytest.approx(-0.5 * np.abs((chance - theirs) @ pairs).sum())
    assert world.gold(target)[0] == 0


def test_references_are_the_targets_and_shared_by_the_group(small):
    world, policy, _, _ = small
    first, again, next_one = (world.rollout(policy, 4, step, fields=world.provides) for step in (0, 0, 1))
    assert first.get("reference_response").shape == (1, 2, 12) and first.get("response").shape == (1, 2, 4, 12)
    assert np.array_equal(first.get("reference_response"), again.get("reference_response"))
    assert not np.array_equal(first.get("reference_response"), next_one.get("reference_response"))
    many = Bigrams(4000, vocabulary=3, length=4, policies=2)
    shown = many.rollout(policy, 1, 0, fields=["reference_response"]).get("reference_response")[0]
    assert shown[:, 3:].mean(0) == pytest.approx(frequencies(world.target(policy), 4).ravel(), abs=0.03)


def test_tokens_are_matched_place_by_place_and_other_rewards_read_the_reference():
    world = Bigrams(3, reward_model=lambda policies, seeds: _nearness)
    plain, read = (w.rollout(w.init([0, 1]), 4, 0, fields=w.provides) for w in (Bigrams(3), world))
    assert np.array_equal(plain.actions, read.actions) and set(np.unique(plain.rewards * 16)) <= set(range(17))
    apart = np.abs(read.get("response") - read.get("reference_response")[:, :, None]).sum(-1)
    assert read.rewards[..., 0] == pytest.approx(-apart) and world.components == ("likeness",)
    assert lab.world("bigrams", prompts=3).rollout(world.init([0]), 4, 0).extra == {}


def _nearness(responses, context):
    return -np.abs(responses - context["reference_response"][..., None, :]).sum(-1)


def test_pools_are_their_seeds_own():
    both, own, other = pool(5, seeds=[0, 1]), pool(5, seeds=1), pool(5, seeds=1, draw=1)
    assert len(both) == 5 and both.logits.shape == (2, 5, 7, 6)
    assert np.array_equal(both.logits[1], own.logits[0]) and not np.array_equal(own.logits, other.logits)


@pytest.mark.parametrize(
    ("given", "said"),
    [({"vocabulary": 1}, "vocabulary"), ({"length": 1}, "length"), ({"sharpness": -1.0}, "sharpness"),
     ({"policies": 0}, "number"), ({"prompts": 0}, "prompts"), ({"reward_model": "polr"}, "reward model 'polr'"),
     ({"seed": -1}, "seed")],
)  # fmt: skip
def test_what_is_no_world_is_refused(given, said):
    with pytest.raises(ValueError, match=said):
        Bigrams(**given)


def test_symbols_that_are_none_are_refused(small):
    world, policy, said, _ = small
    for wrong in (3, -1):
        with pytest.raises(ValueError, match=r"must lie in 0\.\.2"):
            world.log_prob(policy, Rollouts(said.rewards, np.full((1, 1, 81, 4), wrong), said.logp))
