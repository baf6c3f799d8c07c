"""Progress as Robo-Dopamine's three views sense it, along a demonstration and as the reward of a walk.

>>> import numpy as np
>>> from lab.studies.progress import sensed
>>> sorted(sensed(np.linspace(0, 1, 11), np.random.default_rng(0)))
['backward', 'forward', 'fused', 'incremental']
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.errors import UnknownNameError
from lab.rewards import robo_dopamine as robo
from lab.rewards import shaping
from lab.studies.walks import Pay, Walk
from simulators.mdp.chains import Chain

__all__ = ["FORMS", "progress_pay", "sensed"]

Array = NDArray[Any]

#: What is paid for sensed progress.
FORMS = {
    "policy-invariant": "gold read off progress + γΦ*(s′) − Φ*(s)",
    "gold + increment": "gold read off progress + Φ*(s′) − Φ*(s)",
    "increment": "Φ*(s′) − Φ*(s)",
}

_HOP, _ANCHORED = 0.04, 0.08  # standard deviations of the sensor


def sensed(true: Array, rng: np.random.Generator) -> dict[str, Array]:
    """Progress as a noisy hop sensor sees it, by view.

    Hops between neighbours err by 0.04, those from the start by 0.08 (0.3 + Φ), those from the goal by 0.08 (1.3 − Φ).

    Args:
        true: Progress from the start on [..., T + 1].
        rng: Where the noise comes from.

    Returns:
        "incremental", "forward", "backward" and "fused" [..., T], behind each step.

    Source: robo-dopamine in the catalogue; the sensor is the lab's own.
    """
    return _views(true, rng.normal(size=(3, *true[..., 1:].shape)))


def _views(true: Array, noise: Array) -> dict[str, Array]:
    """`sensed` with the noise [3, ..., T] of neighbours, of the start and of the goal."""
    before, now, (small, ahead, behind) = true[..., :-1], true[..., 1:], noise
    hops, ends = robo.hop(before, now) + _HOP * small, np.ones(now.shape)
    forward = np.clip(robo.anchored(robo.hop(0 * ends, now) + _ANCHORED * (0.3 + now) * ahead), 0, 1)
    far = robo.hop(ends, now) + _ANCHORED * (1.3 - now) * behind
    backward = np.clip(robo.anchored(far, backward=True), 0, 1)
    fused = robo.fused(hops, forward, backward)
    return {"incremental": robo.incremental(hops), "forward": forward, "backward": backward, "fused": fused}


def progress_pay(chain: Chain, form: str = "policy-invariant", *, view: str = "fused", delta: float = 0.05) -> Pay:
    """What sensed progress pays for each move of a walk (`lab.studies.walks.Walks`).

    Args:
        chain: The world; its progress is the position over the length.
        form: A member of `FORMS`.
        view: Which progress is believed, see `sensed`.
        delta: Progress within so much of 1 counts as success.

    Raises:
        UnknownNameError: No such form.

    Source: arXiv 2512.23703, policy-invariant shaping, and the increments that it warns of.
    """
    if form not in FORMS:
        raise UnknownNameError("form of a reward for progress", form, FORMS)

    def pay(walk: Walk) -> Array:
        true = chain.progress[walk.positions]
        each = [
            np.random.default_rng([int(s), walk.step]).normal(size=(3, *true[0, ..., 1:].shape)) for s in walk.seeds
        ]
        after = _views(true, np.stack(each, axis=1))[view]
        before = np.concatenate([np.zeros_like(after[..., :1]), after[..., :-1]], axis=-1)
        if form == "policy-invariant":
            return robo.process_reward(before, after, discount=chain.discount, delta=delta)
        gold = robo.gold(after, delta=delta) if form == "gold + increment" else np.zeros_like(after)
        return shaping.increment(gold, before, after)

    return pay
