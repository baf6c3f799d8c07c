"""The one table of rollout fields: what it refuses, what cuts and joins by it, and a field of one's own."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import lab
from lab.advantages.door import compute
from lab.experiment import replay
from lab.registry import FIELDS as READABLE
from lab.sampling.refill import first_slots, refill
from simulators import Bandit, Policy, Rollouts, records
from simulators.records import FIELDS, check_fields, declare_field

WORLDS = ("bandit", "toy-lm", "hidden-lm", "agents", "turns", "graphs", "judged", "delayed", "lengths", "queries")


@pytest.fixture
def noise() -> Iterator[str]:
    """A field of prompts with an axis of its own, as a plugin would declare it."""
    declare_field("noise", "PD", "what was drawn for the prompt")
    yield "noise"
    FIELDS.pop("noise")


def drawn(prompts: int = 3) -> Rollouts:
    shape = (2, prompts, 4, 5)
    number = np.arange(np.prod(shape)).reshape(shape)
    return Rollouts(number[..., :1] * 1.0, number, number * -0.1, task=np.arange(prompts), prompt=np.arange(prompts))


@pytest.mark.parametrize("name", WORLDS)
def test_every_field_that_a_world_gives_has_its_axes(name: str) -> None:
    world = lab.world(name)
    rollouts = world.rollout(world.init([1, 2]), 6, 0, fields=world.provides)
    check_fields(rollouts)
    assert set(world.provides) <= set(rollouts.held()) <= set(FIELDS)


def test_a_rule_can_read_what_rollouts_hold() -> None:
    assert set(READABLE) == {*FIELDS, "clip_scale", "scores"}
    assert {name for name, f in READABLE.items() if f.everywhere} == {
        "actions", "clip_scale", "logp", "logp_ref", "mask", "rewards", "scores",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "shape", "right"),
    [
        ("mask", (2, 3, 4), "S=2, P=3, G=4, T=5"),
        ("mask", (2, 3, 4, 6), "S=2, P=3, G=4, T=5"),
        ("pair_scores", (2, 3, 4, 5), "S=2, P=3, G=4, G=4"),
        ("hidden", (2, 3, 4, 5), "S=2, P=3, G=4, T=5, D"),
        ("greedy_rewards", (2, 3, 2), "S=2, P=3, K=1"),
        ("task", (2, 3), "P=3"),
        ("prompt", (4,), "S=2, P=3"),
    ],
)
def test_a_field_of_the_wrong_shape_is_named_with_the_right_one(name: str, shape: tuple[int, ...], right: str) -> None:
    wrong = replace(drawn(), **{name: np.zeros(shape)})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="rollouts has shape") as said:
        check_fields(wrong)
    assert f"{name!r} of the rollouts has shape {shape}; it must be [{right}]" in str(said.value)


def test_the_first_rollouts_of_a_run_are_checked() -> None:
    class Askew(Bandit):
        def rollout(self, policy: Policy, group_size: int, step: int, **given: Any) -> Rollouts:
            return replace(super().rollout(policy, group_size, step), mask=np.ones((1, 2), dtype=bool))

        stride = property()

    with pytest.raises(lab.errors.InputError, match=r"world 'bandit': field 'mask' .* must be \[S=1, P=2, G=4, T=1\]"):
        lab.train(Askew([[0.2, 0.8]] * 2), steps=1, seeds=1, group_size=4, reward_weights=[1.0])


def test_a_declared_field_is_cut_and_joined_along_its_own_axis(noise: str) -> None:
    array = np.arange(12.0).reshape(3, 4)
    rollouts = replace(drawn(), extra={noise: array})
    check_fields(rollouts)
    cut = first_slots(rollouts, 2)
    assert np.array_equal(cut.get(noise), array[:2]) and cut.rewards.shape == (2, 2, 4, 1)
    assert cut.task is not None and cut.task.tolist() == [0, 1]
    kept = np.array([[True, False, True]] * 2)
    joined, *_ = refill(rollouts, rollouts.rewards, kept, 1, lambda _: (rollouts, rollouts.rewards), lambda r: kept)
    assert np.array_equal(joined.get(noise), np.concatenate([array, array]))
    assert joined.task is not None and joined.task.tolist() == [0, 1, 2, 0, 1, 2]
    assert joined.prompt is not None and joined.prompt.tolist() == [0, 1, 2, 0, 1, 2]
    assert joined.actions.shape == (2, 6, 4, 5)


@pytest.mark.usefixtures("own_rule")
def test_a_rule_reads_a_declared_field_of_a_world_that_has_it(noise: str) -> None:
    class Noisy(Bandit):
        provides = (*Bandit.provides, "noise")

        def rollout(self, policy: Policy, group_size: int, step: int, **given: Any) -> Rollouts:
            sampled = super().rollout(policy, group_size, step)
            return replace(sampled, extra={"noise": np.array([[1.0], [-2.0]])})

    @lab.advantage("louder")
    def louder(rewards: Any, *, noise: Any) -> Any:
        return (rewards - rewards.mean(-1, keepdims=True)) * noise[:, :1]

    world = Noisy([[0.2, 0.8]] * 2)
    moment = replay(world, "louder", seed=0, step=0, group_size=4).moment
    reward = moment.rewards[0, ..., 0]
    assert np.array_equal(moment.advantage[0], (reward - reward.mean(-1, keepdims=True)) * [[1.0], [-2.0]])
    with pytest.raises(lab.errors.MissingFieldError, match="reads noise"):
        lab.train(Bandit([[0.2, 0.8]]), "louder", steps=1)
    assert lab.advantages.check("louder")


def test_fields_are_declared_once_and_well() -> None:
    declare_field("task", "P", FIELDS["task"].meaning)  # the same again changes nothing
    for name, axes, said in (("mask", "SPG", "which tokens are real"), ("a b", "SP", "a Python name"),
                             ("fresh", "SG", "P among them"), ("fresh", "p", "capital letters")):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            declare_field(name, axes, "anything")
    assert "fresh" not in FIELDS
    with pytest.raises(ValueError, match="'unheard' of the rollouts is not declared"):
        replace(drawn(), extra={"unheard": np.zeros(3)})
    with pytest.raises(ValueError, match="'mask' of the rollouts is not declared"):
        replace(drawn(), extra={"mask": np.zeros(3)})


def test_rollouts_are_made_of_what_they_hold() -> None:
    whole = drawn()
    again = Rollouts.of(whole.held())
    assert set(whole.held()) == {"rewards", "actions", "logp", "task", "prompt"} == set(again.held())
    assert all(again.get(name) is array for name, array in whole.held().items()) and again.get("mask") is None
    assert records.Field("SPGT", "").axis("P", np.zeros((3, 4, 5))) == 0


@pytest.mark.usefixtures("own_rule")
def test_the_battery_makes_up_any_field_and_moves_it_with_its_rollouts() -> None:
    @lab.advantage("per-length", properties=("permutation", "groupwise"))
    def per_length(rewards: Any, *, lengths: Any) -> Any:
        return rewards * lengths

    assert [r.name for r in lab.advantages.check("per-length") if not r.agrees] == []
    assert compute("per-length", [1.0, 2.0], lengths=[3.0, 4.0]).tolist() == [3.0, 8.0]
    with pytest.raises(lab.errors.InputError, match=r"lengths has shape \(1, 3\); it must be \[..., P, G\]"):
        compute("per-length", [1.0, 2.0], lengths=[3.0, 4.0, 5.0])
