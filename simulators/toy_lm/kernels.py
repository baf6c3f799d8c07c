"""Compiled loops of the toy language model; shapes as in `simulators.toy_lm`, which checks what it hands over.

`logits`, `probabilities` and `cumulative` [S, P, T, V, V] and `log_total` [S, P, T, V] are the tables of
`simulators.softmax`: position, previous token, token. `following` [P, T, Q, V], `payoffs` [P, T, Q, V, K] and `states`
[P] are the tasks' machines; `worth` [P, T, Q, V] is their score with the components added. `slots` [S, R] holds the
prompt of each slot of `actions` [S, R, G, T]. A kernel that returns a bool stops with False at what is no token.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simulators.compiled import kernel
from simulators.random import prompt_key, step_key, uniform
from simulators.sums import inner_rows

__all__ = [
    "exact_gradient", "greedy", "log_prob", "passages", "passages_run", "pay", "sample", "sample_prompt",
    "score_gradient", "score_gradient_run",
]  # fmt: skip


@kernel
def sample(
    following: Any, payoffs: Any, seeds: Any, step: Any, attempt: Any, logits: Any, cumulative: Any, log_total: Any,
    rewards: Any, actions: Any, logp: Any, mask: Any,
) -> None:  # fmt: skip
    """Every run's rollouts [S, P, G, T]: see `sample_prompt`."""
    for s in range(seeds.size):
        run = step_key(seeds[s], step, attempt)
        for p in range(actions.shape[1]):
            sample_prompt(
                following[p], payoffs[p], prompt_key(run, np.uint64(p)), logits[s, p], cumulative[s, p],
                log_total[s, p], rewards[s, p], actions[s, p], logp[s, p], mask[s, p],
            )  # fmt: skip


@kernel
def sample_prompt(
    following: Any, payoffs: Any, key: Any, logits: Any, cumulative: Any, log_total: Any, rewards: Any, actions: Any,
    logp: Any, mask: Any,
) -> None:  # fmt: skip
    """One group's rollouts [G, T]: token = number of running sums ≤ u · total, one uniform u per position.

    The group goes on token by token, all its rollouts together: a response alone waits for the memory at each token.
    """
    groups, length = actions.shape
    vocabulary = logits.shape[2]
    state, before, running = np.zeros(groups, np.int64), np.zeros(groups, np.int64), np.ones(groups, np.bool_)
    rewards[...] = 0.0
    for t in range(length):
        for g in range(groups):
            mask[g, t] = running[g]
            actions[g, t], logp[g, t] = 0, 0.0
            if not running[g]:
                continue
            q, u = state[g], before[g]
            level = uniform(key, np.uint64(g), np.uint64(t)) * cumulative[t, u, vocabulary - 1]
            token = 0
            for v in range(vocabulary):
                token += cumulative[t, u, v] <= level
            for k in range(payoffs.shape[3]):
                rewards[g, k] += payoffs[t, q, token, k]
            actions[g, t] = token
            logp[g, t] = logits[t, u, token] - log_total[t, u]
            state[g], before[g], running[g] = following[t, q, token], token, token != 0


@kernel
def greedy(following: Any, payoffs: Any, logits: Any, rewards: Any) -> None:
    """Rewards [S, P, K] of the response whose every token has the largest logit (the first of equals)."""
    runs, prompts, components = rewards.shape
    for s in range(runs):
        for p in range(prompts):
            state, before = 0, 0
            rewards[s, p, :] = 0.0
            for t in range(logits.shape[2]):
                token = int(np.argmax(logits[s, p, t, before]))
                for k in range(components):
                    rewards[s, p, k] += payoffs[p, t, state, token, k]
                state, before = following[p, t, state, token], token
                if token == 0:
                    break


@kernel
def log_prob(logits: Any, log_total: Any, slots: Any, actions: Any, out: Any) -> bool:
    """out[s, r, g, t] = log π of the token after the one before it; 0 behind the end token."""
    runs, places, groups, length = actions.shape
    vocabulary = logits.shape[4]
    for s in range(runs):
        for r in range(places):
            for g in range(groups):
                before = 0
                for t in range(length):
                    token = actions[s, r, g, t]
                    if token < 0 or token >= vocabulary:
                        return False
                    out[s, r, g, t] = logits[s, slots[s, r], t, before, token] - log_total[s, slots[s, r], t, before]
                    before = token
                    if token == 0:
                        out[s, r, g, t + 1 :] = 0.0
                        break
    return True


