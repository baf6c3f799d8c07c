"""What a walk keeps: blocks of parameters with an optimizer each, and what a rule remembers, restored to the bit."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

import lab
from lab.errors import InputError
from lab.integrations.rules import Rules
from lab.methods import Variant
from lab.registry import register
from lab.training.loop import Settings, Walk
from simulators import Bandit
from tests.train.critic import Critic

BANDIT = Bandit(success=[[0.2, 0.8, 0.5], [0.6, 0.3, 0.1]])
ADAM = Settings(group_size=6, lr=0.1, optimizer="adam", epochs=2)


@pytest.fixture
def running(own_rule: Any) -> Iterator[str]:
    """A reward rule that standardises by the running mean and deviation of all rewards so far."""

    def fresh(runs: int) -> dict[str, Any]:
        return {"count": np.zeros(runs), "mean": np.zeros(runs), "square": np.zeros(runs)}

    @register("reward", "running", memory=fresh)
    def running_(rewards: Any, *, memory: Mapping[str, Any], eps: float = 1.0) -> tuple[Any, dict[str, Any]]:
        size = rewards[0].size
        count = memory["count"] + size
        mean = memory["mean"] + (rewards.mean((1, 2, 3)) - memory["mean"]) * size / count
        square = memory["square"] + ((rewards**2).mean((1, 2, 3)) - memory["square"]) * size / count
        shift, spread = (x[:, None, None, None] for x in (mean, np.sqrt(np.maximum(square - mean**2, 0)) + eps))
        return (rewards - shift) / spread, {"count": count, "mean": mean, "square": square}

    yield "running"


def stepped(walk: Walk, steps: int) -> Walk:
    for _ in range(steps):
        walk.advance(walk.look())
    return walk


def same(one: Walk, other: Walk) -> bool:
    a, b = one.state(), other.state()
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def test_every_block_moves_by_its_own_optimizer_and_is_restored_to_the_bit() -> None:
    world = Critic(success=[[0.2, 0.8, 0.5]])
    straight = stepped(Walk(world, lab.variant("grpo"), [0, 1], ADAM), 6)
    half = stepped(Walk(world, lab.variant("grpo"), [0, 1], ADAM), 3)
    again = Walk(world, lab.variant("grpo"), [0, 1], ADAM)
    again.restore(half.state())
    assert same(half, again) and same(stepped(again, 3), straight)
    assert set(straight.state()) == {"step"} | {
        f"{block}/{name}"
        for block in ("policy", "critic")
        for name in ("parameters", "updates", "moment.first", "moment.second")
    }
    assert straight.state()["critic/updates"] == 12 and (straight.policy.further["critic"] > 0).all()
    assert np.array_equal(straight.policy.blocks["policy"], straight.policy.parameters)


def test_a_critic_beside_it_leaves_the_policy_as_it_is() -> None:
    watched = stepped(Walk(Critic(success=[[0.2, 0.8, 0.5]]), lab.variant("grpo"), [0, 1], ADAM), 4)
    plain = stepped(Walk(Bandit(success=[[0.2, 0.8, 0.5]]), lab.variant("grpo"), [0, 1], ADAM), 4)
    assert np.array_equal(watched.policy.parameters, plain.policy.parameters)


def test_a_state_that_lacks_a_block_or_has_another_shape_is_named() -> None:
    plain, watched = (Walk(kind(success=[[0.2, 0.8]]), lab.variant("grpo"), [0], ADAM) for kind in (Bandit, Critic))
    with pytest.raises(InputError, match="has no block 'critic' with its updates"):
        watched.restore(plain.state())
    other = Walk(Critic(success=[[0.2, 0.8, 0.5]]), lab.variant("grpo"), [0], ADAM)
    before = watched.state()
    with pytest.raises(InputError, match=r"parameters \(1, 1, 1, 3\) in block 'policy'; this walk has \(1, 1, 1, 2\)"):
        watched.restore(other.state())
    wrong = {**watched.state(), "critic/parameters": np.ones((1, 2)), "policy/parameters": np.ones((1, 1, 1, 2))}
    with pytest.raises(InputError, match=r"parameters \(1, 2\) in block 'critic'; this walk has \(1, 1\)"):
        watched.restore(wrong)
    assert all(np.array_equal(x, watched.state()[n]) for n, x in before.items()), "nothing moved"
    with pytest.raises(InputError, match="has no 'step'"):
        plain.restore({})
    with pytest.raises(InputError, match="a gradient for block 'judge'; the policy has policy"):
        plain.learner.ascend({"judge": np.zeros((1, 2))})


def test_a_state_of_one_block_as_older_versions_wrote_it_is_read() -> None:
    walk = stepped(Walk(BANDIT, lab.variant("grpo"), [3], ADAM), 3)
    old = {name.removeprefix("policy/"): array for name, array in walk.state().items()}
    assert {"step", "updates", "parameters", "moment.first"} <= set(old)
    again = Walk(BANDIT, lab.variant("grpo"), [3], ADAM)
    again.restore(old)
    assert same(stepped(walk, 2), stepped(again, 2))


def test_a_gradient_that_is_not_finite_moves_no_block() -> None:
    walk = Walk(Critic(success=[[0.2, 0.8]]), lab.variant("grpo"), [0], ADAM)
    assert not walk.learner.ascend({"critic": np.ones((1, 1)), "policy": np.full((1, 1, 1, 2), np.inf)})
    assert not walk.policy.further["critic"].any()


def test_the_limit_holds_for_each_block_by_itself() -> None:
    limited = Settings(group_size=4, lr=1.0, max_grad_norm=0.5)
    walk = Walk(Critic(success=[[0.2, 0.8]]), lab.variant("grpo"), [0], limited)
    walk.learner.ascend({"critic": np.full((1, 1), 3.0), "policy": np.array([[[[0.3, 0.0]]]])})
    assert walk.policy.further["critic"].tolist() == [[0.5]]
    assert walk.policy.parameters[0, 0, 0] == pytest.approx([0.3, 0.0])


def test_what_a_rule_remembers_goes_on_after_a_stop_as_if_there_had_been_none(running: str) -> None:
    chosen = Variant("running", reward=running)
    straight = stepped(Walk(BANDIT, chosen, [0, 1], ADAM), 6)
    half = stepped(Walk(BANDIT, chosen, [0, 1], ADAM), 3)
    again = Walk(BANDIT, chosen, [0, 1], ADAM)
    again.restore(half.state())
    assert same(half, again) and same(stepped(again, 3), straight)
    assert straight.state()["memory/reward/count"].tolist() == [6 * 12] * 2
    forgetful = Walk(BANDIT, chosen, [0, 1], ADAM)
    forgetful.restore({**half.state(), "memory/reward/mean": np.ones(2)})
    assert not same(stepped(forgetful, 3), straight), "what it remembers matters"
    with pytest.raises(InputError, match="the state has no 'memory/reward/count'"):
        again.restore(stepped(Walk(BANDIT, lab.variant("grpo"), [0, 1], ADAM), 1).state())


def test_looking_changes_no_memory(running: str) -> None:
    walk = stepped(Walk(BANDIT, Variant("running", reward=running), [0], ADAM), 2)
    before = walk.state()
    first, second = walk.look(), walk.look()
    assert np.array_equal(first.rewards, second.rewards)
    assert all(np.array_equal(x, walk.state()[name]) for name, x in before.items())
    walk.advance(first)
    walk.look()
    assert walk.memory["reward"]["count"].tolist() == [3 * 12]


def test_the_rewards_are_those_of_the_running_mean(running: str) -> None:
    walk = Walk(BANDIT, Variant("running", reward=running), [0, 5], Settings(group_size=6))
    seen = []
    for _ in range(3):
        moment = walk.look()
        seen.append(moment.rollouts.rewards.reshape(2, -1))
        every = np.concatenate(seen, axis=1)
        mean, std = (x[:, None, None, None] for x in (every.mean(1), every.std(1)))
        assert moment.rewards == pytest.approx((moment.rollouts.rewards - mean) / (std + 1), abs=1e-12)
        walk.advance(moment)


def test_outside_a_run_there_is_no_earlier_step(running: str) -> None:
    rewards = np.array([[[0.0], [1.0]]])
    assert lab.rewards.apply(running, rewards)[0, :, 0] == pytest.approx([-1 / 3, 1 / 3])
    with pytest.raises(InputError, match="remembers earlier steps"):
        Rules(Variant("running", reward=running))


@pytest.mark.usefixtures("own_rule")
def test_a_memory_is_declared() -> None:
    def silent(rewards: Any, *, memory: Any) -> Any:
        return rewards, memory

    def plain(rewards: Any) -> Any:
        return rewards

    with pytest.raises(InputError, match="is registered with memory= and has a parameter of that name"):
        register("reward")(silent)
    with pytest.raises(InputError, match="kinds that may: reward"):
        register("reward", memory=lambda runs: {})(plain)
    with pytest.raises(InputError, match="kinds that may: reward"):
        register("filter", memory=lambda runs: {})(plain)
