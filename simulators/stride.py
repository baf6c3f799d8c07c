"""The fast lane of the training loop: a world's step in one kernel call, and what is measured on the way.

A world that has such a kernel hands its arrays over; what every stride shares is here. The kernel does the arithmetic
of the world's separate calls (`gradient`, `truth`, `entropy`, plain ascent, `rollout`), one run after the other while
its tables are in the cache, so that parameters come out bit for bit as from those calls.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simulators.compiled import kernel
from simulators.records import Floats, Policy, Rollouts
from simulators.softmax import tables

__all__ = ["MEASURES", "Stride", "measure", "measure_runs", "warm"]

#: Rows of a table of measurements [7, S], in the order in which `Stride.advance` fills them.
MEASURES = ("reward", "value", "sign_flip", "no_signal", "grad_norm", "advantage_max", "entropy")

_EVERYTHING = np.empty((0, 0, 0), dtype=np.bool_)


class Stride:
    """Walks a block of runs step by step, in place.

    Args:
        kernel: The world's step: (*state, step, advantage, keep, weights, lr, max_norm, *scratch, row, floors) to
            whether all gradients were finite.
        policy: The runs, whose `parameters` are logits; they move when `finish` is called.
        rollouts: Those of the present step; `advance` fills the same arrays again.
        step: The present step.
        state: The world's own arrays, in front of the seeds, the softmax tables and the arrays of the rollouts.
        scratch: Arrays that the kernel works in.
    """

    def __init__(
        self, kernel: Any, policy: Policy, rollouts: Rollouts, step: int, state: tuple[Any, ...],
        scratch: tuple[Any, ...],
    ) -> None:  # fmt: skip
        table = tables(policy)
        softmax = table.logits, table.probabilities, table.cumulative, table.log_total
        samples = rollouts.rewards, rollouts.actions, rollouts.logp, rollouts.mask
        self.rollouts = rollouts
        self._kernel, self._policy, self._step, self._logits = kernel, policy, step, table.logits
        self._state = (*state, policy.seeds, *softmax, *(x for x in samples if x is not None))
        self._scratch = scratch

    def advance(
        self,
        advantage: Floats,
        keep: Any,
        weights: Floats,
        lr: float,
        max_norm: float,
        row: Floats,
        floors: tuple[float, float],
    ) -> bool:
        """Measure the present step, ascend by lr times the (clipped) gradient, and sample the next step.

        Args:
            advantage: Advantages [S, P, G].
            keep: Rollouts that take part in the update [S, P, G], or None for all.
            weights: Weights on grad log pi [S, P, G, T].
            lr: Learning rate.
            max_norm: Norm above which a run's gradient is scaled down; inf for none.
            row: Filled with the measurements [7, S] (`MEASURES`); empty [0, 0] measures nothing.
            floors: Magnitudes up to which an advantage and a true advantage count as zero.

        Returns:
            Whether all gradients were finite; where not, that run has not moved.
        """
        self._step += 1
        kept = _EVERYTHING if keep is None else keep
        finite: bool = self._kernel(
            *self._state, self._step, advantage, kept, weights, lr, max_norm, *self._scratch, row, floors
        )
        return finite

    def finish(self) -> None:
        """Write the logits back into the policy's parameters."""
        self._policy.parameters[...] = self._logits


def warm(stride: Stride) -> None:
    """Compile a stride's kernel, or load it from the disk cache, by a step that moves nothing."""
    weights = np.zeros(stride.rollouts.actions.shape)
    row = np.empty((len(MEASURES), len(weights)))
    stride.advance(np.zeros(weights.shape[:3]), None, weights, 0.0, np.inf, row, (0.0, 0.0))


@kernel
def measure(rewards: Any, truth: Any, advantage: Any, keep: Any, s: Any, floors: Any, row: Any) -> None:
    """Mean reward, sign flips, silent groups and the largest advantage of run s, into its column of `row` [7, S].

    Args:
        rewards: reward components of the run [P, G, K], added up.
        truth: true advantages of the run [P, G].
        advantage: its advantages [P, G].
        keep: rollouts of all runs that take part in the update [S, P, G]; empty: all.
        s: index of the run.
        floors: magnitudes up to which an advantage and a true advantage count as zero.
        row: rows as in `MEASURES`; value, gradient norm and entropy are left alone.
    """
    prompts, groups, components = rewards.shape
    no_signal, no_truth = floors
    everything = keep.size == 0
    flips, signed, silent, largest, total = 0, 0, 0, 0.0, 0.0
    for p in range(prompts):
        most = 0.0
        for g in range(groups):
            reward = 0.0
            for k in range(components):
                reward += rewards[p, g, k]
            total += reward
            magnitude = abs(advantage[p, g]) if everything or keep[s, p, g] else 0.0
            most = magnitude if magnitude > most else most
            counts = (magnitude > no_signal) & (abs(truth[p, g]) > no_truth)
            signed += counts
            flips += counts & ((advantage[p, g] > 0) != (truth[p, g] > 0))
        silent += most <= no_signal
        largest = max(largest, most)
    row[0, s] = total / (prompts * groups)
    row[2, s] = flips / signed if signed > 0 else np.nan
    row[3, s] = silent / prompts
    row[5, s] = largest if largest > no_signal else 0.0


@kernel
def measure_runs(rewards: Any, truth: Any, advantage: Any, keep: Any, floors: Any, row: Any) -> None:
    """`measure` of every run: rewards [S, P, G, K], truth and advantage [S, P, G]."""
    for s in range(len(rewards)):
        measure(rewards[s], truth[s], advantage[s], keep, s, floors, row)
