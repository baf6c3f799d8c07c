"""The studies without a policy, against closed forms and the published tables."""

from math import comb

import numpy as np
import polars as pl
import pytest

import lab
from lab import studies
from lab.errors import InputError, MissingFieldError, UnknownNameError
from lab.studies import level_counts, sign_flip_study, signal_study
from lab.studies.groups import Share, drawn, enumerable, every_group
from lab.studies.implied_reward import implied_reward
from simulators import Bandit, reward_laws

SYMMETRIC = ["normal", "student_t", "contaminated_normal"]


def median_flip_rate(group_size: int) -> float:
    """mc-grpo.1: (2/G) Σ_{B>m} (B − m − 1) C(n, B)/2ⁿ with n = 2m + 1 = G + 1 draws of any continuous law."""
    n, m = group_size + 1, group_size // 2
    return 2 / group_size * sum((b - m - 1) * comb(n, b) for b in range(m + 1, n + 1)) / 2**n


@pytest.mark.parametrize(("group_size", "rate"), [(2, 0.125), (4, 0.1094), (8, 0.0913)])
def test_the_median_flips_as_often_under_every_symmetric_law(group_size: int, rate: float) -> None:
    assert median_flip_rate(group_size) == pytest.approx(rate, abs=5e-5)
    table = sign_flip_study(["mc-grpo"], SYMMETRIC, [group_size], prompts=20_000)
    assert table["kind"].to_list() == ["simulated"] * 3
    for found in table["rate"]:
        assert found == pytest.approx(median_flip_rate(group_size), abs=0.005)


@pytest.mark.parametrize("variant", ["grpo", "dr-grpo", "rloo"])
def test_the_mean_of_two_flips_every_fourth_sign(variant: str) -> None:
    table = sign_flip_study([variant], SYMMETRIC, [2], prompts=40_000)
    assert table["rate"].to_list() == pytest.approx([0.25] * 3, abs=0.008)


def test_the_median_flips_less_often_where_tails_are_heavy() -> None:
    """mc-grpo.2: at most 0.6 of the mean's rate for t2 and contaminated, 0.75 for the normal; G+1 draws do not help."""
    table = sign_flip_study(["grpo", "mc-grpo"], SYMMETRIC, [4, 5], prompts=20_000)
    rate = {(row["variant"], row["law"], row["group_size"]): row["rate"] for row in table.iter_rows(named=True)}
    for law, most in zip(SYMMETRIC, (0.75, 0.6, 0.6), strict=True):
        assert rate["mc-grpo", law, 4] < most * rate["grpo", law, 4]
        assert rate["mc-grpo", law, 4] < 0.8 * rate["grpo", law, 5]


def test_skewed_rewards_favour_the_mean() -> None:
    """Limit (a) of the mc-grpo card: with three levels the median is better at G = 2 and worse at G = 8."""
    table = sign_flip_study(["grpo", "mc-grpo"], ["three_level"], [2, 8], prompts=64).filter(pl.col("kind") == "exact")
    rate = {(row["variant"], row["group_size"]): row["rate"] for row in table.iter_rows(named=True)}
    assert rate["mc-grpo", 2] < rate["grpo", 2]
    assert rate["mc-grpo", 8] > 1.5 * rate["grpo", 8]


def test_binary_rewards_never_flip_a_centred_sign() -> None:
    """Limit (b) of the mc-grpo card."""
    table = sign_flip_study(["grpo", "mc-grpo"], [reward_laws.bernoulli(p) for p in (0.2, 0.5)], [2, 5], prompts=320)
    assert set(table["law"]) == {"bernoulli", "bernoulli(probability=0.2)"}
    assert set(table["rate"]) == {0.0}


@pytest.mark.parametrize("variant", ["grpo", "mc-grpo", "mc-grpo@gsm", "ngrpo", "grpo_passk", "rloo", "dapo"])
def test_exact_rates_lie_in_the_simulated_interval(variant: str) -> None:
    laws = ["three_level", reward_laws.bernoulli(0.3)]
    table = sign_flip_study([variant], laws, [2, 5, 8], prompts=20_000, seed=3)
    wide = table.filter(pl.col("kind") == "exact").join(
        table.filter(pl.col("kind") == "simulated"), on=["variant", "law", "group_size"], suffix="_seen"
    )
    assert len(wide) == 6
    spare = 0.4 * (wide["high_seen"] - wide["low_seen"])  # 95% intervals miss now and then, by little
    assert ((wide["low_seen"] - spare <= wide["rate"]) & (wide["rate"] <= wide["high_seen"] + spare)).all()


