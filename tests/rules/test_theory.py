"""What the papers prove about their rules, on rewards that Hypothesis draws."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lab import advantages

REWARD = st.floats(-100, 100).map(lambda x: round(x, 3))
GROUPS = hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=9).flatmap(
    lambda shape: hnp.arrays(np.float64, shape, elements=REWARD)
)
BINARY = st.integers(2, 16).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size)))


@given(GROUPS)
def test_rloo_is_dr_grpo_times_g_over_g_minus_1(values: np.ndarray) -> None:
    size = values.shape[1]
    expected = advantages.compute("dr_grpo", values) * size / (size - 1)
    assert np.abs(advantages.compute("rloo", values) - expected).max() < 1e-12 * max(1, np.abs(expected).max())


@given(GROUPS)
def test_grpo_is_bounded_on_any_rewards(values: np.ndarray) -> None:
    size = values.shape[1]
    assert np.abs(advantages.compute("grpo@openrlhf", values)).max() <= (size - 1) / math.sqrt(size) * (1 + 1e-12)


def test_mc_grpo_is_not() -> None:
    outlier = [0.1, 0.2, 0.3, 0.4, 10]
    assert advantages.compute("mc-grpo", outlier).max() == pytest.approx(96.04, abs=5e-3)
    assert advantages.compute("mc-grpo@gsm", outlier).max() == pytest.approx(120.05, abs=5e-3)


@pytest.mark.parametrize("name", ["grpo", "dr_grpo", "rloo", "mc-grpo", "gpg", "reinforce_pp_baseline", "gdpo"])
@given(values=GROUPS, shift=st.integers(-50, 50))
def test_a_bonus_for_everybody_changes_nothing(name: str, values: np.ndarray, shift: int) -> None:
    """For gpg, which counts rewards that are not 0, only where it makes none 0."""
    if name != "gpg" or (values.all() and (values + shift).all()):
        floor = {"eps": 1.0} if "eps" in advantages.rule(name).options else {}
        moved = advantages.compute(name, values + shift, **floor)
        assert moved == pytest.approx(advantages.compute(name, values, **floor), abs=1e-6)


@given(GROUPS, st.floats(0.01, 100))
def test_without_a_floor_grpo_forgets_the_scale(values: np.ndarray, scale: float) -> None:
    plain = advantages.compute("grpo@grpo-advantage", values)
    assert advantages.compute("grpo@grpo-advantage", values * scale) == pytest.approx(plain, abs=1e-6)


@given(GROUPS)
def test_the_pivot_of_mc_grpo_is_the_median(values: np.ndarray) -> None:
    made = advantages.credit("mc-grpo", values)
    assert made.keep is not None
    assert (made.keep.sum(axis=1) == values.shape[1] - 1).all()
    pivots = values[~made.keep]
    assert np.array_equal(pivots, np.sort(values, axis=1)[:, (values.shape[1] - 1) // 2])
    assert np.array_equal(made.advantage[~made.keep], np.zeros(len(values)))
    if values.shape[1] % 2:
        assert np.array_equal(pivots, np.median(values, axis=1))


@given(GROUPS)
def test_gdpo_of_one_reward_is_grpo_over_the_batch_deviation(values: np.ndarray) -> None:
    """K = 1 and no floors: the batch step only rescales."""
    grpo = advantages.compute("grpo@grpo-advantage", values, ddof=1)
    gdpo = advantages.compute("gdpo", values, eps=0.0, batch_eps=0.0)
    spread = grpo.std(ddof=1)
    assert gdpo * spread == pytest.approx(grpo, abs=1e-9)


@given(BINARY)
def test_ngrpo_closed_forms_for_binary_rewards(drawn: tuple[int, int]) -> None:
    """ngrpo card: all wrong −1/√(G+1), all right 0, mean of the real advantages at most 0."""
    size, right = drawn
    values = np.r_[np.ones(right), np.zeros(size - right)]
    advantage = advantages.compute("ngrpo", values)
    closed = -math.sqrt(size * (size - right) / ((size + 1) * (right + 1))) / size
    assert advantage.mean() == pytest.approx(closed, abs=1e-5)
    if right == 0:
        assert advantage == pytest.approx([-1 / math.sqrt(size + 1)] * size, abs=1e-5)
    if right == size:
        assert np.abs(advantage).max() == 0.0


def test_ngrpo_published_numbers() -> None:
    one_of_eight = advantages.compute("ngrpo", [1] + [0] * 7)
    assert one_of_eight[:2] == pytest.approx([1.764, -0.504], abs=5e-4)
    assert advantages.compute("grpo@verl", [1] + [0] * 7)[:2] == pytest.approx([2.475, -0.354], abs=5e-4)


@given(st.integers(2, 16), st.lists(st.integers(0, 16), min_size=2, max_size=6))
def test_bnpo_limits(size: int, right: list[int]) -> None:
    """bnpo.3: α = β = 1 is REINFORCE with a baseline; α = β = 3/2 is GRPO with ddof 0, times π/8."""
    from lab.advantages.bnpo import inverse_beta_density

    values = np.array([[1.0] * min(r, size) + [0.0] * (size - min(r, size)) for r in right])
    success = values.mean(axis=1)
    dr_grpo = advantages.compute("dr_grpo", values)
    one = inverse_beta_density(success, np.float64(1), np.float64(1))
    assert one[:, None] * dr_grpo == pytest.approx(dr_grpo)
    half = np.minimum(inverse_beta_density(success, np.float64(1.5), np.float64(1.5)), 1e6)
    grpo = advantages.compute("grpo@grpo-advantage", values)
    assert half[:, None] * dr_grpo == pytest.approx(grpo * math.pi / 8, abs=1e-6)


def test_gdpo_tells_apart_what_grpo_does_not() -> None:
    """gdpo card, worked example (figure 2): totals (0, 1) and (0, 2) before the batch step."""
    pairs = np.array([[[0, 0], [0, 1]], [[0, 0], [1, 1]]], dtype=float)
    half = math.sqrt(0.5)
    grpo, none = advantages.compute("grpo", pairs, eps=0.0), advantages.compute("dr_grpo", pairs)
    gdpo = advantages.compute("gdpo@no-batch-norm", pairs, eps=0.0)
    assert grpo == pytest.approx(np.array([[-half, half]] * 2))
    assert none == pytest.approx(np.array([[-0.5, 0.5], [-1.0, 1.0]]))
    assert gdpo == pytest.approx(np.array([[-half, half], [-2 * half, 2 * half]]))


def test_gdpo_cancels_complementary_parts() -> None:
    """Limit (i) of the gdpo card: r2 = 1 − r1 with equal weights gives exactly nothing."""
    values = np.array([[[1, 0], [1, 0], [0, 1]]], dtype=float)
    assert np.abs(advantages.compute("gdpo", values)).max() == 0.0
    assert np.abs(advantages.compute("gdpo", values, weights=[1, 0.5])).max() > 0.5
