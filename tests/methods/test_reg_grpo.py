"""Reg-GRPO's objective against autograd, and at its edges."""

import numpy as np
import pytest

import lab
from lab.sampling.difficulty import recent, relative_difficulty
from simulators import Bandit
from tests.methods.autograd import batch, check_objective


def regression(new, old, a, mask, eps=1e-4):  # type: ignore[no-untyped-def]
    """Mean over groups of the mean of (A - Z)^2."""
    rho = ((new - old) * mask).sum(-1)
    s = (rho.var(-1, unbiased=False, keepdim=True) + eps**2).sqrt()
    return ((a - (rho - rho.mean(-1, keepdim=True)) / s) ** 2).mean()


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("spread", [1e-5, 0.05, 3.0])
def test_weights_are_minus_the_gradient_of_the_loss(spread: float, masked: bool) -> None:
    for seed in range(3):
        check_objective("reg-grpo", batch(spread, seed, masked=masked), regression)


def test_weights_of_a_group_sum_to_zero_and_ignore_the_scale_of_the_ratios() -> None:
    b = batch(0.3, masked=False)
    w = lab.objectives.weights("reg-grpo", b["new"], b["a"], logp=b["old"], eps=0.0)[..., 0]
    rho = (b["new"] - b["old"]).sum(-1)
    assert w.sum(-1) == pytest.approx(np.zeros(3), abs=1e-12)
    assert (w * rho).sum(-1) == pytest.approx(np.zeros(3), abs=1e-12)


def test_a_group_of_two_has_no_gradient_off_policy() -> None:
    new, old = np.array([[[0.3], [-0.1]]]), np.zeros((1, 2, 1))
    assert lab.objectives.weights("reg-grpo", new, [[1.0, -1.0]], logp=old, eps=0.0) == pytest.approx(
        np.zeros((1, 2, 1))
    )


def test_without_any_spread_nothing_is_divided_by_zero() -> None:
    old = np.zeros((2, 3, 2))
    assert not lab.objectives.weights("reg-grpo", old, np.ones((2, 3)), logp=old, eps=0.0).any()


def test_difficulty_is_measured_against_the_last_samples() -> None:
    rewards = np.array([[1.0, 1, 0, 0], [0, 0, 0, 0]])
    buffer = recent(np.array([1.0]), rewards, size=5)
    assert buffer.tolist() == [0, 0, 0, 0, 0]
    assert relative_difficulty(rewards, 0.5).tolist() == [0, 0.5]


def test_the_variant_learns_with_its_own_gradient_limit() -> None:
    variant = lab.variant("reg-grpo")
    assert (variant.max_grad_norm, variant.kl, variant.kl_beta) == (1.0, "k3", 0.1)
    trace = lab.train(Bandit(success=[0.2, 0.8]), variant, steps=100, seeds=4, epochs=2)
    value = trace.frame.sort("step")["value"].to_numpy()
    assert value[-4:].mean() > value[:4].mean() + 0.1
