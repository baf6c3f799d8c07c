"""Several gradients per step in the loop: one for each reward component, combined by a rule."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

import lab
from lab.errors import InputError
from lab.experiment import Config, replay, run, side_by_side
from lab.integrations.rules import Rules
from lab.methods import Variant
from lab.registry import register
from lab.training.loop import Settings, Walk
from simulators import Bandit, Policy, Rollouts

SUCCESS = np.linspace(0.1, 0.9, 24).reshape(4, 2, 3)
HEADS = Bandit(success=SUCCESS)


class Torn(Bandit):
    """Two rewards that are at odds: the second head's minus the first's beside the first's."""

    def rollout(self, *given: Any, **more: Any) -> Rollouts:
        drawn = super().rollout(*given, **more)
        first, second = drawn.rewards[..., 0], drawn.rewards[..., 1]
        return replace(drawn, rewards=np.stack([first, second - first], axis=-1))


class Scored(Torn):
    """Its log-probability is a score by another name too."""

    scores = ("reward",)

    def scores_of(self, policy: Policy, rollouts: Rollouts, names: Sequence[str]) -> dict[str, Any]:
        return {name: self.log_prob(policy, rollouts) for name in names}

    def pull(self, policy: Policy, rollouts: Rollouts, weights: Mapping[str, Any]) -> Any:
        return self.gradient(policy, rollouts, np.broadcast_to(sum(weights.values()), rollouts.actions.shape))


SMALL = Settings(group_size=6, lr=2.0)


def stepped(walk: Walk, steps: int) -> Walk:
    for _ in range(steps):
        walk.advance(walk.look())
    return walk


def parameters(variant: Any, **settings: Any) -> Any:
    return stepped(Walk(HEADS, lab.variant(variant), [0, 1, 2], Settings(**{"group_size": 6, "lr": 2.0} | settings)), 5)


@pytest.mark.parametrize(
    ("facts", "settings"),
    [
        ({}, {}),
        ({}, {"reward_weights": (1.0, -0.5)}),
        ({"objective": ("ppo_clip", {"clip_low": 1.0, "clip_high": 1e9})}, {"epochs": 3, "optimizer": "momentum"}),
        ({"kl": "k3", "kl_beta": 0.3}, {"epochs": 2}),
        ({"filter": "uniform", "refill": 2}, {}),
        ({"signflip": 0.2}, {}),
    ],
)
def test_the_sum_of_the_gradients_is_the_plain_path(facts: dict[str, Any], settings: dict[str, Any]) -> None:
    plain = parameters(Variant("plain", advantage="dr_grpo", **facts), **settings)
    summed = parameters(Variant("summed", advantage="dr_grpo", combine="sum", **facts), **settings)
    assert summed.policy.parameters == pytest.approx(plain.policy.parameters, abs=1e-12)
    first, second = plain.look(), summed.look()
    assert first.parts == () and first.shares is None
    assert len(second.parts) == 2 and second.shares is not None and second.shares.tolist() == [[1.0] * 3] * 2
    assert second.advantage == pytest.approx(first.advantage, abs=1e-12)


def test_a_penalty_stands_alone_on_log_pi_where_the_objective_weighs_other_scores() -> None:
    variant = Variant("scored", advantage="grpo", objective="grqo", combine="sum", kl="k3", kl_beta=0.5)
    moment = Walk(Scored(success=SUCCESS), variant, [0, 1], SMALL).look()
    assert set(moment.weights) == {"reward", "logp"} and moment.weights["reward"].any()
    assert not moment.weights["logp"].any(), "the policy is its own reference yet"


