"""Filters on prompts, sampling again, and rewards that look at lengths or at one another."""

from itertools import product
from typing import Any

import numpy as np
import pytest

import lab
from lab import rewards, sampling
from lab.errors import InputError, MissingFieldError, UnknownNameError
from lab.rewards.length import overlong_penalty
from lab.sampling.dynamic_sampling import expected_prompts
from lab.sampling.refill import refill
from lab.training.loop import Settings, Walk
from simulators import Bandit, Rollouts

GROUPS = [[0, 0, 0], [0, 1, 0], [1, 1, 1], [0.1 + 0.2, 0.3, 0.3]]


def test_which_prompts_a_filter_keeps() -> None:
    assert sampling.keep("uniform", GROUPS).tolist() == [False, True, False, False]
    assert sampling.keep("all_correct", GROUPS).tolist() == [True, True, False, True]
    assert sampling.keep("all_incorrect", GROUPS).tolist() == [False, True, True, True]
    assert sampling.keep("all_correct", GROUPS, r_max=2.0).all()
    several = np.array(GROUPS[:3])[..., None] * [0.5, 0.5]
    assert np.array_equal(sampling.keep("all_correct", several), [True, True, False])
    assert sampling.keep("uniform", np.zeros((2, 3, 4, 1))).shape == (2, 3)


def test_filters_drop_what_teaches_nothing() -> None:
    """A group that `uniform` drops has no GRPO advantage; one that `all_correct` drops has no NGRPO advantage."""
    groups = np.array(list(product([0.0, 1.0], repeat=5)))
    silent = (lab.advantages.compute("grpo", groups) == 0).all(axis=1)
    assert np.array_equal(~sampling.keep("uniform", groups), silent)
    silent = (lab.advantages.compute("ngrpo", groups) == 0).all(axis=1)
    assert np.array_equal(~sampling.keep("all_correct", groups), silent)


@pytest.mark.parametrize("success", [0.05, 0.5, 0.9])
def test_how_many_prompts_one_useful_prompt_costs(success: float) -> None:
    groups = np.random.default_rng(0).random((20_000, 8)) < success
    share = sampling.keep("uniform", groups).mean()
    assert expected_prompts(success, 8) == pytest.approx(1 / share, rel=0.03)
    assert expected_prompts(0.0, 8) == float("inf")


def sample(values: list[list[float]]) -> tuple[Rollouts, np.ndarray]:
    """Rewards of each run's prompts, [S][P], as groups of one rollout."""
    scored = np.array(values, dtype=float)[:, :, None, None]
    return Rollouts(scored, np.zeros(scored.shape, int), np.zeros(scored.shape)), scored


def test_batches_are_filled_with_the_first_useful_prompts() -> None:
    """Two runs, three prompts; useful is a reward above 0. Run 0 is full at once, run 1 needs the second sample."""
    draws = [[[1, 2, 3], [0, 5, 0]], [[4, 4, 4], [6, 0, 7]], [[9, 9, 9], [9, 9, 9]]]
    asked: list[int] = []

    def again(attempt: int) -> tuple[Rollouts, np.ndarray]:
        asked.append(attempt)
        return sample(draws[attempt])

    def useful(scored: np.ndarray) -> np.ndarray:
        return (scored > 0).all(axis=(2, 3))

    first, scored = sample(draws[0])
    joined, all_rewards, kept, needed = refill(first, scored, useful(scored), 5, again, useful)
    assert asked == [1]
    assert [all_rewards[s, kept[s], 0, 0].tolist() for s in range(2)] == [[1, 2, 3], [5, 6, 7]]
    assert needed.tolist() == [3, 6]
    assert joined.prompt.tolist() == [0, 1, 2, 0, 1, 2]
    _, _, kept, needed = refill(first, scored, useful(scored), 0, again, useful)
    assert kept.sum(axis=1).tolist() == [3, 1]
    assert needed.tolist() == [3, 3]


