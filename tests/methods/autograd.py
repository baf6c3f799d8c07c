"""Objectives against torch autograd of a loss written out in the test."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import lab

__all__ = ["batch", "check_objective", "torch"]

P, G, T = 3, 4, 5


def batch(spread: float, seed: int = 0, *, masked: bool = True) -> dict[str, Any]:
    """Log-probabilities under three policies [P, G, T], centred advantages [P, G] and a mask."""
    rng = np.random.default_rng(seed)
    old = rng.normal(-1.5, 0.5, (P, G, T))
    advantage = rng.normal(size=(P, G))
    return {
        "new": old + spread * rng.normal(size=old.shape), "old": old, "ref": old + 0.3 * rng.normal(size=old.shape),
        "a": advantage - advantage.mean(-1, keepdims=True),
        "mask": np.arange(T) < rng.integers(1, T + 1, (P, G, 1)) if masked else None,
    }  # fmt: skip


def check_objective(name: str, b: dict[str, Any], loss: Callable[..., Any], **given: Any) -> None:
    """Weights are minus the gradient, and the registered loss has the same value."""
    new = torch.tensor(b["new"], requires_grad=True)
    mask = torch.ones(new.shape, dtype=torch.float64) if b["mask"] is None else torch.tensor(b["mask"]).double()
    value = loss(new, torch.tensor(b["old"]), torch.tensor(b["a"]), mask)
    value.backward()
    call = {"logp": b["old"], "mask": b["mask"], **given}
    found = lab.objectives.weights(name, b["new"], b["a"], **call)
    expected = -new.grad.numpy()
    assert found == pytest.approx(expected, rel=1e-8, abs=1e-12 * (1 + np.abs(expected).max()))
    assert lab.objectives.loss(name, b["new"], b["a"], **call).item() == pytest.approx(
        value.item(), rel=1e-9, abs=1e-12
    )
