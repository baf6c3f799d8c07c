"""Ensembles of reward models: what is made of the members' scores, and what a policy is paid."""

from collections.abc import Callable

import numpy as np
import pytest

import lab
from lab import reward_models
from lab.errors import InputError, UnknownNameError
from simulators.learned_reward.annotators import annotate
from simulators.learned_reward.gold import gold

pytest.importorskip("torch")
from lab.reward_models.ensembles import RULES, Ensemble, ensemble
from simulators.learned_reward.fitting import standardised

GOLD = gold("bowl")
DATA = annotate(GOLD, 96, flips=0.25, seeds=[0, 1])
AT = 0.5 * np.random.default_rng(1).standard_normal((2, 16))


def made(rule: str, **options: object) -> Ensemble:
    return standardised(ensemble(DATA, [0, 1], rule=rule, members=3, **options), GOLD.draw)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("rule", RULES)
def test_mean_and_slope_are_those_of_its_scores(rule: str) -> None:
    """The mean beside that of 5000 other draws; the slope beside small moves of the mean."""
    model = made(rule)
    drawn = model(AT[:, None] + np.random.default_rng(2).standard_normal((5_000, 16)))
    assert model.mean(AT) == pytest.approx(drawn.mean(1), abs=0.08)
    slope = model.slope(AT)
    for d in (0, 5):
        move = 1e-3 * (np.arange(16) == d)
        assert slope[:, d] == pytest.approx((model.mean(AT + move) - model.mean(AT - move)) / 2e-3, abs=0.02)


def test_a_score_is_the_rule_of_the_members_and_one_of_many_is_the_same() -> None:
    plain = ensemble(DATA, [0, 1], rule="ensemble-uwo", members=3, penalty=2.0, ddof=1)
    x = GOLD.draw(np.random.default_rng(3), 6).reshape(1, 2, 3, 16)
    seen = plain.seen(x)
    assert plain(x) == pytest.approx(seen.mean(-1) - 2 * seen.var(-1, ddof=1)) and seen.shape == (2, 2, 3, 3)
    moved = plain.scaled(np.array([1.0, 2.0]), np.array([2.0, 4.0])).scaled(np.array([0.5, 0.5]), np.array([3.0, 1.0]))
    assert moved(x)[1] == pytest.approx(((plain(x)[1] - 2) / 4 - 0.5) / 1)
    assert np.array_equal(moved[[1]](x), moved(x)[1:]) and len(moved[[1]]) == 1
    base = np.concatenate([DATA.chosen, DATA.rejected], axis=1)
    assert plain.seen(base).mean(1) == pytest.approx(np.zeros((2, 3)), abs=1e-9)
    assert plain.seen(base).std(1) == pytest.approx(np.ones((2, 3)))


def test_members_differ_by_their_start_their_pairs_or_not_at_all() -> None:
    x = GOLD.draw(np.random.default_rng(4), 50)[None]
    apart = made("ensemble-mean").seen(x).std(-1).mean()
    shared = made("ensemble-mean", same_start=True, bootstrap=True).seen(x).std(-1).mean()
    assert made("ensemble-mean", same_start=True).seen(x).std(-1).max() == pytest.approx(0, abs=1e-6)
    assert 0.02 < shared < apart


def test_each_rule_is_a_reward_model_of_its_name_and_pays_in_the_world() -> None:
    assert {*RULES} <= {*reward_models.names()}
    score = reward_models.fit("ensemble-wco", (DATA.chosen[0], DATA.rejected[0]), seed=0, members=2)
    assert score(np.zeros((2, 3, 16))).shape == (2, 3)
    world = lab.world("learned-reward", comparisons=96, flips=0.25, reward_model="ensemble-wco", prompts=2)
    found = lab.train(world, "grpo", steps=4, seeds=2, lr=0.2, measure=["value", "gold"], every=3).frame
    assert (found.filter(step=3)["value"].to_numpy() > found.filter(step=0)["value"].to_numpy()).all()


def test_rules_over_scores() -> None:
    """By hand: of 1, 2 and 6 the mean is 3, the variance 14/3, or 7 with ddof 1."""
    scores = [[[1.0, 2.0, 6.0]]]
    expected = {"ensemble-mean": 3, "ensemble-wco": 1, "ensemble-uwo": 3 - 7 / 3, "ensemble-median": 2,
                "ensemble-mean-std": 3 - np.sqrt(14 / 3)}  # fmt: skip
    for name, value in expected.items():
        assert lab.rewards.apply(name, scores) == pytest.approx(np.full((1, 1, 1), value)), name
        assert lab.rewards.apply(name, [[4.0, 5.0]])[..., 0].tolist() == [[4, 5]], "one member is itself"
    assert lab.rewards.apply("ensemble-uwo", scores, penalty=1.0, ddof=1).item() == pytest.approx(-4)
    assert lab.rewards.apply("ensemble-uwo", [[4.0]], ddof=1).item() == 4
    assert lab.variant("ensemble-uwo").reward == "ensemble-uwo"


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: lab.rewards.apply("ensemble-uwo", [[1.0]], penalty=-1.0), InputError, "penalty must be at least 0"),
        (lambda: lab.rewards.apply("ensemble-uwo", [[1.0]], ddof=2), InputError, "ddof 0 or 1"),
        (lambda: lab.rewards.apply("ensemble-wco", [[[1.0, np.nan]]]), InputError, "nan"),
        (lambda: ensemble(DATA, [0], members=0), InputError, "members"),
        (lambda: ensemble(DATA, [0], rule="ensemble-max"), UnknownNameError, "ensemble-m"),
        (lambda: ensemble(DATA, [0], rule="ensemble-wco", penalty=1.0), UnknownNameError, "penalty"),
        (lambda: reward_models.fit("ensemble-wco", (np.empty((0, 2)),) * 2), InputError, "no comparisons"),
        (lambda: reward_models.fit("ensemble-wco", (np.ones((3, 2)),) * 2), InputError, "the same in every"),
    ],
)  # fmt: skip
def test_what_is_refused(call: Callable[[], object], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        call()
