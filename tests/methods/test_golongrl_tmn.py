"""TMN-Reweight: tasks, groups of unequal size, and what bad input says."""

import numpy as np
import pytest

from lab import advantages
from lab.advantages.golongrl_tmn import pass_rate
from lab.errors import InputError

REWARDS = np.array([[1, 1, 0, 0], [0.2, 0.1, 0.1, 0.8], [0.2, 0, 0.2, 0.2], [1, 0, 1, 1]])


def test_a_batch_without_labels_is_one_task() -> None:
    one = advantages.compute("golongrl-tmn", REWARDS, task=[0, 0, 0, 0])
    assert np.array_equal(advantages.compute("golongrl-tmn", REWARDS), one)


def test_labels_may_be_words_and_tasks_do_not_touch_each_other() -> None:
    named = advantages.compute("golongrl-tmn", REWARDS, task=["em", "f1", "f1", "em"])
    alone = advantages.compute("golongrl-tmn", REWARDS[[0, 3]])
    assert np.array_equal(named[[0, 3]], alone)


def test_unscored_rollouts_are_left_out() -> None:
    padded = np.where(np.arange(4) < [[3], [4], [4], [2]], REWARDS, np.nan)
    found = advantages.compute("golongrl-tmn@no-difficulty", padded, missing="skip")
    variance = np.mean([np.var(row[~np.isnan(row)], ddof=1) for row in padded])
    assert found[3] == pytest.approx([0.5 / (np.sqrt(variance) + 1e-6), -0.5 / (np.sqrt(variance) + 1e-6), 0, 0])


def test_weights_favour_the_rare_outcome() -> None:
    hard, easy = advantages.compute("golongrl-tmn", [[1, 0, 0, 0], [0, 1, 1, 1]], task=[0, 1])
    assert hard[0] == pytest.approx(1.5 * np.exp(0.25), rel=1e-5)
    assert easy[0] == pytest.approx(-1.5 * np.exp(0.25), rel=1e-5)


def test_an_unknown_scale_is_named() -> None:
    with pytest.raises(InputError, match="'batch'; it must be 'task' or 'none'"):
        advantages.compute("golongrl-tmn", REWARDS, scale="batch")


def test_a_prompt_without_any_score_counts_for_nothing() -> None:
    padded = np.vstack([REWARDS, np.full((1, 4), np.nan)])
    for name in ("golongrl-tmn", "qwenlong"):
        found = advantages.compute(name, padded, missing="skip")
        assert np.array_equal(found[:4], advantages.compute(name, REWARDS))
        assert not found[4].any()


def test_a_group_of_one_is_compared_with_its_task_alone():
    """Raw, a group of one counts as mean 0; M is then 0, and every reward above it passes, whatever alpha is."""
    assert pass_rate(np.array([[1.0], [0.5]]), single="raw").tolist() == [[1.0], [1.0]]
    # zero: the means are 1 and 0.5, M is 0.75, and the threshold of a group of one is M itself
    assert pass_rate(np.array([[1.0], [0.5]]), alpha=0.8).tolist() == [[1.0], [0.0]]
    assert pass_rate(np.array([[1.0], [0.9]]), alpha=1.0).tolist() == [[1.0], [0.0]]
