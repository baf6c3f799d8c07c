"""What reward models learn from comparisons: agreement with the gold reward, calibration, what they rank wrongly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lab.errors import InputError, UnknownNameError
from lab.measures.interval import mean_interval
from lab.training.jobs import seeds_of

if TYPE_CHECKING:
    import polars as pl

__all__ = ["RewardModelStudy", "reward_model_names", "reward_model_study"]

#: Edges of the gold distance between two responses, in standard deviations.
_EDGES = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, np.inf)


class RewardModelStudy(NamedTuple):
    """What was measured, a row per reward model and what it is split by; means with 95% intervals over runs.

    Attributes:
        agreement: model, measure ("accuracy", "rank agreement", "calibration error", "wrong labels"), mean, low, high.
        reliability: model, confidence (mean of the bin), right (share that is), low, high, share (of the pairs).
        by_distance: model, distance (between two responses' gold rewards, a bin), right, low, high.
    """

    agreement: pl.DataFrame
    reliability: pl.DataFrame
    by_distance: pl.DataFrame


def reward_model_names() -> list[str]:
    """Names of the reward models that are learned from comparisons."""
    from simulators.learned_reward.fitters import FITTERS

    return list(FITTERS)


def reward_model_study(
    models: Sequence[str] = ("bradley-terry",),
    *,
    gold: str = "bowl",
    comparisons: int = 300,
    flips: float = 0.0,
    beta: float = 2.0,
    personas: int = 1,
    disagreement: float = 0.0,
    seeds: int | Iterable[int] = 8,
    bins: int = 10,
) -> RewardModelStudy:
    """Fit reward models to the comparisons of the world of learned rewards, and look at them on fresh pairs.

    Args:
        models: Names (`reward_model_names`); all have the same comparisons.
        gold: What annotators mean: "bowl", "linear" or "mlp".
        comparisons: Of each run.
        flips: Share of labels that are swapped.
        beta: Sharpness of the annotators.
        personas: Kinds of annotators.
        disagreement: How much each kind's own wish weighs beside the gold reward.
        seeds: Number of runs, at least two, or their seeds.
        bins: Of confidence, from 1/2 to 1; those with less than a thousandth of the pairs in some run are left out.

    Raises:
        UnknownNameError: There is no such reward model. InputError: fewer than two runs.
        ValueError: As the annotators say.

    Source: preference-substrate card, metrics.
    """
    import polars as pl

    from simulators.learned_reward.annotators import annotate
    from simulators.learned_reward.fitters import FITTERS
    from simulators.learned_reward.gold import gold as gold_reward

    runs = [int(seed) for seed in seeds_of(seeds if isinstance(seeds, int) else [*seeds])]
    if len(runs) < 2:
        raise InputError(f"an interval needs at least two runs, got {len(runs)}")
    for name in models:
        if name not in FITTERS:
            raise UnknownNameError("reward model", name, FITTERS)
    meant = gold_reward(gold, 0)
    data = annotate(meant, comparisons, beta=beta, flips=flips, personas=personas, disagreement=disagreement,
                    seeds=runs)  # fmt: skip
    parts = [_measured(name, FITTERS[name](data, runs), meant, data.wrong, beta, bins) for name in models]
    return RewardModelStudy(*(pl.concat(each) for each in zip(*parts, strict=True)))


def _measured(name: str, fitted: Any, meant: Any, wrong: Any, beta: float, bins: int) -> tuple[pl.DataFrame, ...]:
    """The three tables of one reward model, fitted in every run."""
    import polars as pl

    from simulators.learned_reward import metrics

    whole = {
        "accuracy": metrics.accuracy(fitted, meant), "rank agreement": metrics.rank_agreement(fitted, meant),
        "calibration error": metrics.calibration(fitted, meant, beta=beta), "wrong labels": wrong.mean(-1),
    }  # fmt: skip
    agreement = [{"measure": key, **_interval("mean", values)} for key, values in whole.items()]
    confidence, right, share = metrics.reliability(fitted, meant, beta=beta, bins=bins)
    filled = np.flatnonzero((share > 1e-3).all(0))
    reliability = [
        {"confidence": float(confidence[:, b].mean()), **_interval("right", right[:, b]), "share": share[:, b].mean()}
        for b in filled
    ]
    tables = agreement, reliability, _by_distance(fitted, meant)
    return tuple(pl.DataFrame(rows).select(pl.lit(name).alias("model"), pl.all()) for rows in tables)


def _by_distance(fitted: Any, meant: Any) -> list[dict[str, Any]]:
    """Share of fresh pairs that are ranked as the gold does, by how far apart they are; a tie counts half."""
    from simulators.learned_reward import metrics

    right, true = metrics.ranked(fitted, meant)
    rows = []
    for low, high in pairwise(_EDGES):
        inside = (np.abs(true) >= low) & (np.abs(true) < high)
        if inside.any():
            words = f"{low:g} to {high:g}" if high < np.inf else f"above {low:g}"
            rows.append({"distance": words, **_interval("right", right[:, inside].mean(-1))})
    return rows


def _interval(name: str, values: Any) -> dict[str, float]:
    return dict(zip((name, "low", "high"), mean_interval(values), strict=True))
