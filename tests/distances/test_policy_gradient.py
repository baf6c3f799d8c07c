"""The exact policy gradient against differences, and its input."""

import numpy as np
import pytest

from simulators.mdp import families
from simulators.mdp.gradient import exact, reinforce, softmax


@pytest.mark.parametrize("index", range(5))
def test_the_exact_gradient_is_the_slope_of_the_return(index):
    rng = families.environment(3, index)
    mdp = families.sparse(6, 3, 0.9, source=rng)
    reward, theta, step = rng.normal(size=(6, 3, 6)), rng.normal(size=(6, 3)), 1e-5 * rng.normal(size=(6, 3))
    slope = (mdp.returns(reward, softmax(theta + step)) - mdp.returns(reward, softmax(theta - step))) / 2
    assert (exact(mdp, reward, theta) * step).sum() == pytest.approx(slope, rel=1e-5)


def test_one_step_by_hand():
    mdp = families.two_states()
    drawn = reinforce(mdp, [0.0, 1.0], np.zeros((2, 2)), episodes=2000, horizon=1, rng=np.random.default_rng(0))
    assert set(drawn[:, 0, 1].tolist()) == {0.0, 0.5} and (drawn[:, 1] == 0).all()


def test_bad_input_is_refused():
    mdp = families.two_states()
    with pytest.raises(ValueError, match="logits"):
        exact(mdp, [0.0, 1.0], np.zeros((3, 2)))
    with pytest.raises(ValueError, match="episodes"):
        reinforce(mdp, [0.0, 1.0], np.zeros((2, 2)), episodes=0, horizon=1, rng=np.random.default_rng(0))
