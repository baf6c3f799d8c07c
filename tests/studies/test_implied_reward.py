"""The implied reward against hand work, brute force over all groups, and draws."""

import itertools

import numpy as np
import pytest

import lab
from lab.errors import InputError, UnknownNameError
from lab.studies.implied_reward import (
    Implied,
    expected_advantage,
    implied_distance,
    implied_reward,
    implied_reward_study,
)
from simulators import Bandit
from simulators.bandit.families import graded
from simulators.reward_hacks.world import RewardHacks

MEANS = np.array([[0.1, 0.5, 0.9], [0.0, 0.2, 0.3]])
LOGITS = np.array([[0.0, 0.5, -0.5], [1.0, 0.0, 0.0]])


def brute(rule: str, values: list[float], shares: list[float], size: int) -> list[float]:
    """E[A | own reward] over every ordered group."""
    found = []
    for own in values:
        total = 0.0
        for others in itertools.product(range(len(values)), repeat=size - 1):
            group = [own, *(values[i] for i in others)]
            total += np.prod([shares[i] for i in others]) * lab.advantages.compute(rule, group)[0]
        found.append(total)
    return found


@pytest.mark.parametrize("rule", ["grpo", "dr_grpo", "rloo", "ngrpo"])
@pytest.mark.parametrize(("values", "shares"), [([0.0, 1.0], [0.7, 0.3]), ([0.0, 0.6, 1.0], [0.2, 0.5, 0.3])])
def test_listing_multisets_is_listing_every_group(rule: str, values: list[float], shares: list[float]) -> None:
    assert expected_advantage(rule, values, shares, 4) == pytest.approx(brute(rule, values, shares, 4), abs=1e-12)


def test_two_rollouts_by_hand() -> None:
    """GRPO at G = 2: ±1/√2 where the two differ; a right one differs with 1 − p, a wrong one with p."""
    found = expected_advantage("grpo", [0, 1], [0.9, 0.1], 2)
    assert found == pytest.approx(np.array([-0.1, 0.9]) / np.sqrt(2), rel=1e-3)


def test_centring_implies_the_true_reward_and_dividing_by_the_deviation_does_not() -> None:
    world = Bandit(success=MEANS, logits=LOGITS[:, None])
    exact = implied_reward(world, "dr_grpo", group_size=4)
    weight = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    value = (weight * MEANS).sum(axis=1, keepdims=True)
    assert exact.reward == pytest.approx(0.75 * (MEANS - value))
    assert exact.true == pytest.approx(MEANS)
    assert exact.distance()[0] == pytest.approx(0, abs=1e-12)
    assert implied_reward(world, "grpo", group_size=4).distance()[0] > 0.01


def test_the_distance_by_hand_is_between_unit_vectors() -> None:
    """Two prompts, right minus wrong 1 and 3 instead of 1 and 1: the angle between (1, 3) and (1, 1)."""
    found = Implied(np.array([[5.0, 6.0], [0.0, 3.0]]), np.array([[0.0, 1.0], [0.0, 1.0]])).distance()
    assert found[0] == pytest.approx(np.sqrt(2 - 2 * 4 / np.sqrt(20)))
    silent = Implied(np.zeros((2, 2)), np.array([[0.0, 1.0], [0.0, 1.0]])).distance()
    assert silent[0] == pytest.approx(1.0)
    opposite = Implied(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])).distance()
    assert opposite[0] == pytest.approx(2.0)


@pytest.mark.parametrize("name", ["grpo", "mc-grpo", "ngrpo"])
def test_draws_agree_with_the_exact_numbers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = Bandit(success=MEANS, logits=LOGITS[:, None])
    exact = implied_reward(world, name, group_size=4)
    assert exact.without is None
    monkeypatch.setattr(world, "responses", lambda _: None)
    drawn = implied_reward(world, name, group_size=4, groups=20_000, seed=3)
    assert drawn.without is not None
    assert drawn.reward == pytest.approx(exact.reward, abs=0.03 * np.abs(exact.reward).max())
    assert drawn.true == pytest.approx(MEANS)
    _, low, high = drawn.distance()
    assert low - 0.01 <= exact.distance()[0] <= high + 0.01


def test_noise_alone_is_no_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Bandit(success=MEANS, logits=LOGITS[:, None])
    monkeypatch.setattr(world, "responses", lambda _: None)
    lows = [implied_reward(world, "dr_grpo", groups=512, seed=s).distance()[1] for s in range(40)]
    assert np.mean(np.array(lows) > 0) <= 0.15
    plain = implied_reward(world, "dr_grpo", groups=512)
    assert plain.distance()[0] < Implied(plain.reward, plain.true).distance()[0]


def test_any_world_that_knows_its_truth() -> None:
    """A toy language model of few responses, two heads, three answers; a rule of the batch and one with a baseline."""
    table = implied_distance(RewardHacks(6), ["dr_grpo", "grpo", "bnpo"], groups=512)
    assert table["kind"].to_list() == ["exact", "exact", "drawn"]
    assert table["distance"][0] == pytest.approx(0, abs=1e-9) and table["distance"][1] > 0.05
    assert implied_distance(graded(2, 3), ["remax"], groups=512)["kind"].to_list() == ["drawn"]
    heads = implied_reward(Bandit(means=np.ones((2, 2, 2)) * [0.2, 0.7]), "dr_grpo", groups=256)
    assert heads.true.shape == (2, 4) and sorted(heads.true[0]) == pytest.approx([0.4, 0.9, 0.9, 1.4])
    from simulators import ToyLM

    tiny = ToyLM("copy", prompts=2, vocabulary=2, length=2, logits=[0.0, 0.0], seed=0)
    assert implied_reward(tiny, "dr_grpo", groups=512).distance()[1] < 0.05


def test_difficulty_pulls_grpo_away_the_further_the_larger_the_group() -> None:
    study = implied_reward_study(["grpo", "dr_grpo"], [2, 8, 32], [0.05, 0.5])
    cell = {row[:3]: (row[4], row[7]) for row in study.iter_rows()}
    assert cell["grpo", 2, 0.05] == pytest.approx((0, 1), abs=1e-9)
    assert 0.1 < cell["grpo", 8, 0.05][0] < cell["grpo", 32, 0.05][0]
    assert cell["grpo", 32, 0.05][1] == pytest.approx(np.sqrt(0.25 / (0.05 * 0.95)), rel=0.15)
    for size in (2, 8, 32):
        assert cell["dr_grpo", size, 0.05] == pytest.approx((0, 1), abs=1e-9)
        assert cell["grpo", size, 0.5] == pytest.approx((0, 1), abs=1e-9)


def test_where_there_is_no_answer() -> None:
    world = graded(2, 2)
    lacking = next(n for n in lab.advantages.names() if set(lab.advantages.rule(n).required) - {"greedy_rewards"})
    assert implied_distance(world, [lacking], groups=16).row(0) == (lacking, None, None, None, None)
    with pytest.raises(InputError, match="hardly drawn"):
        implied_reward(Bandit(success=np.full((2, 2), 0.5), logits=[[[0.0, 0.0]], [[0.0, -30.0]]]), "bnpo", groups=16)
    with pytest.raises(InputError, match="2 runs"):
        implied_reward(world, "grpo", policy=world.init([0, 1]))
    with pytest.raises(InputError, match="above 0 and below 1"):
        implied_reward_study(["grpo"], [4], [0.0])
    with pytest.raises(InputError, match="group_size"):
        implied_reward(world, "grpo", group_size=0)
    with pytest.raises(UnknownNameError, match="variant"):
        implied_distance(world, ["gprooo"])
