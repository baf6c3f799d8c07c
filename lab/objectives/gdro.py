"""GDRO: a flow ranks the samples of a group as their rewards do, by DPO's implicit reward; nothing is sampled anew."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lab.composites import method
from lab.errors import check_number
from lab.objectives.formula import Formula, Terms, formula
from lab.objectives.tokens import Array
from simulators.flow import fields  # noqa: F401  (what is read below)

__all__ = ["gdro", "listwise"]


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def _targets(r: Array, tau: float) -> Array:
    """q [..., k] of rewards that fall: softmax(r/τ); with τ = 0 all of it on the first."""
    return _softmax((r - r[..., :1]) / tau) if tau else np.broadcast_to(np.arange(r.shape[-1]) == 0, r.shape) * 1.0


def listwise(s: Array, r: Array, tau: float, places: int | None = None) -> tuple[Array, Array]:
    """The loss Σ_i [logsumexp_{m≥i} s_m − Σ_{j≥i} q_i(j) s_j] of lists [...], and its slope in s [..., k].

    The list is put in order of its rewards; at place i the softmax of what remains is drawn to that of the rewards.
    With τ = 0 it is the likelihood of the order (Plackett and Luce), and with two samples DPO.

    Args:
        s: Implicit rewards [..., k].
        r: Rewards, broadcast to [..., k]; equal ones stay in the order that they have.
        tau: Temperature τ of the rewards.
        places: Only so many places from the first; None: all.
    """
    order = np.argsort(np.broadcast_to(-r, s.shape), axis=-1, kind="stable")
    s, r = (np.take_along_axis(np.broadcast_to(x, s.shape), order, axis=-1) for x in (s, r))
    loss, slope = np.zeros(s.shape[:-1]), np.zeros(s.shape)
    for i in range(s.shape[-1] - 1)[:places]:
        left, q = s[..., i:], _targets(r[..., i:], tau)
        loss += np.logaddexp.reduce(left, axis=-1) - (q * left).sum(axis=-1)
        slope[..., i:] += _softmax(left) - q
    return loss, np.take_along_axis(slope, order.argsort(axis=-1), axis=-1)


@formula(
    "gdro",
    paper="gdro",
    equation="w = β Σ_i (q_i − softmax_{m≥i}(s)) on ∇s/β,  −γ on ∇‖v − v_θ‖² of the best;"
    "  s = β(‖v − v_ref‖² − ‖v − v_θ‖²),  q_i = softmax_{j≥i}(r/τ)",
    reads=(),
    scores=("implicit_reward", "denoising_loss"),
    coupled=True,
)
def gdro(
    t: Terms, *, scores: Mapping[str, Array], noised_at: Array, beta: float = 0.1, tau: float = 0.05,
    gamma: float = 0.5, places: int | None = None,
) -> Formula:  # fmt: skip
    """GDRO: at each place of the group's order, the implicit rewards of what remains follow the rewards.

    The group at one time of noise is a list of its own. The weights on the implicit reward sum to 0 over it: they are
    group-relative advantages that stop when the flow ranks as the rewards do. Rewards come through the advantage
    rule; a baseline changes nothing.

    Args:
        t: Terms of the batch; r are the advantages.
        scores: "implicit_reward", ‖v − v_ref‖² − ‖v − v_θ‖², and "denoising_loss", ‖v − v_θ‖² [..., P, G, T].
        noised_at: Times of the noised samples [..., P, G, T].
        beta: β, how dear it is to leave the first policy.
        tau: τ of the rewards, in their units; 0: only their order counts.
        gamma: γ, weight of the denoising loss of the best sample, which holds the flow together.
        places: Only so many places of the order, 1 for the best alone; None: all.

    Returns:
        Weights on the gradient of both scores [..., P, G, T].

    Raises:
        InputError: β, τ or γ is negative.

    Source: arXiv 2601.02036; that times are shared by the group and noises are not is the lab's reading.
    """
    for name, value in (("beta", beta), ("tau", tau), ("gamma", gamma)):
        check_number(f"{name} of gdro", value, lambda x: 0 <= x < np.inf, "a number of at least 0")
    r, lists = t.per_rollout, noised_at.shape[-3] * noised_at.shape[-1]
    s = beta * np.swapaxes(scores["implicit_reward"], -1, -2)
    losses, slope = listwise(s, r[..., None, :], tau, places)
    best = (np.arange(r.shape[-1]) == r.argmax(axis=-1)[..., None])[..., None]
    held = gamma * best * np.ones_like(noised_at) / lists
    return Formula(
        lambda: {"implicit_reward": -beta / lists * np.swapaxes(slope, -1, -2), "denoising_loss": -held},
        lambda: np.asarray(
            losses.sum(axis=(-2, -1)) / lists + (held * scores["denoising_loss"]).sum(axis=(-3, -2, -1))
        ),
    )


method("gdro", advantage="dr_grpo", objective="gdro", max_grad_norm=1.0, paper="gdro",
       note="the flow learns to rank the samples of a group, of which none need be its own")  # fmt: skip