@kernel
def pay(following: Any, payoffs: Any, slots: Any, actions: Any, rewards: Any) -> bool:
    """rewards[s, r, g, k] of given responses."""
    runs, places, groups, length = actions.shape
    vocabulary = following.shape[3]
    rewards[...] = 0.0
    for s in range(runs):
        for r in range(places):
            p = slots[s, r]
            for g in range(groups):
                state = 0
                for t in range(length):
                    token = actions[s, r, g, t]
                    if token < 0 or token >= vocabulary:
                        return False
                    for k in range(payoffs.shape[4]):
                        rewards[s, r, g, k] += payoffs[p, t, state, token, k]
                    state = following[p, t, state, token]
                    if token == 0:
                        break
    return True


@kernel
def score_gradient(probabilities: Any, slots: Any, actions: Any, weights: Any, out: Any) -> bool:
    """Add Σ w ∇log π to out [S, P, T, V, V]."""
    totals = np.zeros(out.shape[1:4])
    moved = np.zeros(out.shape[1:4], np.bool_)
    for s in range(actions.shape[0]):
        if not score_gradient_run(probabilities[s], slots[s], actions[s], weights[s], out[s], totals, moved):
            return False
    return True


@kernel
def score_gradient_run(
    probabilities: Any, slots: Any, actions: Any, weights: Any, out: Any, totals: Any, moved: Any
) -> bool:
    """Add w (1[token = v] − π(v)) to the row of each token's context; moved: rows with a weight that is not zero.

    `totals` [P, T, V] must be zero before and is zero again after.
    """
    places, groups, length = actions.shape
    vocabulary = probabilities.shape[3]
    moved[...] = False
    for r in range(places):
        p = slots[r]
        for g in range(groups):
            before = 0
            for t in range(length):
                token, w = actions[r, g, t], weights[r, g, t]
                if token < 0 or token >= vocabulary:
                    return False
                out[p, t, before, token] += w
                totals[p, t, before] += w
                moved[p, t, before] |= w != 0
                before = token
                if token == 0:
                    break
    rows = moved.size, vocabulary
    _subtract(probabilities.reshape(rows), moved.reshape(-1), totals.reshape(-1), out.reshape(rows))
    return True


@kernel
def _subtract(probabilities: Any, moved: Any, totals: Any, out: Any) -> None:
    """Subtract total · π from every moved row [R, V], and set the totals to zero."""
    for i in range(moved.size):
        if moved[i]:
            for v in range(out.shape[1]):
                out[i, v] -= totals[i] * probabilities[i, v]
            totals[i] = 0.0


@kernel
def _gains(worth: Any, following: Any, after: Any, states: int, gains: Any) -> None:
    """gains[q, v]: expected reward from token v on in state q; after [V, Q] holds the values one token later."""
    for q in range(states):
        gains[q, 0] = worth[q, 0]
        for v in range(1, gains.shape[1]):
            gains[q, v] = worth[q, v] + after[v, following[q, v]]


@kernel
def _expected(probabilities: Any, following: Any, worth: Any, states: int, gains: Any, values: Any) -> None:
    """Fill values[t, u, q], the expected reward to come, backwards from zero at T.

    One prompt: probabilities [T, V, V], following and worth [T, Q, V]; gains [Q, V] is scratch, values [T + 1, V, Q].
    """
    length, vocabulary = probabilities.shape[:2]
    values[length] = 0.0
    for back in range(length):
        t = length - 1 - back
        _gains(worth[t], following[t], values[t + 1], states, gains)
        befores = vocabulary if t > 0 else 1
        for q in range(states):
            inner_rows(probabilities[t, :befores], gains[q], values[t, :befores, q])


