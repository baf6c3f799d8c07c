"""Compiled loops of the world of turns; shapes as in `simulators.turns`, which checks what it hands over.

`probabilities` and `cumulative` [S, R, O, A] and `log_total` [S, R, O] are the tables of `simulators.softmax`, R
policies shared by the prompts: `rows` [P] or [S, Q] says which. `seen` [H], `following` and `chance` [H, A, M] and
`win` [H] are an episode's tables, H hidden states. A kernel that returns a bool stops with False at something that
cannot happen.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simulators.compiled import kernel
from simulators.random import prompt_key, step_key, uniform
from simulators.reward_laws import draw, normal

__all__ = ["beliefs", "exact_gradient", "log_prob", "sample", "score_gradient", "values", "visits"]

_DRAWS = np.uint64(8)  # of each turn: its action, the outcome, then up to three for the noise
_ONE, _TWO = np.uint64(1), np.uint64(2)
_NORMAL = normal().code


@kernel
def _pick(row: Any, level: float) -> int:
    """Number of running sums ≤ level, at most the last index."""
    chosen = 0
    for a in range(row.size - 1):
        chosen += row[a] <= level
    return chosen


@kernel
def _outcome(chance: Any, level: float) -> int:
    """Index of the outcome in which `level` falls; the last one that is possible takes what rounding leaves."""
    total, last = 0.0, 0
    for m in range(chance.size):
        if chance[m] > 0.0:
            total += chance[m]
            last = m
            if level < total:
                return m
    return last


@kernel
def sample(
    seen: Any, following: Any, chance: Any, score: Any, win: Any, starts: Any, closing: int, noise: Any, low: float,
    high: float, rows: Any, seeds: Any, step: Any, attempt: Any, logits: Any, cumulative: Any, log_total: Any,
    rewards: Any, actions: Any, logp: Any, mask: Any, state: Any, turn_rewards: Any,
) -> None:  # fmt: skip
    """Every run's episodes [S, P, G, T]; the closing action is forced at the last turn, where there is one."""
    runs, prompts, groups, turns = actions.shape
    for s in range(runs):
        key = step_key(seeds[s], step, attempt)
        for p in range(prompts):
            own, r = prompt_key(key, np.uint64(p)), rows[p]
            for g in range(groups):
                q, rollout, open_ = starts[p], np.uint64(g), True
                for t in range(turns):
                    actions[s, p, g, t], logp[s, p, g, t], turn_rewards[s, p, g, t] = 0, 0.0, 0.0
                    state[s, p, g, t], mask[s, p, g, t] = 0, open_
                    if not open_:
                        continue
                    first, view = np.uint64(t) * _DRAWS, seen[q]
                    state[s, p, g, t] = view
                    if closing >= 0 and t == turns - 1:
                        actions[s, p, g, t] = closing
                        continue
                    running = cumulative[s, r, view]
                    a = _pick(running, uniform(own, rollout, first) * running[running.size - 1])
                    actions[s, p, g, t] = a
                    logp[s, p, g, t] = logits[s, r, view, a] - log_total[s, r, view]
                    if a == closing:
                        open_ = False
                        continue
                    m = _outcome(chance[q, a], uniform(own, rollout, first + _ONE))
                    found = score[q, a, m] + draw(_NORMAL, noise, own, rollout, first + _TWO)
                    turn_rewards[s, p, g, t] = min(max(found, low), high)
                    q = following[q, a, m]
                rewards[s, p, g, 0] = 1.0 * (uniform(own, rollout, np.uint64(turns) * _DRAWS) < win[q])


@kernel
def _chosen(actions: Any, state: Any, closing: int, views: int, arms: int) -> int:
    """Number of turns of an episode [T] at which the policy chose; -1 where an action or a view does not exist."""
    turns = actions.size - (closing >= 0)
    for t in range(turns):
        if actions[t] < 0 or actions[t] >= arms or state[t] < 0 or state[t] >= views:
            return -1
        if actions[t] == closing:
            return t + 1
    return turns


@kernel
def log_prob(logits: Any, log_total: Any, rows: Any, actions: Any, state: Any, closing: int, out: Any) -> bool:
    """out[s, q, g, t] = log π of the action in its view; a forced close and what is behind it are left alone."""
    views, arms = logits.shape[2:]
    for s, q, g in np.ndindex(actions.shape[:3]):
        turns = _chosen(actions[s, q, g], state[s, q, g], closing, views, arms)
        if turns < 0:
            return False
        for t in range(turns):
            a, view = actions[s, q, g, t], state[s, q, g, t]
            out[s, q, g, t] = logits[s, rows[s, q], view, a] - log_total[s, rows[s, q], view]
    return True


@kernel
def score_gradient(
    probabilities: Any, rows: Any, actions: Any, state: Any, closing: int, weights: Any, out: Any
) -> bool:
    """Add Σ w (1[action = a] − π(a | view)) to out [S, R, O, A]."""
    views, arms = probabilities.shape[2:]
    total = np.zeros(probabilities.shape[:3])
    for s, q, g in np.ndindex(actions.shape[:3]):
        turns = _chosen(actions[s, q, g], state[s, q, g], closing, views, arms)
        if turns < 0:
            return False
        for t in range(turns):
            view = state[s, q, g, t]
            out[s, rows[s, q], view, actions[s, q, g, t]] += weights[s, q, g, t]
            total[s, rows[s, q], view] += weights[s, q, g, t]
    for s, r, view in np.ndindex(total.shape):
        for a in range(arms):
            out[s, r, view, a] -= total[s, r, view] * probabilities[s, r, view, a]
    return True


