"""What a distance is, and the family canonicalisation-norm-metric: scale by one norm, measure with another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from lab.distances.canonical import CANONS, Array, Canon, Form, find
from lab.distances.norms import NORMS, lengths
from simulators.mdp.mdp import MDP

__all__ = ["NORMALISERS", "PROPERTIES", "Distance", "between", "family", "rounding", "scales", "standard"]

#: What a distance may declare. Equivalent rewards order all policies alike: they differ by the first three and scale.
PROPERTIES: Mapping[str, str] = MappingProxyType(
    {
        "shaping": "blind to a potential, R + γφ(s′) − φ(s)",
        "offset": "blind to a constant added to every reward",
        "redistribution": "blind to how a reward is spread over next states, where its expectation stays",
        "scale": "blind to a positive factor on either reward",
        "symmetric": "the same from the first reward to the second as back",
        "triangle": "never longer than the way over a third reward",
        "opposite": "a reward and its negative are as far apart as any two can be",
        "starc": "small exactly where no policy pair can be misjudged by much: bounds worst-case regret both ways",
    }
)

#: First norm of a name: the six norms, and "none" for no scaling.
NORMALISERS = ("none", *NORMS)

#: A form that is smaller than this share of its reward, over 1 - discount, is rounding, and counts as zero.
ROUNDING = 1e-12

_CHUNK = 1 << 16


@dataclass(frozen=True)
class Distance:
    """A distance between rewards.

    Attributes:
        name: What users write.
        function: `function(mdp, rewards [N, S, A, S], i [M], j [M], *, options) -> [M]`, distances from i to j.
        properties: The declared members of `PROPERTIES`.
        maximum: The largest value it takes; None where that depends on the world, or there is none.
        equation: In Unicode.
        paper: Slug of the paper's page.
        options: Names and defaults of what else `compute` takes for it.
        parts: (canonicalisation, norm that scales, metric) for the members of the family, else None.
    """

    name: str
    function: Callable[..., Array]
    properties: frozenset[str]
    maximum: float | None
    equation: str
    paper: str
    options: Mapping[str, Any]
    parts: tuple[str, str, str] | None = None


def scales(mdp: MDP, form: Form, norms: Sequence[str]) -> Array:
    """1 / n(C) for each reward and normaliser [N, len(norms)]; 1 for "none", 0 where n(C) is zero but for rounding.

    So the zero reward, and every reward that the norm sees nothing of, stands at zero: at distance 0 from each other.
    """
    if "none" in norms:
        at = list(norms).index("none")
        return np.insert(scales(mdp, form, [*norms[:at], *norms[at + 1 :]]), at, 1.0, axis=-1)
    length = lengths(mdp, form.kind, form.values, norms)
    zero = length <= rounding(mdp) * lengths(mdp, form.kind, form.reference, norms)
    return np.where(zero, 0.0, 1 / np.where(zero, 1.0, length)) if zero.any() else 1 / length


def rounding(mdp: MDP) -> float:
    """The share of its reward below which a form is rounding: it grows with the horizon 1 / (1 - g)."""
    return ROUNDING / (1 - mdp.discount) if mdp.discount < 1 else ROUNDING


def between(mdp: MDP, form: Form, first: Array, second: Array, norms: Sequence[str], metrics: Sequence[str]) -> Array:
    """Distances m(C1 / n(C1) - C2 / n(C2)) between pairs of canonical forms.

    Args:
        mdp: The world.
        form: Canonical forms of N rewards.
        first: Index of the first reward of each pair [M].
        second: Index of the second [M].
        norms: Normalisers n.
        metrics: Norms m.

    Returns:
        [M, len(norms), len(metrics)].

    Source: starc, STARC distance in three steps; golden file starc.json.
    """
    out = np.empty((len(first), len(norms), len(metrics)))
    size = max(1, _CHUNK // form.values.shape[1])
    for k, scale in enumerate(scales(mdp, form, norms).T):
        unit = form.values * scale[:, None]
        for start in range(0, len(first), size):
            some = slice(start, start + size)
            out[some, k] = lengths(mdp, form.kind, unit[first[some]] - unit[second[some]], metrics)
    return out


def standard(mdp: MDP, canon: Canon, rewards: Array, options: Mapping[str, Any]) -> Form:
    """The canonical forms of rewards [N, S, A, S] under the options that this canonicalisation takes."""
    return find(canon.name).function(mdp, rewards, **{k: v for k, v in options.items() if k in canon.options})


def _proportional(canon: Canon, norm: str, metric: str) -> bool:
    """Whether both norms are the same on this canonicalisation's forms but for a factor."""
    same_power = norm in NORMS and NORMS[norm][0] == NORMS[metric][0] != 0
    return norm == metric or (canon.level and same_power)


def _member(canon: Canon, norm: str, metric: str) -> Distance:
    def measure(mdp: MDP, rewards: Array, first: Array, second: Array, **options: Any) -> Array:
        return between(mdp, standard(mdp, canon, rewards, options), first, second, [norm], [metric])[:, 0, 0]

    holds = set(canon.unchanged) | {"symmetric", "triangle"}
    scaled = norm != "none"
    holds |= {"scale"} if scaled else set()
    holds |= {"opposite"} if canon.linear and _proportional(canon, norm, metric) else set()
    holds |= {"starc"} if scaled and "redistribution" in holds else set()
    divided = "s = C / n(C)" if scaled else "s = C"
    equation = f"{canon.equation};  {divided};  d = m(s₁ − s₂),  n = {norm}, m = {metric}"
    name = f"{canon.name}-{norm}-{metric}"
    maximum = 2.0 if norm == metric else None
    parts = (canon.name, norm, metric)
    return Distance(name, measure, frozenset(holds), maximum, equation, canon.paper, canon.options, parts)


def family() -> list[Distance]:
    """Every canonicalisation with every normaliser and every metric."""
    return [_member(c, n, m) for c in CANONS.values() for n in NORMALISERS for m in NORMS]
