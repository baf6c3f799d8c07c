"""A bandit's step in one kernel call: gradient, measurements, ascent, and the rollouts of the next step.

The same arithmetic as `Bandit.gradient`, `truth`, `entropy`, `rollout` and plain ascent; see `simulators.stride`. It
serves the common case of the training loop, one gradient step per batch by plain ascent; everything else takes the
separate calls.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from simulators.bandit.kernels import fill_run
from simulators.compiled import kernel
from simulators.softmax import fill
from simulators.stride import measure
from simulators.sums import inner

__all__ = ["advance"]


@kernel
def advance(
    means: Any, codes: Any, noise: Any, centres: Any, seeds: Any, logits: Any, probabilities: Any, cumulative: Any,
    log_total: Any, rewards: Any, actions: Any, logp: Any, step: Any, advantage: Any, keep: Any, weights: Any,
    lr: Any, max_norm: Any, gradient: Any, values: Any, truth: Any, moved: Any, row: Any, floors: Any,
) -> bool:  # fmt: skip
    """Measure, move and sample every run; whether all gradients were finite. Arguments as in `simulators.stride`."""
    finite = True
    table = moved.size, logits.shape[3]
    for s in range(seeds.size):
        _gradient(probabilities[s], actions[s], weights[s], gradient, moved)
        flat = gradient.reshape(-1)
        norm = math.sqrt(inner(flat, flat))
        if row.size > 0:
            row[4, s] = norm
            row[1, s], row[6, s] = _expected(probabilities[s], means, logits[s], log_total[s], values)
            _true_advantages(values, means, actions[s], truth)
            measure(rewards[s], truth, advantage[s], keep, s, floors, row)
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
def _true_advantages(values: Any, means: Any, actions: Any, out: Any) -> None:
    """out[p, g] = sum of the means of the arms taken - value of the prompt."""
    prompts, groups, heads = actions.shape
    for p in range(prompts):
        for g in range(groups):
            truth = -values[p]
            for h in range(heads):
                truth += means[p, h, actions[p, g, h]]
            out[p, g] = truth


@kernel
def _ascend(logits: Any, gradient: Any, lr: Any, factor: Any) -> None:
    prompts, heads, arms = logits.shape
    for p in range(prompts):
        for h in range(heads):
            for a in range(arms):
                logits[p, h, a] += lr * (gradient[p, h, a] * factor)