@pytest.mark.parametrize(("length", "penalty"), [(1, 0), (16, 0), (17, -0.25), (19, -0.75), (20, -1), (22, -1.5)])
def test_overlong_responses_pay_little_by_little(length: int, penalty: float) -> None:
    """L_max 20, buffer 4: min(0, −(len − 16)/4)."""
    assert overlong_penalty(np.array([length]), 20, 4).item() == penalty
    mask = np.arange(24) < np.full((1, 1, 1), length)
    assert rewards.apply("overlong", [[1.0]], mask=mask, max_length=20, buffer=4).item() == 1 + penalty
    halved = rewards.apply("overlong", [[1.0]], mask=mask, max_length=20, buffer=4, factor=0.5)
    assert halved.item() == 1 + penalty / 2


def test_a_conditioned_reward_waits_for_another() -> None:
    values = np.array([[[1.0, 0.7], [0.0, 0.9], [0.5, 0.8]]])
    assert rewards.apply("conditioned", values)[0].tolist() == [[1, 0.7], [0, 0], [0.5, 0]]
    assert rewards.apply("conditioned", values, threshold=0.5)[0, 2].tolist() == [0.5, 0.8]
    assert rewards.apply("conditioned", values, component=0, on=1, threshold=0.8)[0].tolist() == [
        [0, 0.7],
        [0, 0.9],
        [0.5, 0.8],
    ]


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: sampling.keep("unifrm", GROUPS), UnknownNameError, "nearest: 'uniform'"),
        (lambda: sampling.keep("uniform", GROUPS, r_max=1), UnknownNameError, "accepts no options"),
        (lambda: sampling.keep("all_correct", GROUPS, r_max="x"), InputError, "r_max='x'"),
        (lambda: sampling.keep("uniform", [[np.nan, 1]]), InputError, "nan at p=0, g=0"),
        (lambda: rewards.apply("overlong", GROUPS), MissingFieldError, "pass mask="),
        (lambda: rewards.apply("overlong", GROUPS, mask=np.ones((4, 2, 9))), InputError, r"\(4, 2, 9\)"),
        (
            lambda: rewards.apply("overlong", GROUPS, mask=np.ones((4, 3, 9)), max_length=5, buffer=8),
            InputError,
            "buffer=8",
        ),
        (lambda: rewards.apply("conditioned", GROUPS), InputError, "there are 1 components"),
    ],
)
def test_what_is_refused(call: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        call()


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"advantage": "grop"}, "nearest: 'grqo', 'grpo'"),
        ({"advantage": ("grpo", {"epz": 1})}, "nearest: 'eps'"),
        ({"advantage": ("grpo", {"eps": "a"})}, "eps='a'"),
        ({"advantages": ("grpo", {"eps": 1.0})}, "part of variant 'own', 'advantages'; nearest: 'advantage'"),
        ({"kl": "k9"}, "KL estimator 'k9'"),
        ({"refill": -1}, "refill=-1"),
        ({"extra_rollouts": -1}, "extra_rollouts=-1"),
        ({"max_grad_norm": 0}, "max_grad_norm=0"),
    ],
)
def test_a_variant_of_ones_own_is_checked(facts: dict[str, Any], said: str) -> None:
    with pytest.raises((InputError, UnknownNameError), match=said):
        lab.train(Bandit([0.1, 0.9]), lab.Variant("own", **facts), steps=1, seeds=1)


def test_a_reward_rule_acts_before_the_advantages() -> None:
    world = Bandit(means=np.random.default_rng(0).random((4, 2, 3)))
    own = lab.Variant("patient", advantage="dr_grpo", reward="conditioned")
    trace = lab.train(world, own, steps=1, seeds=[3], group_size=6, lr=1.0)
    policy = world.init([3])
    drawn = world.rollout(policy, 6, 0)
    scored = np.stack([drawn.rewards[..., 0], drawn.rewards[..., 1] * (drawn.rewards[..., 0] >= 1)], axis=-1)
    total = scored.sum(-1)
    weights = np.repeat((total - total.mean(-1, keepdims=True))[..., None], 2, axis=-1) / (4 * 6 * 2)
    assert trace.parameters() == pytest.approx(world.gradient(policy, drawn, weights), rel=1e-12, abs=1e-15)
    assert trace.frame["reward"].item() == pytest.approx(total.mean())


