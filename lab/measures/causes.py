"""What stands behind a spike of the gradient: which prompt, which rollout, which reward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from lab.advantages.statistics import NO_SIGNAL
from lab.measures.advantage import NO_TRUTH

__all__ = ["Cause", "cause", "cause_rows", "prompt_shares", "spike_counts", "worst_spikes"]


@dataclass(frozen=True)
class Cause:
    """The prompt that adds most to a gradient, and its loudest rollout.

    Attributes:
        slot: Its place among the step's prompts.
        prompt: Its name: the same number, or that of a scene or a problem.
        share: Its norm over the sum of the norms of all prompts.
        rollout: Index of its rollout with the largest advantage in magnitude.
        reward: That rollout's reward.
        advantage: Its advantage.
        true_advantage: What it deserved; None where the world can't know.
    """

    slot: int
    prompt: int
    share: float
    rollout: int
    reward: float
    advantage: float
    true_advantage: float | None

    @property
    def flipped(self) -> bool:
        """Whether the advantage has the wrong sign."""
        truth = self.true_advantage or 0.0
        return abs(truth) > NO_TRUTH and (self.advantage > 0) != (truth > 0)


def spike_counts(marked: pl.DataFrame) -> pl.DataFrame:
    """Spikes per variant, the most first: variant, runs, steps (of all runs), spikes, share (of the steps).

    Args:
        marked: `lab.measures.spikes` of a trace.
    """
    counted = marked.group_by("variant", maintain_order=True).agg(
        pl.col("seed").n_unique().alias("runs"), pl.len().alias("steps"), pl.col("spike").sum().alias("spikes")
    )
    return counted.with_columns(share=pl.col("spikes") / pl.col("steps")).sort("spikes", descending=True)


def worst_spikes(marked: pl.DataFrame) -> pl.DataFrame:
    """The spikes alone, the highest score first; among equal scores (∞ after a stretch of zeros) the largest."""
    return marked.filter("spike").sort("score", "grad_norm", descending=True)


def prompt_shares(prompt_norm: ArrayLike, rollouts: pl.DataFrame | None = None) -> pl.DataFrame:
    """Each prompt's part in a gradient: slot, prompt, norm, share (of the sum of norms), largest.

    Args:
        prompt_norm: Norm of each prompt's share of the gradient [P].
        rollouts: `Replay.frame`, for the name of the prompt in each slot; None: it is the slot.
    """
    norm = np.asarray(prompt_norm, dtype=float)
    total = norm.sum()
    share = norm / total if total > 0 else np.zeros_like(norm)
    slots = np.arange(norm.size)
    names = slots if rollouts is None else rollouts.unique("slot", keep="first").sort("slot")["prompt"].to_numpy()
    largest = slots == norm.argmax()
    return pl.DataFrame({"slot": slots, "prompt": names, "norm": norm, "share": share, "largest": largest})


def cause(rollouts: pl.DataFrame, prompt_norm: ArrayLike) -> Cause:
    """The main cause of one step's gradient.

    Args:
        rollouts: `Replay.frame`: slot, prompt, rollout, reward, advantage, true_advantage, keep.
        prompt_norm: `Replay.prompt_norm` [P].
    """
    first = prompt_shares(prompt_norm).filter("largest").row(0, named=True)
    own = rollouts.filter(pl.col("slot") == first["slot"])
    found: dict[str, Any] = own.sort("keep", pl.col("advantage").abs(), descending=True).row(0, named=True)
    names = ("slot", "prompt", "rollout", "reward", "advantage", "true_advantage")
    return Cause(share=first["share"], **{name: found[name] for name in names})


def cause_rows(rollouts: pl.DataFrame, slot: int) -> pl.DataFrame:
    """The rollouts of the prompt in one slot row by row, as `lab.figures.group_matrix` draws them.

    Returns:
        Columns row, kind, rollout, value, wrong: reward, the advantage that was deserved, the advantage that was given
        (null where the rollout takes no part; wrong where its sign is not the deserved one).
    """
    own = rollouts.filter(pl.col("slot") == slot).sort("rollout")
    truth, given = pl.col("true_advantage"), pl.col("advantage")
    signed = (truth.abs() > NO_TRUTH) & (given.abs() > NO_SIGNAL) & pl.col("keep")
    own = own.with_columns(
        given=pl.when("keep").then(given), wrong=signed & ((truth > 0) != (given > 0)), never=pl.lit(False)
    )
    rows = (("reward", "reward", "reward", "never"), ("true advantage", "advantage", "true_advantage", "never"),
            ("advantage", "advantage", "given", "wrong"))  # fmt: skip
    return pl.concat(
        own.select(
            row=pl.lit(row), kind=pl.lit(kind), rollout="rollout", value=pl.col(value).cast(pl.Float64), wrong=wrong
        )
        for row, kind, value, wrong in rows
    )
