"""KL penalties to a reference policy: estimators per token and their gradients."""

from __future__ import annotations

import numpy as np

from lab.errors import UnknownNameError
from lab.objectives.tokens import Array

__all__ = ["ESTIMATORS", "kl_gradient", "kl_value"]

#: Estimator -> its value with d = logp_ref - logp_new. `k3+` has the value of k3 and the gradient of k2.
ESTIMATORS = {
    "k1": "−d",
    "abs": "|d|",
    "k2": "d²/2",
    "k3": "e^d − d − 1",
    "k3+": "e^d − d − 1, gradient of k2",
}

_CLAMP, _LIMIT = 20.0, 10.0


def _check(kind: str) -> None:
    if kind not in ESTIMATORS:
        raise UnknownNameError("KL estimator", kind, ESTIMATORS)


def _k3(d: Array) -> Array:
    clamped = np.clip(d, -_CLAMP, _CLAMP)
    return np.exp(clamped) - clamped - 1


def kl_value(kind: str, logp_new: Array, logp_ref: Array) -> Array:
    """Value of the estimator per token, d = logp_ref - logp_new.

    Args:
        kind: A key of `ESTIMATORS`.
        logp_new: Log-probabilities under the policy [..., T].
        logp_ref: Log-probabilities under the reference [..., T].

    Returns:
        Estimates [..., T] in nats; k3 is clamped to ±10 (d to ±20).

    Source: verl 0.9.1, kl_penalty; golden file baselines.json.
    """
    _check(kind)
    d = logp_ref - logp_new
    if kind == "k1":
        return -d
    if kind == "abs":
        return np.abs(d)
    return d**2 / 2 if kind == "k2" else np.clip(_k3(d), -_LIMIT, _LIMIT)


def kl_gradient(kind: str, logp_new: Array, logp_ref: Array) -> Array:
    """D KL / d logp_new per token [..., T]: 1, -sign(d), -d, 1 - e^d; arguments as in `kl_value`.

    Zero where k3's clamp is active. Source: verl 0.9.1, kl_penalty; golden file baselines.json.
    """
    _check(kind)
    d = logp_ref - logp_new
    if kind == "k1":
        return np.ones_like(d)
    if kind == "abs":
        return -np.sign(d)
    if kind in ("k2", "k3+"):
        return -d
    clamped = (np.abs(d) > _CLAMP) | (_k3(d) > _LIMIT)
    return np.where(clamped, 0.0, 1 - np.exp(np.clip(d, -_CLAMP, _CLAMP)))
