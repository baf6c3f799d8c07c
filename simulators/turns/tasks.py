"""Episodes of several turns as small tables: what an action does to a hidden state, and what the policy sees of it.

dialogue: ease a user's distress, where trust must be won first and pressing for progress costs it. search: find the
missing evidence and answer. steps: solve a problem step by step under a process reward model that can be milked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from simulators.records import Floats, Ints

__all__ = ["TASKS", "Episode", "dialogue", "search", "steps"]


@dataclass(frozen=True, eq=False)
class Episode:
    """The tables of a task. Q hidden states, O kinds of view, A actions, M outcomes of an action.

    Attributes:
        name: of the task.
        actions: names of the actions [A].
        views: names of what the policy can see [O].
        seen: what it sees in each hidden state [Q].
        following: next hidden state of each outcome [Q, A, M].
        chance: probability of each outcome [Q, A, M].
        score: process reward of each outcome [Q, A, M].
        win: probability that an episode which ends in a state is rewarded [Q].
        starts: first hidden states, dealt out to the prompts in turn.
        closing: the action that ends an episode and is forced after the last turn; -1 where there is none.
        turns: turns of an episode by default, the closing one not counted.
        noise: standard deviation of the process reward.
        low: its least value.
        high: its largest value.
        logits: initial logits [O, A].
    """

    name: str
    actions: tuple[str, ...]
    views: tuple[str, ...]
    seen: Ints
    following: Ints
    chance: Floats
    score: Floats
    win: Floats
    starts: tuple[int, ...]
    closing: int
    turns: int
    noise: float
    low: float
    high: float
    logits: Floats


def steps(slip: float = 0.03, noise: float = 0.05) -> Episode:
    """Solving in steps: three good steps, none bad, no slip, then `end`; everything after the third only risks a slip.

    A process reward model gives 0.9 to a good step, 0.3 to a bad one and 0.8 to a filler, plus noise, within [0, 1].
    The policy sees the number of good steps (0 to 3); whether the solution is spoilt is hidden.

    Args:
        slip: probability that a filler, or a good step beyond three, spoils the solution.
        noise: standard deviation of the model's score.

    Source: the world of arXiv 2410.15115's over-optimisation, made small.
    """
    following, chance = np.zeros((8, 4, 2), np.int64), np.zeros((8, 4, 2))
    chance[..., 0] = 1.0
    for good, spoilt in product(range(4), range(2)):
        q, spoiled = 2 * good + spoilt, 2 * good + 1
        following[q] = [[2 * min(good + 1, 3) + spoilt, spoiled], [spoiled, spoiled], [q, spoiled], [q, q]]
        for action in (0, 2) if good == 3 else (2,):
            chance[q, action] = 1 - slip, slip
    score = np.broadcast_to(np.array([0.9, 0.3, 0.8, 0.0])[:, None], following.shape).copy()
    win = np.zeros(8)
    win[6] = 1.0
    logits = np.tile([0.5, 0.0, 0.0, 0.0], (4, 1))
    logits[3, 3] = 1.0
    names, views = ("good", "bad", "filler", "end"), tuple(f"{n} good" for n in range(4))
    return Episode(
        "steps", names, views, np.arange(8) // 2, following, chance, score, win, (0,), 3, 16, noise, 0.0, 1.0, logits
    )


def search(noise: float = 0.0) -> Episode:
    """Looking things up: broad queries find the first pieces of evidence, narrow ones the last, idle talk loses one.

    The policy sees whether its last query found something; how much is missing (0 to 3) is hidden. The probability of
    the right answer is 0.95, 0.6, 0.3, 0.1 with 0, 1, 2, 3 pieces missing, and the process reward of a turn is the
    change of that probability, its information gain. Prompts start with 1, 2 or 3 pieces missing.

    Args:
        noise: standard deviation of the information gain as it is measured.

    Source: the setting of arXiv 2605.06200, made small.
    """
    found = np.array([[0.2, 0.6], [0.7, 0.3]])  # broad, narrow; at most one piece missing, or more
    win = np.repeat([0.95, 0.6, 0.3, 0.1], 3)
    following, chance = np.zeros((12, 4, 2), np.int64), np.zeros((12, 4, 2))
    for missing, last in product(range(4), range(3)):
        q = 3 * missing + last
        for action in range(2):
            p = found[action, int(missing >= 2)] if missing else 0.0
            following[q, action], chance[q, action] = (3 * max(missing - 1, 0) + 1, 3 * missing + 2), (p, 1 - p)
        following[q, 2], chance[q, 2] = (3 * min(missing + 1, 3) + 2, 3 * missing + 2), (0.3, 0.7)
        following[q, 3], chance[q, 3] = q, (1.0, 0.0)
    gain = win[following] - win[:, None, None]
    names, views = ("broad", "narrow", "idle", "answer"), ("nothing yet", "hit", "miss")
    return Episode(
        "search", names, views, np.arange(12) % 3, following, chance, gain, win, (6, 9, 3), 3, 6, noise, -1.0, 1.0,
        np.zeros((3, 4)),
    )  # fmt: skip


_EASED = (0.2, 0.5, 0.8)  # by trust
_RISE = 0.1


def dialogue(noise: float = 0.0) -> Episode:
    """Supporting a user: distress is a vector of three axes (0 to 2 each), and trust (low, middle, high) is hidden.

    Easing an axis lowers it by one with probability 0.2, 0.5, 0.8 by trust. Listening raises trust, which pays only on
    later turns; pressing lowers the largest axis with probability 0.9 at once and lowers trust, which costs later.
    After each turn every axis rises by one with probability 0.1, at most one of them. The policy sees which axis is
    largest, or that there is no distress. The process reward is φ before − φ after, φ the length of the vector; at the
    end the user is content with probability 1 − φ/√12.

    Args:
        noise: standard deviation of the process reward as a judge gives it.

    Source: the setting of arXiv 2603.06194, made small.
    """
    vectors = np.array(list(product(range(3), repeat=3)))
    size = len(vectors)
    phi = np.tile(np.linalg.norm(vectors, axis=-1), 3)
    following, chance = np.zeros((3 * size, 5, 8), np.int64), np.zeros((3 * size, 5, 8))
    for trust, v, action in product(range(3), range(size), range(5)):
        axis = action if action < 3 else int(vectors[v].argmax())
        eased = _EASED[trust] if action < 3 else (0.0, 0.9)[action - 3]
        after = min(2, trust + 1) if action == 3 else max(0, trust - 1) if action == 4 else trust
        outcomes = [(e, r) for e in range(2) for r in range(-1, 3)]
        for m, (ease, rise) in enumerate(outcomes):
            moved = vectors[v].copy()
            moved[axis] = max(0, moved[axis] - ease)
            if rise >= 0:
                moved[rise] = min(2, moved[rise] + 1)
            following[trust * size + v, action, m] = after * size + moved @ (9, 3, 1)
            chance[trust * size + v, action, m] = (eased if ease else 1 - eased) * (
                1 - 3 * _RISE if rise < 0 else _RISE
            )
    seen = np.where(vectors.any(axis=-1), vectors.argmax(axis=-1), 3)
    starts = tuple(size + int(np.array(v) @ (9, 3, 1)) for v in ((2, 1, 0), (2, 2, 1), (0, 1, 2), (1, 1, 1)))
    return Episode(
        "dialogue", ("ease x", "ease y", "ease z", "listen", "press"), ("x", "y", "z", "no distress"), np.tile(seen, 3),
        following, chance, phi[:, None, None] - phi[following], 1 - phi / np.sqrt(12), starts, -1, 8, noise, -4.0, 4.0,
        np.zeros((4, 5)),
    )  # fmt: skip


#: Name of a task -> function that makes its tables.
TASKS: Mapping[str, Callable[..., Episode]] = {"dialogue": dialogue, "search": search, "steps": steps}
