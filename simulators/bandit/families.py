"""Bandits from a few knobs: prompts from easy to hard, and one number for the noise of the reward."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

import numpy as np

from simulators import reward_laws
from simulators.bandit.world import Bandit
from simulators.errors import check_count, check_room
from simulators.reward_laws import Law

__all__ = ["NOISY", "graded", "noisy"]

EASIEST, HARDEST = 0.5, 8.0

#: Laws whose spread a noise level sets, with the function that takes it. The other laws spread as they are.
NOISY: Mapping[str, Callable[[float], Law]] = {
    "normal": reward_laws.normal,
    "student_t": lambda noise: reward_laws.student_t(scale=noise),
    "contaminated_normal": lambda noise: reward_laws.contaminated_normal(outlier_scale=10 * noise, sigma=noise),
    "log_normal": reward_laws.log_normal,
}


def noisy(law: str | Law, noise: float = 0.3) -> Law:
    """A law at a noise level: the σ (or scale) of its ordinary draws; outliers are ten times as wide.

    Args:
        law: a name of `reward_laws.named`; a Law is returned as it is.
        noise: at least 0; without effect on "bernoulli" and "three_level".

    Raises:
        ValueError: for an unknown law, or a noise that is negative or not finite.
    """
    chosen = reward_laws.law(law)
    return NOISY[law](noise) if isinstance(law, str) and law in NOISY else chosen


def graded(
    prompts: int = 8, arms: int = 8, *, heads: int = 1, law: str | Law = "bernoulli", noise: float = 0.3
) -> Bandit:
    """A bandit with prompts from easy to hard: expected reward of arm a is (a/(A−1))^h(p).

    The hardness h runs from 1/2 (half of the arms are good) to 8 (one is), evenly in its logarithm; the best arm of
    every prompt has 1, the worst 0.

    Args:
        prompts: P, at least 1; one prompt has the hardness 1/2.
        arms: A, at least 2.
        heads: H, at least 1: independent choices of an arm, each with a reward component of its own.
        law: the reward law around the expected reward, see `noisy`.
        noise: its noise level.

    Raises:
        ValueError: for fewer than one prompt, two arms or one head, or what `noisy` refuses.
    """
    sizes = {"prompts": (prompts, 1), "arms": (arms, 2), "heads": (heads, 1)}
    counts = {name: check_count(name, size, least=least) for name, (size, least) in sizes.items()}
    check_room(4 * prod(counts.values()), **counts)
    hardness = np.geomspace(EASIEST, HARDEST, prompts)[:, None, None]
    means = np.repeat(np.linspace(0, 1, arms) ** hardness, heads, axis=1)
    return Bandit(means=means, law=noisy(law, noise))
