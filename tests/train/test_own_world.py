"""A world of one's own: what it must have, what it gets, and what is absent where it cannot do it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import lab
from lab.errors import InputError
from lab.training.loop import Settings, Walk
from simulators import Bandit, Policy, Rollouts, World
from simulators.captions.world import Captions
from simulators.delayed.world import Delayed
from simulators.judged.world import Judged
from simulators.records import Floats, adopted

BANDIT = Bandit([[0.1, 0.5, 0.9], [0.2, 0.2, 0.3]])


class Duck:
    """No base, no truth, no entropy: the four methods that training needs, by means of a bandit."""

    name, prompts = "duck", 2

    def init(self, seeds: Any) -> Policy:
        return BANDIT.init(seeds)

    def rollout(self, policy: Policy, group_size: int, step: int, **given: Any) -> Rollouts:
        return BANDIT.rollout(policy, group_size, step, **given)

    def log_prob(self, policy: Policy, rollouts: Rollouts) -> Floats:
        return BANDIT.log_prob(policy, rollouts)

    def gradient(self, policy: Policy, rollouts: Rollouts, weights: Floats) -> Floats:
        return BANDIT.gradient(policy, rollouts, weights)


class Goose(Duck, World):
    """The same with the base."""


@pytest.mark.parametrize("world", [Duck(), Goose()])
@pytest.mark.parametrize("measure", ["basic", "full"])
def test_four_methods_are_enough(world: Any, measure: str) -> None:
    given: dict[str, Any] = {"steps": 5, "seeds": 3, "measure": measure}
    whole, less = (lab.train(w, "grpo", **given) for w in (BANDIT, world))
    assert np.array_equal(whole.parameters(), less.parameters())
    absent = {"value", "sign_flip", "entropy"} | ({"cosine", "grad_error", "kl_start"} if measure == "full" else set())
    assert set(whole.frame.columns) - set(less.frame.columns) == absent
    assert whole.frame["reward"].to_list() == pytest.approx(less.frame["reward"].to_list(), abs=1e-15)


def test_defaults_answer_for_what_a_world_does_not_have() -> None:
    for world in (adopted(Duck()), Goose()):
        assert not world.exact
        assert not any(
            map(world.can, ("truth", "gold", "evaluate", "reference", "stride", "problem", "score", "nought"))
        )
        assert (world.provides, world.components, world.scores, world.agents) == ((), (), (), ())
        assert world.together is None and not world.fresh
        assert world.pieces([3, 1]) == ["3", "1"]
        with pytest.raises(NotImplementedError, match="world 'duck' has no method 'gold'"):
            world.gold(world.init([0]))


def test_an_adopted_world_keeps_its_own() -> None:
    class Rich(Duck):
        provides = ("mask",)
        together = 1
        extra = 5

        def gold(self, policy: Policy) -> Floats:
            return np.full(len(policy.seeds), 7.0)

    world: Any = adopted(Rich())
    assert (world.provides, world.together, world.extra, world.can("gold")) == (("mask",), 1, 5, True)
    assert (lab.train(Rich(), "grpo", steps=2, seeds=2, measure=("gold",)).frame["gold"] == 7).all()  # type: ignore[arg-type]


@pytest.mark.parametrize("base", [object, World])
@pytest.mark.parametrize(
    ("lacks", "said"),
    [
        ({"gradient"}, "no method 'gradient'"),
        ({"log_prob", "rollout"}, "no method 'rollout', no method 'log_prob'"),
        ({"name"}, "no attribute 'name'"),
        ({"prompts", "init"}, "no attribute 'prompts', no method 'init'"),
        ({"init", "rollout", "log_prob", "gradient"}, "it must be a world, such as simulators.Bandit"),
    ],
)
def test_what_is_missing_is_named(base: type, lacks: set[str], said: str) -> None:
    kept = {name: value for name, value in vars(Duck).items() if not name.startswith("__") and name not in lacks}
    with pytest.raises(InputError, match=said):
        lab.train(type("Lame", (base,), kept)(), "grpo", steps=1, seeds=1)


def test_abilities_that_a_world_has_not_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="world 'duck' has no held-out problems"):
        lab.train(Duck(), "grpo", steps=1, seeds=1, evaluate=1)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="world 'duck' has none"):
        lab.train(Duck(), "grpo", steps=1, seeds=1, reference_rollouts=8)  # type: ignore[arg-type]


class Halved(Bandit):
    """A subclass that weighs rewards in its own way, and does not think of the fast lane."""

    def rollout(
        self, policy: Policy, group_size: int, step: int, *, attempt: int = 0, fields: Sequence[str] = ()
    ) -> Rollouts:
        drawn = super().rollout(policy, group_size, step, attempt=attempt, fields=fields)
        return Rollouts(drawn.rewards * 0.5, drawn.actions, drawn.logp)


class Named(Bandit):
    """A subclass that changes nothing."""

    name = "named"


@pytest.mark.parametrize(
    ("world", "fast"),
    [
        (BANDIT, True), (Named([[0.1, 0.9]]), True), (Judged([[0.1, 0.9]]), True), (Halved([[0.1, 0.9]]), False),
        (Captions(1), False), (Delayed(1, steps=2), False),
    ],
)  # fmt: skip
def test_the_fast_lane_is_only_for_the_rollouts_that_it_makes(world: World, fast: bool) -> None:
    walk = Walk(world, lab.variant("dr_grpo"), [0], Settings(group_size=4))
    assert (walk.fast_lane(True) is not None) == fast


def test_a_subclass_trains_on_its_own_rewards() -> None:
    plain, halved = Bandit([[0.1, 0.5, 0.9]]), Halved([[0.1, 0.5, 0.9]])
    once, twice = (lab.train(w, "dr_grpo", steps=1, seeds=4).parameters() for w in (plain, halved))
    assert np.allclose(twice, once / 2, rtol=1e-12) and np.abs(once).max() > 0
