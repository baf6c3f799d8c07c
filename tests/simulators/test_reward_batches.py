"""Batches of rewards: shapes, repetition, and the numbers that their papers state."""

import numpy as np
import pytest

from simulators import reward_laws
from simulators.reward_laws import BATCHES, batch

BEHIND = {"five_rewards": (5,), "information_gain": (6,), "turn_effects": (8, 2)}


@pytest.mark.parametrize("name", BATCHES)
def test_every_batch_has_its_shape_and_comes_again(name: str) -> None:
    drawn = batch(name, (3, 4, 10), seed=2)
    assert drawn.shape == (3, 4, 10, *BEHIND.get(name, ())) and np.isfinite(drawn).all()
    assert np.array_equal(drawn, batch(name, (3, 4, 10), seed=2))
    assert not np.array_equal(drawn, batch(name, (3, 4, 10), seed=3))


def test_tasks_differ_in_scale_and_in_unanimous_prompts() -> None:
    spread = {n: batch(n, (4000, 16)).std(axis=-1) for n in ("em_u", "em_mid", "f1", "rouge")}
    unanimous = {n: (s == 0).mean() for n, s in spread.items()}
    assert 0.45 < unanimous["em_u"] < 0.6 and unanimous["em_mid"] < 0.02 and unanimous["f1"] == unanimous["rouge"] == 0
    assert spread["rouge"].mean() == pytest.approx(0.03, rel=0.1)


def test_means_are_as_stated() -> None:
    assert batch("five_rewards", (4000, 16)).mean(axis=(0, 1)) == pytest.approx([0.5, 0.8, 0.5, 0.5, 0.5], abs=0.01)
    assert batch("saturated", (400, 16)).mean() == pytest.approx(0.9, abs=1e-3)
    assert batch("reward_gap", (400, 16)).std() == pytest.approx(0.5, rel=0.05)
    scores = batch("score_pair", (4000, 16))
    assert set(np.unique(scores)) <= set(range(11)) and (scores[::2] - scores[1::2]).mean() == pytest.approx(
        1.5, abs=0.1
    )
    agents = batch("two_agents", (400, 20))
    assert agents[:, :16].mean() == pytest.approx(0.2, abs=0.02) and agents[:, 16:].mean() == pytest.approx(
        0.9, abs=0.01
    )


def test_gains_share_what_is_asked_for() -> None:
    gain = batch("information_gain", (4000, 16), correlation=0.3).reshape(-1, 6)
    assert gain.mean(axis=0) == pytest.approx([0.35, 0.12, 0.06, 0.03, 0.02, 0.01], abs=0.005)
    shared = np.corrcoef(gain.T)[np.triu_indices(6, 1)]
    assert shared == pytest.approx(np.full(15, 0.3), abs=0.03)


def test_an_action_pays_now_and_later_and_its_effect_says_so() -> None:
    reward, effect = np.moveaxis(batch("turn_effects", (400, 16), turns=3, now=0.2, delayed=(0.5,), noise=0.0), -1, 0)
    acted = effect[..., -1] > 0  # the last turn has no later one
    assert set(np.unique(effect[..., -1].round(9))) == {0.0, 0.2} and effect[..., 0].max() == pytest.approx(0.7)
    before = effect[..., 1] > 0
    assert reward[..., -1] == pytest.approx(np.exp(-1) + 0.2 * acted + 0.5 * before)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown batch of rewards 'em'; nearest: 'em_u'"):
        batch("em", (4, 8))
    with pytest.raises(ValueError, match=r"shape=\(8,\); it must be"):
        batch("rouge", (8,))
    assert reward_laws.law("normal").name == "normal"  # the laws of one reward are where they were
