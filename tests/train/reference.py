"""A training run in plain Python: one seed, lists and loops, the random numbers of `tests.simulators.reference`.

Rules are those of `tests.rules.test_formulas`; nothing of the lab is called.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.simulators.reference import head, softmax, uniform

Logits = list[list[float]]
Slot = tuple[int, list[int], list[float], list[float]]  # prompt, arms, rewards, log-probabilities


@dataclass
class Method:
    """What a variant does, for a bandit with one head.

    `advantage` takes all groups of a batch; `pivot` names the rollout of a group that is left out, `useful` the groups
    that take part, `low` and `high` are the clip ranges, `beta` weighs a k3 penalty to the initial policy.
    """

    advantage: Callable[[list[list[float]]], list[list[float]]]
    extra: int = 0
    pivot: Callable[[list[float]], int] | None = None
    useful: Callable[[list[float]], bool] | None = None
    refill: int = 0
    low: float = 0.2
    high: float = 0.2
    beta: float = 0.0
    limit: float = math.inf
    epochs: int = 1
    optimizer: str = "sgd"
    state: dict[tuple[int, int], tuple[float, float]] = field(default_factory=dict)
    updates: int = 0


def train(means: Logits, method: Method, *, seed: int, steps: int, group_size: int, lr: float) -> Logits:
    """The logits [P][A] after `steps` batches, from all zeros, rewards Bernoulli with these means."""
    logits = [[0.0] * len(row) for row in means]
    start = [row[:] for row in logits]
    for step in range(steps):
        slots, kept = sample(means, logits, method, seed, step, group_size)
        advantage = method.advantage([rewards for _, _, rewards, _ in slots])
        for _ in range(method.epochs):
            ascend(logits, gradient(logits, start, slots, advantage, kept, method), method, lr)
    return logits


def sample(
    means: Logits, logits: Logits, method: Method, seed: int, step: int, group_size: int
) -> tuple[list[Slot], list[list[bool]]]:
    """Groups of every prompt, drawn again until as many are useful as there are prompts; and who takes part."""
    slots: list[Slot] = []
    good: list[bool] = []
    for attempt in range(method.refill + 1):
        for prompt, row in enumerate(means):
            group = [
                head(row, logits[prompt], "bernoulli", (), 0.0,
                     [uniform(seed, step, attempt, prompt, g, d) for d in range(4)])
                for g in range(group_size + method.extra)
            ]  # fmt: skip
            arms, rewards, logp = (list(part) for part in zip(*group, strict=True))
            slots.append((prompt, arms, rewards, logp))
            good.append(method.useful is None or method.useful(rewards))
        if sum(good) >= len(means):
            break
    first = [ok and sum(good[: i + 1]) <= len(means) for i, ok in enumerate(good)]
    kept = [[ok] * (group_size + method.extra) for ok in first]
    if method.pivot is not None:
        for row, (_, _, rewards, _) in zip(kept, slots, strict=True):
            row[method.pivot(rewards)] = False
    return slots, kept


def gradient(
    logits: Logits, start: Logits, slots: list[Slot], advantage: list[list[float]], kept: list[list[bool]],
    method: Method,
) -> Logits:  # fmt: skip
    """Σ w ∇log π, the mean over the rollouts that take part of the clipped surrogate's slope."""
    number = max(sum(sum(row) for row in kept), 1)
    total = [[0.0] * len(row) for row in logits]
    for (prompt, arms, _, logp), values, used in zip(slots, advantage, kept, strict=True):
        pi, before = softmax(logits[prompt]), softmax(start[prompt])
        for arm, old, a, takes_part in zip(arms, logp, values, used, strict=True):
            if takes_part:
                w = weight(math.exp(math.log(pi[arm]) - old), a, method) / number
                w -= method.beta / number * (1 - before[arm] / pi[arm])
                for b, chance in enumerate(pi):
                    total[prompt][b] += w * ((arm == b) - chance)
    return total


def weight(rho: float, a: float, method: Method) -> float:
    if (a > 0 and rho > 1 + method.high) or (a < 0 and rho < 1 - method.low):
        return 0.0
    return a * rho


def ascend(logits: Logits, slope: Logits, method: Method, lr: float) -> None:
    """One step uphill, in place: gradient-norm clipping, then the optimizer, as its paper writes it."""
    norm = math.sqrt(sum(g * g for row in slope for g in row))
    scale = min(1.0, method.limit / norm) if norm else 1.0
    method.updates += 1
    for p, row in enumerate(slope):
        for b, g in enumerate(row):
            logits[p][b] += lr * move(scale * g, (p, b), method)


def move(g: float, place: tuple[int, int], method: Method) -> float:
    first, second = method.state.get(place, (0.0, 0.0))
    if method.optimizer == "momentum":
        first = 0.9 * first + g
        method.state[place] = first, 0.0
        return first
    if method.optimizer == "adam":
        first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g * g
        method.state[place] = first, second
        mean, square = first / (1 - 0.9**method.updates), second / (1 - 0.999**method.updates)
        return mean / (math.sqrt(square) + 1e-8)
    return g
