"""The judged bandit: scores have the moments that were asked for, and drift cancels inside a pair."""

import numpy as np
import pytest

import lab
from simulators.judged.world import Judged, judgements


def test_pair_scores_have_their_moments():
    utility = np.random.default_rng(0).normal(size=(4000, 4))
    scores = judgements(utility, seed=3, prompt=np.arange(4000), drift=1.0, noise=0.3)
    off = ~np.eye(4, dtype=bool)
    error = (scores - 2 * utility[..., None])[:, off]
    assert error.mean() == pytest.approx(0, abs=0.02)
    assert error.std() == pytest.approx(np.sqrt(2 * (1 + 0.09)), rel=0.02)
    margin = scores - np.swapaxes(scores, -1, -2) - 2 * (utility[..., None] - utility[:, None])
    assert margin[:, off].std() == pytest.approx(np.sqrt(4 * 0.09), rel=0.02), "the drift cancels"
    numbers = error.reshape(4000, -1)
    assert abs(np.corrcoef(numbers[:, 0], numbers[:, -1])[0, 1]) < 0.05, "pairs without a common member"


def test_without_noise_a_judge_says_the_utility():
    utility = np.array([[0.0, 1.0, -2.0]])
    assert (judgements(utility, seed=0, drift=0.0, noise=0.0) == 2 * utility[..., None]).all()


def test_a_run_sees_the_same_judge_alone_and_among_others():
    world = Judged(np.random.default_rng(1).normal(size=(3, 5)))
    alone, among = (world.rollout(world.init(seeds), 4, 2, fields=("pair_scores",)) for seeds in ([7], [1, 7]))
    assert np.array_equal(alone.pair_scores[0], among.pair_scores[1])
    later = world.rollout(world.init([7]), 4, 3, fields=("pair_scores",))
    assert not np.array_equal(alone.pair_scores, later.pair_scores)
    assert world.rollout(world.init([7]), 4, 2).pair_scores is None


def test_sizes_and_names_are_checked():
    with pytest.raises(ValueError, match="standard deviations"):
        Judged([[0.0, 1.0]], drift=-1)
    with pytest.raises(ValueError, match="field"):
        Judged([[0.0, 1.0]]).rollout(Judged([[0.0, 1.0]]).init([0]), 2, 0, fields=("turn",))
    assert lab.world("judged", prompts=3, arms=5, spread=0.3).means.shape == (3, 1, 5)
