"""PAR: the chance of being preferred to a reference as the reward, and every other shaping that it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from lab.advantages.statistics import Array
from lab.composites import method
from lab.errors import InputError, UnknownNameError
from lab.registry import preset, register
from lab.rewards.references import references as rewards_of_references
from lab.rewards.references import sigmoid

__all__ = ["bounded", "ceiling", "long_answers", "par", "running"]

#: Least-squares quintic of the logistic function on 100 points from −5 to 5, highest power first.
QUINTIC = (
    2.0266916978035646e-4, 5.296811674492495e-9, -1.0130912034729803e-2, -1.7892410505715416e-7, 0.22878851143138304,
    0.5000008318663806,
)  # fmt: skip
_END = 5.0  # beyond which it is 0 or 1
_HIGHEST, _LOWEST = -10_000.0, 10_000.0  # running extremes before the first reward


def quintic(x: Array) -> Array:
    """A fifth-order polynomial in the place of the logistic function, 0 up to −5 and 1 from 5 on."""
    inner = np.polyval(QUINTIC, np.clip(x, -_END, _END))
    return np.where(x <= -_END, 0.0, np.where(x >= _END, 1.0, inner))


#: Curves of a reward.
SHAPES: Mapping[str, Callable[[Array], Array]] = {
    "sigmoid": sigmoid, "tanh": np.tanh, "arctan": np.arctan, "poly": quintic, "line": lambda x: x,
}  # fmt: skip


def _curve(shape: str) -> Callable[[Array], Array]:
    if shape not in SHAPES:
        raise UnknownNameError("shape", shape, SHAPES)
    return SHAPES[shape]


@register("reward", "par", paper="par", equation="u = mean over m of σ(k (r − ref_m))")
def par(
    rewards: Array, *, reference_rewards: Array, shape: str = "sigmoid", k: float = 1.0, shift: float = 0.0,
    references: int = 10,
) -> Array:  # fmt: skip
    """Preference as reward: a curve of the lead over each reference response, averaged.

    Args:
        rewards: Rewards [..., P, G, K].
        reference_rewards: Rewards of M responses of the initial policy to the same prompt [..., P, M, K].
        shape: "sigmoid", "tanh", "arctan", "poly" or "line".
        k: Steepness.
        shift: Lead at which the curve has its middle.
        references: How many of the references count.

    Returns:
        Shaped rewards [..., P, G, K].

    Raises:
        UnknownNameError: No such shape. InputError: References that do not fit.

    Source: arXiv 2502.18770 and its code; golden file par.json.
    """
    beside = rewards_of_references(rewards, reference_rewards, references)
    lead = rewards[..., :, None, :] - beside[..., None, :, :]
    return np.asarray(_curve(shape)(k * (lead - shift)).mean(axis=-2))


for _k in (2, 3):
    preset("reward", f"par-k{_k}", "par", "steeper", equation=f"u = mean over m of σ({_k} (r − ref_m))", k=float(_k))
for _m in (1, 3, 5, 8):
    preset("reward", f"par-ref{_m}", "par", "fewer references", references=_m)
preset("reward", "sgfc", "par", "slow growth, fast convergence",
       equation="u = mean over m of σ(k (r − ref_m − 3))", shift=3.0)  # fmt: skip
preset("reward", "centered", "par", "no curve", equation="u = r − mean of ref", shape="line")
preset("reward", "tanh-centered", "par", "another curve", equation="u = mean over m of tanh(r − ref_m)", shape="tanh")
preset("reward", "poly-centered", "par", "a polynomial of the curve",
       equation="u = mean over m of p₅(r − ref_m)", shape="poly")  # fmt: skip


@register("reward", "sigmoid", paper="par", equation="u = σ(k r)")
def bounded(rewards: Array, *, shape: str = "sigmoid", k: float = 1.0) -> Array:
    """A curve of the reward itself, without a reference.

    Args:
        rewards: Rewards [..., P, G, K].
        shape: As in `par`.
        k: Steepness.

    Source: arXiv 2502.18770 and its code; golden file par.json.
    """
    return np.asarray(_curve(shape)(k * rewards))


preset("reward", "tanh", "sigmoid", "another curve", equation="u = tanh(r)", shape="tanh")
preset("reward", "arctan", "sigmoid", "another curve", equation="u = arctan(r)", shape="arctan")
preset("reward", "poly", "sigmoid", "a polynomial of the curve", equation="u = p₅(r)", shape="poly")


@register("reward", "ceil", paper="par", equation="u = min(r, c)")
def ceiling(rewards: Array, *, c: float = 4.0) -> Array:
    """Nothing above c counts.

    Args:
        rewards: Rewards [..., P, G, K].
        c: The ceiling, 3 to 5 in the paper.

    Source: arXiv 2502.18770 and its code; golden file par.json.
    """
    return np.minimum(rewards, c)


def _unseen(runs: int) -> dict[str, Array]:
    """Count, mean, sum of squares about it, lowest and highest of no reward, of components that are not known yet."""
    return {"seen": np.empty((runs, 5, 0))}


@register("reward", "meanstd", paper="par", equation="u = (r − μ_t) / σ_t, running", memory=_unseen)
def running(rewards: Array, *, memory: Mapping[str, Array], form: str = "meanstd") -> tuple[Array, dict[str, Array]]:
    """A reward beside all rewards so far, this batch among them.

    Args:
        rewards: Rewards [S, P, G, K].
        memory: `seen` [S, 5, K]: count, mean, sum of squares about it, lowest, highest.
        form: "meanstd"; "clip", to one deviation about the mean; "minmax", 0 the lowest and 1 the highest.

    Returns:
        Shaped rewards [S, P, G, K] and what is remembered. All rewards equal: "meanstd" divides by 1, "minmax" gives 0
        (the authors' code divides by 0).

    Raises:
        UnknownNameError: No such form.

    Source: arXiv 2502.18770 and its code; golden file par.json.
    """
    if form not in _FORMS:
        raise UnknownNameError("form", form, _FORMS)
    seen = _updated(memory["seen"], rewards)
    count, mean, squares, low, high = (part[:, None, None] for part in np.moveaxis(seen, 1, 0))
    std = np.sqrt(np.where(count > 1, squares / count, 0.0))
    return _FORMS[form](rewards, mean, std, low, high), {"seen": seen}


def _meanstd(r: Array, mean: Array, std: Array, low: Array, high: Array) -> Array:
    return np.asarray((r - mean) / np.where(std > 0, std, 1.0))


def _clip(r: Array, mean: Array, std: Array, low: Array, high: Array) -> Array:
    return np.clip(r, mean - std, mean + std)


def _minmax(r: Array, mean: Array, std: Array, low: Array, high: Array) -> Array:
    return np.asarray((r - low) / np.where(high > low, high - low, np.inf))


_FORMS: Mapping[str, Callable[..., Array]] = {"meanstd": _meanstd, "clip": _clip, "minmax": _minmax}

preset("reward", "clip-meanstd", "meanstd", "cut to one deviation about the mean",
       equation="u = clip(r, μ_t − σ_t, μ_t + σ_t), running", form="clip")  # fmt: skip
preset("reward", "minmax", "meanstd", "between the lowest and the highest so far",
       equation="u = (r − min_t) / (max_t − min_t), running", form="minmax")  # fmt: skip


def _updated(seen: Array, rewards: Array) -> Array:
    """Statistics with one more batch, by Chan's merge [S, 5, K]."""
    flat = rewards.reshape(len(rewards), -1, rewards.shape[-1])
    size, mean, squares = flat.shape[1], flat.mean(axis=1), flat.var(axis=1) * flat.shape[1]
    if not seen.shape[-1]:
        start = np.array([0.0, 0.0, 0.0, _LOWEST, _HIGHEST])
        seen = np.broadcast_to(start[:, None], (len(rewards), 5, rewards.shape[-1]))
    before, old, spread, low, high = np.moveaxis(seen, 1, 0)
    count, delta = before + size, mean - old
    merged = (count, old + delta * (size / count), spread + squares + delta**2 * (before * size / count),
              np.minimum(low, flat.min(axis=1)), np.maximum(high, flat.max(axis=1)))  # fmt: skip
    return np.stack(merged, axis=1)


@register("reward", "long-answers", paper="par", equation="u = r − 0.01 (len − 300) where len > 300")
def long_answers(rewards: Array, *, mask: Array | None = None, lengths: Array | None = None,
                 free: float = 300.0, price: float = 0.01) -> Array:  # fmt: skip
    """A price on every token beyond those that are free; PAR's runs all have it, before any shaping.

    Args:
        rewards: Rewards [..., P, G, K]; the first component pays.
        mask: Valid tokens [..., P, G, T].
        lengths: Lengths [..., P, G], where tokens do not tell them.
        free: Tokens that cost nothing.
        price: Of each further token.

    Raises:
        InputError: Neither mask nor lengths are given.

    Source: arXiv 2502.18770, its code; golden file par.json.
    """
    if mask is None and lengths is None:
        raise InputError("long-answers: pass mask= or lengths=; without them nobody knows how long an answer is")
    length = np.asarray(mask).sum(axis=-1) if lengths is None else np.asarray(lengths, dtype=np.float64)
    found = np.array(rewards)
    found[..., 0] -= price * np.maximum(length - free, 0.0)
    return found


method("par", advantage=("grpo", {"eps": 1e-8}), reward="par", paper="par",
       note="the chance of being preferred to a reference response as the reward")  # fmt: skip