def test_exact_rate_by_hand() -> None:
    """Two of {0: .5, 1.5: .2, 2: .3}, mean 0.9: only (1.5, 2) puts a reward above the mean below the group's."""
    table = sign_flip_study(["grpo"], ["three_level"], [2], prompts=64).filter(pl.col("kind") == "exact")
    signed = 2 * (1 - 0.5**2 - 0.2**2 - 0.3**2)
    assert table["rate"].item() == pytest.approx(2 * 0.2 * 0.3 / signed, rel=1e-12)


def test_whole_batch_rules_are_drawn_only_and_refusals_are_null() -> None:
    table = sign_flip_study(["gdpo", "bnpo"], ["bernoulli", "three_level"], [4], prompts=640)
    assert set(table["kind"]) == {"simulated"}
    refused = table.filter((pl.col("variant") == "bnpo") & (pl.col("law") == "three_level"))
    assert refused["rate"].to_list() == [None]
    assert not enumerable(lab.variant("grpo", scale="batch"))
    assert enumerable(lab.variant("grpo", eps=1e-6))


def test_the_same_draws_give_the_same_table_in_any_company() -> None:
    together = sign_flip_study(["grpo", "mc-grpo"], ["normal", "log_normal"], [4], prompts=500, seed=5)
    alone = sign_flip_study(["grpo"], ["log_normal"], [4], prompts=500, seed=5)
    assert sign_flip_study(["grpo"], ["log_normal"], [4], prompts=500, seed=5).equals(alone)
    assert not sign_flip_study(["grpo"], ["log_normal"], [4], prompts=500, seed=6).equals(alone)
    assert together.columns == ["variant", "law", "group_size", "kind", "rate", "low", "high"]


def test_signal_of_centred_rules_and_of_ngrpo() -> None:
    p, size = [0.0, 0.02, 0.1, 0.5, 1.0], [1, 2, 8, 16]
    for variant in ("grpo", "dr-grpo", "dapo"):
        exact = signal_study(p, size, variant=variant, prompts=64).filter(pl.col("kind") == "exact")
        formula = [q**g + (1 - q) ** g if g > 1 else 1.0 for q in p for g in size]
        assert exact["share"].to_list() == pytest.approx(formula, rel=1e-12)
    exact = signal_study(p, size[1:], variant="ngrpo", prompts=64).filter(pl.col("kind") == "exact")
    assert exact["share"].to_list() == pytest.approx([q**g for q in p for g in size[1:]], rel=1e-12)


def test_simulated_signal_agrees_with_the_formula() -> None:
    table = signal_study(np.linspace(0.05, 0.95, 10), [2, 4, 8], prompts=4000).pivot(
        on="kind", index=["success", "group_size"], values=["share", "low", "high"]
    )
    inside = (table["low_simulated"] <= table["share_exact"]) & (table["share_exact"] <= table["high_simulated"])
    assert inside.sum() >= 26  # of 30 intervals of 95%
    assert signal_study([0.5], [4], variant="gdpo", prompts=320)["kind"].to_list() == ["simulated"]


@pytest.mark.parametrize(
    ("rule", "by_size", "by_components"),
    [
        ("grpo", [2, 4, 7, 11, 16, 22, 29], [7, 14, 23]),
        ("dr_grpo", [3, 6, 10, 15, 21, 28, 36], [10, 20, 35]),
        ("gdpo@no-batch-norm", [3, 6, 14, 26, 38, 59, 81], [14, 45, 127]),
    ],
)
def test_levels_are_the_published_integers(rule: str, by_size: list[int], by_components: list[int]) -> None:
    """gdpo.1."""
    assert level_counts([rule], components=2, group_sizes=range(2, 9))["levels"].to_list() == by_size
    assert level_counts([rule], components=[2, 3, 4], group_sizes=[4])["levels"].to_list() == by_components


def test_level_counts_see_a_rule_that_was_registered_again(own_rule) -> None:
    first = own_rule("levels_again", lambda rewards: rewards)
    assert level_counts([first], components=1, group_sizes=[3])["levels"].item() == 4
    own_rule("levels_again", lambda rewards: 0 * rewards)
    assert level_counts([first], components=1, group_sizes=[3])["levels"].item() == 1


def test_groups_are_listed_with_their_probabilities() -> None:
    listed = every_group(reward_laws.three_level(), 6)
    assert listed is not None
    rewards, probability = listed
    assert rewards.shape == (comb(8, 2), 1, 6)
    assert probability.sum() == pytest.approx(1, rel=1e-12)
    assert probability @ rewards.mean(axis=(1, 2)) == pytest.approx(reward_laws.three_level().mean, rel=1e-12)
    assert every_group(reward_laws.normal(), 2) is None
    assert every_group(reward_laws.three_level(), 300) is None


