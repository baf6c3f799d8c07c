"""Combining rules: the shortest vector of a hull against brute force, and what holds of it."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import lab
from lab.combining import shares
from lab.errors import InputError, UnknownNameError

RNG = np.random.default_rng(5)


def simplex(number: int, parts: int) -> np.ndarray:
    """All weights of the simplex that are multiples of 1/parts."""
    return np.array([p for p in product(range(parts + 1), repeat=number) if sum(p) == parts]) / parts


def square(weights: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Squared norms of the combined gradients: [..., K] and [K, N] -> [...]."""
    return ((weights @ gradients) ** 2).sum(axis=-1)


def test_two_gradients_have_the_closed_form_and_no_finer_grid_finds_a_shorter_vector() -> None:
    grid = np.linspace(0, 1, 100_001)
    inside = 0
    for _ in range(200):
        g1, g2 = gradients = RNG.normal(size=(2, 3)) + RNG.normal(size=3)
        found = shares("min-norm", gradients)
        closed = np.clip((g2 - g1) @ g2 / ((g1 - g2) @ (g1 - g2)), 0, 1)
        assert found == pytest.approx([closed, 1 - closed], abs=1e-12)
        best = grid[square(np.stack([grid, 1 - grid], axis=-1), gradients).argmin()]
        assert found[0] == pytest.approx(best, abs=1.01e-5)
        inside += 0 < closed < 1
    assert 20 < inside < 180, "both the ends and the inside were met"


def test_three_gradients_against_a_fine_grid_of_the_simplex() -> None:
    grid = simplex(3, 200)
    faces = set()
    for _ in range(60):
        gradients = RNG.normal(size=(3, 4)) + 0.7 * RNG.normal(size=4)
        found = shares("min-norm", gradients)
        lengths = square(grid, gradients)
        assert square(found, gradients) <= lengths.min() + 1e-12
        assert found == pytest.approx(grid[lengths.argmin()], abs=0.05)
        faces.add(int((found > 0).sum()))
    assert faces == {1, 2, 3}


@given(arrays(np.float64, st.tuples(st.integers(2, 5), st.integers(1, 4)), elements=st.integers(-3, 3)), st.booleans())
def test_no_component_falls_along_the_shortest_vector(gradients: np.ndarray, unit: bool) -> None:
    found = shares("min-norm", gradients, unit=unit)
    assert (found >= 0).all() and found.sum() == pytest.approx(1, abs=1e-12)
    step = found @ gradients
    assert (gradients @ step >= -1e-9).all()
    lively = gradients[(gradients != 0).any(axis=1)]
    if not unit and len(lively):
        assert (lively @ step >= step @ step - 1e-9).all()
        assert step @ step <= square(simplex(len(lively), 6), lively).min() + 1e-9


def test_opposed_gradients_leave_no_step_and_a_silent_one_no_trace() -> None:
    opposed = np.array([[3.0, -1.0], [-1.5, 0.5]])
    assert shares("min-norm", opposed) == pytest.approx([1 / 3, 2 / 3])
    assert np.linalg.norm(shares("min-norm", opposed) @ opposed) < 1e-12
    assert shares("min-norm", [[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]) == pytest.approx([0.5, 0, 0.5])
    assert shares("min-norm", np.zeros((4, 3))).tolist() == [0.25] * 4


def test_gradients_of_unit_length_share_by_their_direction_alone() -> None:
    gradients = np.array([[100.0, 0.0], [0.0, 1.0]])
    assert shares("min-norm", gradients) == pytest.approx([1e-4 / 1.0001, 1 / 1.0001])
    found = shares("min-norm", gradients, unit=True)
    step = found @ gradients
    assert found.sum() == pytest.approx(1) and step[0] == pytest.approx(step[1])


def test_repeated_and_dependent_gradients_and_very_unequal_ones() -> None:
    same = np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]])
    assert shares("min-norm", same) @ same == pytest.approx([1, 2])
    square_of_four = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert np.abs(shares("min-norm", square_of_four) @ square_of_four).max() < 1e-12
    unequal = np.array([[1e3, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.1, 0.1]])
    step = shares("min-norm", unequal) @ unequal
    assert (unequal @ step >= (1 - 1e-6) * (step @ step)).all() and step == pytest.approx([2e-5, 0.1, 0.1], rel=1e-4)


def test_a_run_has_the_same_shares_alone_and_beside_others() -> None:
    gradients = RNG.normal(size=(4, 9, 301))
    whole = shares("min-norm", gradients)
    alone = np.concatenate([shares("min-norm", gradients[:, s : s + 1]) for s in range(9)], axis=1)
    assert whole.shape == (4, 9) and np.array_equal(whole, alone)


def test_the_sum_takes_each_once() -> None:
    assert shares("sum", RNG.normal(size=(3, 2, 5))).tolist() == [[1, 1]] * 3


def test_what_the_door_refuses() -> None:
    assert {"sum", "min-norm"} <= set(lab.combining.names())
    with pytest.raises(UnknownNameError, match="nearest: 'min-norm'"):
        shares("min_nrom", [[1.0], [2.0]])
    with pytest.raises(UnknownNameError, match="option of combine rule 'sum'"):
        shares("sum", [[1.0], [2.0]], unit=True)
    with pytest.raises(InputError, match=r"shape \(2,\); they must be \[K, N\] or \[K, S, N\]"):
        shares("sum", [1.0, 2.0])
    with pytest.raises(InputError, match="not finite"):
        shares("min-norm", [[1.0], [np.nan]])
    with pytest.raises(InputError, match="up to 8 gradients; here are 9"):
        shares("min-norm", np.eye(9))
