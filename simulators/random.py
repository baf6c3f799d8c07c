"""Counter-based random numbers: a number is a hash of (seed, step, attempt, prompt, rollout, draw).

There is no state to pass on, so any two runs with the same seed see the same draws, whatever they
did before, in whatever order or block of seeds they are computed. The hash is a chain of the
64-bit finaliser of SplitMix64 (Steele, Lea and Flood 2014; variant 13 of Stafford): one link for
each counter, and one for (rollout, draw) together, which is one `mix` per number in an inner loop.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from simulators.compiled import kernel
from simulators.records import Floats

__all__ = ["DRAWS", "fold", "mix", "prompt_key", "step_key", "uniform", "uniforms"]

DRAWS = 1 << 16
"""Number of draws that belong to one rollout; a draw of 65536 is the next rollout's draw 0."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_ONE, _S11, _S16 = np.uint64(1), np.uint64(11), np.uint64(16)
_S27, _S30, _S31 = np.uint64(27), np.uint64(30), np.uint64(31)
_ULP = 2.0**-53


@kernel
def mix(x: Any) -> Any:
    """SplitMix64's finaliser: a bijection of uint64 in which every input bit moves every output."""
    x = (x ^ (x >> _S30)) * _FIRST
    x = (x ^ (x >> _S27)) * _SECOND
    return x ^ (x >> _S31)


@kernel
def fold(key: Any, counter: Any) -> Any:
    """The key of `counter` under `key` (both uint64): mix(key + golden · (counter + 1))."""
    return mix(key + _GOLDEN * (counter + _ONE))


@kernel
def step_key(seed: Any, step: Any, attempt: Any) -> Any:
    """Key of one attempt at one step of one run (all uint64)."""
    return fold(fold(mix(seed), step), attempt)


@kernel
def prompt_key(key: Any, prompt: Any) -> Any:
    """Key of one prompt under a step's key (both uint64)."""
    return fold(key, prompt)


@kernel
def uniform(key: Any, rollout: Any, draw: Any) -> Any:
    """Number in [0, 1), a multiple of 2⁻⁵³, for a prompt's key and the two last counters (uint64).

    `rollout` < 2⁴⁸ and `draw` < 65536.
    """
    return np.float64(fold(key, (rollout << _S16) + draw) >> _S11) * _ULP


def uniforms(
    seed: ArrayLike,
    *,
    step: ArrayLike = 0,
    attempt: ArrayLike = 0,
    prompt: ArrayLike = 0,
    rollout: ArrayLike = 0,
    draw: ArrayLike = 0,
) -> Floats:
    """The same numbers from NumPy: uniforms in [0, 1) for counters that broadcast together.

    Raises:
        ValueError: for a negative counter.
    """
    raw = np.broadcast_arrays(seed, step, attempt, prompt, rollout, draw)
    if any(np.any(a < 0) for a in raw):
        raise ValueError("counters of random numbers must be 0 or more")
    s, t, a, p, r, d = (np.atleast_1d(c).astype(np.uint64) for c in raw)
    key = _fold(_fold(_fold(mix.py_func(s), t), a), p)
    numbers = (_fold(key, (r << _S16) + d) >> _S11).astype(np.float64) * _ULP
    return numbers.reshape(raw[0].shape)


def _fold(key: Any, counter: Any) -> Any:
    return mix.py_func(key + _GOLDEN * (counter + _ONE))
