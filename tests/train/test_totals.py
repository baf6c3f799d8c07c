"""What a filter sees of several reward components: their weighted sum, what is not scored left out."""

import numpy as np
import pytest

import lab
from lab.advantages import added
from lab.advantages.credit import Credit
from lab.errors import InputError
from lab.integrations.rules import Rules
from lab.studies.groups import outcome
from lab.training.loop import Moment, Settings, Walk
from simulators import Bandit

HEADS = Bandit(means=[[[0.0, 1.0], [1.0, 0.0]]] * 3)
NAN = float("nan")


def look(name: str, weights: tuple[float, ...] | None) -> Moment:
    return Walk(HEADS, lab.variant(name, refill=0), range(8), Settings(group_size=4, reward_weights=weights)).look()


def test_a_total_is_weighted_and_leaves_out_what_is_not_scored() -> None:
    rewards = np.array([[1.0, 2.0], [NAN, 2.0], [NAN, NAN]])
    assert added(rewards[:2]).tolist() == [3.0, 2.0] and np.isnan(added(rewards)[2])
    assert added(rewards[:2], np.array([2.0, -1.0])).tolist() == [0.0, -2.0]
    assert added(rewards[:1], np.array([1.0, 0.0])).tolist() == [1.0]


@pytest.mark.parametrize("weights", [(1.0, 0.0), (1.0, -1.0), (0.25, 3.0)])
def test_dynamic_sampling_drops_the_groups_that_are_equal_under_the_weights(weights: tuple[float, ...]) -> None:
    moment = look("dapo", weights)
    level = np.ptp(moment.rewards @ np.array(weights), axis=-1) < 1e-12
    assert moment.keep is not None
    assert np.array_equal(moment.keep.all(-1), ~level) and np.array_equal(moment.keep.any(-1), ~level)
    unweighted = np.ptp(moment.rewards.sum(-1), axis=-1) < 1e-12
    assert (level != unweighted).any(), "the weights decide for some group here"


def test_without_weights_components_are_added() -> None:
    moment = look("dapo", None)
    assert moment.keep is not None
    assert np.array_equal(moment.keep.all(-1), np.ptp(moment.rewards.sum(-1), axis=-1) > 0)


@pytest.mark.usefixtures("own_rule")
def test_a_filter_and_a_rule_that_drops_rollouts_both_count() -> None:
    @lab.advantage("leaves-out-the-first")
    def leaves_out_the_first(rewards: np.ndarray) -> Credit:
        return Credit(rewards - rewards.mean(-1, keepdims=True), keep=np.arange(rewards.shape[-1]) > 0 * rewards)

    chosen = lab.methods.Variant("both", advantage="leaves-out-the-first", filter="uniform")
    moment = Walk(HEADS, chosen, range(8), Settings(group_size=4)).look()
    useful = np.ptp(moment.rewards.sum(-1), axis=-1) > 0
    assert moment.keep is not None and 0 < useful.sum() < useful.size
    assert np.array_equal(moment.keep, useful[..., None] & (np.arange(4) > 0))


def test_the_greedy_reward_is_weighted_as_the_others_are() -> None:
    weighted = look("remax", (1.0, 0.0))
    greedy = weighted.rollouts.greedy_rewards
    assert greedy is not None and (greedy[..., 1] > 0).any()
    assert weighted.advantage == pytest.approx(weighted.rewards[..., 0] - greedy[..., :1], abs=1e-15)
    both = look("remax", (2.0, -0.5))
    expected = both.rewards @ [2.0, -0.5] - (both.rollouts.greedy_rewards @ [2.0, -0.5])[..., None]  # type: ignore[operator]
    assert both.advantage == pytest.approx(expected, abs=1e-15)


def test_an_unscored_component_or_rollout_does_not_drop_a_group_in_another_trainer() -> None:
    rewards = np.array([[[0, NAN], [1, NAN], [0, NAN], [1, NAN]]])
    mask = np.ones((1, 4, 3), dtype=bool)
    for name in ("dapo", "ngrpo"):
        found = Rules(name).score(rewards, mask)
        assert found.keep.all(), name
        assert np.sign(found.advantage).tolist() == [[-1, 1, -1, 1]]
    some = np.array([[[NAN], [1.0], [0.0]], [[NAN], [1.0], [1.0]], [[NAN], [NAN], [NAN]]])
    assert Rules("dapo").score(some, np.ones((3, 3, 1), dtype=bool)).keep[:, 0].tolist() == [True, False, False]


def test_a_filter_in_another_trainer_sees_the_weights() -> None:
    rewards = np.array([[[0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 0.0]]])
    mask = np.ones((2, 2, 1), dtype=bool)
    keep = {w: Rules("dapo").score(rewards, mask, np.array(w)).keep[:, 0].tolist() for w in ((1, 1), (1, 0), (0, 1))}
    assert keep == {(1, 1): [False, True], (1, 0): [True, False], (0, 1): [True, True]}


@pytest.mark.usefixtures("own_rule")
def test_the_options_of_a_preset_reach_its_reward_rule_in_another_trainer() -> None:
    @lab.registry.register("reward", "times")
    def times(rewards: np.ndarray, *, factor: float = 1.0) -> np.ndarray:
        return rewards * factor

    lab.registry.preset("reward", "times@three", "times", factor=3.0)
    found = Rules(lab.methods.Variant("preset", reward="times@three")).score(
        np.ones((1, 2, 1)), np.ones((1, 2, 1), bool)
    )
    assert found.rewards.tolist() == [[[3.0], [3.0]]]


def test_a_group_outside_a_run_is_filtered_by_its_total() -> None:
    found = outcome(lab.variant("dapo"), np.array([[[0.0, 1.0, 0.0], [1.0, 1.0, 1.0]]]))
    assert found is not None and found[1].any(-1).tolist() == [[True, False]]


def test_weights_of_a_variant_are_those_of_the_run_and_are_given_once() -> None:
    one, other = (np.array(w) for w in ((1.0, 0.25), (1.0, 1.0)))
    settings = {"steps": 3, "seeds": 2, "group_size": 4, "threads": 1}
    of_variant = lab.train(HEADS, lab.variant("gdpo", weights=tuple(one)), **settings).parameters()
    of_run = lab.train(HEADS, "gdpo", reward_weights=tuple(one), **settings).parameters()
    assert np.array_equal(of_variant, of_run)
    assert not np.array_equal(of_variant, lab.train(HEADS, "gdpo", **settings).parameters())
    with pytest.raises(InputError, match="give one"):
        lab.train(HEADS, lab.variant("gdpo", weights=tuple(one)), reward_weights=tuple(other), **settings)
