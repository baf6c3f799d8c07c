"""VGPO: values to go, shares of the value as weights, and a part that survives equal values."""

import numpy as np
import pytest

import lab
from lab.errors import UnknownNameError


def vgpo(instant: list, **given: object) -> np.ndarray:
    return lab.advantages.compute("vgpo", np.zeros((1, len(instant))), instant_rewards=[instant], **given)[0]


def test_what_is_equal_keeps_a_signal_in_the_early_steps() -> None:
    found = vgpo([[1, 1, 1, 1]] * 3, gamma=1.0)
    assert found == pytest.approx(np.tile([1.6 * 0.4, 1.2 * 0.3, 0, 0], (3, 1)))
    assert np.abs(vgpo([[1, 1, 1, 1]] * 3, k=0.0)).max() == 0


def test_values_are_discounted_sums_of_what_follows() -> None:
    assert vgpo([[1, 1]], gamma=0.5, omega="none", absolute=1.0) == pytest.approx(np.array([[0.15, 0.1]]))


def test_the_share_is_of_the_group_or_of_the_rollout() -> None:
    instant = [[0, 1], [0, 0]]
    given = {"gamma": 1.0, "k": 0.0, "eps": 0.0}
    assert vgpo(instant, **given) == pytest.approx(np.array([[1, 1], [-1, -1]]))
    assert vgpo(instant, omega="sample", **given) == pytest.approx(np.array([[1, 1], [0, 0]]))
    with pytest.raises(UnknownNameError, match="omega"):
        vgpo(instant, omega="step")
