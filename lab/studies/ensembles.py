"""Best of n by an ensemble of reward models, in a world where data have short tails and candidates heavy ones.

A response is 32 numbers: 8 that the gold reward weighs, and 24 of which it only punishes extremes, |x| > 2. Comparisons
are of normal responses, which hardly have any; candidates are drawn from Student's t, which do. What a reward model
believes of those 24 is noise, and best of n looks for responses in which that noise is largest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lab.errors import InputError, check_number, check_whole
from lab.reward_models import bradley_terry
from lab.rewards import apply
from lab.training.jobs import seeds_of

if TYPE_CHECKING:
    import polars as pl

__all__ = ["MEMBER", "REPRESENTATIONS", "Pool", "ensemble_curves", "ensemble_disagreement", "ensemble_pool"]

Array = NDArray[Any]

#: What the mean over members, each used by itself, is called among rules.
MEMBER = "one member"
#: What members read of the nuisance features: everything, one half that they share, or a half of each one's own.
REPRESENTATIONS = ("whole", "shared", "own")
_SIGNAL, _NUISANCE, _BASE, _CANDIDATES = 8, 24, 4000, 1024
_FIRST = 0.8  # weight of the first feature where its effect may turn


class Pool(NamedTuple):
    """Candidates of Q prompts as an ensemble and the gold reward see them, and responses like those that were compared.

    Attributes:
        scores: [Q, N, K], each member with mean 0 and deviation 1 on base responses.
        gold: [Q, N], in deviations of base responses, mean 0 over candidates.
        base_scores: [M, K].
        base_gold: [M].
    """

    scores: Array
    gold: Array
    base_scores: Array
    base_gold: Array


def ensemble_pool(
    seed: int = 0, *, members: int = 5, comparisons: int = 200, flips: float = 0.25, prompts: int = 8,
    freedom: float = 5.0, representation: str = "whole", turn: float = 0.0,
) -> Pool:  # fmt: skip
    """Fit an ensemble to noisy comparisons, each member to a bootstrap of the same ones, and score candidates.

    >>> ensemble_pool(prompts=2, members=3).scores.shape
    (2, 1024, 3)

    Args:
        seed: Of everything.
        members: K.
        comparisons: Pairs of normal responses; the label says which has more gold.
        flips: Share of wrong labels.
        prompts: Q, with 1024 candidates each.
        freedom: Degrees of freedom of the candidates' t; inf: they are normal, as the data are.
        representation: One of `REPRESENTATIONS`: which nuisance features a member reads. Members that were pretrained
            apart keep a half of their own, those that were only finetuned apart share one.
        turn: c of the error that all members share: beyond 1 the first feature costs c (x − 1)²; data tell little
            of it.

    Raises:
        InputError: A number out of range, or no such representation.

    Source: rm-ensembles-wco-uwo and rm-ensembles-herding cards, the synthetic world.
    """
    _check(members, comparisons, flips, prompts, freedom, representation, turn)
    rng, width = np.random.default_rng(seed), _SIGNAL + _NUISANCE
    weights = np.zeros(width)
    weights[:_SIGNAL] = rng.choice([-1, 1], _SIGNAL) * rng.uniform(0.5, 1.5, _SIGNAL) / np.sqrt(_SIGNAL)
    if representation != "whole":
        weights[0] = _FIRST

    def gold(x: Array) -> Array:
        extreme = np.maximum(np.abs(x[..., _SIGNAL:]) - 2, 0)
        return np.asarray(x @ weights - 0.2 * (extreme**2).sum(-1) - turn * np.maximum(x[..., 0] - 1, 0) ** 2)

    first, second = rng.standard_normal((2, comparisons, width))
    preferred = (gold(first) > gold(second)) ^ (rng.random(comparisons) < flips)
    base, shape = rng.standard_normal((_BASE, width)), (prompts, _CANDIDATES, width)
    candidates = rng.standard_normal(shape) if np.isinf(freedom) else rng.standard_t(freedom, shape)
    drawn = rng.integers(comparisons, size=(members, comparisons))
    read = zip(drawn, _read(representation, members, rng), strict=True)
    fitted = np.stack([bradley_terry((first - second)[i] * kept, preferred[i], ridge=1e-3) for i, kept in read])
    seen, true, meant = base @ fitted.T, gold(base), gold(candidates)
    shift, scale = seen.mean(0), seen.std(0)
    found, away = (candidates @ fitted.T - shift) / scale, (meant - meant.mean()) / true.std()
    return Pool(found, away, (seen - shift) / scale, true)


def _check(
    members: int, comparisons: int, flips: float, prompts: int, freedom: float, representation: str, turn: float
) -> None:
    for name, value in (("members", members), ("comparisons", comparisons), ("prompts", prompts)):
        check_whole(name, value, 1)
    check_number("flips", flips, lambda x: 0 <= x <= 1, "from 0 to 1")
    check_number("turn", turn, lambda x: x >= 0, "a number of at least 0")
    if not freedom > 0:
        raise InputError(f"freedom={freedom!r}; it must be above 0, inf for normal candidates")
    if representation not in REPRESENTATIONS:
        raise InputError(f"representation {representation!r}; it must be one of {', '.join(REPRESENTATIONS)}")


def _read(representation: str, members: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which features each member reads [K, D]."""
    kept = rng.random((members, _SIGNAL + _NUISANCE)) < 0.5
    kept[:, :_SIGNAL] = True
    return {"whole": np.ones_like(kept), "shared": np.broadcast_to(kept[:1], kept.shape), "own": kept}[representation]