@kernel
def exact_gradient(probabilities: Any, following: Any, worth: Any, states: Any, out: Any) -> None:
    """Gradient [S, P, T, V, V] of each prompt's value: Σ_q reach(t, u, q) π(v) (gain(q, v) − value(t, u, q)).

    reach is the probability that the response gets to position t with last token u and state q.
    """
    runs, prompts, length, vocabulary, _ = out.shape
    most = following.shape[2]
    gains, values = np.zeros((most, vocabulary)), np.zeros((length + 1, vocabulary, most))
    out[...] = 0.0
    for s in range(runs):
        for p in range(prompts):
            pi = probabilities[s, p]
            _expected(pi, following[p], worth[p], states[p], gains, values)
            reach = np.zeros((vocabulary, most))
            reach[0, 0] = 1.0
            for t in range(length):
                _gains(worth[p, t], following[p, t], values[t + 1], states[p], gains)
                further = np.zeros((vocabulary, most))
                for u in range(vocabulary):
                    for q in range(states[p]):
                        for v in range(vocabulary if reach[u, q] > 0 else 0):
                            share = reach[u, q] * pi[t, u, v]
                            out[s, p, t, u, v] += share * (gains[q, v] - values[t, u, q])
                            if v > 0:
                                further[v, following[p, t, q, v]] += share
                reach = further


@kernel
def _passage(
    probabilities: Any, following: Any, worth: Any, states: int, logits: Any, log_total: Any, reach: Any, flow: Any,
    surprise: Any,
) -> tuple[float, float]:  # fmt: skip
    """Expected reward and −E[log π(y)] of a response, forwards over all that it may pass through.

    One prompt: tokens from `probabilities` [T, V, V], their logarithms from `logits` [T, V, V] and `log_total` [T, V].
    reach [V, Q] is the probability that the response gets to a position with this last token and state; flow [Q, V],
    the same with the next token, and surprise [V] are scratch as well.
    """
    length, vocabulary, _ = probabilities.shape
    value, entropy = 0.0, 0.0
    surprise[:], reach[...] = 0.0, 0.0
    reach[0, 0] = 1.0
    for t in range(length):
        flow[...] = 0.0
        for u in range(vocabulary):
            arrived = 0.0
            for q in range(states):
                share = reach[u, q]
                if share > 0:
                    arrived += share
                    for v in range(vocabulary):
                        flow[q, v] += share * probabilities[t, u, v]
            if arrived > 0:
                for v in range(vocabulary):
                    surprise[v] += arrived * probabilities[t, u, v] * (log_total[t, u] - logits[t, u, v])
        value += _go_on(flow, following[t], worth[t], states, reach)
    for v in range(vocabulary):
        entropy += surprise[v]
    return value, entropy


@kernel
def _go_on(flow: Any, following: Any, worth: Any, states: int, reach: Any) -> float:
    """Fill the next position's reach from a flow [Q, V]; return the reward that is paid on the way."""
    paid = 0.0
    reach[...] = 0.0
    for q in range(states):
        paid += flow[q, 0] * worth[q, 0]
        for v in range(1, reach.shape[0]):
            paid += flow[q, v] * worth[q, v]
            reach[v, following[q, v]] += flow[q, v]
    return paid


@kernel
def passages(
    probabilities: Any, following: Any, worth: Any, states: Any, logits: Any, log_total: Any, values: Any,
    entropies: Any,
) -> None:  # fmt: skip
    """values[s, p], entropies[s, p] of every run: see `passages_run`."""
    for s in range(len(values)):
        passages_run(probabilities[s], following, worth, states, logits[s], log_total[s], values[s], entropies[s])


@kernel
def passages_run(
    probabilities: Any, following: Any, worth: Any, states: Any, logits: Any, log_total: Any, values: Any,
    entropies: Any,
) -> None:  # fmt: skip
    """values[p], entropies[p] = `_passage` of every prompt of one run."""
    prompts, _, vocabulary, _ = probabilities.shape
    most = following.shape[2]
    reach, flow, surprise = np.empty((vocabulary, most)), np.empty((most, vocabulary)), np.empty(vocabulary)
    for p in range(prompts):
        values[p], entropies[p] = _passage(
            probabilities[p], following[p], worth[p], states[p], logits[p], log_total[p], reach, flow, surprise
        )
