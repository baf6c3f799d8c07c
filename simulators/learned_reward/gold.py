"""Gold rewards: what is meant, and known here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from simulators.errors import check_count, one_of
from simulators.learned_reward.perceptron import Perceptron
from simulators.records import Floats

__all__ = ["GOLDS", "WIDTH", "Gold", "base", "gold"]

#: Coordinates of a response.
WIDTH = 16
#: Numbers of base responses by which rewards are standardised, and their seed.
STANDARD, _STANDARD_SEED, _GOLD_SEEDS = 20_000, 424_242, 10_000
_SYMBOLS, _HIDDEN, _FAR, _PAIRED = 4, 32, 3.0, 0.7

Draw = Callable[[np.random.Generator, int], Floats]


@dataclass(frozen=True, eq=False)
class Gold:
    """A reward with mean 0 and deviation 1 under the base policy.

    Attributes:
        name: One of `GOLDS`.
        raw: Responses [..., D] -> rewards [...] before they are standardised.
        draw: Generator and number -> responses of the base policy [n, D].
        raw_mean: Centre [S, D] of a Gaussian policy -> mean of `raw` under it [S]; None where responses are no points.
        shift: Mean of `raw` under the base policy.
        scale: Its deviation.
    """

    name: str
    raw: Callable[[Floats], Floats]
    draw: Draw
    raw_mean: Callable[[Floats], Floats] | None
    shift: float = 0.0
    scale: float = 1.0

    def __call__(self, responses: Floats) -> Floats:
        """Rewards [...] of responses [..., D]."""
        return (self.raw(np.asarray(responses, np.float64)) - self.shift) / self.scale

    def mean(self, at: Floats) -> Floats:
        """Expected reward [S] of responses N(at, I), at [S, D]; exact.

        Raises:
            ValueError: The responses are sequences.
        """
        if self.raw_mean is None:
            raise ValueError(f"gold {self.name!r} is a reward of sequences; a Gaussian policy has none")
        return (self.raw_mean(np.asarray(at, np.float64)) - self.shift) / self.scale


def gold(name: str = "bowl", seed: int = 0) -> Gold:
    """A gold reward of responses of 16 numbers.

    "linear" rises for ever along a direction; "mlp" saturates; "bowl" rises up to a point and falls without bound
    beyond it; "sequence" is one of 4 tokens of 4 symbols, as one-hot rows, and of neighbours.

    Args:
        name: One of `GOLDS`.
        seed: Of the direction, the network, the tables.

    Raises:
        ValueError: No such gold.

    Source: preference-substrate card, responses and gold rewards.
    """
    made = one_of("gold reward", name, GOLDS)
    rng = np.random.default_rng(_GOLD_SEEDS + check_count("seed", seed, least=0))
    found: Gold = made(rng)
    seen = found.raw(found.draw(np.random.default_rng(_STANDARD_SEED), STANDARD))
    return Gold(name, found.raw, found.draw, found.raw_mean, float(seen.mean()), float(seen.std()))


def base(rng: np.random.Generator, number: int) -> Floats:
    """Responses of the base policy N(0, I) [n, 16]."""
    return rng.standard_normal((number, WIDTH))


def _direction(rng: np.random.Generator) -> Floats:
    way = rng.standard_normal(WIDTH)
    return np.asarray(way / np.linalg.norm(way))


def _linear(rng: np.random.Generator) -> Gold:
    way = _direction(rng)
    return Gold("linear", lambda x: x @ way, base, lambda at: at @ way)


def _mlp(rng: np.random.Generator) -> Gold:
    weights, offsets = rng.standard_normal((WIDTH, _HIDDEN)) / np.sqrt(WIDTH), 0.5 * rng.standard_normal(_HIDDEN)
    out = rng.standard_normal(_HIDDEN) / np.sqrt(_HIDDEN)
    net = Perceptron(2 * weights.T[None], 2 * offsets[None], out[None], np.zeros(1), "tanh")
    return Gold("mlp", lambda x: net(x[None])[0], base, lambda at: np.concatenate([net.mean(row[None]) for row in at]))


def _bowl(rng: np.random.Generator) -> Gold:
    best = _FAR * _direction(rng)

    def raw(x: Floats) -> Floats:
        return -0.5 * ((x - best) ** 2).sum(-1)

    return Gold("bowl", raw, base, lambda at: raw(at) - 0.5 * WIDTH)


def _sequence(rng: np.random.Generator) -> Gold:
    length = WIDTH // _SYMBOLS
    own, pairs = rng.standard_normal((length, _SYMBOLS)), rng.standard_normal((length - 1, _SYMBOLS, _SYMBOLS))

    def draw(rng: np.random.Generator, number: int) -> Floats:
        return np.eye(_SYMBOLS)[rng.integers(_SYMBOLS, size=(number, length))].reshape(number, WIDTH)

    def raw(x: Floats) -> Floats:
        tokens = x.reshape(*x.shape[:-1], length, _SYMBOLS)
        joint = np.einsum("...tv,tvw,...tw->...", tokens[..., :-1, :], pairs, tokens[..., 1:, :])
        return np.asarray((tokens * own).sum((-2, -1)) + _PAIRED * joint)

    return Gold("sequence", raw, draw, None)


#: Name of a gold reward -> generator -> the reward before it is standardised.
GOLDS: Mapping[str, Callable[[np.random.Generator], Gold]] = {
    "bowl": _bowl, "linear": _linear, "mlp": _mlp, "sequence": _sequence,
}  # fmt: skip
