"""Distribution matching: directions by hand, slopes of closed densities, students that come nearer to the data."""

import numpy as np
import pytest
import torch

from simulators import Flow
from simulators.flow.distillation import NORMS, direction, distil, log_densities, student_samples, towards
from simulators.flow.mixture import energy_distance

X = torch.tensor([[1.0, 1.0], [0.0, 0.0], [2.0, 0.0], [0.0, 4.0]], dtype=torch.float64)
REAL = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
FAKE = torch.tensor([[2.0, 0.0], [2.0, 4.0], [0.0, -3.0], [1.0, 3.0]], dtype=torch.float64)


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADVLAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield Flow(2, width=8, pretraining=3)


@pytest.mark.parametrize(
    ("norm", "expected"),
    [
        ("sample", [[2, 0], [torch.finfo(torch.float64).max] * 2, [0, -3], [0.5, 1.5]]),
        ("group_mean", [[4, 0], [4, 8], [0, -2], [2 / 3, 2]]),
        ("group_rms", [[6**-0.5 * 2, 0], [6**-0.5 * 2, 6**-0.5 * 4], [0, -3 * 4.75**-0.5],
                       [4.75**-0.5, 3 * 4.75**-0.5]]),
        ("group_z", [[0, -2 / 2.0001], [0, 2 / 2.0001], [-0.5 / 0.5001, -3 / 3.0001], [0.5 / 0.5001, 3 / 3.0001]]),
        ("none", FAKE.tolist()),
    ],
)  # fmt: skip
def test_directions_by_hand(norm, expected):
    """Two groups of two: x − real has mean sizes 1 and 0, 1 and 2."""
    found = direction(X, REAL, FAKE, norm, 2)
    assert torch.allclose(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-7)


def test_a_group_of_one_is_dmd_and_a_group_that_is_there_already_is_finite():
    away = X + 3
    one, dmd = (direction(away, REAL, FAKE, norm, 1) for norm in ("group_mean", "sample"))
    assert torch.allclose(one, dmd, rtol=1e-7)
    for norm in NORMS:
        assert torch.isfinite(direction(REAL, REAL, REAL, norm, 2)).all(), norm


@pytest.mark.parametrize(
    ("norm", "group", "words"),
    [("batch", 2, "unknown norm 'batch'; known: group_mean"), ("none", 3, "whole groups"), ("none", 8, "whole groups"),
     ("none", 0, "group")],
)  # fmt: skip
def test_what_gives_no_direction_is_refused(norm, group, words):
    with pytest.raises(ValueError, match=words):
        direction(X, REAL, FAKE, norm, group)


def test_a_density_and_its_slope():
    """(1 − t) E[x_0 | x_t] = x_t + t² ∇log p, so that of two laws the slopes differ by (1 − t)/t² (real − fake)."""
    centres, t, deviation = np.array([[2.0, 0.0], [-1.0, 1.0], [0.0, 0.5]]), 0.4, 0.3
    x = torch.tensor([[0.1, 0.2], [1.0, -1.0]], dtype=torch.float64, requires_grad=True)
    log, came = log_densities(x, t, centres, deviation)
    (slope,) = torch.autograd.grad(log.sum(), x)
    assert torch.allclose((1 - t) * came, x + t**2 * slope, rtol=1e-10)
    other, theirs = log_densities(x, t, centres[::-1][:2].copy(), 0.0)
    (away,) = torch.autograd.grad(other.sum(), x)
    assert torch.allclose(slope - away, (1 - t) / t**2 * (came - theirs), rtol=1e-8)
    axis = torch.linspace(-6, 6, 121, dtype=torch.float64)
    plane = torch.cartesian_prod(axis, axis)
    assert float(log_densities(plane, t, centres, deviation)[0].exp().sum()) * 0.01 == pytest.approx(1, abs=1e-6)
    assert torch.allclose(log_densities(x, t, centres[:1], 0.0)[1], torch.tensor(centres[:1]))


def test_a_student_of_one_step_is_a_straight_line_and_only_the_last_step_has_a_slope(flow):
    weights, prompt = flow.init([0]).parameters.requires_grad_(), torch.zeros(1, 3, dtype=torch.int64)
    noise = torch.randn(2, 1, 3, 2, generator=torch.Generator().manual_seed(0))
    first = student_samples(flow.model, weights, noise[:1], prompt)
    assert torch.allclose(first, noise[0] - flow.model(weights, noise[0], 1.0, prompt))
    middle = (0.5 * first + 0.5 * noise[1]).detach()
    end = middle - 0.5 * flow.model(weights, middle, 0.5, prompt)
    found = student_samples(flow.model, weights, noise, prompt)
    assert torch.allclose(found, end)
    slopes = [torch.autograd.grad(each.square().sum(), weights)[0] for each in (found, end)]
    assert torch.allclose(*slopes)


def test_a_run_is_the_same_whatever_the_others(flow):
    both = distil(flow, seeds=[3, 4], updates=3, batch=32, group=8)
    alone = distil(flow, seeds=[4], updates=3, batch=32, group=8)
    assert torch.allclose(both.weights[1], alone.weights[0], atol=1e-5)
    assert np.allclose(both.norms[1], alone.norms[0], rtol=1e-3) and (both.norms > 0).all()
    assert not torch.allclose(both.weights[0], both.weights[1], atol=1e-4)


def test_the_slope_of_a_reward_by_the_size_of_its_group():
    """One away by (2, 0) has the slope (2, 0) e^−2, one by (0, 1) the slope (0, 1) e^−½; one that is there has none."""
    x, wanted = (
        torch.tensor([[0.0, 0.0], [2.0, -1.0], [1.0, 1.0], [1.0, 1.0]]),
        torch.tensor([[2.0, 0.0]] * 2 + [[1.0, 1.0]] * 2),
    )
    mean = (2 * np.exp(-2) + np.exp(-0.5)) / 4
    expected = torch.tensor([[2 * np.exp(-2) / mean, 0], [0, np.exp(-0.5) / mean], [0, 0], [0, 0]]).float()
    assert torch.allclose(towards(x, wanted, 2), expected, rtol=1e-5)


def test_without_a_model_of_its_own_a_student_stays_and_a_reward_moves_it(flow):
    given = {"seeds": [3], "updates": 2, "batch": 16, "follow": 0}
    start, still = flow.init([3]).parameters, distil(flow, **given)
    assert torch.equal(still.weights, start) and not still.norms.any() and still.samples.shape == (1, 2, 256, 2)
    moved = distil(flow, near=0.5, **given)
    assert not torch.equal(moved.weights, start) and (moved.norms > 0).all()


@pytest.mark.slow
def test_a_student_of_two_steps_comes_near_the_data():
    """flow-substrate.6: the energy distance falls from about 0.17 to at most 0.03 in 200 updates of DMD."""
    flow, rng = Flow(), np.random.default_rng(0)
    data = flow.mixture.centres[rng.integers(8, size=2048)] + 0.15 * rng.standard_normal((2048, 2))
    draw = torch.Generator().manual_seed(0)
    noise, prompt = torch.randn(2, 1, 2048, 2, generator=draw), torch.randint(4, (1, 2048), generator=draw)
    before, after = (
        energy_distance(student_samples(flow.model, weights, noise, prompt)[0].double().numpy(), data)
        for weights in (flow.init([0]).parameters, distil(flow, "sample", seeds=[0]).weights)
    )
    assert before > 0.12 and after < 0.03
