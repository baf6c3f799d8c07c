"""Tuning on a few pictures: how a generator drifts from its prompt to the references that it is tuned on.

A toy whose path is the point: one vector stands for the generator and follows the error on a reference, where asked
with the weights of the registered objective `harmonic-rpo`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["drift_study"]

Array = NDArray[Any]

_RUNS, _STEPS, _WIDTH = 32, 400, 16


def _cosine(x: Array, y: Array) -> Array:
    return np.asarray((x * y).sum(-1) / np.sqrt((x**2).sum(-1) * (y**2).sum(-1)))


def drift_study(seed: int, preference: bool = False, lr: float = 0.02) -> tuple[Array, Array]:
    """Likeness to the references a and to the prompt b after each step, in [0, 1], both [steps + 1, runs].

    A generator in R^16 starts at the prompt's direction q and follows one of four references per step, which stand for
    photos: subject + 0.3 N(0, I)/4 − 0.6 q.

    Args:
        seed: Of 32 runs.
        preference: Follow the whole loss, β = 1, labels by the text, at their expectation; else the error alone.
        lr: Learning rate.

    Source: RPO's small-scale reproduction; the task is the lab's own.
    """
    rng = np.random.default_rng(seed)
    q, subject = np.eye(_WIDTH)[:2]
    refs = subject + 0.3 * rng.standard_normal((_RUNS, 4, _WIDTH)) / 4 - 0.6 * q
    model, path = np.tile(q, (_RUNS, 1)), []
    for _ in range(_STEPS + 1):
        path.append((_cosine(model[:, None], refs).mean(-1), _cosine(model, q)))
        ref = refs[np.arange(_RUNS), rng.integers(0, 4, _RUNS)]
        pull, push = np.ones(_RUNS), np.zeros(_RUNS)
        if preference:
            pull, push = _RUNS * _pair_weights(model, ref, q)
        model = model - 2 * lr * (pull[:, None] * (model - ref) + push[:, None] * (model - q))
    a, b = (np.array(x) for x in zip(*path, strict=True))
    return (a + 1) / 2, (b + 1) / 2


def _pair_weights(model: Array, ref: Array, q: Array) -> Array:
    """Weights [2, runs] of the reference and of the generated image, which the frozen model makes itself."""
    from lab.objectives import weights

    errors = np.array([[((x - y) ** 2).mean(-1) for y in (ref, q)] for x in (model, np.broadcast_to(q, ref.shape))])
    new, base = np.moveaxis(-errors, -1, 1)[..., None]
    text = np.stack([(_cosine(ref, q) + 1) / 2, np.ones(_RUNS)], axis=-1)
    return weights("harmonic-rpo", new, text, logp=new, logp_ref=base)[..., 0].T
