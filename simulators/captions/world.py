"""Captions as lists of units: a policy chooses how many to write, and is scored for precision, recall and language.

Of n units the first ones are right with a high probability, those behind the reference's length with a lower one; each
unit of the reference is covered with probability 1 − exp(−n/9); the language suffers from length. Arm a of a prompt is
a caption of n = a + 1 units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import erf

import numpy as np
from numpy.typing import ArrayLike

from simulators.bandit.world import Bandit
from simulators.errors import check_count, check_room
from simulators.random import uniforms
from simulators.records import Floats, Ints, Policy, Rollouts, Truth

__all__ = ["LONGEST", "REFERENCE", "Captions", "expected", "scores"]

REFERENCE, LONGEST = 12, 40
_RIGHT, _RIGHT_BEHIND, _COVER = 0.95, 0.7, 9.0
_LANGUAGE, _SLOPE, _FREE, _NOISE = 0.9, 0.012, 8, 0.05
_FIRST = 1024  # of the draws of a caption; the bandit's own are below


def scores(
    units: Ints, *, seed: ArrayLike, step: int = 0, attempt: int = 0, prompt: ArrayLike = 0, rollout: ArrayLike = 0
) -> Floats:
    """Precision, recall and language [..., 3] of captions of that many units [...], each from 1 to 40.

    Args:
        units: n, at least 1.
        seed: this and the following as for `simulators.random.uniforms`, broadcast to the shape of `units`.
        step: counter of the step.
        attempt: counter of the draw within the step.
        prompt: counter of the prompt.
        rollout: counter of the rollout.
    """

    def drawn(first: int, number: int) -> Floats:
        counters = (np.broadcast_to(np.asarray(x), units.shape)[..., None] for x in (seed, prompt, rollout))
        own, slot, member = counters
        draws = _FIRST + first + np.arange(number)
        return uniforms(own, step=step, attempt=attempt, prompt=slot, rollout=member, draw=draws)

    n = units[..., None]
    place = np.arange(LONGEST)
    right = (drawn(0, LONGEST) < np.where(place < REFERENCE, _RIGHT, _RIGHT_BEHIND)) & (place < n)
    covered = drawn(LONGEST, REFERENCE) < 1 - np.exp(-n / _COVER)
    u, v = np.moveaxis(drawn(LONGEST + REFERENCE, 2), -1, 0)
    noise = _NOISE * np.sqrt(-2 * np.log1p(-u)) * np.cos(2 * np.pi * v)
    language = np.clip(_language(units) + noise, 0, 1)
    return np.stack([right.sum(-1) / units, covered.mean(-1), language], axis=-1)


def _language(units: Ints) -> Floats:
    return _LANGUAGE - _SLOPE * np.maximum(units - _FREE, 0)


def expected(units: Ints) -> Floats:
    """Exact means of the three scores [..., 3]; the language's takes its upper bound into account."""
    first, behind = np.minimum(units, REFERENCE), np.maximum(units - REFERENCE, 0)
    precision = (_RIGHT * first + _RIGHT_BEHIND * behind) / units
    mean = _language(units)
    top = (1 - mean) / _NOISE
    below = 0.5 * (1 + np.vectorize(erf)(top / np.sqrt(2)))
    density = np.exp(-(top**2) / 2) / np.sqrt(2 * np.pi)
    language = mean * below - _NOISE * density + 1 - below
    return np.stack([precision, 1 - np.exp(-units / _COVER), language], axis=-1)


class Captions(Bandit):
    """Captions for P images; components precision, recall and language, exact values as of a bandit.

    Args:
        prompts: number of images P.
        logits: initial logits, broadcast to [P, 1, 40].
    """

    name = "captions"
    provides: tuple[str, ...] = ("lengths",)
    components: tuple[str, ...] = ("precision", "recall", "language")

    def __init__(self, prompts: int = 4, *, logits: ArrayLike = 0.0) -> None:
        check_room(4 * check_count("prompts", prompts, least=1) * LONGEST, prompts=prompts)
        self.parts = expected(np.arange(1, LONGEST + 1))
        super().__init__(means=np.tile(self.parts.sum(-1), (prompts, 1)), law="normal", logits=logits)

    def rollout(
        self, policy: Policy, group_size: int, step: int, *, attempt: int = 0, fields: Sequence[str] = ()
    ) -> Rollouts:
        """Sample G captions of every image: rewards [S, P, G, 3]; the field "lengths" adds their units [S, P, G]."""
        others = [f for f in fields if f != "lengths"]
        drawn = super().rollout(policy, group_size, step, attempt=attempt, fields=others)
        units = drawn.actions[..., 0] + 1
        check_room(3 * units.size * LONGEST, group_size=group_size, prompts=self.prompts, runs=len(units))
        own = {"seed": policy.seeds[:, None, None], "prompt": np.arange(self.prompts)[:, None]}
        rewards = scores(units, step=step, attempt=attempt, rollout=np.arange(group_size), **own)
        return replace(drawn, rewards=rewards, lengths=units.astype(np.float64) if "lengths" in fields else None)

    def truth(
        self, policy: Policy, rollouts: Rollouts, *, gradient: bool = True, weights: ArrayLike | None = None
    ) -> Truth:
        """Exact values of the weighted components, ones by default; see `Bandit.truth`."""
        total = self.parts @ (np.ones(3) if weights is None else np.asarray(weights, dtype=np.float64))
        plain = Bandit(means=np.tile(total, (self.prompts, 1)), law="normal", logits=self.logits)
        return plain.truth(policy, replace(rollouts, rewards=rollouts.rewards[..., :1]), gradient=gradient)
