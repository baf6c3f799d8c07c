"""Every law has the moments, the quantiles and the values that it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from simulators import reward_laws
from simulators.reward_laws import Law, sample
from tests.simulators import reference

N = 200_000
CONTINUOUS = {
    "normal": (reward_laws.normal(2.0), stats.norm(scale=2.0).cdf),
    "student_t(1)": (reward_laws.student_t(1.0), stats.t(1.0).cdf),
    "student_t(2)": (reward_laws.student_t(2.0), stats.t(2.0).cdf),
    "student_t(30)": (reward_laws.student_t(30.0, 0.5), stats.t(30.0, scale=0.5).cdf),
    "contaminated_normal": (
        reward_laws.contaminated_normal(0.2, 5.0, 0.5),
        lambda x: 0.2 * stats.norm.cdf(x / 5.0) + 0.8 * stats.norm.cdf(x / 0.5),
    ),
    "log_normal": (reward_laws.log_normal(0.7), stats.lognorm(0.7).cdf),
}
DISCRETE = [
    reward_laws.bernoulli(0.3),
    reward_laws.three_level(),
    reward_laws.three_level((3, -1, 0.5), (0.1, 0.2, 0.7)),
]
ALL = [*reward_laws.named(), *(law for law, _ in CONTINUOUS.values()), *DISCRETE]


@pytest.mark.parametrize("name", CONTINUOUS)
def test_whole_distribution_by_kolmogorov_and_smirnov(name: str) -> None:
    law, cdf = CONTINUOUS[name]
    assert stats.kstest(sample(law, N, seed=3, centred=False), cdf).pvalue > 1e-4


@pytest.mark.parametrize("law", DISCRETE, ids=str)
def test_shares_of_a_finite_law(law: Law) -> None:
    assert law.support is not None
    values, shares = law.support
    drawn = sample(law, N, seed=4, centred=False)
    counts = [np.count_nonzero(drawn == v) for v in values]
    assert sum(counts) == N
    assert stats.chisquare(counts, np.array(shares) * N).pvalue > 1e-4


@pytest.mark.parametrize("law", ALL, ids=str)
def test_mean_is_exact_after_centring(law: Law) -> None:
    drawn = sample(law, N, seed=5, mean=3.0)
    assert np.isfinite(drawn).all()
    if math.isfinite(law.variance):
        assert abs(drawn.mean() - 3.0) < 5 * math.sqrt(law.variance / N)
    else:
        assert abs(np.median(drawn) - 3.0) < 0.02  # 1/(2 f(0) √N) is below 0.004 for df 1 and 2


@pytest.mark.parametrize("law", [law for law in ALL if math.isfinite(law.variance)], ids=str)
def test_variance(law: Law) -> None:
    """Within five standard errors, which come from the sample's own fourth moment."""
    square = sample(law, N, seed=6) ** 2
    assert abs(square.mean() - law.variance) <= 5 * square.std() / math.sqrt(N)


@pytest.mark.parametrize("law", ALL, ids=str)
def test_symmetry_is_told(law: Law) -> None:
    drawn = sample(law, N, seed=7)
    mirrored = stats.ks_2samp(drawn.round(9), (-sample(law, N, seed=8)).round(9)).pvalue
    assert (mirrored > 1e-6) == law.symmetric


def test_moments_without_a_sample() -> None:
    assert math.isnan(reward_laws.student_t(1).variance)
    assert reward_laws.student_t(1.5).variance == math.inf
    assert math.isnan(reward_laws.student_t(1).mean)
    assert reward_laws.student_t(1).centre == 0.0
    assert reward_laws.three_level().mean == pytest.approx(0.9)
    assert reward_laws.log_normal(0.5).variance == pytest.approx(stats.lognorm(0.5).var())
    assert reward_laws.three_level((0, 1, 2), (0.25, 0.5, 0.25)).symmetric
    assert reward_laws.three_level((0, 0, 1), (0.25, 0.25, 0.5)).symmetric
    assert not reward_laws.three_level().symmetric


@pytest.mark.parametrize("law", [law for law in ALL if law.name != "bernoulli"], ids=str)
def test_against_plain_python(law: Law) -> None:
    """Relative 1e-12: the logarithms and cosines are those of two libraries."""
    drawn = sample(law, 50, seed=11, centred=False)
    for i, x in enumerate(drawn):
        uniforms = [reference.uniform(11, 0, 0, 0, i, d) for d in range(3)]
        expected = reference.law(law.name, law.parameters, *uniforms)
        assert x == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_a_sample_is_a_function_of_seed_and_place() -> None:
    whole = sample("normal", (4, 5), seed=1)
    assert np.array_equal(whole.ravel()[:7], sample("normal", 7, seed=1))
    assert not np.array_equal(whole, sample("normal", (4, 5), seed=2))


def test_named_laws_are_the_defaults_of_their_names() -> None:
    assert [law.name for law in reward_laws.named()] == [
        "bernoulli", "normal", "student_t", "contaminated_normal", "log_normal", "three_level",
    ]  # fmt: skip
    assert all(reward_laws.law(law.name) == law for law in reward_laws.named())
    assert str(reward_laws.student_t()) == "student_t(df=2, scale=1)"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: reward_laws.law("student"), "unknown reward law 'student'; nearest: 'student_t'"),
        (lambda: Law("normol", (1.0,)), "nearest: 'normal'"),
        (lambda: Law("normal", ()), "normal has the parameters"),
        (lambda: reward_laws.bernoulli(1.1), "probability must be a number from 0 to 1, not 1.1"),
        (lambda: reward_laws.bernoulli(math.nan), "not nan"),
        (lambda: reward_laws.normal(-1), "sigma must be a number from 0 to inf, not -1"),
        (lambda: reward_laws.normal(math.inf), "not inf"),
        (lambda: reward_laws.student_t(0), "df must be a number from 0.5"),
        (lambda: reward_laws.contaminated_normal(share=2), "share must be a number from 0 to 1"),
        (lambda: reward_laws.log_normal(11), "sigma must be a number from 0 to 10"),
        (lambda: reward_laws.three_level((0, 1), (0.5, 0.5)), "needs 3 levels"),
        (lambda: reward_laws.three_level((0, 1, 2), (0.5, 0.5, 0.5)), "must sum to 1"),
        (lambda: sample("normal", 3, seed=-1), "seed must be from 0"),
    ],
)
def test_what_cannot_be_a_law_is_refused(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=message):
        make()
