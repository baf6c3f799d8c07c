"""Softmax tables: accurate, the same bits compiled and not, never stale."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from simulators import Policy
from simulators.softmax import exp, tables


def policy(logits: np.ndarray) -> Policy:
    return Policy(np.array(logits, np.float64), np.arange(len(logits)).astype(np.uint64))


@given(st.floats(-708, 0))
def test_exp_is_within_two_units_in_the_last_place(x: float) -> None:
    expected = np.exp(np.longdouble(x))
    assert abs(exp(x) - expected) <= 2 * np.spacing(float(expected))


@given(st.floats(-1000, 0))
def test_exp_has_the_same_bits_without_a_compiler(x: float) -> None:
    """So nothing was contracted or reordered, and other machines agree."""
    with np.errstate(all="ignore"):
        assert exp(x) == exp.py_func(x)


def test_exp_at_the_ends() -> None:
    assert (exp(0.0), exp(-709.0), exp(-np.inf)) == (1.0, 0.0, 0.0)
    assert np.isnan(exp(np.nan))


@pytest.mark.parametrize("arms", [1, 2, 3, 5, 16, 33])
def test_tables_against_scipy(arms: int) -> None:
    logits = np.random.default_rng(arms).normal(0, 20, (3, 4, 2, arms))
    table = tables(policy(logits))
    assert np.allclose(table.probabilities, special.softmax(logits, axis=-1), rtol=1e-14, atol=1e-300)
    assert np.allclose(table.log_total, special.logsumexp(logits, axis=-1), rtol=1e-14)
    sums = np.cumsum(table.probabilities, axis=-1) * table.cumulative[..., -1:]
    assert np.allclose(table.cumulative, sums, rtol=1e-14)


def test_extreme_logits_stay_probabilities() -> None:
    table = tables(policy(np.array([[[[1e308, -1e308, 0.0]]]])))
    assert table.probabilities.tolist() == [[[[1.0, 0.0, 0.0]]]]


def test_diverged_logits_are_nan_in_their_row_alone() -> None:
    table = tables(policy(np.array([[[[0.0, np.nan]], [[0.0, 0.0]]]])))
    assert np.isnan(table.probabilities[0, 0]).all()
    assert (table.probabilities[0, 1] == 0.5).all()


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.floats(-5, 5)), max_size=8))
def test_changes_in_place_are_seen(changes: list[tuple[int, int, float]]) -> None:
    walked = policy(np.zeros((3, 4, 1, 5)))
    for run, prompt, move in changes:
        walked.parameters[run, prompt, 0, 2] += move
        seen, fresh = tables(walked), tables(policy(walked.parameters))
        for field in dataclasses.fields(seen):
            assert np.array_equal(getattr(seen, field.name), getattr(fresh, field.name))


def test_a_copy_has_tables_of_its_own() -> None:
    one = policy(np.zeros((1, 1, 1, 2)))
    before = tables(one).probabilities
    other = dataclasses.replace(one, parameters=one.parameters + np.arange(2.0))
    tables(other)
    assert (before == 0.5).all()
