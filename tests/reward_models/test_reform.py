"""REFORM: what the writer writes when it is steered, what counts as a failure, what is added, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from lab import reward_models
from lab.errors import InputError, LabError
from simulators.learned_reward import fitters
from simulators.learned_reward.annotators import Comparisons
from simulators.learned_reward.token_bags import SPURIOUS, WORTH, Writer, bags, compare_bags, swapped, writer

pytest.importorskip("torch")

from lab.reward_models import reform

DATA = compare_bags(200, seeds=[0, 1])
REWARD = np.where(np.arange(40) // 4 == 4, 2.0, 0.0) - np.where(np.arange(40) // 4 == 5, 2.0, 0.0)


def test_comparisons_have_a_good_response_and_the_tokens_that_go_along_with_it() -> None:
    assert DATA.chosen.shape == (2, 200, 40) and (DATA.chosen.sum(-1) == 12).all()
    assert (DATA.chosen @ WORTH > 0).all() and (DATA.rejected @ WORTH < 0).all()
    along, against = (DATA.chosen[..., each].sum(-1).mean() for each in SPURIOUS)
    assert along > 5 * against and DATA.chosen[..., :4].mean() > 10 * DATA.chosen[..., 4:8].mean()
    assert np.array_equal(compare_bags(200, seeds=1).chosen[0], DATA.chosen[1])
    exchanged = swapped(DATA.chosen)
    assert np.array_equal(exchanged[..., SPURIOUS[1]], DATA.chosen[..., SPURIOUS[0]])
    assert np.array_equal(exchanged @ WORTH, DATA.chosen @ WORTH) and np.array_equal(swapped(exchanged), DATA.chosen)


@pytest.mark.parametrize(("preferred", "sign"), [(True, 1), (False, -1)])
def test_a_steered_writer_keeps_its_class_and_turns_against_the_reward(preferred: bool, sign: int) -> None:
    rng = np.random.default_rng(0)
    plain = writer().write(rng, preferred, 200)
    steered = writer().write(rng, preferred, 200, reward=REWARD)
    assert plain.shape == steered.shape == (200, 40) and (sign * (steered @ WORTH) > 0).all()
    assert sign * ((plain - steered) @ REWARD).mean() > 4
    unsteered = writer().write(np.random.default_rng(0), preferred, 200, reward=REWARD, alpha=0.0)
    assert np.array_equal(unsteered, plain), "α = 0 draws plain responses"


def test_a_place_is_the_best_of_the_candidates() -> None:
    """With as many candidates as tokens nothing is left to chance: argmax log π − α r."""
    own = Writer(np.array([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5]]), 4, np.array([1.0, 1.0, -1.0]))
    reward = np.array([1.0, 0.0, 5.0])
    best = np.argmax(np.log([0.5, 0.3, 0.2]) - 2 * reward)
    found = own.write(np.random.default_rng(0), True, 3, reward=reward, tokens=3, alpha=2.0)
    assert np.array_equal(found, 4 * np.eye(3)[[best] * 3])
    against = own.write(np.random.default_rng(0), True, 3, reward=np.array([5.0, 5.0, -5.0]), tokens=3, alpha=2.0)
    assert len(against) == 0, "all leave the class, and the writer gives up"


def test_a_failure_scores_beyond_the_median_of_the_other_class() -> None:
    good, bad = np.array([[3.0], [1.0], [0.0]]), np.array([[2.0], [9.0]])
    chosen, rejected = np.array([[4.0], [5.0], [6.0]]), np.array([[1.0], [2.0], [0.5]])
    assert reform.failure_rate((good, bad), np.ones(1), chosen, rejected) == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert reform.failure_rate((good[:0], bad), np.ones(1), chosen, rejected) == 0.25


def test_what_it_finds_is_wrongly_scored_and_repairs_it() -> None:
    before, after = (reward_models.fit("reform", DATA, [0, 1], share=share).model for share in (0.0, 0.05))
    for k, (low, high) in enumerate(after.found):
        assert len(low) == len(high) == 10 and (low @ WORTH > 0).all() and (high @ WORTH < 0).all()
        assert (low @ before.weights[k] < np.median(DATA.rejected[k] @ before.weights[k])).all()
        assert (high @ before.weights[k] > np.median(DATA.chosen[k] @ before.weights[k])).all()
    fresh = compare_bags(500, seeds=[9, 10])
    old, new = ((m(swapped(fresh.chosen)) > m(swapped(fresh.rejected))).mean() for m in (before, after))
    assert new > old + 0.3 and (after(fresh.chosen) > after(fresh.rejected)).mean() > 0.99
    assert not any(len(each) for pair in before.found for each in pair)


def test_it_is_fitted_by_name_to_counts_and_scores_any_response() -> None:
    own = bags(DATA.chosen[0], DATA.rejected[0], writer())
    score = reward_models.fit("reform", own, seed=0)
    both = reward_models.fit("reform", DATA, [0, 1])
    x = DATA.rejected[:, :6].reshape(2, 2, 3, 40)
    assert score(x[0]).shape == (2, 3) and both(x).shape == (2, 2, 3)
    assert np.array_equal(score(x[0]), both(x)[0]), "one of several is the same as alone"
    assert both(x)[1] == pytest.approx(x[1] @ both.model.weights[1])
    assert "reform" in reward_models.names() and "reform" not in fitters.FITTERS


@pytest.mark.parametrize(
    ("options", "said"),
    [({"share": -0.1}, "share"), ({"alpha": np.nan}, "alpha"), ({"augmented": "guide"}, "nearest: 'guided'"),
     ({"tokens": 0}, "tokens"), ({"tokens": 41}, "there are 40"), ({"ridge": 0.0}, "ridge"), ({"epochs": 1}, "epochs")],
)  # fmt: skip
def test_options_out_of_range_are_refused(options: dict, said: str) -> None:
    with pytest.raises(LabError, match=said):
        reward_models.fit("reform", DATA, [0, 1], **options)


def test_data_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(InputError, match="learns from Bags"):
        reward_models.fit("reform", Comparisons(DATA.chosen, DATA.rejected), [0, 1])
    with pytest.raises(InputError, match="no writer"):
        reward_models.fit("reform", replace(DATA, by=None), [0, 1])
    with pytest.raises(InputError, match="2 sets of comparisons for 3 seeds"):
        reward_models.fit("reform", DATA, [0, 1, 2])
    with pytest.raises(ValueError, match="whole numbers"):
        bags(DATA.chosen[0] + 0.5, DATA.rejected[0], writer())
    with pytest.raises(ValueError, match="no comparisons"):
        bags(np.zeros((0, 40)), np.zeros((0, 40)), writer())
    with pytest.raises(ValueError, match=r"must be \[2, 3\]"):
        bags(np.eye(3), 1 - np.eye(3), writer())
    with pytest.raises(ValueError, match="add up to 1"):
        bags(DATA.chosen[0], DATA.rejected[0], replace(writer(), shares=np.ones((2, 40))))
    with pytest.raises(ValueError, match="pairs"):
        compare_bags(0)
