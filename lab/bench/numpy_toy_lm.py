"""Reference loop: GRPO on a tabular language model in vectorised NumPy, with the basic measurements."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["train"]

Array = NDArray[Any]


def train(world: Any, *, seeds: int, steps: int, group_size: int, lr: float, measure: bool = True) -> tuple[Array, int]:
    """Plain ascent on Σ A ∇log π, as a mean over the batch's tokens, all runs in one array.

    A = (R − mean)/(std + 1e-4), ddof 1; only rows of logits that were visited are normalised and moved.

    Args:
        world: A `simulators.ToyLM`: its tables of following states, payoffs and initial logits.
        seeds: Number of runs S.
        steps: Number of updates.
        group_size: Rollouts per prompt G.
        lr: Learning rate.
        measure: Also compute mean reward, exact value, sign flips, silent groups, gradient norm, largest advantage
            and entropy at every step.

    Returns:
        Final logits [S, P, T, V, V] and the number of sampled tokens.
    """
    rng = np.random.Generator(np.random.SFC64(0))
    logits = np.tile(world.logits, (seeds, 1, 1, 1, 1))
    tokens = 0
    for _ in range(steps):
        rows, picked, pi, valid, reward = _sample(world, logits, rng, group_size)
        centred = reward - reward.mean(axis=-1, keepdims=True)
        std = np.sqrt((centred * centred).sum(axis=-1, keepdims=True) / (group_size - 1))
        advantage = centred / (std + 1e-4)
        share = valid / valid.sum(axis=(0, 2, 3), keepdims=True)
        weight = (share * advantage).ravel()
        used = np.flatnonzero(weight)
        at, inverse = np.unique(rows.ravel()[used], return_inverse=True)
        total = np.bincount(inverse, weights=weight[used])
        gradient = np.bincount(
            inverse * world.vocabulary + picked.ravel()[used],
            weights=weight[used],
            minlength=at.size * world.vocabulary,
        ).reshape(at.size, world.vocabulary)
        first = np.zeros(at.size, np.int64)
        first[inverse] = used
        gradient -= total[:, None] * pi.reshape(-1, world.vocabulary)[first]
        if measure:
            _measure(world, logits, reward, advantage, at, gradient)
        logits.reshape(-1, world.vocabulary)[at] += lr * gradient
        tokens += int(valid.sum())
    return logits, tokens


def _sample(world: Any, logits: Array, rng: np.random.Generator, group_size: int) -> tuple[Array, ...]:
    """Row of logits, token, its row's probabilities and validity [T, S, P, G (, V)], and the rewards [S, P, G]."""
    runs, prompts, length, vocabulary, _ = logits.shape
    flat = logits.reshape(-1, vocabulary)
    shape = runs, prompts, group_size
    base = np.arange(runs * prompts).reshape(runs, prompts, 1) * length
    place = np.arange(prompts)[None, :, None]
    before, state = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    running, reward = np.ones(shape, bool), np.zeros(shape)
    rows, picked, valid = (np.zeros((length, *shape), kind) for kind in (np.int64, np.int64, bool))
    pi = np.empty((length, *shape, vocabulary))
    for t in range(length):
        row = (base + t) * vocabulary + before
        weight = np.exp(flat[row])
        cumulative = np.cumsum(weight, axis=-1)
        level = rng.random(shape) * cumulative[..., -1]
        token = (cumulative[..., :-1] <= level[..., None]).sum(axis=-1)
        pi[t] = weight / cumulative[..., -1:]
        reward += np.where(running, world.worth[place, t, state, token], 0.0)
        rows[t], picked[t], valid[t] = row, token, running
        state = world.following[place, t, state, token]
        running = running & (token != 0)
        before = token
    return rows, picked, pi, valid, reward


def _measure(world: Any, logits: Array, reward: Array, advantage: Array, at: Array, gradient: Array) -> Array:
    """Basic measurements [7, S]: reward, value, sign flips, silent groups, gradient norm, largest |A|, entropy."""
    runs, prompts, length, vocabulary, _ = logits.shape
    weight = np.exp(logits)
    total = weight.sum(axis=-1, keepdims=True)
    pi = weight / total
    cost = np.log(total[..., 0]) - np.einsum("sptuv,sptuv->sptu", pi, logits)
    place = np.arange(prompts)[:, None, None]
    values = np.zeros((runs, prompts, vocabulary, world.worth.shape[2]))
    chain = np.zeros((runs, prompts, vocabulary, 1))
    letter = np.arange(vocabulary)
    for t in range(length - 1, -1, -1):
        gains = world.worth[:, t] + values[:, place, letter, world.following[:, t]] * (letter > 0)
        values = pi[:, :, t] @ gains.swapaxes(-1, -2)
        chain = cost[:, :, t, :, None] + pi[:, :, t, :, 1:] @ chain[:, :, 1:]
    value = values[:, :, 0, 0]
    truth = reward - value[..., None]
    alive = np.abs(advantage) > 1e-9
    signed = alive & (np.abs(truth) > 1e-12)
    flips = (signed & ((advantage > 0) != (truth > 0))).sum(axis=(1, 2)) / np.maximum(signed.sum(axis=(1, 2)), 1)
    squares = np.bincount(at // (prompts * length * vocabulary), weights=(gradient**2).sum(axis=-1), minlength=runs)
    return np.stack([
        reward.mean(axis=(1, 2)), value.mean(axis=1), flips, 1 - alive.any(axis=-1).mean(axis=-1), np.sqrt(squares),
        np.abs(advantage).max(axis=(1, 2)), chain[:, :, 0, 0].mean(axis=1),
    ])  # fmt: skip
