"""T-REG: DPO and SimPO on the best and the worst response of a group, regularised by self-made token rewards."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from lab.errors import MissingFieldError
from lab.objectives.tokens import Array
from lab.registry import preset, register

__all__ = ["dpo", "simpo", "simpo_reg", "t_reg"]


class _Pairs(NamedTuple):
    """One pair per prompt: +1 for the chosen, -1 for the rejected response; margins; how many prompts have a pair."""

    sign: Array
    valid: Array
    margin: Array
    number: Array


def _pairs(new: Array, advantage: Array, o: SimpleNamespace) -> _Pairs:
    """Sign [..., P, G, 1], valid tokens [..., P, G, T] divided by the length if asked, margin D [..., P, 1, 1]."""
    a = advantage if advantage.ndim == new.ndim - 1 else advantage[..., 0]
    place = np.arange(a.shape[-1])
    sign = 1.0 * (place == a.argmax(-1)[..., None]) - (place == a.argmin(-1)[..., None])
    valid = np.ones(new.shape) if o.mask is None else np.asarray(o.mask != 0, dtype=float)
    score = (new - o.base if o.mask is None else np.where(valid > 0, new - o.base, 0.0)).sum(axis=-1)
    if o.per_token:
        score = score / np.maximum(valid.sum(axis=-1), 1.0)
    margin = o.beta * (sign * score).sum(axis=-1) - o.gamma
    number = (sign != 0).any(axis=-1).sum(axis=-1)
    return _Pairs(sign[..., None], valid, margin[..., None, None], np.maximum(number, 1)[..., None, None, None])


def _sigmoid(x: Array) -> Array:
    return np.asarray(np.exp(-np.logaddexp(0, -x)))


def _weights(new: Array, advantage: Array, o: SimpleNamespace) -> Array:
    """(beta/pairs) (sigmoid(-D) sign/length + alpha w_seq rhat) at the tokens of a pair."""
    p = _pairs(new, advantage, o)
    unsure = _sigmoid(-p.margin)
    share = 1 / np.maximum(p.valid.sum(axis=-1, keepdims=True), 1.0) if o.per_token else 1.0
    preference = unsure * p.sign * share
    regularised = 0.0 if o.rewards is None else o.alpha * (1.0 if o.static else unsure) * o.rewards * np.abs(p.sign)
    return np.asarray(o.beta / p.number * p.valid * (preference + regularised))


def _loss(new: Array, advantage: Array, o: SimpleNamespace) -> Array:
    """-log sigmoid(D) - alpha w_seq sum beta rhat log pi, averaged over pairs, one number per run."""
    p = _pairs(new, advantage, o)
    paired = (p.sign != 0).any(axis=-2, keepdims=True)
    loss = np.logaddexp(0, -p.margin)
    if o.rewards is not None:
        aligned = (np.abs(p.sign) * p.valid * o.rewards * np.where(p.valid > 0, new, 0.0)).sum((-2, -1), keepdims=True)
        loss = loss - o.alpha * (1.0 if o.static else _sigmoid(-p.margin)) * o.beta * aligned
    return np.asarray(((paired * loss).sum(axis=-3, keepdims=True) / p.number)[..., 0, 0, 0])


def _options(given: Mapping[str, Any], name: str, reference: bool) -> SimpleNamespace:
    """What `_pairs` reads: `base` is log pi_ref, or 0 without a reference."""
    base: Any = 0.0
    if reference and (base := given.get("logp_ref")) is None:
        raise MissingFieldError(f"objective {name!r} reads logp_ref; pass logp_ref=")
    own = {"gamma": 0.0, "alpha": 0.0, "static": False, **given}
    rewards = None if given.get("token_rewards") is None else np.asarray(given["token_rewards"])
    return SimpleNamespace(**own, base=base, per_token=not reference, rewards=rewards)


def _loss_of(name: str, reference: bool) -> Any:
    return lambda new, advantage, o: _loss(new, advantage, _options(vars(o), name, reference))


@register(
    "objective",
    paper="t-reg",
    equation="w = ±β σ(−D)/pairs,  D = β Σ log π/π_ref (chosen) − the same (rejected)",
    loss=_loss_of("dpo", reference=True),
)
def dpo(
    logp_new: Array, advantage: Array, *, logp_ref: Array | None = None, mask: Array | None = None, beta: float = 0.1
) -> Array:
    """DPO on the best and the worst response of each group.

    Args:
        logp_new: Log-probabilities under the updated policy [..., P, G, T].
        advantage: The largest is the chosen, the smallest the rejected response [..., P, G]; a group without a spread
            is no pair. Of values per token the first counts.
        logp_ref: Log-probabilities under the reference policy [..., P, G, T].
        mask: Valid tokens [..., P, G, T]; None for all.
        beta: Scale of the implicit reward.

    Returns:
        Weights [..., P, G, T], 0 for every other response; divided by the number of pairs.

    Raises:
        MissingFieldError: No reference.

    Source: arXiv 2305.18290, gradient of the loss.
    """
    return _weights(logp_new, advantage, _options({"logp_ref": logp_ref, "mask": mask, "beta": beta}, "dpo", True))


@register(
    "objective",
    "t-reg",
    paper="t-reg",
    equation="w = β σ(−D) (1 + α r̂) for chosen, −β σ(−D) (1 − α r̂) for rejected tokens",
    loss=_loss_of("t-reg", reference=True),
)
def t_reg(
    logp_new: Array,
    advantage: Array,
    *,
    token_rewards: Array,
    logp_ref: Array | None = None,
    mask: Array | None = None,
    beta: float = 0.1,
    alpha: float = 0.25,
    static: bool = False,
) -> Array:
    """T-REG: token-weighted DPO, L = -log sigmoid(D) - alpha w_seq sum beta rhat log pi over both responses.

    With |alpha rhat| < 1 no token's sign flips; alpha = 0 or rhat = 0 is DPO.

    Args:
        logp_new: Log-probabilities under the updated policy [..., P, G, T].
        advantage: As in `dpo`.
        token_rewards: rhat, the policy's own grades of its tokens, within (-1/2, 1/2) [..., P, G, T].
        logp_ref: Log-probabilities under the reference policy [..., P, G, T].
        mask: Valid tokens [..., P, G, T]; None for all.
        beta: Scale of the implicit reward.
        alpha: Strength of the regularisation; 0.1, 0.25 or 0.5 as published.
        static: w_seq = 1 in place of sigmoid(-D), the ablation; the weights no longer vanish once a pair is learnt.

    Returns:
        Weights [..., P, G, T], divided by the number of pairs. w_seq is a constant, as is rhat.

    Raises:
        MissingFieldError: No reference.

    Source: arXiv 2412.02685, loss; that w_seq is detached is the lab's reading.
    """
    given = {"token_rewards": token_rewards, "logp_ref": logp_ref, "mask": mask, "beta": beta, "alpha": alpha}
    return _weights(logp_new, advantage, _options(given | {"static": static}, "t-reg", True))


@register(
    "objective",
    paper="t-reg",
    equation="w = ±(β/len) σ(−D)/pairs,  D = β (mean log π (chosen) − mean log π (rejected)) − γ",
    loss=_loss_of("simpo", reference=False),
)
def simpo(
    logp_new: Array, advantage: Array, *, mask: Array | None = None, beta: float = 2.0, gamma: float = 1.0
) -> Array:
    """SimPO on the best and the worst response of each group: no reference, mean log-probabilities, a target margin.

    Args:
        logp_new: Log-probabilities under the updated policy [..., P, G, T].
        advantage: As in `dpo`.
        mask: Valid tokens [..., P, G, T]; None for all.
        beta: Scale of the mean log-probability.
        gamma: Margin that a pair is asked for.

    Returns:
        Weights [..., P, G, T], divided by the number of pairs.

    Source: arXiv 2405.14734, loss.
    """
    return _weights(logp_new, advantage, _options({"mask": mask, "beta": beta, "gamma": gamma}, "simpo", False))


@register(
    "objective",
    "simpo-reg",
    paper="t-reg",
    equation="w = β σ(−D) (1/len + α r̂) for chosen, −β σ(−D) (1/len − α r̂) for rejected tokens",
    loss=_loss_of("simpo-reg", reference=False),
)
def simpo_reg(
    logp_new: Array,
    advantage: Array,
    *,
    token_rewards: Array,
    mask: Array | None = None,
    beta: float = 2.0,
    gamma: float = 1.0,
    alpha: float = 0.25,
    static: bool = False,
) -> Array:
    """SimPO-REG: T-REG with SimPO's margin in the loss and in w_seq; the regulariser is not divided by the length.

    Args:
        logp_new: Log-probabilities under the updated policy [..., P, G, T].
        advantage: As in `dpo`.
        token_rewards: rhat [..., P, G, T].
        mask: Valid tokens [..., P, G, T]; None for all.
        beta: As in `simpo`.
        gamma: As in `simpo`.
        alpha: Strength of the regularisation; a token's sign is its response's while |alpha rhat| is below 1/len.
        static: w_seq = 1 in place of sigmoid(-D).

    Returns:
        Weights [..., P, G, T], divided by the number of pairs.

    Source: arXiv 2412.02685, SimPO form.
    """
    given = {"token_rewards": token_rewards, "mask": mask, "beta": beta, "gamma": gamma, "alpha": alpha}
    return _weights(logp_new, advantage, _options(given | {"static": static}, "simpo-reg", False))


preset("objective", "t-reg@static", "t-reg", "w_seq = 1, the ablation", static=True)
