"""Compiled loops of the bandit world; shapes as in `simulators.bandit`, which checks what it hands over.

`logits`, `probabilities` and `cumulative` [S, P, H, A] and `log_total` [S, P, H] are the tables of
`simulators.softmax`; `slots` [S, Q] holds the prompt of each slot of `actions` [S, Q, G, H]. A kernel that returns a
bool stops with False at an action that is not an arm.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simulators.compiled import kernel
from simulators.random import prompt_key, step_key, uniform
from simulators.reward_laws import BERNOULLI, draw

__all__ = ["expected_log", "expected_rewards", "fill_run", "log_prob", "sample", "sample_greedy", "score_gradient"]

_DRAWS = np.uint64(4)  # of each head: its arm, then up to three for its reward
_GREEDY = np.uint64(1 << 40)  # the rollout counter of the greedy response
_ONE = np.uint64(1)


@kernel
def sample(
    means: Any, codes: Any, noise: Any, centres: Any, seeds: Any, step: Any, attempt: Any,
    logits: Any, cumulative: Any, log_total: Any, rewards: Any, actions: Any, logp: Any,
) -> None:  # fmt: skip
    """Every run's rollouts [S, P, G, H]: see `fill_run`."""
    for run in range(seeds.size):
        fill_run(
            means, codes, noise, centres, seeds[run], step, attempt,
            logits[run], cumulative[run], log_total[run], rewards[run], actions[run], logp[run],
        )  # fmt: skip


@kernel
def fill_run(
    means: Any, codes: Any, noise: Any, centres: Any, seed: Any, step: Any, attempt: Any,
    logits: Any, cumulative: Any, log_total: Any, rewards: Any, actions: Any, logp: Any,
) -> None:  # fmt: skip
    """One run's rollouts [P, G, H]: arm = number of running sums ≤ u · total, one uniform u per head and rollout."""
    prompts, groups, heads = actions.shape
    arms = means.shape[2]
    run = step_key(seed, step, attempt)
    for p in range(prompts):
        key = prompt_key(run, np.uint64(p))
        for h in range(heads):
            first = np.uint64(h) * _DRAWS
            total = cumulative[p, h, arms - 1]
            code = codes[h]
            for g in range(groups):
                level = uniform(key, np.uint64(g), first) * total
                arm = 0
                for a in range(arms):
                    arm += cumulative[p, h, a] <= level
                mean = means[p, h, arm]
                if code == BERNOULLI:
                    reward = 1.0 * (uniform(key, np.uint64(g), first + _ONE) < mean)
                else:
                    reward = mean + (draw(code, noise[h], key, np.uint64(g), first + _ONE) - centres[h])
                rewards[p, g, h] = reward
                actions[p, g, h] = arm
                logp[p, g, h] = logits[p, h, arm] - log_total[p, h]


@kernel
def sample_greedy(
    means: Any, codes: Any, noise: Any, centres: Any, seeds: Any, step: Any, attempt: Any,
    logits: Any, rewards: Any,
) -> None:  # fmt: skip
    """Reward of the arm with the largest logit (the first of equals), with draws of its own."""
    runs, prompts, heads = rewards.shape
    for s in range(runs):
        run = step_key(seeds[s], step, attempt)
        for p in range(prompts):
            key = prompt_key(run, np.uint64(p))
            for h in range(heads):
                first = np.uint64(h) * _DRAWS + _ONE
                mean = means[p, h, np.argmax(logits[s, p, h])]
                if codes[h] == BERNOULLI:
                    rewards[s, p, h] = 1.0 * (uniform(key, _GREEDY, first) < mean)
                else:
                    rewards[s, p, h] = mean + (draw(codes[h], noise[h], key, _GREEDY, first) - centres[h])


@kernel
def log_prob(logits: Any, log_total: Any, slots: Any, actions: Any, out: Any) -> bool:
    """out[s, q, g, h] = log π of the action, in the prompt of its slot."""
    runs, places, groups, heads = actions.shape
    arms = logits.shape[3]
    for s in range(runs):
        for q in range(places):
            p = slots[s, q]
            for g in range(groups):
                for h in range(heads):
                    arm = actions[s, q, g, h]
                    if arm < 0 or arm >= arms:
                        return False
                    out[s, q, g, h] = logits[s, p, h, arm] - log_total[s, p, h]
    return True


@kernel
def score_gradient(probabilities: Any, slots: Any, actions: Any, weights: Any, out: Any) -> bool:
    """Add Σ w (1[action = a] − π(a)) to out [S, P, H, A]."""
    runs, places, groups, heads = actions.shape
    arms = probabilities.shape[3]
    for s in range(runs):
        for q in range(places):
            p = slots[s, q]
            for h in range(heads):
                total = 0.0
                for g in range(groups):
                    arm = actions[s, q, g, h]
                    if arm < 0 or arm >= arms:
                        return False
                    total += weights[s, q, g, h]
                    out[s, p, h, arm] += weights[s, q, g, h]
                for a in range(arms):
                    out[s, p, h, a] -= total * probabilities[s, p, h, a]
    return True


@kernel
def expected_rewards(
    means: Any, probabilities: Any, slots: Any, actions: Any,
    values: Any, value: Any, advantage: Any,
) -> bool:  # fmt: skip
    """Fill the values of each head [S, P, H], of each slot [S, P], and the advantages [S, P, G]."""
    runs, prompts, heads, arms = probabilities.shape
    for s in range(runs):
        for p in range(prompts):
            for h in range(heads):
                expected = 0.0
                for a in range(arms):
                    expected += probabilities[s, p, h, a] * means[p, h, a]
                values[s, p, h] = expected
        for q in range(slots.shape[1]):
            p = slots[s, q]
            expected = 0.0
            for h in range(heads):
                expected += values[s, p, h]
            value[s, q] = expected
            for g in range(actions.shape[2]):
                got = 0.0
                for h in range(heads):
                    arm = actions[s, q, g, h]
                    if arm < 0 or arm >= arms:
                        return False
                    got += means[p, h, arm]
                advantage[s, q, g] = got - expected
    return True


@kernel
def expected_log(probabilities: Any, logits: Any, log_total: Any, out: Any) -> None:
    """out[s] = E[log π] with arms from `probabilities`, summed over heads, averaged over prompts."""
    runs, prompts, heads, arms = logits.shape
    for s in range(runs):
        expected = 0.0
        for p in range(prompts):
            for h in range(heads):
                for a in range(arms):
                    log_pi = logits[s, p, h, a] - log_total[s, p, h]
                    expected += probabilities[s, p, h, a] * log_pi
        out[s] = expected / prompts
