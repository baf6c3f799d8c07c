"""A world whose policy has a second block of parameters, by every door."""

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import pytest
from typer.testing import CliRunner

import lab
from lab.cli import app
from lab.errors import InputError, UnknownNameError
from lab.experiment import Config, replay, run, side_by_side
from lab.methods import Variant
from lab.registry import register
from lab.store import find
from lab.training.loop import Walk
from simulators import Bandit, rooms
from simulators.declared import Range
from tests.train.critic import Critic

SUCCESS = [[0.2, 0.8, 0.5], [0.6, 0.3, 0.1]]
RATES = {"policy": 2.0, "critic": 0.25}


@pytest.fixture
def watched() -> Any:
    """The same as a world of one's own, by name."""
    before = dict(rooms._OWN)

    def watched(prompts: Annotated[int, Range(1, 8), "Prompts"] = 2) -> Critic:
        return Critic(success=SUCCESS[:prompts])

    lab.world(watched)
    yield "watched"
    rooms._OWN.clear()
    rooms._OWN.update(before)


def trained(world: Any, **settings: Any) -> lab.Trace:
    return lab.train(
        world, "grpo", **{"steps": 12, "seeds": 3, "group_size": 6, "lr": RATES, "measure": "full"} | settings
    )


def test_each_block_has_its_rate_and_what_is_measured_is_the_policys() -> None:
    ours, plain = trained(Critic(success=SUCCESS)), trained(Bandit(success=SUCCESS), lr=2.0)
    assert np.array_equal(ours.parameters(), plain.parameters()) and ours.frame.equals(plain.frame)
    rewards = np.zeros((12, 3, 2))
    walk = Walk(Bandit(success=SUCCESS), lab.variant("grpo"), [0, 1, 2], lab.Settings(group_size=6, lr=2.0))
    for step in range(12):
        moment = walk.look()
        rewards[step] = moment.rewards.mean(axis=(2, 3))
        walk.advance(moment)
    critic = np.zeros((3, 2))
    for step in rewards:
        critic += 0.25 * (step - critic)
    assert ours.parameters("grpo", block="critic") == pytest.approx(critic, abs=1e-14)
    with pytest.raises(UnknownNameError, match=r"block of parameters 'critics'.*nearest: 'critic'"):
        ours.parameters(block="critics")


def test_a_block_moves_where_the_plain_world_has_a_fast_lane() -> None:
    slow = trained(Critic(success=SUCCESS), measure="basic")
    assert slow.parameters(block="critic").min() > 0
    assert not Critic(success=SUCCESS).can("stride") and Bandit(success=SUCCESS).can("stride")
    fast = trained(Bandit(success=SUCCESS), measure="basic", lr={"policy": 2.0})
    assert fast.parameters() == pytest.approx(slow.parameters(), abs=1e-12)


def test_each_block_has_its_optimizer() -> None:
    kinds = {"policy": "adam", "critic": "sgd"}
    mixed = trained(Critic(success=SUCCESS), optimizer=kinds, lr={"policy": 0.1, "critic": 0.25})
    adam = trained(Critic(success=SUCCESS), optimizer="adam", lr=0.1)
    assert np.array_equal(mixed.parameters(), adam.parameters())
    assert not np.array_equal(mixed.parameters(block="critic"), adam.parameters(block="critic"))


def test_what_is_refused_names_the_block() -> None:
    world = Critic(success=SUCCESS)
    with pytest.raises(InputError, match=r"lr=\{'policy': 1.0\}: it has none for block 'critic'; .* policy, critic"):
        trained(world, lr={"policy": 1.0})
    with pytest.raises(UnknownNameError, match="'critics'; nearest: 'critic'"):
        trained(world, lr={"policy": 1.0, "critics": 1.0})
    for lr in ({}, {"policy": -1.0}, {"policy": "x"}, {1: 1.0}, {"policy": {"policy": 1.0}}):
        with pytest.raises(InputError, match="number of at least 0, or one for each block by name"):
            trained(world, lr=lr)
        with pytest.raises(InputError, match="number of at least 0, or one for each block by name"):
            Config(variants=["grpo"], lr=lr)
    with pytest.raises(UnknownNameError, match="optimizer 'adm'; nearest: 'adam'"):
        trained(world, optimizer={"policy": "adm", "critic": "sgd"})


