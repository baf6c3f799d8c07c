"""The harmonic reward and RPO's objective."""

from functools import partial

import numpy as np
import pytest

import lab
from lab.errors import InputError
from lab.rewards.harmonic import harmonic_mean
from simulators import Bandit
from tests.methods.autograd import batch, check_objective, torch


def rpo_loss(new, old, a, mask, base):  # type: ignore[no-untyped-def]
    """The paper's loss on sequence log-probabilities, pair by pair."""
    losses = []
    for p in range(new.shape[0]):
        for i in range(2):
            s, b = ((x[p] * mask[p]).sum(-1) for x in (new, base))
            y = torch.sigmoid(a[p, i] - a[p, i + 2])
            margin = (s[i] - b[i]) - (s[i + 2] - b[i + 2])
            logsigmoid = torch.nn.functional.logsigmoid
            losses.append(-s[i] - y * logsigmoid(margin) - (1 - y) * logsigmoid(-margin))
    return torch.stack(losses).mean()


@pytest.mark.parametrize("masked", [True, False])
def test_weights_are_minus_the_gradient_of_the_loss(masked: bool) -> None:
    for seed in range(3):
        b = batch(0.5, seed, masked=masked)
        loss = partial(rpo_loss, base=torch.tensor(b["ref"]))
        check_objective("harmonic-rpo", b, loss, logp_ref=b["ref"])


def test_an_odd_rollout_and_a_single_one_weigh_nothing() -> None:
    new = np.zeros((1, 3, 2))
    assert not lab.objectives.weights("harmonic-rpo", new, np.ones((1, 3)), logp=new)[0, 2].any()
    assert not lab.objectives.weights("harmonic-rpo", new[:, :1], np.ones((1, 1)), logp=new[:, :1]).any()


def test_ends_of_the_weight_are_exact_and_beyond_them_is_an_error() -> None:
    a, b = np.array([0.0, 0.3]), np.array([0.7, 0.0])
    assert np.array_equal(harmonic_mean(a, b, 1), a)
    assert np.array_equal(harmonic_mean(a, b, 0), b)
    assert harmonic_mean(a, b, 0.5) == pytest.approx([2e-8, 2e-8], rel=1e-6)
    with pytest.raises(InputError, match="within"):
        harmonic_mean(a, b, 1.1)


def test_the_variant_learns_both_rewards() -> None:
    world = Bandit(means=np.tile([[[0.1, 0.9], [0.1, 0.9]]], (4, 1, 1)))
    trace = lab.train(world, "harmonic-rpo", steps=200, seeds=4, measure="basic")
    value = trace.frame.sort("step")["value"].to_numpy()
    assert value[-4:].mean() > value[:4].mean() + 0.05
