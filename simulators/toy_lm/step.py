"""A language model's step in one kernel call: gradient, measurements, ascent, and the rollouts of the next step.

The same arithmetic as `ToyLM.gradient`, `truth`, `entropy`, `rollout` and plain ascent, one run after the other while
its tables are in the cache: parameters come out bit for bit as from those calls (a test holds them together). Only the
contexts that a response went through move, so only their rows of logits and of the softmax tables are touched.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from simulators.bandit import step as stride
from simulators.compiled import kernel
from simulators.random import prompt_key, step_key
from simulators.records import Policy, Rollouts
from simulators.softmax import fill, tables
from simulators.sums import inner
from simulators.toy_lm.kernels import passages_run, sample_prompt, score_gradient_run
from simulators.toy_lm.world import ToyLM

__all__ = ["Stride", "warm"]


class Stride(stride.Stride):
    """Walks a block of runs of a language model step by step, in place.

    Args:
        world: The language model's world.
        policy: Its runs; `policy.parameters` move.
        group_size: Rollouts per prompt G.
        step: The first step.

    Attributes:
        rollouts: The rollouts of the present step. The same arrays are filled again by `advance`.
    """

    def __init__(self, world: ToyLM, policy: Policy, group_size: int, step: int) -> None:
        self.rollouts: Rollouts = world.rollout(policy, group_size, step)
        table = tables(policy)
        self._policy, self._step = policy, step
        self._logits = table.logits
        machine = world.following, world.payoffs, world.worth, world.states
        softmax = table.logits, table.probabilities, table.cumulative, table.log_total
        assert self.rollouts.mask is not None
        samples = self.rollouts.rewards, self.rollouts.actions, self.rollouts.logp, self.rollouts.mask
        self._state = (*machine, policy.seeds, *softmax, *samples)
        contexts = world.logits.shape[:3]
        self._scratch = np.zeros(world.logits.shape), np.zeros(contexts), np.zeros(contexts, np.bool_)
        self._all = np.empty((0, 0, 0), dtype=np.bool_)
        self._kernel = _advance


def warm() -> None:
    """Compile the kernel, or load it from the disk cache."""
    world = ToyLM("length", prompts=1, vocabulary=2, length=1)
    fast = Stride(world, world.init([0]), 2, 0)
    ones = np.ones((1, 1, 2))
    fast.advance(ones, None, ones[..., None], 0.0, np.inf, np.empty((7, 1)), (0.0, 0.0))


@kernel
def _advance(
    following: Any, payoffs: Any, worth: Any, states: Any, seeds: Any, logits: Any, probabilities: Any, cumulative: Any,
    log_total: Any, rewards: Any, actions: Any, logp: Any, mask: Any, step: Any, advantage: Any, keep: Any,
    weights: Any, lr: Any, max_norm: Any, gradient: Any, totals: Any, moved: Any, row: Any, no_signal: Any,
    no_truth: Any,
) -> bool:  # fmt: skip
    finite = True
    prompts, length, vocabulary = moved.shape
    slots, values, entropies = np.arange(prompts), np.empty(prompts), np.empty(prompts)
    rows = length * vocabulary, vocabulary
    for s in range(seeds.size):
        score_gradient_run(probabilities[s], slots, actions[s], weights[s], gradient, totals, moved)
        norm = _norm(gradient.reshape((moved.size, vocabulary)), moved.reshape(-1))
        if row.size > 0:
            row[4, s] = norm
            passages_run(probabilities[s], following, worth, states, logits[s], log_total[s], values, entropies)
            row[1, s], row[6, s] = values.mean(), entropies.mean()
            _measure(values, rewards[s], advantage[s], keep, s, no_signal, no_truth, row)
        finite &= norm < np.inf
        factor = min(1.0, max_norm / max(norm, 1e-300))
        key = step_key(seeds[s], np.uint64(step), np.uint64(0))
        for p in range(prompts):
            if norm < np.inf:
                here = moved[p].reshape(-1)
                _ascend(logits[s, p].reshape(rows), gradient[p].reshape(rows), here, lr, factor)
                fill(
                    logits[s, p].reshape(rows), probabilities[s, p].reshape(rows), cumulative[s, p].reshape(rows),
                    log_total[s, p].reshape(-1), here,
                )  # fmt: skip
            else:
                gradient[p] = 0.0
            sample_prompt(
                following[p], payoffs[p], prompt_key(key, np.uint64(p)), logits[s, p], cumulative[s, p],
                log_total[s, p], rewards[s, p], actions[s, p], logp[s, p], mask[s, p],
            )  # fmt: skip
    return finite


@kernel
def _measure(
    values: Any, rewards: Any, advantage: Any, keep: Any, s: Any, no_signal: Any, no_truth: Any, row: Any
) -> None:
    """Mean reward, sign flips, silent groups and the largest advantage of one run."""
    prompts, groups, components = rewards.shape
    everything = keep.size == 0
    flips, signed, silent, largest, total = 0, 0, 0, 0.0, 0.0
    for p in range(prompts):
        most = 0.0
        for g in range(groups):
            reward = 0.0
            for k in range(components):
                reward += rewards[p, g, k]
            total += reward
            truth = reward - values[p]
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
def _norm(gradient: Any, moved: Any) -> float:
    """Norm of the gradient [R, V]: the sum of `simulators.sums.inner`, without the rows that are zero where V fits."""
    size = gradient.shape[1]
    if size % 4 != 0:
        flat = gradient.reshape(-1)
        return math.sqrt(inner(flat, flat))
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for i in range(moved.size):
        if moved[i]:
            for v in range(0, size, 4):
                a += gradient[i, v] * gradient[i, v]
                b += gradient[i, v + 1] * gradient[i, v + 1]
                c += gradient[i, v + 2] * gradient[i, v + 2]
                d += gradient[i, v + 3] * gradient[i, v + 3]
    return math.sqrt((a + b) + (c + d))


@kernel
def _ascend(logits: Any, gradient: Any, moved: Any, lr: Any, factor: Any) -> None:
    """Move the rows [R, V] that have a gradient, and set it to zero."""
    for i in range(moved.size):
        if moved[i]:
            for v in range(logits.shape[1]):
                logits[i, v] += lr * (gradient[i, v] * factor)
                gradient[i, v] = 0.0
