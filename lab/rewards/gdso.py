"""Z-Reward's reward of a judge: how near its expected mark is to the annotated one, alone and in a pair."""

from __future__ import annotations

import numpy as np

from lab.advantages.statistics import Array
from lab.errors import InputError
from lab.registry import register
from simulators.rubric.marks import MARKS

__all__ = ["gdso", "leads"]

_WIDE = float(MARKS[-1] - MARKS[0])


def leads(values: Array) -> Array:
    """What each of a side's values is above each of the other side's [..., P, G, G], of values [..., P, G].

    Slots 2i and 2i + 1 are the two sides of a pair.

    Raises:
        InputError: The number of slots is odd.
    """
    if values.shape[-2] % 2:
        raise InputError(f"{values.shape[-2]} prompts; the two sides of each pair must stand side by side")
    other = values.reshape(*values.shape[:-2], -1, 2, values.shape[-1])[..., ::-1, :].reshape(values.shape)
    return np.asarray(values[..., :, None] - other[..., None, :])


@register(
    "reward", "gdso", paper="gdso", equation="r = λ_pt (1 − |μ − s|/4) + λ_pw (1 − mean_k |(μ − μ'_k) − (s − s')|/4)"
)
def gdso(
    rewards: Array, *, annotated: Array, expected_mark: Array, pointwise: float = 1.0, pairwise: float = 1.0
) -> Array:
    """Pointwise and pairwise reward of a judge's expected mark; that of the mark that it gave does not count.

    Args:
        rewards: Reward components [..., P, G, K], of which only the shape counts.
        annotated: Annotated marks [..., P]; slots 2i and 2i + 1 are the two sides of a pair.
        expected_mark: Expected marks [..., P, G].
        pointwise: λ_pt, of the distance to the annotated mark.
        pairwise: λ_pw, of the distance of the two sides' lead to the annotated lead.

    Returns:
        One component [..., P, G, 1].

    Raises:
        InputError: The number of slots is odd.

    Source: arXiv 2606.09076, equations 3 to 6; the λ are not printed.
    """
    alone = 1 - np.abs(expected_mark - annotated[..., None]) / _WIDE
    off = leads(expected_mark) - leads(np.asarray(annotated)[..., None])
    against = 1 - np.abs(off).mean(-1) / _WIDE
    return np.asarray(pointwise * alone + pairwise * against)[..., None]
