"""The strip of the microscope: rewards that answer while they are dragged, every rule's advantages below.

Python stays the only place with formulas. For each reward and each value it can take, the component is sent what every
rule would say (`lab.studies.what_if`), so it has only to look up; letting go reports the new rewards.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.advantages.statistics import NO_SIGNAL
from lab.figures.theme import palette, style
from lab.studies.what_if import WhatIf

__all__ = ["payload"]


def payload(
    seen: WhatIf,
    rewards: Sequence[Sequence[Sequence[float]]],
    rules: Sequence[str],
    grid: NDArray[Any],
    *,
    true_mean: float,
    scale: float,
    selected: int,
    theme: str,
) -> dict[str, Any]:
    """What the component draws: the rewards, what they could be, and every rule's advantages for each.

    Args:
        seen: Answer of `lab.studies.what_if` for these rules, rewards and grid.
        rewards: [prompt][rollout][component].
        rules: Names of the rules, one row each.
        grid: Values that a reward can be dragged to, increasing.
        true_mean: Expected total reward.
        scale: Largest advantage that is drawn to scale.
        selected: Rollout whose formula is shown, counted through all groups.
        theme: "light" or "dark".
    """
    array, colors = np.asarray(rewards, dtype=float), palette(theme)
    low, high, count = float(grid[0]), float(grid[-1]), array.shape[-1]
    names = ["paper", "panel", "text", "muted", "grid", "axis", "flip"]
    return {
        "rewards": array.ravel().tolist(), "shape": array.shape, "grid": grid.tolist(), "low": low, "high": high,
        "ticks": _ticks(low, high), "totals": {"low": count * low, "high": count * high,
        "ticks": _ticks(count * low, count * high)}, "truth": true_mean, "scale": scale, "selected": selected,
        "components": ["reward"] if count == 1 else [f"reward {k + 1}" for k in range(count)],
        "rules": [{"name": rule, "color": style(rule, theme).color} for rule in rules],
        "colors": {name: getattr(colors, name) for name in names} | {"focus": colors.hues[0]}, "silent": NO_SIGNAL,
        "advantage": _packed(seen.advantage, np.float32), "mark": _packed(seen.mark, np.uint8),
        "total": _packed(seen.total, np.float32), "mean": _packed(seen.mean, np.float32),
    }  # fmt: skip


def _packed(array: NDArray[Any], kind: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype=kind).tobytes()).decode("ascii")


def _ticks(low: float, high: float) -> list[float]:
    """Three to six round values from `low` to `high`, 0 among them where it lies between."""
    steps = [0.25, 0.5, 1, 2, 2.5, 5, 10, 20, 25, 50]
    step = next((s for s in steps if (high - low) / s <= 5), high - low)
    first = np.ceil(low / step - 1e-9)
    return [float(step * i) for i in np.arange(first, np.floor(high / step + 1e-9) + 1)]
