"""Training on the bandit against a plain Python run of the same seeds."""

from collections.abc import Callable
from statistics import fmean, median_low, stdev
from typing import Any

import numpy as np
import pytest

import lab
from simulators import Bandit
from tests.rules import test_formulas as formulas
from tests.train.reference import Method, train

MEANS = [[0.1, 0.4, 0.7], [0.5, 0.5, 0.9], [0.02, 0.05, 0.3], [0.95, 0.9, 0.99]]
STEPS, SEEDS, G, LR = 12, (0, 3), 4, 2.0


def each(rule: Callable[[list[float]], list[float]]) -> Callable[[list[list[float]]], list[list[float]]]:
    """A rule of one group on a batch, with nothing for a group without spread."""
    return lambda batch: [rule(group) if max(group) > min(group) else [0.0] * len(group) for group in batch]


def pivot(rewards: list[float]) -> int:
    return rewards.index(median_low(rewards))


def ngrpo(batch: list[list[float]]) -> list[list[float]]:
    return [[0.0] * len(g) if min(g) == 1.0 else formulas.ngrpo(g) for g in batch]


def mixed(rewards: list[float]) -> bool:
    return max(rewards) > min(rewards)


def batch_scale(batch: list[list[float]]) -> list[list[float]]:
    flat = [r for group in batch for r in group]
    return [[(r - fmean(group)) / (stdev(flat) + 1e-4) for r in group] for group in batch]


CASES: list[tuple[str, dict[str, Any], Callable[[], Method]]] = [
    ("grpo", {}, lambda: Method(each(formulas.grpo))),
    ("dr_grpo", {}, lambda: Method(each(formulas.centred))),
    ("rloo", {"optimizer": "momentum"}, lambda: Method(each(formulas.rloo), optimizer="momentum")),
    ("grpo", {"optimizer": "adam", "lr": 0.1}, lambda: Method(each(formulas.grpo), optimizer="adam")),
    ("grpo@trl-batch", {}, lambda: Method(batch_scale)),
    ("grpo", {"epochs": 3}, lambda: Method(each(formulas.grpo), epochs=3)),
    ("grpo", {"epochs": 2, "optimizer": "adam"}, lambda: Method(each(formulas.grpo), epochs=2, optimizer="adam")),
    ("grpo", {"max_grad_norm": 0.05}, lambda: Method(each(formulas.grpo), limit=0.05)),
    ("grpo-kl", {"epochs": 2}, lambda: Method(each(formulas.grpo), beta=0.04, epochs=2)),
    ("mc-grpo", {}, lambda: Method(each(formulas.mc_grpo), extra=1, pivot=pivot, limit=1.0)),
    ("mc-grpo@gsm", {"max_grad_norm": 0.3},
     lambda: Method(each(formulas.mc_grpo_gsm), extra=1, pivot=pivot, limit=0.3)),
    ("ngrpo", {"epochs": 3}, lambda: Method(ngrpo, useful=lambda r: min(r) < 1, low=0.16, high=0.24, epochs=3)),
    ("dapo", {"epochs": 2}, lambda: Method(each(formulas.grpo), useful=mixed, refill=3, high=0.28, epochs=2)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "given", "method"), CASES, ids=lambda x: x if isinstance(x, str) else None)
@pytest.mark.parametrize("measure", [None, "basic", "full"])
def test_the_path_is_that_of_plain_python(
    name: str, given: dict[str, Any], method: Callable[[], Method], measure: str | None
) -> None:
    options = {"steps": STEPS, "group_size": G, "lr": LR, **given}
    trace = lab.train(Bandit(MEANS), name, seeds=SEEDS, measure=measure, **options)
    for found, seed in zip(trace.parameters(), SEEDS, strict=True):
        expected = train(MEANS, method(), seed=seed, steps=STEPS, group_size=G, lr=options["lr"])
        assert found[:, 0] == pytest.approx(np.array(expected), rel=1e-11, abs=1e-11)


def test_several_rewards_are_several_heads() -> None:
    """Two heads that know nothing of each other, and a rule that takes one reward only: dr_grpo of the weighted sum."""
    means = np.random.default_rng(0).random((3, 2, 4))
    trace = lab.train(Bandit(means=means), "dr_grpo", steps=5, seeds=[7], group_size=6, lr=1.5, reward_weights=[1, 0.5])
    world = Bandit(means=means)
    policy = world.init([7])
    for step in range(5):
        rollouts = world.rollout(policy, 6, step)
        total = rollouts.rewards @ [1.0, 0.5]
        weights = np.repeat((total - total.mean(-1, keepdims=True))[..., None], 2, axis=-1) / (3 * 6 * 2)
        policy.parameters[...] += 1.5 * world.gradient(policy, rollouts, weights)
    assert trace.parameters() == pytest.approx(policy.parameters, rel=1e-12, abs=1e-14)


def test_measurements_are_of_the_weighted_reward() -> None:
    """A component of weight 0 changes neither reward, value nor the exact gradient's direction."""
    means = np.random.default_rng(3).random((4, 2, 3))
    options = {"steps": 3, "seeds": 3, "measure": "full"}
    both = lab.train(Bandit(means=means), "grpo", reward_weights=[1.0, 0.0], **options).frame
    policy = Bandit(means=means).init(range(3))
    rollouts = Bandit(means=means).rollout(policy, 8, 0)
    first = both.filter(both["step"] == 0)
    assert np.allclose(first["reward"], rollouts.rewards[..., 0].mean(axis=(1, 2)))
    assert np.allclose(first["value"], means[:, 0].mean())
