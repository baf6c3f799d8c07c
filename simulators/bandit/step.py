"""A bandit's step in one kernel call: gradient, measurements, ascent, and the rollouts of the next step.

The same arithmetic as `Bandit.gradient`, `truth`, `entropy`, `rollout` and plain ascent, one run after the other while
its tables are in the cache: parameters come out bit for bit as from those calls (a test holds them together). It
serves the common case of the training loop, one gradient step per batch by plain ascent; everything else takes the
separate calls.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from simulators.bandit.kernels import fill_run
from simulators.bandit.world import Bandit
from simulators.compiled import kernel
from simulators.records import Floats, Policy, Rollouts
from simulators.softmax import fill, tables
from simulators.sums import inner

__all__ = ["MEASURES", "Stride", "warm"]

#: Columns of a row of measurements, in the order in which `Stride.advance` fills them.
MEASURES = ("reward", "value", "sign_flip", "no_signal", "grad_norm", "advantage_max", "entropy")


class Stride:
    """Walks a block of runs of a bandit step by step, in place.

    Args:
        world: The bandit.
        policy: Its runs; `policy.parameters` move.
        group_size: Rollouts per prompt G.
        step: The first step.

    Attributes:
        rollouts: The rollouts of the present step. The same arrays are filled again by `advance`.
    """

    def __init__(self, world: Bandit, policy: Policy, group_size: int, step: int) -> None:
        self.rollouts: Rollouts = world.rollout(policy, group_size, step)
        table = tables(policy)
        self._policy, self._step = policy, step
        self._logits = table.logits
        softmax = table.logits, table.probabilities, table.cumulative, table.log_total
        samples = self.rollouts.rewards, self.rollouts.actions, self.rollouts.logp
        self._state: tuple[Any, ...] = (*world.tables, policy.seeds, *softmax, *samples)
        self._scratch = np.empty(world.means.shape), np.empty(world.prompts), np.empty(world.means.shape[:2], np.bool_)
        self._all = np.empty((0, 0, 0), dtype=np.bool_)
        self._kernel: Any = _advance

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
            weights: Weights on grad log pi [S, P, G, H].
            lr: Learning rate.
            max_norm: Norm above which a run's gradient is scaled down; inf for none.
            row: Filled with the measurements [7, S] (`MEASURES`); empty [0, 0] measures nothing.
            floors: Magnitudes up to which an advantage and a true advantage count as zero.

        Returns:
            Whether all gradients were finite; where not, that run has not moved.
        """
        self._step += 1
        kept = self._all if keep is None else keep
        finite: bool = self._kernel(
            *self._state, self._step, advantage, kept, weights, lr, max_norm, *self._scratch, row, *floors
        )
        return finite

    def finish(self) -> None:
        """Write the logits back into the policy's parameters."""
        self._policy.parameters[...] = self._logits


def warm() -> None:
    """Compile the kernel, or load it from the disk cache."""
    world = Bandit(np.full((1, 2), 0.5))
    fast = Stride(world, world.init([0]), 2, 0)
    ones = np.ones((1, 1, 2))
    fast.advance(ones, None, ones[..., None], 0.0, np.inf, np.empty((len(MEASURES), 1)), (0.0, 0.0))


@kernel
def _advance(
    means: Any, codes: Any, noise: Any, centres: Any, seeds: Any, logits: Any, probabilities: Any, cumulative: Any,
    log_total: Any, rewards: Any, actions: Any, logp: Any, step: Any, advantage: Any, keep: Any, weights: Any,
    lr: Any, max_norm: Any, gradient: Any, values: Any, moved: Any, row: Any, no_signal: Any, no_truth: Any,
) -> bool:  # fmt: skip
    finite = True
    table = moved.size, logits.shape[3]
    for s in range(seeds.size):
        _gradient(probabilities[s], actions[s], weights[s], gradient, moved)
        flat = gradient.reshape(-1)
        norm = math.sqrt(inner(flat, flat))
        if row.size > 0:
            row[4, s] = norm
            row[1, s], row[6, s] = _expected(probabilities[s], means, logits[s], log_total[s], values)
            _measure(values, means, rewards[s], actions[s], advantage[s], keep, s, no_signal, no_truth, row)
        if not norm < np.inf:
            finite = False
        else:
            _ascend(logits[s], gradient, lr, min(1.0, max_norm / max(norm, 1e-300)))
            fill(
                logits[s].reshape(table), probabilities[s].reshape(table), cumulative[s].reshape(table),
                log_total[s].reshape(-1), moved.reshape(-1),
            )  # fmt: skip
        fill_run(
            means, codes, noise, centres, seeds[s], np.uint64(step), np.uint64(0),
            logits[s], cumulative[s], log_total[s], rewards[s], actions[s], logp[s],
        )  # fmt: skip
    return finite


@kernel
def _gradient(probabilities: Any, actions: Any, weights: Any, out: Any, moved: Any) -> None:
    """out[p, h, a] = sum of w (1[action = a] - pi); moved[p, h]: some weight is not zero, so the row is not either."""
    prompts, groups, heads = actions.shape
    for p in range(prompts):
        for h in range(heads):
            row, pi = out[p, h], probabilities[p, h]
            total, any_weight = 0.0, False
            for a in range(row.size):
                row[a] = 0.0
            for g in range(groups):
                total += weights[p, g, h]
                any_weight |= weights[p, g, h] != 0
                row[actions[p, g, h]] += weights[p, g, h]
            moved[p, h] = any_weight
            for a in range(row.size):
                row[a] -= total * pi[a]


@kernel
def _expected(probabilities: Any, means: Any, logits: Any, log_total: Any, values: Any) -> tuple[float, float]:
    """Fill the value of each prompt; return its mean and the mean entropy, log total - sum of pi logit."""
    prompts, heads = log_total.shape
    value, entropy = 0.0, 0.0
    for p in range(prompts):
        values[p] = 0.0
        for h in range(heads):
            values[p] += inner(probabilities[p, h], means[p, h])
            entropy += log_total[p, h] - inner(probabilities[p, h], logits[p, h])
        value += values[p]
    return value / prompts, entropy / prompts


@kernel
def _measure(
    values: Any, means: Any, rewards: Any, actions: Any, advantage: Any, keep: Any, s: Any, no_signal: Any,
    no_truth: Any, row: Any,
) -> None:  # fmt: skip
    """Mean reward, sign flips, silent groups and the largest advantage of one run."""
    prompts, groups, heads = actions.shape
    everything = keep.size == 0
    flips, signed, silent, largest, total = 0, 0, 0, 0.0, 0.0
    for p in range(prompts):
        most = 0.0
        for g in range(groups):
            truth = -values[p]
            for h in range(heads):
                truth += means[p, h, actions[p, g, h]]
                total += rewards[p, g, h]
            magnitude = abs(advantage[p, g]) if everything or keep[s, p, g] else 0.0
            most = magnitude if magnitude > most else most
            counts = (magnitude > no_signal) & (abs(truth) > no_truth)
            signed += counts
            flips += counts & ((advantage[p, g] > 0) != (truth > 0))
        silent += most <= no_signal
        largest = max(largest, most)
    row[0, s] = total / (prompts * groups)
    row[2, s] = flips / signed if signed > 0 else np.nan
    row[3, s] = silent / prompts
    row[5, s] = largest if largest > no_signal else 0.0


@kernel
def _ascend(logits: Any, gradient: Any, lr: Any, factor: Any) -> None:
    prompts, heads, arms = logits.shape
    for p in range(prompts):
        for h in range(heads):
            for a in range(arms):
                logits[p, h, a] += lr * (gradient[p, h, a] * factor)
