"""Laws of a reward around its mean, as records, as a compiled draw, and as arrays of samples.

The heavy-tailed and skewed ones are those of the sign-flip studies (paper slug mc-grpo).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulators.compiled import kernel
from simulators.errors import unknown_name
from simulators.random import prompt_key, step_key, uniform
from simulators.records import Floats

__all__ = [
    "BERNOULLI",
    "Law",
    "bernoulli",
    "contaminated_normal",
    "draw",
    "law",
    "log_normal",
    "named",
    "normal",
    "sample",
    "student_t",
    "three_level",
    "warm",
]

_PARAMETERS = {
    "bernoulli": ("probability",),
    "normal": ("sigma",),
    "student_t": ("df", "scale"),
    "contaminated_normal": ("share", "outlier_scale", "sigma"),
    "log_normal": ("sigma",),
    "three_level": ("level_0", "level_1", "level_2", "share_0", "share_1", "share_2"),
}
_BOUNDS = {"probability": (0, 1), "share": (0, 1), "level": (-math.inf, math.inf), "df": (0.5, math.inf)}
_LOG_BOUND = 10.0  # beyond this sigma the mean of a log-normal is never seen in a sample
_CODES = {name: code for code, name in enumerate(_PARAMETERS)}
BERNOULLI, _NORMAL, _STUDENT, _CONTAMINATED, _LOG_NORMAL, _THREE = range(len(_CODES))
_TURN = 2.0 * math.pi


@dataclass(frozen=True)
class Law:
    """The law of a reward X, before it is shifted to an arm's mean.

    Attributes:
        name: one of the functions of this module.
        parameters: its numbers, in the order of that function's arguments.
    """

    name: str
    parameters: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.name not in _PARAMETERS:
            raise unknown_name("reward law", self.name, _PARAMETERS)
        wanted = _PARAMETERS[self.name]
        if len(self.parameters) != len(wanted):
            raise ValueError(f"{self.name} has the parameters {wanted}, not {self.parameters}")
        for name, value in self.options.items():
            low, high = _BOUNDS.get(name.split("_")[0], (0, _LOG_BOUND if self.name == "log_normal" else math.inf))
            if not (math.isfinite(value) and low <= value <= high):
                raise ValueError(f"{self.name}: {name} must be a number from {low:g} to {high:g}, not {value}")
        if self.name == "three_level" and not math.isclose(sum(self.parameters[3:]), 1.0, abs_tol=1e-9):
            raise ValueError(f"three_level: probabilities must sum to 1, not {sum(self.parameters[3:])}")

    @property
    def options(self) -> dict[str, float]:
        """The parameters with their names."""
        return dict(zip(_PARAMETERS[self.name], self.parameters, strict=True))

    @property
    def mean(self) -> float:
        """E[X]; nan where it does not exist (Student t with df ≤ 1)."""
        return _mean(self.name, self.parameters)

    @property
    def centre(self) -> float:
        """What is subtracted to centre the law: the mean, or the point of symmetry without one."""
        return 0.0 if math.isnan(self.mean) else self.mean

    @property
    def variance(self) -> float:
        """Var[X]; inf for Student t with 1 < df ≤ 2, nan with df ≤ 1 (it does not exist)."""
        return _variance(self.name, self.parameters)

    @property
    def symmetric(self) -> bool:
        """Whether X − centre and centre − X have the same law."""
        if self.support is None:
            return self.name != "log_normal"
        values, _ = self.support
        return all(math.isclose(self._mass(v), self._mass(2 * self.centre - v), abs_tol=1e-9) for v in values)

    def _mass(self, value: float) -> float:
        """Probability of (nearly) this value, for a law with a finite list of them."""
        values, shares = self.support or ((), ())
        near = 1e-9 * (1.0 + max(map(abs, values)))
        return sum(q for v, q in zip(values, shares, strict=True) if abs(v - value) <= near)

    @property
    def support(self) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """(values, probabilities) where the law has a finite list of values; None elsewhere."""
        if self.name == "bernoulli":
            return (0.0, 1.0), (1.0 - self.parameters[0], self.parameters[0])
        return (self.parameters[:3], self.parameters[3:]) if self.name == "three_level" else None

    @property
    def code(self) -> int:
        """The law's number in compiled code."""
        return _CODES[self.name]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{k}={v:g}' for k, v in self.options.items())})"


def bernoulli(probability: float = 0.5) -> Law:
    """X = 1 with this probability, else 0. In a bandit each arm has its own probability."""
    return Law("bernoulli", (float(probability),))


def normal(sigma: float = 1.0) -> Law:
    """X ~ N(0, σ²)."""
    return Law("normal", (float(sigma),))


def student_t(df: float = 2.0, scale: float = 1.0) -> Law:
    """X = scale · T with T ~ Student t of `df` ≥ 0.5 degrees of freedom (no mean for df ≤ 1)."""
    return Law("student_t", (float(df), float(scale)))


def contaminated_normal(share: float = 0.1, outlier_scale: float = 10.0, sigma: float = 1.0) -> Law:
    """X ~ N(0, outlier_scale²) with probability `share`, else N(0, σ²) (mc-grpo.2)."""
    return Law("contaminated_normal", (float(share), float(outlier_scale), float(sigma)))


