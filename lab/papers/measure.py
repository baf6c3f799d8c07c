"""What the claims share: intervals over independent repetitions, draws, final policies, a world with one policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lab.papers.record import Measurement
from simulators.records import Policy, Rollouts, Truth, World

if TYPE_CHECKING:
    from lab.studies.fair import Comparison
    from lab.trace import Trace
    from simulators.bandit.world import Bandit
    from simulators.reward_laws import Law

__all__ = [
    "Array",
    "OnePolicy",
    "Rows",
    "above",
    "ahead",
    "below",
    "binary",
    "exact",
    "excludes",
    "fair",
    "interval",
    "last_values",
    "policies",
    "promised",
    "rewards_of",
    "runs",
]

Array = NDArray[Any]

#: Rows of a tidy table, the detail of a measurement.
Rows = list[dict[str, Any]]


def interval(values: Array) -> tuple[float, tuple[float, float]]:
    """Mean of independent repetitions [n] and its 95% interval (Student's t)."""
    from lab.trace import mean_interval

    mean, low, high = mean_interval(values)
    return mean, (low, high)


def exact(cases: Rows, tolerance: float, *, of: str = "difference", also: bool = True) -> Measurement:
    """The largest `of` among cases (absolute), which holds up to a tolerance, if `also` does."""
    worst = max(abs(float(case[of])) for case in cases)
    return Measurement(worst, bool(worst <= tolerance and also), detail=cases, border=tolerance)


def above(
    values: Array, least: float = 0.0, *, mean: float = -np.inf, rows: Rows | tuple[()] = (), also: bool = True
) -> Measurement:
    """Mean of independent repetitions [n], which holds where its whole 95% interval lies above `least`.

    Args:
        values: Such as paired differences over runs, or ratios.
        least: What the interval must lie above.
        mean: What the mean itself must lie above.
        rows: Further numbers.
        also: Whatever else must be true.
    """
    value, bounds = interval(values)
    return Measurement(value, bool(bounds[0] > least and value > mean and also), bounds, rows, least)


def below(values: Array, most: float = 0.0, *, rows: Rows | tuple[()] = (), also: bool = True) -> Measurement:
    """Mean of independent repetitions [n], which holds where its whole 95% interval lies below `most`; see `above`."""
    value, bounds = interval(values)
    return Measurement(value, bool(bounds[1] < most and also), bounds, rows, most)


def excludes(bounds: tuple[float, float], value: float = 0.0) -> bool:
    """Whether `value` lies outside the interval."""
    return not bounds[0] <= value <= bounds[1]


def runs(seed: int, number: int) -> range:
    """Seeds of `number` training runs; different seeds share no run."""
    return range(seed * number, (seed + 1) * number)


def binary(success: float, shape: Sequence[int], seed: int) -> Array:
    """Independent rewards of 1 with probability `success`, else 0, of the given shape."""
    from simulators.reward_laws import bernoulli

    return rewards_of(bernoulli(success), shape, seed)


def rewards_of(law: Law, shape: Sequence[int], seed: int) -> Array:
    """Independent rewards of a law in its own units, of the given shape."""
    from simulators.reward_laws import sample

    return sample(law, shape, seed=seed, centred=False)


def policies(trace: Trace, name: str) -> Array:
    """Probability of each arm at the end of each run of a bandit [S, P, H, A]."""
    logits = trace.parameters(name)
    weight = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(weight / weight.sum(axis=-1, keepdims=True))


def last_values(
    world: Any, names: Sequence[str], seeds: Sequence[int], steps: int, **settings: Any
) -> dict[str, Array]:
    """Exact value of each run at its last step [S], by variant; `settings` as in `lab.train`."""
    from lab import train

    trace = train(world, list(names), steps=steps, seeds=seeds, measure=["value"], every=steps - 1, **settings)
    last = trace.frame.filter(step=steps - 1).sort("seed")
    return {name: last.filter(variant=name)["value"].to_numpy() for name in names}


def fair(
    world: Any, variants: Sequence[Any], seed: int, *, number: int = 64, tuned: int = 16, **settings: Any
) -> Comparison:
    """`lab.compare` on a fair track: `number` runs to judge on, `tuned` others on which learning rates are chosen."""
    from lab import compare
    from lab.studies.fair import TUNING

    tuning = [TUNING[0] + s for s in runs(seed, tuned)]
    return compare(world, variants, fair=True, seeds=runs(seed, number), tuning=tuning, **settings)


def promised(found: Mapping[str, Comparison], ours: str, *others: str, least: float = 0.0) -> Measurement:
    """A headline: the lead over the best of the others in the first setting; where else it holds stands in the rows.

    A lead of less than `least` counts as none, either way: what is level is then level whatever the seed.
    """
    value, bounds = next(iter(found.values())).lead(ours, *others)
    rows = [
        {"where": where, "variant": r["variant"], "value": r["mean"], "low": r["low"], "high": r["high"], "lr": r["lr"]}
        for where, compared in found.items()
        for r in compared.frame.iter_rows(named=True)
    ]
    return Measurement(value, bounds[0] > least, bounds, rows, least)


def ahead(found: Mapping[str, Mapping[str, Array]], ours: str, *others: str) -> Measurement:
    """As `promised`, of what is not trained: numbers that are better if higher [n], by name in each setting."""
    best = next(iter(found.values()))
    value, bounds = min(interval(best[ours] - best[other]) for other in others)
    rows: Rows = []
    for where, values in found.items():
        for name, each in values.items():
            mean, (low, high) = interval(each)
            rows.append({"where": where, "variant": name, "value": mean, "low": low, "high": high})
    return Measurement(value, bounds[0] > 0, bounds, rows, 0.0)


class OnePolicy(World):
    """A bandit of one prompt in all P slots of a batch: one policy learns from P groups per step.

    Args:
        world: A bandit with one prompt.
        prompts: Number of groups P.
    """

    name = "one-policy bandit"

    def __init__(self, world: Bandit, prompts: int) -> None:
        self.world, self.prompts = world, prompts

    def init(self, seeds: Sequence[int] | NDArray[Any]) -> Policy:
        """The logits [S, 1, H, A] for S seeds."""
        return self.world.init(seeds)

    def rollout(
        self, policy: Policy, group_size: int, step: int, *, attempt: int = 0, fields: Sequence[str] = ()
    ) -> Rollouts:
        """Sample P groups of G rollouts: rewards, actions and logp [S, P, G, H]."""
        drawn = self.world.rollout(policy, self.prompts * group_size, step, attempt=attempt, fields=fields)
        shape = (policy.seeds.size, self.prompts, group_size, -1)
        return Rollouts(
            drawn.rewards.reshape(shape),
            drawn.actions.reshape(shape),
            drawn.logp.reshape(shape),
            prompt=np.zeros(self.prompts, dtype=np.int64),
        )

    def log_prob(self, policy: Policy, rollouts: Rollouts) -> Array:
        """Log-probability of each action [S, P, G, H], nats."""
        return self.world.log_prob(policy, rollouts)

    def gradient(self, policy: Policy, rollouts: Rollouts, weights: Array) -> Array:
        """Σ w ∇log π with respect to the logits [S, 1, H, A]."""
        return self.world.gradient(policy, rollouts, weights)

    def truth(self, policy: Policy, rollouts: Rollouts, *, gradient: bool = True, weights: Any = None) -> Truth:
        """Exact value, advantages and gradient, as the bandit knows them."""
        return self.world.truth(policy, rollouts, gradient=gradient, weights=weights)

    def entropy(self, policy: Policy) -> Array:
        """Entropy of the policy [S], nats."""
        return self.world.entropy(policy)

    def kl(self, policy: Policy, other: Policy) -> Array:
        """KL(policy ‖ other) [S], nats."""
        return self.world.kl(policy, other)
