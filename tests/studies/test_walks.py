"""Walks along a chain for group-relative training, the noise of potentials, learners at their own best rates."""

import numpy as np
import polars as pl
import pytest

import lab
from lab.errors import UnknownNameError
from lab.papers.dense_rewards_exact import LADDER
from lab.studies import potential_study
from lab.studies.fair import compare_learners
from lab.studies.shaping import shaping_scores
from lab.studies.walks import Walk, Walks
from simulators.mdp.chains import Chain


def test_the_value_is_the_chance_to_reach_the_goal_in_time() -> None:
    world = Walks("sparse", Chain(3, 0.9, horizon=5, slip=0.1), prompts=2)
    policy = world.init([0, 1])
    policy.parameters[...] = np.random.default_rng(0).normal(size=policy.parameters.shape)
    drawn = world.rollout(policy, 4000, 0)
    exact = world.truth(policy, drawn, gradient=False).value
    assert drawn.rewards.mean(axis=(2, 3)) == pytest.approx(exact, abs=0.03)


def test_moves_are_paid_by_the_construction_up_to_the_goal() -> None:
    chain = Chain(4, 0.9, horizon=12)
    drawn = {c: _drawn(Walks(c, chain, prompts=3)) for c in ("sparse", "pbrs", "bonus", "count")}
    plain = drawn["sparse"]
    mask = plain.mask
    assert np.array_equal(plain.turn_rewards.sum(axis=-1), plain.rewards[..., 0])
    assert 0 < plain.rewards.mean() < 1 and not plain.turn_rewards[~mask].any()
    factor = 0.9 ** np.arange(12)
    last = np.where(plain.rewards[..., 0] > 0, 0.0, _after(plain, chain) / 4 * 0.9**12)
    shift = (drawn["pbrs"].turn_rewards - plain.turn_rewards) @ factor
    assert shift == pytest.approx(last)
    lured = (plain.state == 2) & (plain.actions == 2) & mask
    assert drawn["bonus"].turn_rewards - plain.turn_rewards == pytest.approx(0.1 * lured)
    assert drawn["count"].turn_rewards - plain.turn_rewards == pytest.approx(
        0.1 * lured / np.maximum(lured.cumsum(axis=-1), 1.0) ** 3
    )


def _drawn(world: Walks) -> object:
    return world.rollout(world.init([5, 6]), 40, 3, fields=("turn_rewards",))


def _after(drawn: object, chain: Chain) -> np.ndarray:
    """Position at the end of each walk."""
    here, action = drawn.state[..., -1], drawn.actions[..., -1]
    moved = np.clip(here + np.select([action == 0, action == 1], [-1, 1], 0), 0, chain.goal)
    return np.where(here == chain.goal, chain.goal, moved)


def test_a_pay_of_ones_own_sees_the_walk() -> None:
    seen: list[Walk] = []

    def pay(walk: Walk) -> np.ndarray:
        seen.append(walk)
        return walk.positions[..., 1:] - walk.positions[..., :-1]

    world = Walks(pay, Chain(4, 0.9, horizon=12), prompts=1)
    drawn = _drawn(world)
    assert seen[0].step == 3 and seen[0].seeds.tolist() == [5, 6]
    assert drawn.turn_rewards.sum(axis=-1) == pytest.approx(seen[0].positions[..., -1])
    trace = lab.train(world, lab.variant("mapo@turn"), steps=30, seeds=2, group_size=8, lr=8.0, measure=["value"])
    assert trace.frame.filter(step=29)["value"].min() > 0.9
    with pytest.raises(UnknownNameError, match="'pbrs'"):
        Walks("pbr")


def test_a_potential_changes_noise_and_not_the_mean() -> None:
    study = potential_study(6, episodes=200)
    assert study["miss"].max() < 6
    mean = dict(study.group_by("potential").agg(pl.col("ratio").log().mean().exp()).iter_rows())
    assert mean["V"] < 1 < mean["−V"] < mean["5 N(0, 1)"]
    assert potential_study(2, episodes=20, scale=0.0)["ratio"].to_list() == [1.0] * 8


def test_learners_are_compared_each_at_its_own_best_rate() -> None:
    def bowl(best: float) -> object:
        return lambda lr, seeds: 1 - (np.log2(lr) - best) ** 2 + 0.01 * np.asarray(seeds, float) / 1e6

    found = compare_learners({"near": bowl(1.0), "far": bowl(4.0)}, tuning=[7, 8], seeds=[0, 1, 2])
    assert found.fair and found.lr == {"near": 2.0, "far": 16.0}
    assert found.values["far"].tolist() == pytest.approx([1.0, 1 + 1e-8, 1 + 2e-8])
    assert found.lead("far", "near")[0] == pytest.approx(0.0)
    assert found.sentence.endswith("Each at its own best learning rate, chosen on other runs.")


def test_the_ladder_is_the_reported_one() -> None:
    chain = Chain(20)
    for size, (distance, worst) in LADDER.items():
        row = shaping_scores(["bonus"], chain=chain, bonus=size).row(0, named=True)
        assert row["distance"] == pytest.approx(distance, abs=1e-3)
        assert row["worst_case_regret"] == pytest.approx(worst, abs=1e-3)
