"""A language model's step in one kernel call: gradient, measurements, ascent, and the rollouts of the next step.

The same arithmetic as `ToyLM.gradient`, `truth`, `entropy`, `rollout` and plain ascent; see `simulators.stride`. Only
the contexts that a response went through move, so only their rows of logits and of the softmax tables are touched.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from simulators.compiled import kernel
from simulators.random import prompt_key, step_key
from simulators.softmax import fill
from simulators.stride import measure
from simulators.sums import inner
from simulators.toy_lm.kernels import passages_run, sample_prompt, score_gradient_run

__all__ = ["advance"]


@kernel
def advance(
    following: Any, payoffs: Any, worth: Any, states: Any, seeds: Any, logits: Any, probabilities: Any, cumulative: Any,
    log_total: Any, rewards: Any, actions: Any, logp: Any, mask: Any, step: Any, advantage: Any, keep: Any,
    weights: Any, lr: Any, max_norm: Any, gradient: Any, totals: Any, truth: Any, moved: Any, row: Any, floors: Any,
) -> bool:  # fmt: skip
    """Measure, move and sample every run; whether all gradients were finite. Arguments as in `simulators.stride`."""
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
            _true_advantages(values, rewards[s], truth)
            measure(rewards[s], truth, advantage[s], keep, s, floors, row)
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
def _true_advantages(values: Any, rewards: Any, out: Any) -> None:
    """out[p, g] = reward of the response, in which no chance is left - value of the prompt."""
    prompts, groups, components = rewards.shape
    for p in range(prompts):
        for g in range(groups):
            reward = 0.0
            for k in range(components):
                reward += rewards[p, g, k]
            out[p, g] = reward - values[p]


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
