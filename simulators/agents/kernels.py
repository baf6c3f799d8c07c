"""Compiled loops of the agents world; shapes as in `simulators.agents`, which checks what it hands over.

`agent` [Q] and `follow` [Q, 2, Q + 2] are those of an orchestra, `chances` the running sums of `follow`; `skill`
[P, N, A] is the probability that a call is right, `pay` [A] what a call costs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simulators.compiled import kernel
from simulators.random import prompt_key, step_key, uniform

__all__ = ["posterior", "sample"]

_DRAWS, _ONE, _TWO = np.uint64(3), np.uint64(1), np.uint64(2)  # of each call: action, right or wrong, next state


@kernel
def sample(
    agent: Any, chances: Any, skill: Any, pay: Any, seeds: Any, step: Any, attempt: Any, logits: Any, cumulative: Any,
    log_total: Any, rewards: Any, actions: Any, logp: Any, mask: Any, who: Any, scores: Any,
) -> None:  # fmt: skip
    """Every run's trajectories [S, P, G, T], rewards [S, P, G, 2], and who acted with which score."""
    runs, prompts, groups, length = actions.shape
    states, arms = agent.size, skill.shape[2]
    for s in range(runs):
        run = step_key(seeds[s], step, attempt)
        for p in range(prompts):
            key = prompt_key(run, np.uint64(p))
            for g in range(groups):
                state, paid = 0, 0.0
                for t in range(length):
                    running = state < states
                    mask[s, p, g, t] = running
                    actions[s, p, g, t], logp[s, p, g, t], who[s, p, g, t], scores[s, p, g, t] = 0, 0.0, 0, 0.0
                    if not running:
                        continue
                    n, first = agent[state], np.uint64(t) * _DRAWS
                    level = uniform(key, np.uint64(g), first) * cumulative[s, p, n, arms - 1]
                    arm = 0
                    for a in range(arms):
                        arm += cumulative[s, p, n, a] <= level
                    right = int(uniform(key, np.uint64(g), first + _ONE) < skill[p, n, arm])
                    turn, state_before = uniform(key, np.uint64(g), first + _TWO), state
                    state = 0
                    for q in range(states + 2):
                        state += chances[state_before, right, q] <= turn
                    actions[s, p, g, t], who[s, p, g, t] = arm, n
                    logp[s, p, g, t] = logits[s, p, n, arm] - log_total[s, p, n]
                    scores[s, p, g, t] = pay[arm]
                    paid += pay[arm]
                won = 1.0 * (state == states + 1)
                rewards[s, p, g, 0], rewards[s, p, g, 1] = won, paid
                for t in range(length):
                    if mask[s, p, g, t]:
                        scores[s, p, g, t] += won


@kernel
def posterior(agent: Any, follow: Any, skill: Any, slots: Any, actions: Any, mask: Any, who: Any, out: Any) -> bool:
    """out[s, r, g] = P(won | who was called and what they did); False at a trajectory that cannot be."""
    runs, places, groups, length = actions.shape
    states = agent.size
    mass, after = np.zeros(states + 2), np.zeros(states + 2)
    for s in range(runs):
        for r in range(places):
            p = slots[s, r]
            for g in range(groups):
                mass[:] = 0.0
                mass[0] = 1.0
                for t in range(length):
                    if not mask[s, r, g, t]:
                        break
                    after[:] = 0.0
                    n, sure = who[s, r, g, t], skill[p, who[s, r, g, t], actions[s, r, g, t]]
                    for q in range(states):
                        if mass[q] > 0 and agent[q] == n:
                            for nxt in range(q + 1, states + 2):
                                chance = (1 - sure) * follow[q, 0, nxt] + sure * follow[q, 1, nxt]
                                after[nxt] += mass[q] * chance
                    mass[:] = after
                total = mass[states] + mass[states + 1]
                if not total > 0:
                    return False
                out[s, r, g] = mass[states + 1] / total
    return True
