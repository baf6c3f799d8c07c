"""Which variants give the same advantages to the same rollouts, and what each kind of answer is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

    from lab.training.loop import Moment

__all__ = ["answer_rows", "same_answers"]

Array = NDArray[Any]

#: Advantages that differ by less than this, relative to the largest, are the same.
SAME = 1e-6


def same_answers(moments: Mapping[str, Moment], *, run: int = 0) -> list[list[str]]:
    """Variants whose advantages are the same for every rollout of a batch, rollouts that are left out included.

    Args:
        moments: Variant -> what it makes of the same rollouts, as `lab.experiment.review` gives them.
        run: Which run of the block S.

    Returns:
        Lists of names, in the order of the first of each.
    """
    kinds: list[tuple[Array, list[str]]] = []
    for name, moment in moments.items():
        given = _used(moment, run)
        for known, names in kinds:
            if known.shape == given.shape and np.allclose(known, given, rtol=SAME, atol=SAME, equal_nan=True):
                names.append(name)
                break
        else:
            kinds.append((given, [name]))
    return [names for _, names in kinds]


def answer_rows(
    moments: Mapping[str, Moment], prompt: int, components: Sequence[str], *, base: str, run: int = 0
) -> pl.DataFrame:
    """One group's rewards, and below them the advantages of each kind of answer, tidy.

    Args:
        moments: As in `same_answers`.
        prompt: Which slot of the P axis.
        components: Names of the reward components [K].
        base: The variant whose signs the others are compared with.
        run: Which run of the block S.

    Returns:
        row (a component, or the first variant that answers so and how many do), kind ("reward" or "advantage"), rollout
        (from 1), value (null for a rollout that is left out), wrong (another sign than under `base`), variants (all
        that answer so, separated by commas).
    """
    import polars as pl

    rewards = moments[base].rollouts.rewards[run, prompt]
    count = rewards.shape[0]
    signs = np.sign(np.nan_to_num(_used(moments[base], run)[prompt]))
    rows: list[tuple[str, str, Array, Array, str]] = [
        (name, "reward", values, np.zeros(count, bool), "") for name, values in zip(components, rewards.T, strict=True)
    ]
    for names in same_answers({base: moments[base], **moments}, run=run):
        values = _used(moments[names[0]], run)[prompt]
        label = names[0] if len(names) == 1 else f"{names[0]} +{len(names) - 1}"
        other = np.sign(np.nan_to_num(values)) * signs < 0
        rows.append((label, "advantage", values, other, ", ".join(names)))
    parts = [
        pl.DataFrame({"rollout": range(1, count + 1), "value": values, "wrong": wrong}).select(
            pl.lit(row).alias("row"), pl.lit(kind).alias("kind"), "rollout", pl.col("value").fill_nan(None), "wrong",
            pl.lit(names_).alias("variants"),
        )
        for row, kind, values, wrong, names_ in rows
    ]  # fmt: skip
    return pl.concat(parts)


def _used(moment: Moment, run: int) -> Array:
    """Advantages per rollout [P, G], NaN where a rollout takes no part."""
    advantage = moment.advantage[run]
    return advantage if moment.keep is None else np.where(moment.keep[run], advantage, np.nan)
