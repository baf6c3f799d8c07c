"""LSC: the log of the probability of being good, so that adding rewards up asks for all of them at once."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from lab.advantages.statistics import Array
from lab.composites import method
from lab.errors import InputError, check_number
from lab.registry import preset, register
from lab.rewards.references import references

__all__ = ["log_sigmoid", "lsc", "reference"]

#: Added to the deviation of the references in the public code.
FLOOR = 1e-5


def log_sigmoid(x: Array) -> Array:
    """log σ(x) = min(x, 0) − log(1 + exp(−|x|)), finite for every finite x [...]."""
    return np.asarray(np.minimum(x, 0.0) - np.log1p(np.exp(-np.abs(x))))


def reference(beside: Array, quantile: float = 0.85, form: str = "gaussian") -> Array:
    """The reward at which an answer counts as good: a quantile of the references' [..., M, K] -> [..., 1, K].

    Args:
        beside: Rewards of references.
        quantile: 0.85 in the paper.
        form: "gaussian": mean + z (s + 1e-5) with the sample deviation s (0 for one reference); "empirical". A
            component whose references are all −∞ has none to beat, and is left out.

    Raises:
        InputError: No such form, a quantile that is not between 0 and 1, or a component with some references at −∞.
    """
    check_number("quantile", quantile, lambda q: 0 < q < 1, "a number between 0 and 1")
    absent = np.isneginf(beside)
    nobody = absent.all(axis=-2, keepdims=True)
    if (absent.any(axis=-2, keepdims=True) & ~nobody).any():
        raise InputError("some references of a component are -inf and some are not; all of them, to leave it out")
    known, count = np.where(nobody, 0.0, beside), beside.shape[-2]
    if form == "empirical":
        return np.where(nobody, -np.inf, np.quantile(known, quantile, axis=-2, keepdims=True))
    if form != "gaussian":
        raise InputError(f"form={form!r}; it must be 'gaussian' or 'empirical'")
    spread = known.std(axis=-2, ddof=1, keepdims=True) if count > 1 else 0.0
    found = known.mean(axis=-2, keepdims=True) + NormalDist().inv_cdf(quantile) * (spread + FLOOR)
    return np.where(nobody, -np.inf, found)


@register("reward", "lsc-transform", paper="lsc-transform", equation="u_k = log σ(r_k − ref_k)")
def lsc(rewards: Array, *, reference_rewards: Array, quantile: float = 0.85, form: str = "gaussian") -> Array:
    """Log-sigmoid of the lead over a reference, of each component by itself; added up they are a soft AND.

    Args:
        rewards: Reward components [..., P, G, K].
        reference_rewards: Of M responses of the initial policy to the same prompt [..., P, M, K].
        quantile: See `reference`.
        form: See `reference`.

    Returns:
        Transformed components [..., P, G, K], at most 0; −log 2 at the reference.

    Raises:
        InputError: References that do not fit.

    Source: arXiv 2402.00742; golden file lsc-transform.json (the baseline in PAR's code).
    """
    return log_sigmoid(rewards - reference(references(rewards, reference_rewards), quantile, form))


preset("reward", "lsc-empirical", "lsc-transform", "the empirical quantile", form="empirical")

method("lsc-transform", reward="lsc-transform", paper="lsc-transform",
       note="log of the chance of being good, component by component")  # fmt: skip
