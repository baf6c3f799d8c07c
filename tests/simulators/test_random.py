"""The numbers are uniform, independent from counter to counter, and the same as in plain Python."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from simulators import random
from tests.simulators import reference

COUNTERS = ("seed", "step", "attempt", "prompt", "rollout", "draw")
SURE = 1 - 1e-6  # how rarely a sound generator fails one of these fixed tests


def along(counter: str, count: int, **others: int) -> Any:
    """Numbers along one counter, from 0."""
    fixed: dict[str, Any] = {"seed": 0, **others, counter: np.arange(count)}
    return random.uniforms(**fixed)


@given(
    st.integers(0, 2**64 - 1), st.integers(0, 2**40), st.integers(0, 99), st.integers(0, 2**32),
    st.integers(0, 2**41), st.integers(0, 2**16 - 1),
)  # fmt: skip
def test_numpy_compiled_and_plain_python_give_the_same_bits(
    seed: int, step: int, attempt: int, prompt: int, rollout: int, draw: int
) -> None:
    expected = reference.uniform(seed, step, attempt, prompt, rollout, draw)
    s, t, a, p, r, d = (np.uint64(c) for c in (seed, step, attempt, prompt, rollout, draw))
    key = random.prompt_key(np.uint64(random.step_key(s, t, a)), p)
    assert random.uniform(np.uint64(key), r, d) == expected
    assert random.uniforms(s, step=t, attempt=a, prompt=p, rollout=r, draw=d) == expected


def test_splitmix64_as_published() -> None:
    """First outputs of SplitMix64 from seed 1234567, as its authors' C code prints them."""
    golden = np.uint64(0x9E3779B97F4A7C15)
    states = np.uint64(1234567) + golden * np.arange(1, 4, dtype=np.uint64)
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [int(random.mix(s)) for s in states] == expected


@pytest.mark.parametrize("counter", COUNTERS)
def test_uniform_along_every_counter(counter: str) -> None:
    numbers = along(counter, 60_000)
    cells = np.bincount((numbers * 64).astype(int), minlength=64)
    assert stats.chisquare(cells).statistic < stats.chi2.ppf(SURE, 63)
    assert 0 <= numbers.min() < 1e-3
    assert 1 - 1e-3 < numbers.max() < 1


@pytest.mark.parametrize("counter", COUNTERS)
def test_lowest_bits_are_fair(counter: str) -> None:
    bits = (along(counter, 40_000, step=7 * (counter != "step")) * 2**53).astype(np.uint64)
    for shift in range(8):
        ones = int(((bits >> np.uint64(shift)) & np.uint64(1)).sum())
        assert abs(ones - 20_000) < 5 * 100  # five standard deviations, √(40000/4)


@pytest.mark.parametrize("counter", COUNTERS)
@pytest.mark.parametrize("lag", [1, 2])
def test_neighbours_are_independent(counter: str, lag: int) -> None:
    numbers = (along(counter, 60_000) * 16).astype(int)
    pairs = np.bincount(16 * numbers[:-lag] + numbers[lag:], minlength=256)
    assert stats.chisquare(pairs).statistic < stats.chi2.ppf(SURE, 255)


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(COUNTERS, 2)))
def test_swapped_counters_give_other_numbers(first: str, second: str) -> None:
    """(3, 5) and (5, 3) are different places: the counters are not simply added."""
    one = random.uniforms(**{"seed": 0, first: 3, second: 5})
    other = random.uniforms(**{"seed": 0, first: 5, second: 3})
    assert one != other


def test_no_two_counters_share_a_number() -> None:
    grid = np.ix_(*(np.arange(n) for n in (8, 16, 2, 16, 16, 16)))
    numbers = random.uniforms(grid[0], **dict(zip(COUNTERS[1:], grid[1:], strict=True)))
    assert numbers.shape == (8, 16, 2, 16, 16, 16)
    assert np.unique(numbers).size == numbers.size


def test_every_input_bit_moves_every_output_bit() -> None:
    inputs = (np.random.default_rng(0).random(2000) * 2**63).astype(np.uint64)
    for bit in range(64):
        changed = random.mix.py_func(inputs) ^ random.mix.py_func(inputs ^ np.uint64(1 << bit))
        share = np.array([((changed >> np.uint64(b)) & np.uint64(1)).mean() for b in range(64)])
        assert np.abs(share - 0.5).max() < 6 * 0.5 / np.sqrt(2000)


def test_negative_counters_are_refused() -> None:
    with pytest.raises(ValueError, match="must be 0 or more"):
        random.uniforms(0, step=-1)
