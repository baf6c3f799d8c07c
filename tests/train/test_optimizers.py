"""The optimizers against torch.optim."""

from typing import Any

import numpy as np
import pytest
import torch

from lab.errors import UnknownNameError
from lab.measures.gradient import clip_norm
from lab.training.optimizers import OPTIMIZERS, Optimizer

TORCH: dict[str, Any] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, maximize=True),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, maximize=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.1, maximize=True),
}


def gradients(steps: int = 30) -> np.ndarray:
    """Of four runs, some of them far apart in size."""
    return np.random.default_rng(0).normal(size=(steps, 4, 2, 3)) * [[[1e-6]], [[1.0]], [[1e3]], [[0.0]]]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_run_moves_as_with_torch(name: str) -> None:
    ours, optimizer = np.ones((4, 2, 3)), Optimizer(name, 0.1)
    theirs = [torch.ones(2, 3, dtype=torch.float64, requires_grad=True) for _ in range(4)]
    movers = [TORCH[name]([p]) for p in theirs]
    for gradient in gradients():
        optimizer.step(ours, gradient)
        for parameter, mover, g in zip(theirs, movers, gradient, strict=True):
            parameter.grad = torch.tensor(g)
            mover.step()
    expected = np.stack([p.detach().numpy() for p in theirs])
    assert ours == pytest.approx(expected, rel=1e-12)


def test_a_norm_is_clipped_run_by_run_as_with_torch() -> None:
    gradient = gradients(1)[0]
    clipped = clip_norm(gradient, 1.5)
    for ours, g in zip(clipped, gradient, strict=True):
        parameter = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
        parameter.grad = torch.tensor(g)
        torch.nn.utils.clip_grad_norm_([parameter], 1.5)
        assert ours == pytest.approx(parameter.grad.numpy(), rel=1e-5)  # torch adds 1e-6 to the norm
        assert np.linalg.norm(ours) <= 1.5 * (1 + 1e-12)


def test_unknown_optimizers() -> None:
    with pytest.raises(UnknownNameError, match="nearest: 'adam'"):
        Optimizer("adamw", 0.1)
