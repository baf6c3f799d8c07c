"""A learned reward beside the gold one, over how far a policy has gone from its start: best of n, and training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.errors import InputError
from lab.measures.interval import mean_interval
from lab.methods import Variant
from lab.training.jobs import seeds_of
from lab.training.train import train

if TYPE_CHECKING:
    import polars as pl

    from simulators import LearnedReward

__all__ = ["BEST_OF_N", "best_of_n_curve", "gao_fit", "optimisation_curve", "turning_points"]

#: What the curve of best of n is called among variants.
BEST_OF_N = "best of n"
_POOL, _POOL_SEED = 16_384, 2_310
_COLUMNS = ("variant", "seed", "step", "kl", "proxy", "gold")


def optimisation_curve(
    world: LearnedReward,
    variants: str | Variant | Sequence[str | Variant],
    *,
    seeds: int | Iterable[int] = 8,
    steps: int = 120,
    looks: int = 30,
    **settings: Any,
) -> pl.DataFrame:
    """Group-relative training on a learned reward, seen about `looks` times on the way.

    Args:
        world: Its rollouts are scored by the learned reward.
        variants: Names or variants.
        seeds: Number of runs, or their seeds; each has annotators and a reward model of its own.
        steps: Training steps.
        looks: How often the exact rewards are measured.
        **settings: Of the run, as in `lab.train`.

    Returns:
        Table variant, seed, step, kl (to the initial policy, nats), proxy and gold (exact means, in standard deviations
        of the initial policy's responses).

    Raises:
        InputError, UnknownNameError, MissingFieldError: As `lab.train`.
    """
    import polars as pl

    measure = ("value", "gold", "kl_start")
    every = max(1, steps // max(1, looks))
    frame = train(world, variants, seeds=seeds, steps=steps, every=every, measure=measure, **settings).frame
    seen = frame.drop_nulls([*measure]).rename({"value": "proxy", "kl_start": "kl"})
    return seen.select(*_COLUMNS).with_columns(pl.col("seed", "step").cast(pl.Int64))


def best_of_n_curve(
    world: LearnedReward, *, seeds: int | Iterable[int] = 8, most: int = 1024, pool: int = _POOL
) -> pl.DataFrame:
    """The best of n responses of the initial policy by the learned reward, n = 1, 2, 4, … up to `most`.

    Args:
        world: Whose reward models choose.
        seeds: Number of runs, or their seeds: the same runs as in `optimisation_curve`.
        most: Largest n.
        pool: Responses from which the means are estimated without bias.

    Returns:
        As `optimisation_curve`, with n for the step and log n − (n − 1)/n for the KL.

    Raises:
        InputError: `most` is below 1 or above `pool`.

    Source: rm-ensembles-wco-uwo and preference-substrate cards.
    """
    import polars as pl

    from simulators.learned_reward.best_of_n import expected, kl

    if not 1 <= most <= pool:
        raise InputError(f"most={most}: the largest n must be from 1 to the pool of {pool} responses")
    ns = [1 << i for i in range(int(most).bit_length())]
    responses = world.meant.draw(np.random.default_rng(_POOL_SEED), pool)
    gold, runs = world.meant(responses), [int(seed) for seed in seeds_of(seeds if isinstance(seeds, int) else [*seeds])]
    tables = []
    for seed, model in zip(runs, world.models(runs), strict=True):
        scores = model(responses[None])[0]
        columns = {"kl": kl(ns), "proxy": expected(scores, scores, ns), "gold": expected(scores, gold, ns)}
        tables.append(
            pl.DataFrame({"step": ns, **columns}).with_columns(variant=pl.lit(BEST_OF_N), seed=pl.lit(seed, pl.Int64))
        )
    return pl.concat(tables).select(*_COLUMNS)


def turning_points(curve: pl.DataFrame) -> pl.DataFrame:
    """Where the mean gold reward is highest, and what is lost from there to the end.

    Args:
        curve: Rows of the two curves above, with at least two runs of each variant.

    Returns:
        Table variant, step, kl, gold, proxy (means over runs at the best step), kl_end, gold_end, proxy_end, and lost,
        low, high: gold at the best step minus gold at the end, paired run by run, with its 95% interval; `turns` where
        that is above 0. The best step is found on the same runs, so `lost` is somewhat too large.
    """
    import polars as pl

    rows = []
    for (name,), one in curve.group_by("variant", maintain_order=True):
        means = one.group_by("step", maintain_order=True).agg(pl.col("kl", "gold", "proxy").mean()).sort("step")
        best, end = means.row(int(means["gold"].arg_max() or 0), named=True), means.row(-1, named=True)
        at = one.sort("seed").filter(step=best["step"])["gold"] - one.sort("seed").filter(step=end["step"])["gold"]
        lost, low, high = mean_interval(at.to_numpy())
        ends = {f"{key}_end": end[key] for key in ("kl", "gold", "proxy")}
        rows.append({"variant": name, **best, **ends, "lost": lost, "low": low, "high": high, "turns": low > 0})
    return pl.DataFrame(rows)


#: How the gold reward falls behind a line through the origin over d = √KL: best of n, and everything that is trained.
_BEND: dict[bool, Callable[[np.ndarray], np.ndarray]] = {
    True: lambda d: d,
    False: lambda d: np.log(np.where(d > 0, d, 1.0)),
}


def gao_fit(curve: pl.DataFrame) -> pl.DataFrame:
    """Gao's forms of the gold reward over d = √KL, fitted by least squares: d (α − β d) for best of n, d (α − β log d).

    Args:
        curve: Rows of the two curves above, with at least two runs of each variant.

    Returns:
        Table variant, form, and alpha, alpha_low, alpha_high, beta, beta_low, beta_high (means over runs, each fitted
        by itself, with their 95% intervals), r2 (of the mean curve; null where it does not vary).

    Source: rm-ensembles-wco-uwo card, gold curves of Gao et al.
    """
    import polars as pl

    rows = []
    for (name,), one in curve.group_by("variant", maintain_order=True):
        each = [_fitted(run, name == BEST_OF_N) for run in one.partition_by("seed", maintain_order=True)]
        row: dict[str, Any] = {"variant": name, "form": "d (α − β d)" if name == BEST_OF_N else "d (α − β log d)"}
        for place, part in enumerate(("alpha", "beta")):
            row |= dict(
                zip((part, f"{part}_low", f"{part}_high"), mean_interval([f[place] for f in each]), strict=True)
            )
        mean = one.group_by("step").agg(pl.col("kl", "gold").mean()).sort("step")
        alpha, beta = _fitted(mean, name == BEST_OF_N)
        rest = _gained(mean) - gao_gold(mean["kl"].to_numpy(), alpha, beta, best_of_n=name == BEST_OF_N)
        spread = _gained(mean).var()
        rows.append(row | {"r2": float(1 - (rest**2).mean() / spread) if spread else None})
    return pl.DataFrame(rows)


def gao_gold(kl: np.ndarray, alpha: float, beta: float, *, best_of_n: bool) -> np.ndarray:
    """Gold reward that a form says, above that of the initial policy, at these KLs."""
    d = np.sqrt(kl)
    return np.asarray(d * (alpha - beta * _BEND[best_of_n](d)))


def _gained(one: pl.DataFrame) -> np.ndarray:
    return one["gold"].to_numpy() - one["gold"][0]


def _fitted(one: pl.DataFrame, best_of_n: bool) -> tuple[float, float]:
    """α and β of one curve, by least squares; what the initial policy earns counts as 0."""
    d = np.sqrt(one["kl"].to_numpy())
    found = np.linalg.lstsq(np.stack([d, -d * _BEND[best_of_n](d)], axis=1), _gained(one), rcond=None)[0]
    return float(found[0]), float(found[1])
