"""Distances between rewards beside what mistaking one for the other costs: the cloud, and its correlations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lab import distances
from lab.errors import InputError
from lab.sizes import sized
from simulators.mdp.mdp import MDP

if TYPE_CHECKING:
    import polars as pl

__all__ = ["distance_study", "rank_correlation", "regret_correlations", "resampled"]

Array = NDArray[Any]

#: What a study measures unless told otherwise.
SHOWN = ("val-l2-l2", "dard-l2-l2", "epic-l2-l2", "none-l2-l2")


@sized(8.0, "states", "states", "actions")
@sized(8.0, "pairs", "steps", "states", "states", "actions")
def distance_study(
    names: Iterable[str] = SHOWN, *, environments: int = 24, pairs: int = 4, steps: int = 8, states: int = 32,
    actions: int = 4, discount: float = 0.95, mdp: MDP | None = None, unseen: float = 0.0, seed: int = 0,
) -> pl.DataFrame:  # fmt: skip
    """STARC's experiment: from one random reward to another in equal steps, distance and regret at each.

    R_i = R_1 + (R_2 - R_1) i / steps for i = 1..steps, in worlds of `simulators.mdp.families.sparse`, with returns and
    optimal policies exact. An interpolant that tells no policies apart is left out.

    Args:
        names: Distances, see `lab.distances.names()`.
        environments: Random worlds.
        pairs: Pairs (R_1, R_2) in each.
        steps: Interpolants of each pair.
        states: S.
        actions: A, at least 2.
        discount: g < 1.
        mdp: One world instead of the random ones; only the rewards are drawn then, and the three sizes are its own.
        unseen: What rewards hold where nothing ever happens, as if they were learned from what does: noise of so many
            times their mean size; 0 leaves them as they are. No policy notices.
        seed: Another seed, other worlds.

    Returns:
        Table environment, pair, step, regret (mean of both directions, 0 to 1), and one column per distance, from R_1.

    Raises:
        UnknownNameError: No such distance. ValueError: a size or a discount that makes no world.

    Source: starc, protocol.
    """
    import polars as pl

    chosen = [distances.distance(n).name for n in names]
    frames = [
        pl.DataFrame(
            {
                "environment": e,
                **_environment(chosen, (pairs, steps), mdp or (states, actions, discount), (seed, e), unseen),
            }
        )
        for e in range(environments)
    ]
    if not frames:
        raise InputError(f"environments={environments}; at least 1 is needed")
    return pl.concat(frames).filter(pl.col("regret").is_not_nan())


def _environment(
    names: Sequence[str], counts: tuple[int, int], world: MDP | tuple[int, int, float], place: tuple[int, int],
    unseen: float,
) -> dict[str, Array]:  # fmt: skip
    """The rows of one world as columns [pairs * steps]; regret is NaN for a trivial interpolant."""
    from simulators.mdp import families

    rng, (pairs, steps) = families.environment(*place), counts
    mdp = families.sparse(*world, source=rng) if isinstance(world, tuple) else world
    drawn = np.stack([[families.random_reward(mdp, rng) for _ in range(2)] for _ in range(pairs)])
    if unseen:
        noise = unseen * np.abs(drawn).mean(axis=(2, 3, 4), keepdims=True) * rng.standard_normal(drawn.shape)
        drawn = np.where(mdp.transition > 0, drawn, noise)
    first, share = drawn[:, :1], np.arange(1, steps + 1)[:, None, None, None] / steps
    between = first + (drawn[:, 1:] - first) * share
    regret = mdp.regret(first, between, symmetric=True)
    if steps > 1:
        regret[:, :-1][families.trivial(mdp, between[:, :-1])] = np.nan
    pair, step = np.indices((pairs, steps))
    columns = {"pair": pair, "step": step + 1, "regret": regret} | distances.compare(mdp, first, between, names)
    return {name: column.ravel() for name, column in columns.items()}


@sized(8.0, "resamples")
def regret_correlations(
    frame: pl.DataFrame, names: Iterable[str] | None = None, *, resamples: int = 500, seed: int = 0
) -> pl.DataFrame:
    """Correlation of each distance with regret, with 95% intervals over environments.

    Args:
        frame: Of `distance_study`.
        names: Columns; all distances by default.
        resamples: Draws of as many environments with replacement, for the intervals (percentiles).
        seed: Of these draws.

    Returns:
        Table distance, pearson, pearson_low, pearson_high, spearman, spearman_low, spearman_high, best Spearman first.
    """
    import polars as pl

    chosen = _columns(frame, names)
    found = resampled(frame, chosen, resamples=resamples, seed=seed)
    low, high = np.quantile(found[1:], [0.025, 0.975], axis=0)
    rows = []
    for k, name in enumerate(chosen):
        row: dict[str, Any] = {"distance": name}
        for m, kind in enumerate(("pearson", "spearman")):
            row |= {kind: found[0, k, m], f"{kind}_low": low[k, m], f"{kind}_high": high[k, m]}
        rows.append(row)
    return pl.DataFrame(rows).sort("spearman", descending=True, maintain_order=True)


def resampled(frame: pl.DataFrame, names: Sequence[str], *, resamples: int = 500, seed: int = 0) -> Array:
    """Pearson and Spearman correlation with regret [1 + resamples, len(names), 2]; the first is of the frame itself.

    The draws are of whole environments and the same for every name, so differences between names are paired.
    """
    values = frame.select("regret", *names).to_numpy()
    places = [np.flatnonzero(group) for group in _groups(frame["environment"].to_numpy())]
    rng = np.random.default_rng(seed)
    draws = [np.arange(len(values))]
    draws += [
        np.concatenate([places[i] for i in rng.integers(len(places), size=len(places))]) for _ in range(resamples)
    ]
    return np.stack([np.stack([_with_first(values[d]), _with_first(_ranks(values[d]))], axis=-1) for d in draws])


def _columns(frame: pl.DataFrame, names: Iterable[str] | None) -> list[str]:
    known = [c for c in frame.columns if c not in ("environment", "pair", "step", "regret")]
    return known if names is None else list(names)


def _groups(environment: Array) -> list[Array]:
    return [environment == e for e in np.unique(environment)]


def _with_first(columns: Array) -> Array:
    """Correlation of the first column with each of the others; 0 where one is constant."""
    centred = columns - columns.mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    product = length[0] * length[1:]
    return np.asarray(centred[:, 0] @ centred[:, 1:] / np.where(product > 0, product, 1.0))


def _ranks(columns: Array) -> Array:
    """Ranks of each column, the mean rank for ties."""
    out = np.empty(columns.shape)
    for k, column in enumerate(columns.T):
        _, place, count = np.unique(column, return_inverse=True, return_counts=True)
        out[:, k] = (np.cumsum(count) - (count - 1) / 2)[place]
    return out


def rank_correlation(x: Array, y: Array) -> float:
    """Spearman correlation of two columns [n]; 0 where one is constant."""
    return float(_with_first(_ranks(np.stack([x, y], axis=-1)))[0])
