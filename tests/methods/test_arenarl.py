"""Tournaments by hand, and what the places give."""

import numpy as np
import pytest

import lab
from lab.advantages.tournaments import TOPOLOGIES, _bracket, comparisons, play
from lab.errors import InputError, UnknownNameError


def judge(values):
    """A judge without noise."""
    return np.repeat(np.asarray(values, dtype=float)[:, None], len(values), axis=1)


@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize("size", [2, 3, 4, 5, 8, 13])
def test_a_judge_without_noise_finds_the_best(topology, size):
    values = np.random.default_rng(size).permutation(size)
    reward, played = play(topology, judge(values), seed=size)
    assert reward[values.argmax()] == reward.max() == 1.0 and reward.min() >= 0
    assert all(0 <= i < size and 0 <= j < size and i != j for i, j in played)
    if topology in ("round-robin", "anchor"):
        assert np.array_equal(reward, values / (size - 1))


def test_the_bracket_keeps_the_best_apart():
    assert _bracket(8) == [0, 7, 3, 4, 1, 6, 2, 5]
    assert _bracket(5) == [0, 3, 4, 1, 2]


@pytest.mark.parametrize("size", [3, 4, 7, 8, 16])
def test_numbers_of_comparisons(size):
    assert comparisons("unseeded", size) == comparisons("anchor", size) == size - 1
    assert comparisons("single-elimination", size) == comparisons("double-elimination", size) == 2 * size - 2
    assert comparisons("swiss", size) == int(np.ceil(np.log2(size))) * (size // 2)


def test_double_elimination_forgives_one_loss():
    values = np.arange(8.0)[::-1]
    scores = judge(values)
    scores[0, 1:], scores[1:, 0] = 9.0, 0.0
    reward, played = play("double-elimination", scores, seed=2)
    lost = np.zeros(8, dtype=int)
    for i, j in played:
        lost[j if scores[i, j] >= scores[j, i] else i] += 1
    assert reward[0] == 1.0 and (lost[1:] <= 2).all() and (lost[1:] >= 1).all()
    assert sorted(reward) == pytest.approx(np.arange(8) / 7)


def test_swiss_shares_tied_places():
    reward, _ = play("swiss", np.ones((4, 4)))
    assert np.allclose(reward, 0.5)


def test_two_responses_and_one():
    a = lab.advantages.compute("arenarl", [[0.2, 0.9]])
    assert a == pytest.approx(np.array([[-1, 1]]) * 0.5 / (np.sqrt(0.5) + 1e-6))
    assert lab.advantages.compute("arenarl", [0.3]) == pytest.approx(0)


def test_bad_input_is_refused():
    with pytest.raises(UnknownNameError, match="swiss"):
        lab.advantages.compute("arenarl", [0.1, 0.2], topology="swis")
    with pytest.raises(InputError, match="pair_scores"):
        lab.advantages.compute("arenarl", [[0.1, 0.2]], pair_scores=np.zeros((1, 3, 3)))


def test_the_variants_train_on_judgements_and_do_better_than_numbers():
    world = lab.world("judged", prompts=4, arms=6)
    trace = lab.train(world, ["grpo", "arenarl", "arenarl@round-robin"], steps=60, seeds=8, lr=1.0)
    last = {
        v: trace.frame.filter(variant=v, step=59)["value"].mean() for v in ("grpo", "arenarl", "arenarl@round-robin")
    }
    assert last["arenarl"] > last["grpo"] + 0.05 and last["arenarl@round-robin"] > last["grpo"] + 0.05