@pytest.mark.parametrize(
    ("name", "option", "value", "kinds"),
    [
        ("ngrpo", "r_max", 0.5, {"advantage", "filter"}),
        ("reg-grpo", "eps", 0.3, {"advantage", "objective"}),
        ("grqo", "eps", 0.3, {"advantage", "objective"}),
        ("dino-r1", "eps", 0.3, {"advantage", "objective"}),
        ("grpo", "eps", 0.3, {"advantage"}),
    ],
)
def test_an_option_that_rules_share_reaches_all_of_them(name: str, option: str, value: float, kinds: set[str]) -> None:
    made = lab.variant(name, **{option: value})
    assert {kind for kind, options in made.options.items() if options.get(option) == value} == kinds
    for kind in kinds:
        one = lab.variant(name, **{f"{kind}.{option}": value})
        assert {k for k in one.rules if one.given(k).get(option) == value} == {kind}


def test_ngrpo_keeps_the_groups_below_the_largest_reward() -> None:
    """Every arm gives 1, which is all correct unless more can be had; the option reaches the filter or not."""
    kept = [
        bool(Walk(Bandit([[1.0, 1.0]]), lab.variant("ngrpo", **given), [0], Settings(group_size=4)).look().keep.any())
        for given in ({}, {"r_max": 2.0}, {"advantage.r_max": 2.0}, {"filter.r_max": 2.0})
    ]
    assert kept == [False, True, False, True]


def test_unknown_options_are_answered_with_all_that_there_are() -> None:
    with pytest.raises(UnknownNameError) as said:
        lab.variant("ngrpo", rmax=1.0)
    for part in ("nearest: 'r_max'", "advantage ngrpo: r_max, n_virtual, eps", "filter all_correct: r_max", "kl_beta"):
        assert part in str(said.value)
    with pytest.raises(UnknownNameError, match=r"option of variant 'ngrpo', 'objective\.r_max'"):
        lab.variant("ngrpo", **{"objective.r_max": 1.0})


def test_variants_are_written_as_on_the_shell() -> None:
    world = Bandit([0.1, 0.9])
    trace = lab.train(world, ["grpo:eps=1e-6", "grpo:ddof=0, eps=0.5"], steps=2, seeds=2)
    assert trace.frame["variant"].unique(maintain_order=True).to_list() == ["grpo:eps=1e-6", "grpo:ddof=0, eps=0.5"]
    made = lab.variant("reg-grpo:eps=0.1,objective.eps=0.2,kl_beta=0.5")
    assert (made.given("advantage")["eps"], made.given("objective")["eps"], made.kl_beta) == (0.1, 0.2, 0.5)


def test_a_method_of_ones_own_has_a_name(own_rule) -> None:
    lab.method("my-dapo", advantage="rloo", objective=("ppo_clip", {"clip_high": 0.3}), filter="uniform", refill=2)
    made = lab.variant("MY_dapo")
    assert (made.advantage, made.filter, made.reward, made.refill, made.kl) == ("rloo", "uniform", None, 2, None)
    assert made.given("objective")["clip_high"] == 0.3
    assert "my-dapo" in lab.variants()["name"].to_list()
    for taken in ("dapo", "grpo"):
        with pytest.raises(InputError, match=f"variant '{taken}' exists already"):
            lab.method(taken, filter="uniform")
    with pytest.raises(AttributeError, match="no 'filtre'; it has advantage, objective, filter, reward"):
        getattr(made, "filtre")  # noqa: B009