@kernel
def _worth(following: Any, chance: Any, win: Any, closing: int, later: Any, q: int, a: int) -> float:
    """Expected reward of taking a in hidden state q, `later` [H] the values of the next turn."""
    if a == closing:
        return win[q]
    total = 0.0
    for m in range(chance.shape[2]):
        total += chance[q, a, m] * later[following[q, a, m]]
    return total


@kernel
def _backwards(pi: Any, seen: Any, following: Any, chance: Any, win: Any, closing: int, table: Any) -> None:
    """table[t, q] = expected reward from hidden state q at turn t [T + 1, H] under one policy pi [O, A]."""
    table[-1] = win
    for t in range(table.shape[0] - 2, -1, -1):
        for q in range(win.size):
            table[t, q] = 0.0
            for a in range(pi.shape[1]):
                table[t, q] += pi[seen[q], a] * _worth(following, chance, win, closing, table[t + 1], q, a)


@kernel
def values(
    probabilities: Any, rows: Any, seen: Any, following: Any, chance: Any, win: Any, starts: Any, closing: int,
    turns: int, out: Any,
) -> None:  # fmt: skip
    """out[s, p] = expected reward of each prompt over episodes of `turns` free turns."""
    table = np.empty((turns + 1, win.size))
    for s in range(out.shape[0]):
        for p in range(out.shape[1]):
            if p == 0 or rows[p] != rows[p - 1]:
                _backwards(probabilities[s, rows[p]], seen, following, chance, win, closing, table)
            out[s, p] = table[0, starts[p]]


@kernel
def _forwards(pi: Any, seen: Any, following: Any, chance: Any, closing: int, now: Any, after: Any) -> None:
    """after[q'] = probability of standing in q' at the next turn, from `now` [H]."""
    after[:] = 0.0
    for q in range(now.size):
        if now[q] > 0.0:
            for a in range(pi.shape[1]):
                if a != closing:
                    for m in range(chance.shape[2]):
                        after[following[q, a, m]] += now[q] * pi[seen[q], a] * chance[q, a, m]


@kernel
def visits(
    probabilities: Any, rows: Any, seen: Any, following: Any, chance: Any, starts: Any, closing: int, turns: int,
    out: Any,
) -> None:  # fmt: skip
    """out[s, p, o] = expected number of free turns at which the policy sees o."""
    now, after = np.empty(seen.size), np.empty(seen.size)
    out[:] = 0.0
    for s in range(out.shape[0]):
        for p in range(out.shape[1]):
            now[:] = 0.0
            now[starts[p]] = 1.0
            for _ in range(turns):
                for q in range(seen.size):
                    out[s, p, seen[q]] += now[q]
                _forwards(probabilities[s, rows[p]], seen, following, chance, closing, now, after)
                now, after = after, now


@kernel
def exact_gradient(
    probabilities: Any, rows: Any, seen: Any, following: Any, chance: Any, win: Any, starts: Any, closing: int,
    turns: int, out: Any,
) -> None:  # fmt: skip
    """Add to out [S, R, O, A] the gradient of Σ_p value: Σ_t Σ_q P(q at t) π(a) (worth of a − value of q)."""
    table = np.empty((turns + 1, win.size))
    now, after = np.empty(seen.size), np.empty(seen.size)
    for s in range(probabilities.shape[0]):
        for p in range(rows.size):
            pi = probabilities[s, rows[p]]
            if p == 0 or rows[p] != rows[p - 1]:
                _backwards(pi, seen, following, chance, win, closing, table)
            now[:] = 0.0
            now[starts[p]] = 1.0
            for t in range(turns):
                for q in range(seen.size):
                    if now[q] > 0.0:
                        for a in range(pi.shape[1]):
                            gain = _worth(following, chance, win, closing, table[t + 1], q, a) - table[t, q]
                            out[s, rows[p], seen[q], a] += now[q] * pi[seen[q], a] * gain
                _forwards(pi, seen, following, chance, closing, now, after)
                now, after = after, now


@kernel
def _moved(following: Any, chance: Any, now: Any, a: int, after: Any) -> None:
    """The belief after action a, from `now` [H]."""
    after[:] = 0.0
    for h in range(now.size):
        if now[h] > 0.0:
            for m in range(chance.shape[2]):
                after[following[h, a, m]] += now[h] * chance[h, a, m]


@kernel
def _kept(seen: Any, view: int, now: Any) -> float:
    """Strike out what does not look like `view`, and return what is left."""
    left = 0.0
    for h in range(now.size):
        if seen[h] != view:
            now[h] = 0.0
        left += now[h]
    return left


@kernel
def beliefs(
    seen: Any, following: Any, chance: Any, win: Any, starts: Any, closing: int, actions: Any, state: Any, out: Any
) -> bool:
    """out[s, q, g] = expected reward given what the policy saw and did; `starts` [S, Q] of each slot."""
    runs, places, groups, turns = actions.shape
    now, after = np.empty(seen.size), np.empty(seen.size)
    for s in range(runs):
        for q in range(places):
            for g in range(groups):
                now[:] = 0.0
                now[starts[s, q]] = 1.0
                for t in range(turns):
                    a, left = actions[s, q, g, t], _kept(seen, state[s, q, g, t], now)
                    if left <= 0.0 or a < 0 or a >= chance.shape[1]:
                        return False
                    now /= left
                    if a == closing:
                        break
                    _moved(following, chance, now, a, after)
                    now, after = after, now
                out[s, q, g] = 0.0
                for h in range(seen.size):
                    out[s, q, g] += now[h] * win[h]
    return True
