"""DNO's objective against autograd, and its win rates."""

import numpy as np
import pytest

import lab
from lab.world_registry import world
from simulators import Bandit
from tests.methods.autograd import batch, check_objective, torch


def regression(new, old, a, mask, eta=1.0):  # type: ignore[no-untyped-def]
    """Cross-entropy over all pairs of all groups."""
    rho, losses = ((new - old) * mask).sum(-1), []
    for p in range(new.shape[0]):
        for i in range(new.shape[1]):
            for j in range(i):
                z, margin = torch.sigmoid(a[p, i] - a[p, j]), eta * (rho[p, i] - rho[p, j])
                logsigmoid = torch.nn.functional.logsigmoid
                losses.append(-z * logsigmoid(margin) - (1 - z) * logsigmoid(-margin))
    return torch.stack(losses).mean()


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("spread", [0.0, 0.3, 5.0])
def test_weights_are_minus_the_gradient_of_the_loss(spread: float, masked: bool) -> None:
    for seed in range(3):
        check_objective("dno", batch(spread, seed, masked=masked), regression)


def clear_pairs(new, old, a, mask, eta=1.0, margin=0.2):  # type: ignore[no-untyped-def]
    """-log sigmoid of the better response's lead, over the pairs whose win rates differ by the margin."""
    rho, losses = ((new - old) * mask).sum(-1), []
    for p in range(new.shape[0]):
        for i in range(new.shape[1]):
            for j in range(new.shape[1]):
                if a[p, i] - a[p, j] >= margin:
                    losses.append(-torch.nn.functional.logsigmoid(eta * (rho[p, i] - rho[p, j])))
    return torch.stack(losses).mean()


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("spread", [0.0, 0.3, 5.0])
def test_weights_of_clear_pairs_are_minus_the_gradient_of_their_loss(spread: float, masked: bool) -> None:
    for seed in range(3):
        check_objective("dno-prct", batch(spread, seed, masked=masked), clear_pairs)


def test_a_pair_counts_from_the_margin_on_and_equal_rates_never() -> None:
    old = np.zeros((1, 3, 1))
    w = lab.objectives.weights("dno-prct", old, [[0.4, 0.2, 0.1]], logp=old, eta=2.0)[0, :, 0]
    assert w == pytest.approx([1.0, -0.5, -0.5])  # two pairs, both at sigmoid(0) = 1/2
    assert not lab.objectives.weights("dno-prct", old, [[0.3, 0.3, 0.3]], logp=old, margin=0.0).any()


def test_weights_vanish_at_the_soft_policy_iteration() -> None:
    rates, old = np.array([[0.9, 0.5, 0.1]]), np.zeros((1, 3, 1))
    new = old + (rates / 0.5)[..., None]
    assert np.abs(lab.objectives.weights("dno", new, rates, logp=old, eta=0.5)).max() < 1e-15


def test_win_rates_by_hand() -> None:
    found = lab.advantages.compute("win-rate", [[3.0, 1.0, 1.0, 0.0], [5.0] * 4])
    assert found[0] == pytest.approx([1 / 2, 0, 0, -1 / 2])
    assert not found[1].any()
    assert not lab.advantages.compute("win-rate", [[1.0]]).any()


def test_a_judge_s_verdicts_decide_and_may_go_round_in_circles() -> None:
    beats = np.array([[0, 1, 0, 2], [0, 0, 1, 2], [1, 0, 0, 2], [0, 0, 0, 0.0]])  # 0 > 1 > 2 > 0, all beat 3
    found = lab.advantages.compute("win-rate", [[1.0, 5.0, 2.0, 9.0]], pair_scores=beats[None])
    assert found[0] == pytest.approx([1 / 6, 1 / 6, 1 / 6, -1 / 2])
    tied = lab.advantages.compute("win-rate", [[1.0, 5.0, 2.0, 9.0]], pair_scores=np.ones((1, 4, 4)))
    assert not tied.any()


@pytest.mark.parametrize("name", ["dno", "dno-prct"])
def test_the_variant_learns(name: str) -> None:
    trace = lab.train(Bandit(success=[0.2, 0.8]), name, steps=150, seeds=4, lr=2.0)
    value = trace.frame.sort("step")["value"].to_numpy()
    assert value[-4:].mean() > value[:4].mean() + 0.1


def test_the_variant_learns_from_a_judge_that_compares() -> None:
    trace = lab.train(world("judged", arms=4), "dno", steps=100, seeds=4, lr=4.0, measure=["value"])
    value = trace.frame.sort("step")["value"].to_numpy()
    assert value[-4:].mean() > value[:4].mean() + 0.2