def ensemble_curves(
    rules: Sequence[str] = ("ensemble-mean", "ensemble-wco", "ensemble-uwo"), *, seeds: int | Iterable[int] = 8,
    most: int = _CANDIDATES, **world: Any,
) -> pl.DataFrame:  # fmt: skip
    """The best of n candidates by each rule over an ensemble, n = 1, 2, 4, … up to `most`, and by one member alone.

    Args:
        rules: Names of reward rules over the members' scores.
        seeds: Number of worlds, or their seeds.
        most: Largest n, at most 1024.
        **world: As in `ensemble_pool`.

    Returns:
        Table variant, seed, step (n), kl, proxy, gold: means over prompts, without bias. The variant `MEMBER` is the
        mean over members, each of which chooses by itself.

    Raises:
        InputError: `most` is none of 1 to 1024; and as `ensemble_pool`. UnknownNameError: No such rule.
    """
    import polars as pl

    from simulators.learned_reward.best_of_n import kl

    if not 1 <= most <= _CANDIDATES:
        raise InputError(f"most={most}: the largest n must be from 1 to the {_CANDIDATES} candidates")
    ns = [1 << i for i in range(int(most).bit_length())]
    tables = []
    for seed in seeds_of(seeds if isinstance(seeds, int) else [*seeds]):
        pool = ensemble_pool(int(seed), **world)
        alone = [_chosen(pool.scores[..., k], pool.gold, ns) for k in range(pool.scores.shape[-1])]
        found = {MEMBER: np.mean(alone, axis=0)}
        found |= {rule: _chosen(apply(rule, pool.scores)[..., 0], pool.gold, ns) for rule in rules}
        tables += [
            pl.DataFrame({"step": ns, "kl": kl(ns), "proxy": proxy, "gold": gold}).with_columns(
                variant=pl.lit(name), seed=pl.lit(int(seed), pl.Int64)
            )
            for name, (proxy, gold) in found.items()
        ]
    return pl.concat(tables).select("variant", "seed", "step", "kl", "proxy", "gold")


def _chosen(proxy: Array, gold: Array, ns: Sequence[int]) -> Array:
    """Proxy and gold of the best of n, means over prompts [2, L]."""
    from simulators.learned_reward.best_of_n import expected

    return expected(np.stack([proxy, proxy]), np.stack([proxy, gold]), ns).mean(axis=1)


def ensemble_disagreement(pool: Pool, n: int = _CANDIDATES) -> dict[str, float]:
    """How far members agree on base responses, and on those that one of them has chosen.

    Args:
        pool: See `ensemble_pool`; with at least two members.
        n: Each prompt's best of n by member 0.

    Returns:
        accuracy (share of fresh pairs that a member ranks as the gold does), correlation (mean over pairs of members),
        spread (deviation over members, mean over base responses), chosen_spread (the same over the chosen ones), own
        (member 0's score of what it has chosen) and others (that of the other members).

    Raises:
        InputError: There is one member.

    Source: rm-ensembles-herding card, diagnostics.
    """
    from simulators.learned_reward.best_of_n import expected

    base, true = pool.base_scores, pool.base_gold
    if base.shape[-1] < 2:
        raise InputError("one member agrees with itself; at least two are needed")
    half = len(base) // 2
    right = (base[:half] > base[half:]) == (true[:half] > true[half:])[:, None]
    proxy, others = pool.scores[..., 0], pool.scores[..., 1:].mean(-1)
    seen = np.stack([pool.scores.std(-1), proxy, others])
    spread, own, rest = expected(np.broadcast_to(proxy, seen.shape), seen, n).mean(axis=-1)
    alike = np.corrcoef(base.T)[np.triu_indices(base.shape[-1], 1)]
    return {"accuracy": float(right.mean()), "correlation": float(alike.mean()), "spread": float(base.std(-1).mean()),
            "chosen_spread": float(spread), "own": float(own), "others": float(rest)}  # fmt: skip