def test_draws_come_in_whole_batches_of_independent_chunks() -> None:
    chunks = list(drawn(reward_laws.normal(), 3, 5000, seed=1))
    assert [c.shape for c in chunks] == [(128, 32, 3), (29, 32, 3)]
    assert not np.isin(chunks[1], chunks[0]).any()


def test_intervals_know_that_rollouts_of_a_group_depend_on_one_another() -> None:
    """Groups that are all hits or all misses carry one trial each, however many rollouts they have."""
    rng, covered = np.random.default_rng(0), 0
    for _ in range(400):
        share, truth = Share(), 0.3
        share.add(10 * (rng.random((1, 200)) < truth), np.full((1, 200), 10), True)
        _, low, high = share.interval()
        covered += low <= truth <= high
    assert 0.92 <= covered / 400 <= 0.98
    assert Share().interval() == (None, None, None)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: sign_flip_study(["grop"], ["normal"], [2]), UnknownNameError),
        (lambda: sign_flip_study(["grpo"], ["norml"], [2]), ValueError),
        (lambda: sign_flip_study(["grpo"], ["normal"], [0]), InputError),
        (lambda: sign_flip_study(["grpo"], ["normal"], [2], prompts=0), InputError),
        (lambda: sign_flip_study(["grpo"], ["normal"], [2], seed=-1), InputError),
        (lambda: sign_flip_study(["remax"], ["normal"], [2]), MissingFieldError),
        (lambda: signal_study([1.5], [2]), ValueError),
        (lambda: signal_study([0.5], [2.5]), InputError),
        (lambda: level_counts(["grpo"], components=6, group_sizes=[16]), InputError),
        (lambda: level_counts(["grpo"], components=0, group_sizes=[4]), InputError),
    ],
)
def test_bad_input_is_refused(call, error) -> None:
    with pytest.raises(error):
        call()


MUCH = 10**10


@pytest.mark.parametrize(
    ("study", "said"),
    [
        (lambda: studies.shaping_study(["bonus"], seeds=10**9), r"seeds=1000000000, episodes=1000: .* 22,352 GiB"),
        (lambda: studies.shaping_policies(["bonus"], seeds=range(10**9)), "seeds=1000000000, episodes=1000"),
        (lambda: sign_flip_study(["grpo"], ["normal"], [4, MUCH]), "group_sizes=10000000000"),
        (lambda: signal_study([0.5], [MUCH]), "group_sizes=10000000000"),
        (lambda: level_counts(["grpo"], components=10**8, group_sizes=[2]), "far too many groups"),
        (lambda: level_counts(["grpo"], components=2, group_sizes=[MUCH]), "far too many groups"),
        (lambda: studies.redistribution_study(["raw"], [MUCH]), "episodes=10000000000, steps=50"),
        (lambda: studies.redistribution_study(["raw"], [8], seeds=MUCH), "seeds=10000000000"),
        (lambda: studies.redistribution_training(["raw"], group_size=MUCH), "group_size=10000000000"),
        (lambda: studies.message_study(collected=[MUCH]), "collected=10000000000"),
        (lambda: studies.hacking_study(seeds=MUCH), "seeds=10000000000, tasks=1000"),
        (lambda: studies.distance_study(states=10**6), "states=1000000, actions=4"),
        (lambda: studies.blend_study(size=10**4), "size=10000"),
        (lambda: implied_reward(Bandit([[0.2, 0.8]]), "grpo", groups=MUCH), "groups=10000000000, group_size=8"),
    ],
)
def test_a_size_that_does_not_fit_is_refused_before_it_is_taken(study, said, monkeypatch) -> None:
    monkeypatch.setattr("lab.sizes.free_memory", lambda: 7 * 2.0**30)
    with pytest.raises(InputError, match=said):
        study()


def test_what_is_no_size_is_said_by_the_study_itself() -> None:
    with pytest.raises(InputError, match="seeds='many'"):
        studies.shaping_study(["bonus"], seeds="many")
    with pytest.raises(TypeError, match="unexpected keyword argument 'seed'"):
        studies.shaping_study(["bonus"], seed=2)


def test_levels_are_counted_without_the_floor_of_the_batch_step() -> None:
    """A pair's advantages are 0 or ±√½ whatever the two rewards: the floor 1e-4 would part one reward from two."""
    assert level_counts(["gdpo"], components=2, group_sizes=[2, 3, 4])["levels"].to_list() == [2, 4, 9]
    rewards = [[[1, 1], [0, 0]], [[1, 0], [0, 0]]]
    apart = [lab.advantages.compute("gdpo", [pair], batch_eps=floor) for pair in rewards for floor in (1e-4, 0.0)]
    assert abs(apart[0] - apart[2]).max() > 1e-6 and abs(apart[1] - apart[3]).max() < 1e-12
    assert apart[1][0] == pytest.approx([0.5**0.5, -(0.5**0.5)])