def test_the_step_lowers_no_component_and_is_the_shortest_of_its_hull() -> None:
    world = Torn(success=SUCCESS)
    walk = Walk(world, lab.variant("mgda"), [0, 1, 2, 3], SMALL)
    opposed = 0
    for _ in range(25):
        moment = walk.look()
        each = np.stack([world.gradient(walk.policy, moment.rollouts, part.weights["logp"]) for part in moment.parts])
        g1, g2 = each.reshape(2, 4, -1)
        g = moment.gradient.reshape(4, -1)
        apart = ((g1 - g2) ** 2).sum(-1)
        share = np.clip(((g2 - g1) * g2).sum(-1) / np.where(apart > 0, apart, 1), 0, 1)
        both = (g1 != 0).any(-1) & (g2 != 0).any(-1)
        assert moment.shares is not None and moment.shares.sum(axis=0) == pytest.approx(np.ones(4))
        assert moment.shares[0][both] == pytest.approx(share[both], abs=1e-9)
        assert g == pytest.approx(moment.shares[0][:, None] * g1 + moment.shares[1][:, None] * g2, abs=1e-12)
        assert min((g1 * g).sum(-1).min(), (g2 * g).sum(-1).min()) > -1e-12
        opposed += int(((g1 * (g1 + g2)).sum(-1) < 0).sum() + ((g2 * (g1 + g2)).sum(-1) < 0).sum())
        walk.advance(moment)
    assert opposed > 5, "the plain sum lowers one now and then"


def test_a_penalty_counts_once_whatever_is_combined() -> None:
    given = {"advantage": "dr_grpo", "combine": "min-norm"}
    with_kl, without = (
        Walk(HEADS, Variant("v", **given, **kl), [0, 1], SMALL) for kl in ({"kl": "k1", "kl_beta": 0.5}, {})
    )
    for walk in (with_kl, without):
        walk.policy.parameters[...] += np.arange(3) * 0.2
    a, b = with_kl.look(), without.look()
    gap = a.weights["logp"] - b.weights["logp"]
    assert a.shares is not None and b.shares is not None and np.array_equal(a.shares, b.shares)
    assert gap == pytest.approx(np.full(gap.shape, -0.5 / gap[0].size), abs=1e-15), "the gradient of k1 is 1"


def test_weights_of_components_reach_each_gradient() -> None:
    plain = Walk(HEADS, lab.variant("grpo", combine="sum"), [0], SMALL).look()
    weighed = Walk(HEADS, lab.variant("grpo", combine="sum"), [0], Settings(group_size=6, reward_weights=(2.0, 0.0)))
    moment = weighed.look()
    assert moment.parts[0].advantage == pytest.approx(2 * plain.parts[0].advantage)
    assert not moment.parts[1].advantage.any() and moment.advantage == pytest.approx(2 * plain.parts[0].advantage)


def test_each_part_has_the_rewards_of_its_component_alone() -> None:
    moment = Walk(HEADS, lab.variant("mgda"), [0, 1], SMALL).look()
    assert len(moment.parts) == 2
    for k, part in enumerate(moment.parts):
        assert (part.rewards == moment.rewards[..., k : k + 1]).all() and part.rewards.shape[-1] == 1


def test_each_prompts_share_adds_up_to_the_gradient_of_a_replay() -> None:
    seen = replay(HEADS, "mgda", seed=3, step=4, group_size=6, lr=2.0)
    walk = stepped(Walk(HEADS, lab.variant("mgda"), [3], SMALL), 4)
    moment = walk.look()
    assert np.array_equal(seen.moment.gradient, moment.gradient)
    shares = walk.shares(moment)
    assert sum(shares) == pytest.approx(moment.gradient, abs=1e-15)
    assert seen.prompt_norm == pytest.approx([np.linalg.norm(share) for share in shares])
    assert seen.prompt_norm.shape == (4,) and (seen.prompt_norm > 0).any()
    assert set(side_by_side(HEADS, ["mgda", "dr_grpo"], seed=3, step=2)) == {"mgda", "dr_grpo"}


