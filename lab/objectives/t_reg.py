"""T-REG: DPO and SimPO on the best and the worst response of a group, regularised by self-made token rewards."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Signature, signature
from typing import Any

import numpy as np

from lab.errors import MissingFieldError
from lab.objectives.formula import Formula, Terms, formula
from lab.objectives.tokens import Array, sigmoid
from lab.registry import preset

__all__ = ["dpo", "simpo", "simpo_reg", "t_reg"]


def _paired(
    t: Terms, base: Array | float, per_token: bool, *, logp_ref: Array | None = None,
    token_rewards: Array | None = None, beta: float = 0.1, gamma: float = 0.0, alpha: float = 0.25,
    static: bool = False,
) -> Formula:  # fmt: skip
    """-log sigmoid(D) - alpha w_seq sum beta rhat log pi on the pairs; w = (beta/pairs)(sigmoid(-D) sign/len + ...)."""
    place, a = np.arange(t.per_rollout.shape[-1]), t.per_rollout
    sign = 1.0 * (place == a.argmax(-1)[..., None]) - (place == a.argmin(-1)[..., None])
    number = np.maximum((sign != 0).any(axis=-1).sum(axis=-1), 1)[..., None, None, None]
    score = t.sums(t.new - base) / (t.lengths if per_token else 1.0)
    margin = (beta * (sign * score).sum(axis=-1) - gamma)[..., None, None]
    sign = sign[..., None]
    unsure, rhat = sigmoid(-margin), 0.0 if token_rewards is None else np.asarray(token_rewards)
    strength = alpha * (1.0 if static else unsure)

    def weights() -> Array:
        share = 1 / t.lengths[..., None] if per_token else 1.0
        regularised = 0.0 if token_rewards is None else strength * rhat * np.abs(sign)
        return np.asarray(beta / number * t.valid * (unsure * sign * share + regularised))

    def loss() -> Array:
        each = np.logaddexp(0, -margin)
        if token_rewards is not None:
            aligned = np.abs(sign) * t.valid * rhat * np.where(t.valid > 0, t.new, 0.0)
            each = each - strength * beta * aligned.sum((-2, -1), keepdims=True)
        paired = (sign != 0).any(axis=-2, keepdims=True)
        return np.asarray(((paired * each).sum(axis=-3, keepdims=True) / number)[..., 0, 0, 0])

    return Formula(weights, loss)


_TOLD = {
    "logp_ref": "Log-probabilities under the reference policy [..., P, G, T].",
    "token_rewards": "rhat, the policy's own grades of its tokens, within (-1/2, 1/2) [..., P, G, T].",
    "beta": "Scale of the implicit reward, or of the mean log-probability without a reference.",
    "gamma": "Margin that a pair is asked for.",
    "alpha": "Strength of the regularisation; 0.1, 0.25 or 0.5 as published.",
    "static": "w_seq = 1 in place of sigmoid(-D), the ablation; the weights no longer vanish once a pair is learnt.",
}

_DOCUMENT = """{about}

The largest advantage of a group is the chosen response, the smallest the rejected one; a group without a spread is no
pair.

Args:
    t: Terms of the batch.
{told}

Returns:
    Weights [..., P, G, T], 0 for every other response; divided by the number of pairs.

Source: {source}
"""


def paired(name: str, about: str, source: str, equation: str, *, reference: bool, regulariser: bool) -> Callable:
    """Register one of the four: with or without a reference policy, with or without the token rewards.

    Without a reference a rollout counts by its mean log-probability, and a pair is asked for a margin.
    """
    mine = ("logp_ref",) if reference else ("gamma",)
    mine += ("beta", *(("token_rewards", "alpha", "static") if regulariser else ()))
    usual = {} if reference else {"beta": 2.0, "gamma": 1.0}

    def rule(t: Terms, **given: Any) -> Formula:
        base = given.get("logp_ref") if reference else 0.0
        if base is None:
            raise MissingFieldError(f"objective {name!r} reads logp_ref; pass logp_ref=")
        return _paired(t, base, not reference, **{**usual, **given})

    known = signature(_paired).parameters
    defaults = {n: known[n].replace(default=usual.get(n, known[n].default)) for n in mine}
    if regulariser:
        defaults["token_rewards"] = known["token_rewards"].replace(default=Signature.empty)
    rule.__signature__ = Signature([known["t"], *defaults.values()])  # type: ignore[attr-defined]
    told = "\n".join(f"    {n}: {_TOLD[n]}" for n in mine)
    rule.__doc__ = _DOCUMENT.format(about=about, told=told, source=source)
    return formula(name, paper="t-reg", equation=equation, reads=("mask",), coupled=True)(rule)


dpo = paired(
    "dpo",
    "DPO on the best and the worst response of each group.",
    "arXiv 2305.18290, gradient of the loss.",
    "w = ±β σ(−D)/pairs,  D = β Σ log π/π_ref (chosen) − the same (rejected)",
    reference=True,
    regulariser=False,
)
t_reg = paired(
    "t-reg",
    "T-REG: token-weighted DPO, L = -log sigmoid(D) - alpha w_seq sum beta rhat log pi over both responses.\n\n"
    "With |alpha rhat| < 1 no token's sign flips; alpha = 0 or rhat = 0 is DPO. w_seq is a constant, as is rhat.",
    "arXiv 2412.02685, loss; that w_seq is detached is the lab's reading.",
    "w = β σ(−D) (1 + α r̂) for chosen, −β σ(−D) (1 − α r̂) for rejected tokens",
    reference=True,
    regulariser=True,
)
simpo = paired(
    "simpo",
    "SimPO on the best and the worst response of each group: no reference, mean log-probabilities, a target margin.",
    "arXiv 2405.14734, loss.",
    "w = ±(β/len) σ(−D)/pairs,  D = β (mean log π (chosen) − mean log π (rejected)) − γ",
    reference=False,
    regulariser=False,
)
simpo_reg = paired(
    "simpo-reg",
    "SimPO-REG: T-REG with SimPO's margin in the loss and in w_seq; the regulariser is not divided by the length.\n\n"
    "A token's sign is its response's while |alpha rhat| is below 1/len.",
    "arXiv 2412.02685, SimPO form.",
    "w = β σ(−D) (1/len + α r̂) for chosen, −β σ(−D) (1/len − α r̂) for rejected tokens",
    reference=False,
    regulariser=True,
)
preset("objective", "t-reg@static", "t-reg", "w_seq = 1, the ablation", static=True)