def log_normal(sigma: float = 1.0) -> Law:
    """X = exp(σ Z) with Z ~ N(0, 1) and σ from 0 to 10; its mean is exp(σ²/2)."""
    return Law("log_normal", (float(sigma),))


def three_level(levels: Sequence[float] = (0.0, 1.5, 2.0), probabilities: Sequence[float] = (0.5, 0.2, 0.3)) -> Law:
    """X takes one of three values: by default the MC-GRPO recipe's wrong, equal and exact match."""
    if len(levels) != 3 or len(probabilities) != 3:
        raise ValueError(f"three_level: needs 3 levels and 3 shares, not {levels} and {probabilities}")
    return Law("three_level", (*map(float, levels), *map(float, probabilities)))


_MAKERS = {f.__name__: f for f in (bernoulli, normal, student_t, contaminated_normal, log_normal, three_level)}


def named() -> list[Law]:
    """Every law with its default parameters, in the order in which pages show them."""
    return [make() for make in _MAKERS.values()]


def law(name: str | Law) -> Law:
    """The law itself, or the one of this name with its defaults; ValueError for an unknown name."""
    if isinstance(name, Law):
        return name
    if name not in _MAKERS:
        raise unknown_name("reward law", name, _MAKERS)
    return _MAKERS[name]()


def sample(
    reward_law: str | Law,
    shape: int | Sequence[int],
    *,
    seed: int = 0,
    mean: float = 0.0,
    centred: bool = True,
) -> Floats:
    """Independent rewards of one law, without a policy.

    Args:
        reward_law: a law or its name.
        shape: shape of the result; element i (in C order) depends on (seed, i) alone.
        seed: any integer from 0.
        mean: added to every reward.
        centred: subtract the law's own centre first, so that the expected reward is `mean`.

    Returns:
        mean + X − centre, or mean + X if not `centred`, of the given shape.
    """
    chosen = law(reward_law)
    out = np.empty(shape)
    shift = mean - chosen.centre if centred else mean
    key = prompt_key(np.uint64(step_key(_seed(seed), np.uint64(0), np.uint64(0))), np.uint64(0))
    _fill(out.reshape(-1), chosen.code, np.array(chosen.parameters), shift, np.uint64(key))
    return out


def warm() -> None:
    """Compile the sampling kernel, or load it from the disk cache."""
    sample("normal", 1)


@kernel
def draw(code: int, parameters: Floats, key: Any, rollout: Any, first: Any) -> float:
    """One X of the law with this code (compiled; counters uint64; uses draws first .. first+2).

    Normals by Box and Muller, Student t by Bailey's formula (1994, exact for every df):
    T = √(df (U^(−2/df) − 1)) · cos 2πV. U is 1 − u in (0, 1], so nothing is infinite.
    """
    u = uniform(key, rollout, first)
    if code == BERNOULLI:
        return 1.0 if u < parameters[0] else 0.0
    if code == _THREE:
        level = (u >= parameters[3]) + (u >= parameters[3] + parameters[4])
        return parameters[level]
    angle = math.cos(_TURN * uniform(key, rollout, first + np.uint64(1)))
    if code == _STUDENT:
        df = parameters[0]
        return parameters[1] * math.sqrt(df * math.expm1(-2.0 / df * math.log1p(-u))) * angle
    z = math.sqrt(-2.0 * math.log1p(-u)) * angle
    if code == _CONTAMINATED:
        outlier = uniform(key, rollout, first + np.uint64(2)) < parameters[0]
        return z * (parameters[1] if outlier else parameters[2])
    return math.exp(parameters[0] * z) if code == _LOG_NORMAL else parameters[0] * z


@kernel
def _fill(out: Floats, code: int, parameters: Floats, shift: float, key: Any) -> None:
    for i in range(out.size):
        out[i] = shift + draw(code, parameters, key, np.uint64(i), np.uint64(0))


def _mean(name: str, p: tuple[float, ...]) -> float:
    if name == "bernoulli":
        return p[0]
    if name == "log_normal":
        return math.exp(p[0] ** 2 / 2)
    if name == "three_level":
        return sum(level * share for level, share in zip(p[:3], p[3:], strict=True))
    return math.nan if name == "student_t" and p[0] <= 1 else 0.0


def _variance(name: str, p: tuple[float, ...]) -> float:
    if name == "student_t":
        df, scale = p
        return scale**2 * df / (df - 2) if df > 2 else math.inf if df > 1 else math.nan
    if name == "contaminated_normal":
        return p[0] * p[1] ** 2 + (1 - p[0]) * p[2] ** 2
    if name == "log_normal":
        return math.expm1(p[0] ** 2) * math.exp(p[0] ** 2)
    if name == "three_level":
        mean = _mean(name, p)
        return sum(q * (level - mean) ** 2 for level, q in zip(p[:3], p[3:], strict=True))
    return p[0] * (1 - p[0]) if name == "bernoulli" else p[0] ** 2


def _seed(seed: int) -> np.uint64:
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed must be from 0 to 2**64 - 1, not {seed}")
    return np.uint64(seed)