@pytest.fixture
def smooth(own_rule: Any) -> str:
    """The minimum-norm shares, averaged over the steps so far; how many components there are it learns at the first."""

    def fresh(runs: int) -> dict[str, Any]:
        return {"shares": np.zeros((runs, 0))}

    @register("combine", "smooth", memory=fresh)
    def smooth_(gradients: Any, *, memory: Mapping[str, Any], rate: float = 0.3) -> tuple[Any, dict[str, Any]]:
        now, before = lab.combining.shares("min-norm", gradients).T, memory["shares"]
        mixed = now if before.shape[1] == 0 else (1 - rate) * before + rate * now
        return mixed.T, {"shares": mixed}

    return "smooth"


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_run_goes_on_to_the_bit_with_what_the_rule_remembers(smooth: str, epochs: int) -> None:
    settings = Settings(group_size=6, lr=0.1, optimizer="adam", epochs=epochs)
    chosen = lab.variant("dr_grpo", combine=smooth)
    straight = stepped(Walk(HEADS, chosen, [0, 1], settings), 6)
    half, again = stepped(Walk(HEADS, chosen, [0, 1], settings), 3), Walk(HEADS, chosen, [0, 1], settings)
    again.restore(half.state())
    stepped(again, 3)
    a, b = straight.state(), again.state()
    assert a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)
    assert a["memory/combine/shares"].shape == (2, 2)
    assert lab.combining.shares(smooth, [[1.0, 0.0], [0.0, 2.0]]) == pytest.approx([0.8, 0.2])


def test_nothing_depends_on_threads_and_on_who_walks_beside() -> None:
    given: dict[str, Any] = {"steps": 4, "seeds": 200, "group_size": 8, "measure": "full", "epochs": 2}
    one, four = (lab.train(HEADS, "mgda", threads=n, **given) for n in (1, 4))
    assert len(four.parts) > len(one.parts) and one.frame.equals(four.frame)
    assert np.array_equal(one.parameters(), four.parameters())
    assert one.frame["clip_share"].is_between(0, 1).all() and one.frame["grad_norm"].is_finite().all()


def test_by_name_on_disk_resumed_and_in_the_table(tmp_path: Any) -> None:
    config = Config(
        world={"name": "toy-lm", "options": {"prompts": 2, "length": 4}}, variants=["mgda", "dr_grpo:combine=sum"],
        steps=4, seeds=2, group_size=4, chunk=2,
    )  # fmt: skip
    calls = []
    half = run(config, "a", runs=tmp_path, stop=lambda: len(calls) > 0, progress=lambda *_: calls.append(1))
    whole = run(config, "a", runs=tmp_path, resume=True)
    straight = run(config, "b", runs=tmp_path)
    assert half.path == whole.path and whole.complete and whole.frame.equals(straight.frame)
    table = lab.variants()
    assert table.filter(pl.col("combine") != "")["name"].to_list() == ["mgda", "marble", "marble@amortised"]
    assert table.filter(name="mgda")["combine"].item() == "min-norm"


def test_another_rule_by_its_kind() -> None:
    chosen = lab.variant("mgda", combine=("min-norm", {"unit": True}))
    assert chosen.combine == "min-norm" and chosen.given("combine") == {"unit": True}
    assert lab.variant("mgda", unit=True).given("combine") == {"unit": True}
    assert lab.variant("mgda", combine=None).combine is None and lab.variant("dapo", filter=None).filter is None
    assert lab.variant("grpo:combine=min-norm").name == "grpo:combine=min-norm"
    with pytest.raises(InputError, match="3 in the place of a rule; it must be a name"):
        lab.variant("grpo", combine=3)


def test_what_cannot_be_combined_is_said(own_rule: Any) -> None:
    with pytest.raises(InputError, match="world 'bandit' gives one, so there is nothing to combine"):
        lab.train("bandit", "mgda", steps=1)
    with pytest.raises(InputError, match="3 weights for 2 reward components"):
        lab.train(HEADS, "mgda", steps=1, reward_weights=(1, 1, 1))
    with pytest.raises(InputError, match="another trainer takes one gradient of one loss"):
        Rules("mgda")

    @register("combine", "crooked")
    def crooked(gradients: Any) -> Any:
        return gradients[..., 0].T

    with pytest.raises(InputError, match=r"'crooked' gives shape \(3, 2\); it must be one share for .*\(2, 3\)"):
        lab.train(HEADS, lab.variant("grpo", combine="crooked"), steps=1, seeds=3)
