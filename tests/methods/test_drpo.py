"""DRPO's objective against autograd, and at its edges."""

from functools import partial

import numpy as np
import pytest

import lab
from lab.errors import InputError
from simulators import Bandit
from tests.methods.autograd import batch, check_objective, torch


def discriminative(new, old, a, mask, kind="kl", tau=10.0, temperature=0.1, delta=1e-4, beta=1e3):  # type: ignore[no-untyped-def]
    """Minus J per prompt, as the paper writes it, and the penalty on the batch."""
    lengths, gain = mask.sum(-1), 0.0
    score = (new * mask).sum(-1) / lengths
    for p in range(new.shape[0]):
        right, wrong = a[p] > 0, a[p] < 0
        if not (right.any() and wrong.any()):
            continue
        omega = torch.softmax((1 - lengths[p][right] / new.shape[-1]) / temperature, 0)
        gain = gain + (omega * score[p][right]).sum() - tau * (score[p][wrong] / tau).exp().mean().log()
    log_rho = new - old
    values = -log_rho if kind == "kl" else log_rho.exp() - 1 - log_rho
    k = (values * mask).sum() / mask.sum()
    return beta / 2 * (k - delta).clamp(min=0) ** 2 - gain / new.shape[0]


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("given", [{}, {"tau": 0.3, "temperature": 1.0, "beta": 2.0}])
@pytest.mark.parametrize("kind", ["kl", "low_var_kl"])
def test_weights_are_minus_the_gradient_of_the_loss(masked: bool, given: dict[str, float], kind: str) -> None:
    for seed in range(3):
        b = batch(0.2, seed, masked=masked)
        b["a"][1] = np.abs(b["a"][1])  # a prompt whose rollouts are all correct
        check_objective("drpo", b, partial(discriminative, kind=kind, **given), kl_type=kind, **given)


def test_both_sides_of_a_prompt_weigh_the_same() -> None:
    new = np.random.default_rng(0).normal(-1, 1, (3, 5, 1))
    w = lab.objectives.weights("drpo", new, [[1, -1, -1, -1, -1], [1, 1, 1, -1, 0], [1] * 5], logp=new)[..., 0]
    assert w.clip(min=0).sum(-1) == pytest.approx([1 / 3, 1 / 3, 0])
    assert w.clip(max=0).sum(-1) == pytest.approx([-1 / 3, -1 / 3, 0])
    assert w[1, 4] == 0


def test_small_temperatures_pick_the_shortest_and_the_likeliest() -> None:
    mask = np.arange(4) < np.array([[[1], [3], [2], [2]]])
    new = np.array([[[-1.0] * 4, [-1.0] * 4, [-3.0] * 4, [-0.5] * 4]])
    sign = [[1, 1, -1, -1]]
    w = lab.objectives.weights("drpo", new, sign, logp=new, mask=mask, temperature=1e-3, tau=1e-3).sum(-1)
    assert w[0] == pytest.approx([1, 0, 0, -1], abs=1e-9)


def test_lengths_of_the_world_take_the_place_of_tokens() -> None:
    new, lengths = np.full((1, 4, 1), -1.0), np.array([[2.0, 6.0, 1.0, 1.0]])
    given = {"logp": new, "lengths": lengths, "longest": 8, "temperature": 0.5}
    w = lab.objectives.weights("drpo", new, [[1, 1, -1, -1]], **given)[0, :, 0]
    omega = np.exp([(1 - 2 / 8) / 0.5, (1 - 6 / 8) / 0.5])
    assert w == pytest.approx([*omega / omega.sum(), -0.5, -0.5])
    step = np.array([0.3, -0.2, 0.1, 0.4])[None, :, None] * 1e-6
    ends = [lab.objectives.loss("drpo", new + k * step, [[1, 1, -1, -1]], **given) for k in (1, -1)]
    assert (ends[1] - ends[0]) / 2 == pytest.approx((w * step[0, :, 0]).sum(), rel=1e-5)


def test_an_unknown_divergence_is_named() -> None:
    new = np.zeros((1, 2, 1))
    with pytest.raises(InputError, match="'k3'; it must be 'kl' or 'low_var_kl'"):
        lab.objectives.weights("drpo", new, [[1.0, -1.0]], logp=new, kl_type="k3")


def test_the_variant_learns() -> None:
    trace = lab.train(Bandit(success=[0.2, 0.8]), "drpo", steps=60, seeds=4)
    value = trace.frame.sort("step")["value"].to_numpy()
    assert value[-4:].mean() > 0.7


def test_rewards_that_are_neither_right_nor_wrong_are_in_no_set():
    rewards = [[1, 0.9, 0.2, 0], [0.5, 0.5, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 0, 1]]
    signs = lab.advantages.compute("drpo", rewards)
    assert signs.tolist() == [[1, 0, 0, -1], [0] * 4, [0] * 4, [0] * 4, [1, -1, -1, 1]]
    new = np.full((5, 4, 1), -1.0)
    w = lab.objectives.weights("drpo", new, signs, logp=new)[..., 0]
    assert w * 5 == pytest.approx(np.array([[1, 0, 0, -1], [0] * 4, [0] * 4, [0] * 4, [0.5, -0.5, -0.5, 0.5]]))
    assert lab.variant("drpo").advantage == "drpo"
    assert lab.advantages.compute("drpo", [2.0, -1.0, 0.0], correct=2.0, wrong=-1.0).tolist() == [1, -1, 0]
