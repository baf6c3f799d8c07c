"""Preference games against closed forms: win rates, the step that DNO aims at, fitted rewards, verdicts."""

import numpy as np
import pytest

from lab.studies import preference_games as play
from lab.studies.objectness import reranked

ROCK_PAPER_SCISSORS = np.array([[[0.5, 0.0, 1.0], [1.0, 0.5, 0.0], [0.0, 1.0, 0.5]]])


def test_the_nash_policy_cannot_be_exploited_and_a_pure_one_can() -> None:
    uniform, pure = np.full((1, 3), 1 / 3), np.eye(3)[:1]
    assert play.wins(ROCK_PAPER_SCISSORS, uniform) == pytest.approx(np.full((1, 3), 0.5))
    assert play.gap(ROCK_PAPER_SCISSORS, uniform) == pytest.approx([0.0])
    assert play.gap(ROCK_PAPER_SCISSORS, pure) == pytest.approx([0.5])


def test_ascending_dno_is_a_step_of_soft_policy_iteration() -> None:
    policy = np.array([[0.5, 0.3, 0.2]])
    weight = policy * np.exp(ROCK_PAPER_SCISSORS[0] @ policy[0] / 2.0)
    expected = weight / weight.sum()
    assert play.target(ROCK_PAPER_SCISSORS, policy, 2.0) == pytest.approx(expected)
    assert play.ascend(ROCK_PAPER_SCISSORS, policy, 2.0, 200) == pytest.approx(expected, abs=1e-9)


def test_the_mixture_of_iterates_approaches_the_nash_policy() -> None:
    games = 0.5 + 0.3 * (ROCK_PAPER_SCISSORS - 0.5)
    games = np.concatenate([games, play.by_scores(np.array([[1.0, 0.0, -1.0]]))])
    average, last = play.iterate(games, 1.0, 50)
    assert average[0] == pytest.approx(np.full(3, 1 / 3))
    assert last[1].argmax() == 0 and play.gap(games, last)[1] < 0.01
    assert average.sum(axis=-1) == pytest.approx([1.0, 1.0])


def test_rewards_are_recovered_from_preferences_that_they_express() -> None:
    score = np.array([[1.0, 0.2, -1.2]])
    found = play.fitted_reward(play.by_scores(score))
    assert found - found.mean() == pytest.approx(score, abs=1e-6)
    best = play.maximised(play.by_scores(score), 0.1)
    assert best == pytest.approx(np.exp(score / 0.1) / np.exp(score / 0.1).sum(), abs=1e-6)


def test_each_pair_has_one_verdict_by_its_chance() -> None:
    chance = np.full((4000, 3, 3), 0.8)
    won = play.verdicts(chance, np.random.default_rng(0))
    upper = np.triu(np.ones((3, 3)), 1) > 0
    assert np.array_equal(won + won.swapaxes(-1, -2), np.broadcast_to(1 - np.eye(3), won.shape))
    assert won[:, upper].mean() == pytest.approx(0.8, abs=0.02)


def test_sampled_iterates_start_uniform_and_prefer_what_wins() -> None:
    games = play.by_scores(np.array([[2.0, 1.0, 0.0, -1.0]]))
    path = play.sampled_iterates(games, 5, np.random.default_rng(0), prompts=50)
    assert path.shape == (6, 1, 4) and path[0] == pytest.approx(np.full((1, 4), 0.25))
    assert path[-1].sum() == pytest.approx(1.0)
    assert path[-1][0, 0] > 0.5 and path[-1][0, 3] < 0.1


def test_objectness_follows_its_advantage_and_stops_where_it_is_sure() -> None:
    score = reranked(np.array([1.0, -1.0, 0.0]), np.zeros(3), steps=1, lr=0.5)
    assert score == pytest.approx([0.25, -0.25, 0.0])
    assert np.array_equal(reranked(np.ones(2), np.zeros(2), steps=0), np.zeros(2))
