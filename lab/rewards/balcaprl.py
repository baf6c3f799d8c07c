"""BalCapRL: a quality that counts only where the response is about as long as its reference."""

from __future__ import annotations

import numpy as np

from lab.advantages.statistics import Array
from lab.composites import method
from lab.errors import InputError, MissingFieldError
from lab.registry import register

__all__ = ["balance", "balcaprl", "length_penalty", "length_ratio"]


def length_ratio(rewards: Array, mask: Array | None, lengths: Array | None, reference: float) -> Array:
    """Length of each response over its reference's [..., P, G].

    Args:
        rewards: [..., P, G, K], for the shape.
        mask: valid tokens [..., P, G, T], counted where no lengths are given.
        lengths: lengths in the world's own units [..., P, G].
        reference: the reference's length.

    Raises:
        MissingFieldError: neither mask nor lengths. InputError: a reference of no length, or shapes that do not fit.
    """
    if not reference > 0:
        raise InputError(f"balcaprl: reference={reference}; the reference's length must be above 0")
    if lengths is None and mask is None:
        raise MissingFieldError("reward rule 'balcaprl' reads lengths or mask, and neither is there")
    length = np.asarray(mask).sum(axis=-1) if lengths is None else np.asarray(lengths)
    if length.shape != rewards.shape[:-1]:
        raise InputError(f"balcaprl: lengths have shape {length.shape}; they must be {rewards.shape[:-1]}")
    return length / reference


@register("reward", paper="balcaprl", equation="r_K := r_K · 1[τ_l ≤ length/reference ≤ τ_u]")
def balcaprl(
    rewards: Array,
    *,
    mask: Array | None = None,
    lengths: Array | None = None,
    reference: float = 12.0,
    shortest: float = 0.5,
    longest: float = 2.0,
) -> Array:
    """The last component counts only for lengths from τ_l to τ_u times the reference's, both ends included.

    Masking comes before any normalisation, so inside a group masked responses fall below the mean of that component.

    Args:
        rewards: Components [..., P, G, K], the masked quality last (precision, recall, language).
        mask: Valid tokens [..., P, G, T], the length where `lengths` is not given.
        lengths: Lengths in the world's own units [..., P, G].
        reference: The reference's length.
        shortest: τ_l.
        longest: τ_u.

    Returns:
        Components [..., P, G, K]. A response of length 0 is masked.

    Source: arXiv 2605.07394, length-conditional reward masking.
    """
    ratio = length_ratio(rewards, mask, lengths, reference)
    out = rewards.copy()
    out[..., -1] *= (ratio >= shortest) & (ratio <= longest)
    return out


@register(
    "reward", "length-penalty", paper="balcaprl", equation="r_k := r_k − (factor/K) · max(length/reference − 1, 0)"
)
def length_penalty(
    rewards: Array,
    *,
    mask: Array | None = None,
    lengths: Array | None = None,
    reference: float = 12.0,
    factor: float = 0.5,
) -> Array:
    """The usual one-sided alternative: a linear penalty above the reference's length, shared by the components.

    Args:
        rewards: Components [..., P, G, K].
        mask: Valid tokens [..., P, G, T], the length where `lengths` is not given.
        lengths: Lengths in the world's own units [..., P, G].
        reference: The reference's length.
        factor: Penalty of a response of twice that length.

    Returns:
        Components [..., P, G, K].

    Source: arXiv 2605.07394, the alternative that masking is compared with.
    """
    ratio = length_ratio(rewards, mask, lengths, reference)
    return rewards - (factor * np.maximum(ratio - 1, 0) / rewards.shape[-1])[..., None]


def balance(*parts: Array) -> Array:
    """b-CapScore: the harmonic mean of the qualities [...], 0 where any of them is 0.

    Source: arXiv 2605.07394, evaluation.
    """
    whole = np.stack(parts, axis=-1)
    positive = (whole > 0).all(axis=-1)
    return np.where(positive, whole.shape[-1] / np.where(whole > 0, 1 / np.where(whole > 0, whole, 1), 1).sum(-1), 0.0)


method("balcaprl", advantage="gdpo", reward="balcaprl", paper="balcaprl",
       note="each quality normalised on its own, the last masked where the length is far from the reference",
       )  # fmt: skip
