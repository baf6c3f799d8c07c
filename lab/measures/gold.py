"""Gold against proxy: the step from which on a run gains in the reward that it trains on and loses in the one meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lab.errors import InputError, UnknownNameError
from lab.measures.interval import student_quantile

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Parting", "part", "parting"]

Array = NDArray[Any]
_NO_CHANGE = 1e-9  # of a reward: below, a difference is rounding


class Parting(NamedTuple):
    """Where proxy and gold part, as places on the axis of steps.

    Attributes:
        at: first place of the lasting stretch in which gold is lost while the proxy is gained; None: they don't part.
        best: place of the highest mean gold up to `at` (of all places where they don't part).
    """

    at: int | None
    best: int


def part(proxy: Any, gold: Any) -> Parting:
    """The place at which proxy and gold part, over independent runs.

    The runs are split into two halves, in turn. At place t every run is compared with itself at the best place so far,
    the one up to t with the highest mean gold *of the other half*, so that the choice does not bias the comparison.
    Proxy and gold part at the first t from which on, to the end, and in both halves, the mean loss in gold and the mean
    gain in proxy have a 95% interval (Student's t over the runs of the half) above 0. As it must last to the end, gold
    that only fluctuates is said to part no more often than the last place alone errs, in less than 2.5% of cases.
    The place can be late, hardly early: with more runs it moves towards the true one.

    Args:
        proxy: expected proxy reward of each run [S, T], S at least 4, places in the order of steps.
        gold: expected gold reward [S, T].

    Raises:
        InputError: Fewer than four runs, no step, shapes that differ, or a value that is missing.

    Source: the lab's own definition; the overoptimisation that it dates is that of arXiv 2210.10760.
    """
    p, g = np.asarray(proxy, np.float64), np.asarray(gold, np.float64)
    if p.shape != g.shape or p.ndim != 2 or len(p) < 4 or not p.shape[1]:
        raise InputError(f"proxy {p.shape} and gold {g.shape} must be of one shape [runs, steps], four runs or more")
    if not (np.isfinite(p).all() and np.isfinite(g).all()):
        raise InputError("proxy and gold must be known at every step of every run")
    halves = slice(0, None, 2), slice(1, None, 2)
    apart = _apart(p[halves[0]], g[halves[0]], g[halves[1]]) & _apart(p[halves[1]], g[halves[1]], g[halves[0]])
    lasting = np.flatnonzero(np.logical_and.accumulate(apart[::-1])[::-1])
    at = int(lasting[0]) if lasting.size else None
    return Parting(at, int(g.mean(axis=0)[: None if at is None else at + 1].argmax()))


def _apart(proxy: Array, gold: Array, other: Array) -> Array:
    """Where gold is lost and proxy gained against the best place of the `other` runs' gold: [S, T] each -> [T]."""
    best = _best_so_far(other.mean(axis=0))
    return (_low(gold[:, best] - gold) > _NO_CHANGE) & (_low(proxy - proxy[:, best]) > _NO_CHANGE)


def _best_so_far(values: Array) -> Array:
    """Place of the (first) largest value up to each place: [T] -> [T]."""
    top = np.maximum.accumulate(values)
    new = np.r_[True, values[1:] > top[:-1]]
    return np.asarray(np.maximum.accumulate(np.where(new, np.arange(values.size), 0)))


def _low(change: Array) -> Array:
    """Lower end of the 95% interval of the mean over runs: [S, T] -> [T]."""
    runs = len(change)
    half = student_quantile(runs - 1) * change.std(axis=0, ddof=1) / np.sqrt(runs)
    return np.asarray(change.mean(axis=0) - half)


def parting(frame: pl.DataFrame, *, proxy: str = "value", gold: str = "gold") -> pl.DataFrame:
    """Where proxy and gold part in each variant of a trace; see `part` for the definition.

    Args:
        frame: A trace with columns variant, seed, step, and both rewards; every run has the same steps.
        proxy: Column of the expected proxy reward, "value" in a world whose rollouts are scored by the proxy.
        gold: Column of the expected gold reward.

    Returns:
        Table variant, step (training steps made; null where they don't part), best (the step with the highest mean
        gold until then), gold_best (that gold), gold_end, proxy_best, proxy_end (means over runs; "end": last step).

    Raises:
        UnknownNameError: The trace lacks a column. InputError: fewer than four runs, or steps that differ.
    """
    import polars as pl

    for name in ("variant", "seed", "step", proxy, gold):
        if name not in frame.columns:
            raise UnknownNameError("column of this trace", name, frame.columns, "measure it: measure=('value', 'gold')")
    rows = [_row(one, proxy, gold) for one in frame.partition_by("variant", maintain_order=True)]
    kinds = {"variant": pl.String, "step": pl.Int64, "best": pl.Int64}
    return pl.DataFrame(rows, schema_overrides=kinds)


def _row(one: pl.DataFrame, proxy: str, gold: str) -> dict[str, Any]:
    """One variant's row."""
    ordered = one.sort("seed", "step")
    steps, runs = ordered["step"].unique().sort(), ordered["seed"].n_unique()
    if ordered["step"].to_list() != steps.to_list() * runs:
        raise InputError(f"variant {one['variant'][0]!r}: all runs must be measured at the same steps")
    p, g = (ordered[name].cast(float).fill_null(np.nan).to_numpy().reshape(runs, -1) for name in (proxy, gold))
    at, best = part(p, g)
    return {
        "variant": one["variant"][0], "step": None if at is None else steps[at], "best": steps[best],
        "gold_best": g[:, best].mean(), "gold_end": g[:, -1].mean(),
        "proxy_best": p[:, best].mean(), "proxy_end": p[:, -1].mean(),
    }  # fmt: skip
