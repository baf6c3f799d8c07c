"""Robo-Dopamine: progress from relative hops, three views of it, and a reward that keeps the task.

A *hop* is progress relative to what is left (forwards) or to what was reached (backwards), so that any hops in [-1, 1]
lead to a progress in [0, 1]. Axes: T steps; a trajectory has T + 1 states, the first of them the start.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lab.advantages.statistics import Array
from lab.errors import InputError, check_number, check_whole
from lab.rewards.shaping import pbrs

__all__ = [
    "advance", "agreement", "anchored", "balanced", "conservative", "fused", "gap_bin", "gold", "hop", "hop_bin",
    "incremental", "process_reward", "progress_labels",
]  # fmt: skip

HOP_BINS, GAP_BINS = 25, 4


def progress_labels(keyframes: ArrayLike, chunk: int) -> tuple[Array, Array]:
    """Frames of a demonstration and their progress i/M: as many for each sub-task, however long it took.

    Each of the N segments between keyframes gets m = floor(floor(L / chunk) / N) steps, L the frames from the first
    keyframe to the last.

    Args:
        keyframes: Frames at which sub-tasks begin and, last, end [N + 1], rising.
        chunk: Frames to a step, on average.

    Returns:
        Frames [M + 1] and progress [M + 1] from 0 to 1, M = m N.

    Raises:
        InputError: Keyframes do not rise, or the chunk leaves a segment without a step.

    Source: arXiv 2512.23703, progress labels.
    """
    keys = np.asarray(keyframes, dtype=float)
    if keys.ndim != 1 or len(keys) < 2 or not (np.diff(keys) > 0).all():
        raise InputError(f"keyframes={keyframes!r}; they must be at least two rising frame numbers")
    segments, length = len(keys) - 1, int(keys[-1] - keys[0])
    steps = length // check_whole("chunk", chunk, 1) // segments
    if steps < 1:
        most = length // segments
        raise InputError(f"chunk={chunk} leaves {segments} segments of {length} frames without a step; at most {most}")
    states = np.arange(steps * segments + 1)
    return np.rint(np.interp(states / steps, np.arange(segments + 1), keys)).astype(np.int64), states / states[-1]


def hop(before: ArrayLike, after: ArrayLike) -> Array:
    """Progress relative to what is left, (q - p)/(1 - p) if q >= p, or to what was reached, (q - p)/p if q < p.

    Args:
        before: Progress p of one state [...], in [0, 1].
        after: Progress q of another [...].

    Returns:
        Hops in [-1, 1]; 0 where q = p.

    Source: arXiv 2512.23703, hop; golden file robo-dopamine.json.
    """
    p, q = np.broadcast_arrays(np.asarray(before, dtype=float), np.asarray(after, dtype=float))
    room = np.where(q >= p, 1 - p, p)
    return np.asarray(np.where(room > 0, (q - p) / np.where(room > 0, room, 1.0), 0.0))


def advance(progress: ArrayLike, hops: ArrayLike) -> Array:
    """The inverse of `hop`: progress + (1 - progress) h for h >= 0, progress + progress h otherwise, all [...].

    It stays in [0, 1] for any h in [-1, 1]. Source: arXiv 2512.23703, inversion; golden file robo-dopamine.json.
    """
    phi, h = np.asarray(progress, dtype=float), np.asarray(hops, dtype=float)
    return np.asarray(phi + np.where(h >= 0, 1 - phi, phi) * h)


def hop_bin(hops: ArrayLike) -> Array:
    """Bin of each hop [...] among 25 of width 8% on [-1, 1]; 1 is in the last.

    Source: arXiv 2512.23703, the authors' code; golden file robo-dopamine.json.
    """
    return np.minimum((np.asarray(hops) * 100 + 100) // (200 / HOP_BINS), HOP_BINS - 1).astype(np.int64)


def gap_bin(gaps: ArrayLike, points: int) -> Array:
    """Bin of the distance of two states [...] among 4 on [1, points - 2], `points` the states of the demonstration.

    Source: arXiv 2512.23703, the authors' code; golden file robo-dopamine.json.
    """
    most = check_whole("points", points, 3) - 2
    return np.clip((np.asarray(gaps) - 1) // (most / GAP_BINS), 0, GAP_BINS - 1).astype(np.int64)


def balanced(points: int, count: int, *, zeros: float = 0.05, seed: int = 0) -> Array:
    """Pairs of states of one demonstration, spread evenly over the sizes of their hops, then over their distances.

    Each hop bin has a quota of count // 25, what remains goes to the middle bin; a bin that holds fewer pairs gives all
    it has. Within a bin the four distance bins take turns. A share `zeros` more are pairs of a state with itself.

    Args:
        points: States of the demonstration, at least 3.
        count: Pairs wanted.
        zeros: Share of pairs without progress, below 1.
        seed: Draws the pairs.

    Returns:
        Indices (before, after) [n, 2].

    Source: arXiv 2512.23703, the authors' code.
    """
    check_number("zeros", zeros, lambda x: 0 <= x < 1, "a share in [0, 1)")
    check_whole("count", count, 0)
    rng, states = np.random.default_rng(seed), np.arange(check_whole("points", points, 3))
    pairs = rng.permutation(np.argwhere(states[:, None] != states))
    size = hop_bin(hop(*(pairs / (points - 1)).T))
    gap = gap_bin(np.abs(np.diff(pairs))[:, 0], points)
    quota = np.full(HOP_BINS, count // HOP_BINS)
    quota[HOP_BINS // 2] += count % HOP_BINS
    chosen = [_in_turn(pairs[size == b], gap[size == b], quota[b]) for b in range(HOP_BINS)]
    still = rng.integers(points, size=round(zeros / (1 - zeros) * sum(map(len, chosen))))
    return np.concatenate([*chosen, np.stack([still, still], axis=1)])


def _in_turn(pairs: Array, group: Array, quota: int) -> Array:
    """The first `quota` pairs [n, 2] when the groups take turns."""
    turn = np.empty(len(pairs), dtype=np.int64)
    for g in range(GAP_BINS):
        turn[group == g] = np.arange((group == g).sum())
    return pairs[np.lexsort((group, turn))[:quota]]


def incremental(hops: ArrayLike, *, keep_first: bool = False) -> Array:
    """Progress after each step from hops between neighbouring states [..., T], starting at 0.

    Args:
        hops: Measured hops [..., T], clipped to [-1, 1].
        keep_first: A negative first hop becomes the progress as it is, as in the authors' script; else it stays 0.

    Returns:
        Progress [..., T], within [0, 1] unless `keep_first` let a negative value in.

    Source: arXiv 2512.23703, incremental view; golden file robo-dopamine.json.
    """
    h = _clipped(hops)
    phi, found = np.zeros(h.shape[:-1]), np.empty(h.shape)
    for t in range(h.shape[-1]):
        phi = h[..., t] if keep_first and t == 0 else advance(phi, h[..., t])
        found[..., t] = phi
    return found


def anchored(hops: ArrayLike, *, backward: bool = False) -> Array:
    """Progress from hops that start at the initial state (h), or `backward` from the goal (1 + h); all [..., T].

    Source: arXiv 2512.23703, forward and backward view; golden file robo-dopamine.json.
    """
    return _clipped(hops) + (1.0 if backward else 0.0)


def fused(hops: ArrayLike, forward: ArrayLike, backward: ArrayLike) -> Array:
    """Mean of three views; the incremental one starts from the *fused* progress of the step before.

    P(0) = 0,  P(t) = (advance(P(t-1), h(t)) + F(t) + B(t)) / 3.

    Args:
        hops: Hops between neighbouring states [..., T].
        forward: Progress F seen from the start [..., T] (`anchored`).
        backward: Progress B seen from the goal [..., T].

    Returns:
        Progress [..., T].

    Source: arXiv 2512.23703, fusion.
    """
    h, ahead, behind = np.broadcast_arrays(_clipped(hops), forward, backward)
    phi, found = np.zeros(h.shape[:-1]), np.empty(h.shape)
    for t in range(h.shape[-1]):
        phi = (advance(phi, h[..., t]) + ahead[..., t] + behind[..., t]) / 3
        found[..., t] = phi
    return found


def agreement(forward: ArrayLike, backward: ArrayLike, *, alpha: float = 5.0, eps: float = 1e-3) -> Array:
    """How far two views may be trusted, w = exp(-alpha D²) with D = |B - F| / (mean + eps); all [...].

    Source: arXiv 2512.23703, consistency; alpha and eps are the lab's choice.
    """
    ahead, behind = np.asarray(forward, dtype=float), np.asarray(backward, dtype=float)
    apart = np.abs(behind - ahead) / ((ahead + behind) / 2 + eps)
    return np.asarray(np.exp(-alpha * apart**2))


def conservative(
    hops: ArrayLike, forward: ArrayLike, backward: ArrayLike, *, start: float = 0.0, alpha: float = 5.0,
    eps: float = 1e-3,
) -> Array:  # fmt: skip
    """Progress that moves only as far as the two anchored views agree.

    P(t) = P(t-1) + (w/2) (mean(F, B) - P(t-1) + dP(t)),  dP the incremental step and w from `agreement`.

    Args:
        hops: Hops between neighbouring states [..., T].
        forward: Progress F seen from the start [..., T].
        backward: Progress B seen from the goal [..., T].
        start: Progress before the first step.
        alpha: How fast trust falls with disagreement.
        eps: Keeps the relative disagreement finite at no progress.

    Returns:
        Progress [..., T].

    Source: arXiv 2512.23703, consistency; alpha and eps are the lab's choice.
    """
    h, ahead, behind = np.broadcast_arrays(_clipped(hops), forward, backward)
    trust, mean = agreement(ahead, behind, alpha=alpha, eps=eps), (ahead + behind) / 2
    phi, found = np.full(h.shape[:-1], float(start)), np.empty(h.shape)
    for t in range(h.shape[-1]):
        phi = phi + trust[..., t] / 2 * (mean[..., t] - phi + advance(phi, h[..., t]) - phi)
        found[..., t] = phi
    return found


def gold(progress: ArrayLike, *, delta: float = 0.05) -> Array:
    """The sparse reward of a state, 1 where progress >= 1 - delta, else 0; all [...].

    Source: arXiv 2512.23703, policy-invariant shaping.
    """
    return np.asarray(np.asarray(progress) >= 1 - delta, dtype=float)


def process_reward(before: ArrayLike, after: ArrayLike, *, discount: float, delta: float = 0.05) -> Array:
    """r = gold(P') + γ P' - P: the sparse reward, and progress as a potential; all [...].

    Args:
        before: Progress P of the state [...].
        after: Progress P' of the next [...].
        discount: γ of the learner.
        delta: See `gold`.

    Returns:
        Rewards [...]. A goal that is never left goes on paying γ - 1, so that the potential's end takes nothing away;
        where the episode ends instead, end it with Φ = 0 (`lab.rewards.shaping.pbrs`).

    Source: arXiv 2512.23703, policy-invariant shaping.
    """
    return pbrs(gold(after, delta=delta), before, after, discount=discount)


def _clipped(hops: ArrayLike) -> Array:
    return np.clip(np.asarray(hops, dtype=float), -1.0, 1.0)