def test_replay_and_side_by_side_stand_where_the_run_stood() -> None:
    world = Critic(success=SUCCESS)
    given: dict[str, Any] = {"group_size": 6, "lr": RATES}
    seen = replay(world, "grpo", seed=4, step=5, **given)
    plain = replay(Bandit(success=SUCCESS), "grpo", seed=4, step=5, group_size=6, lr=2.0)
    assert np.array_equal(seen.prompt_norm, plain.prompt_norm) and set(seen.moment.gradient) == {"policy", "critic"}
    moments = side_by_side(world, ["grpo", "dr_grpo"], seed=4, step=5, **given)
    assert np.array_equal(moments["grpo"].gradient["critic"], seen.moment.gradient["critic"])
    assert np.array_equal(moments["dr_grpo"].gradient["critic"], seen.moment.gradient["critic"])
    assert np.array_equal(moments["grpo"].policy_gradient, seen.moment.policy_gradient)


def test_side_by_side_a_rule_goes_on_with_what_it_remembers(own_rule: Any) -> None:
    @register("reward", "counted", memory=lambda runs: {"steps": np.zeros(runs)})
    def counted(rewards: Any, *, memory: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        return rewards * (1 + memory["steps"][:, None, None, None]), {"steps": memory["steps"] + 1}

    both = [Variant("a", reward="counted"), Variant("b", reward="counted", advantage="dr_grpo"), Variant("c")]
    moments = side_by_side(Bandit(success=SUCCESS), both, seed=0, step=3, group_size=6)
    drawn = moments["c"].rewards
    assert np.array_equal(moments["a"].rewards, 4 * drawn) and np.array_equal(moments["b"].rewards, 4 * drawn)


def test_components_are_combined_along_the_policys_block() -> None:
    heads = np.linspace(0.1, 0.9, 12).reshape(2, 2, 3)
    given: dict[str, Any] = {"steps": 5, "seeds": 2, "group_size": 6}
    ours = lab.train(Critic(success=heads), "mgda", lr=RATES, **given)
    plain = lab.train(Bandit(success=heads), "mgda", lr=2.0, **given)
    assert np.array_equal(ours.parameters(), plain.parameters()) and ours.parameters(block="critic").min() > 0


def test_the_shell_and_the_disk_know_rates_of_blocks(watched: str, tmp_path: Any) -> None:
    words = f"run --world {watched} --lr policy=2,critic=0.25 --optimizer policy=sgd,critic=adam --steps 4 --seeds 2"
    shown = CliRunner().invoke(app, [*words.split(), "--name", "a", "--runs", str(tmp_path)])
    assert shown.exit_code == 0, shown.output
    kept = find("a", tmp_path)
    assert kept.config.lr == {"policy": 2.0, "critic": 0.25} and kept.config.optimizer["critic"] == "adam"
    trace = lab.train(watched, "grpo", settings=kept.config)
    assert kept.frame.select("value").equals(trace.frame.select("value"))
    calls: list[int] = []
    config = Config(**kept.config.model_dump() | {"chunk": 2})
    run(config, "b", runs=tmp_path, stop=lambda: len(calls) > 0, progress=lambda *_: calls.append(1))
    assert run(config, "b", runs=tmp_path, resume=True).frame.equals(kept.frame)
    described = CliRunner().invoke(app, ["show", "a", "--runs", str(tmp_path)]).output
    assert "lr policy=2, critic=0.25, policy=sgd, critic=adam" in " ".join(described.split())


def test_the_battery_holds_for_it() -> None:
    report = lab.check_world(Critic(success=SUCCESS))
    assert report.holds, report.table
