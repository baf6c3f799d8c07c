"""What binary rewards can still tell: groups without signal, and the number of different advantage levels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lab.advantages import compute
from lab.errors import InputError
from lab.methods import Variant
from lab.methods import variant as named
from lab.registry import find
from lab.sizes import sized
from lab.studies.groups import BATCH, Share, drawn, enumerable, every_group, multisets, outcome, scored, whole
from simulators.reward_laws import Law, bernoulli

if TYPE_CHECKING:
    import polars as pl

__all__ = ["exact_silence", "level_counts", "signal_study"]

Array = NDArray[Any]


@sized(8.0 * BATCH, "group_sizes")
def signal_study(
    success: Iterable[float],
    group_sizes: Iterable[int],
    *,
    variant: str | Variant = "grpo",
    prompts: int = 4000,
    seed: int = 0,
) -> pl.DataFrame:
    """Share of groups WITHOUT a learning signal: no rollout of the update has a non-zero advantage.

    For GRPO and every other centred rule that share is p^G + (1-p)^G: all right or all wrong; NGRPO's is p^G.

    Args:
        success: Success probabilities p of the binary rewards.
        group_sizes: Rollouts per prompt G.
        variant: Name or variant; prompts that its filter drops are without signal.
        prompts: Groups drawn for the simulated rows, in batches of 32 (rounded up).
        seed: Seed of the draws.

    Returns:
        Table success, group_size, kind, share, low, high. Kind "exact" (low = high = share) runs the rule on every
        number of successes, and is absent for a rule that looks at the whole batch; kind "simulated" has a 95%
        interval. A share is null where the rule refuses such rewards.

    Raises:
        UnknownNameError: No such variant. ValueError: p outside [0, 1], or a number that is none.

    Source: closed form 1 − p^G − (1 − p)^G; NGRPO (arXiv 2509.18851).
    """
    import polars as pl

    v, number = named(variant), whole("prompts", [prompts], 2)[0]
    sizes, rows = whole("group_sizes", group_sizes), list[tuple[Any, ...]]()
    for p in success:
        law = bernoulli(p)
        for size in sizes:
            exact = exact_silence(v, law, size)
            if exact is not None:
                rows.append((float(p), size, "exact", exact, exact, exact))
            rows.append((float(p), size, "simulated", *_simulated(v, law, size, number, seed).interval()))
    columns = {"success": pl.Float64, "group_size": pl.Int64, "kind": pl.String,
               "share": pl.Float64, "low": pl.Float64, "high": pl.Float64}  # fmt: skip
    return pl.DataFrame(rows, schema=columns, orient="row")


def exact_silence(v: Variant, law: Law, group_size: int) -> float | None:
    """Probability that a group of this law is without signal; None where the groups can't be listed."""
    listed = every_group(law, group_size + v.extra_rollouts) if enumerable(v) else None
    found = None if listed is None else outcome(v, listed[0])
    if listed is None or found is None:
        return None
    return min(1.0, float(listed[1] @ ~found[1][:, 0].any(axis=-1)))


def _simulated(v: Variant, law: Law, size: int, prompts: int, seed: int) -> Share:
    share, alone = Share(), enumerable(v)
    for rewards in drawn(law, size + v.extra_rollouts, prompts, seed):
        found = outcome(v, rewards)
        if found is not None:
            silent = ~np.asarray(found[1].any(axis=-1))
            share.add(silent, np.ones_like(silent), alone)
    return share


def level_counts(rules: Iterable[str], *, components: int | Iterable[int], group_sizes: Iterable[int]) -> pl.DataFrame:
    """Number of groups that a rule can tell apart: distinct sorted advantage vectors, to 1e-6.

    Counted over all multisets of G binary reward vectors with K components, each group a batch of its own, with the
    rule's numerical floors at 1e-12, for a floor of 1e-4 alone would tell (0, 1) from (0, 2).

    Args:
        rules: Names of advantage rules, such as "grpo" and "gdpo@no-batch-norm", or of variants, whose reward rule then
            acts too.
        components: K, or several.
        group_sizes: Rollouts per prompt G.

    Returns:
        Table rule, components, group_size, levels.

    Raises:
        UnknownNameError: No such rule. InputError: more than 500000 groups, or a number that is none.
        MissingFieldError: A rule reads more than rewards.

    Source: GDPO, arXiv 2601.05242, gdpo.1.
    """
    import polars as pl

    several = whole("components", [components] if isinstance(components, int) else components)
    known, sizes = [named(name) for name in rules], whole("group_sizes", group_sizes)
    rows = [
        (v.name, k, size, _levels(v.name, find("advantage", v.advantage).function, k, size))
        for v in known
        for k in several
        for size in sizes
    ]
    columns = {"rule": pl.String, "components": pl.Int64, "group_size": pl.Int64, "levels": pl.Int64}
    return pl.DataFrame(rows, schema=columns, orient="row")


_MOST_MULTISETS = 500_000


@lru_cache(maxsize=1024)
def _levels(name: str, function: Callable[..., Any], components: int, size: int) -> int:
    """Levels of the variant `name`; `function` is part of the key, for a notebook can register a name again."""
    v = named(name)
    options: dict[str, Any] = dict(v.options.get("advantage", {}))
    options |= {k: 1e-12 for k in find("advantage", v.advantage).options if k == "eps" or k.endswith("_eps")}
    advantage = compute(v.advantage, scored(v, _binary_groups(components, size)[:, None]), **options)[:, 0]
    return len(np.unique(np.sort(advantage.round(6) + 0.0, axis=-1), axis=0))


@lru_cache(maxsize=8)
def _binary_groups(components: int, size: int) -> Array:
    """All multisets of `size` binary vectors [M, size, components]."""
    few = components < 20 and size < _MOST_MULTISETS  # else there are more at once, and counting them takes long
    number = math.comb(size + 2**components - 1, size) if few else math.inf
    if number > _MOST_MULTISETS:
        raise InputError(
            f"level_counts: {components} components and groups of {size} make {number if few else 'far too many'} "
            f"groups to list; at most {_MOST_MULTISETS} are"
        )
    vectors = np.arange(2**components)[:, None] >> np.arange(components) & 1
    return vectors.astype(np.float64)[multisets(2**components, size)]
