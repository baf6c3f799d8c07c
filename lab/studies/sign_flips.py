"""How often an advantage has the wrong sign, for rewards of a law: exactly where groups can be listed, and drawn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lab.measures.advantage import NO_TRUTH
from lab.methods import Variant, variant
from lab.sizes import sized
from lab.studies.groups import BATCH, Share, drawn, enumerable, every_group, outcome, whole
from simulators import reward_laws
from simulators.reward_laws import Law

if TYPE_CHECKING:
    import polars as pl

__all__ = ["exact_flip_rate", "sign_flip_study"]

Array = NDArray[Any]


@sized(8.0 * BATCH, "group_sizes")
def sign_flip_study(
    variants: Iterable[str | Variant],
    laws: Iterable[str | Law],
    group_sizes: Iterable[int],
    *,
    prompts: int = 20_000,
    seed: int = 0,
) -> pl.DataFrame:
    """Sign-flip rate of each variant under each reward law at each group size.

    A flip: sign(A) differs from sign(R - E[R]), among rollouts of the update where neither is zero. Every rollout is an
    independent draw of the law, so its reward is its own true value. Groups have the variant's extra rollouts on top
    of the group size. All variants see the same draws.

    Args:
        variants: Names or variants.
        laws: Names or laws of `simulators.reward_laws`; `named()` lists them.
        group_sizes: Rollouts per prompt.
        prompts: Groups drawn for the simulated rows, in batches of 32 (rounded up).
        seed: Seed of the draws.

    Returns:
        Table variant, law, group_size, kind, rate, low, high. Kind "simulated" has a 95% interval from the spread over
        prompts (over batches for a rule that looks at the whole batch); kind "exact" (low = high = rate) lists all
        groups and is there where the law has finitely many values and the rule looks at one group at a time. A rate is
        null where no rollout has a sign, or where the rule refuses such rewards.

    Raises:
        UnknownNameError: No such variant. ValueError: no such law, or a number that is none.
        MissingFieldError: A rule reads a field that rewards alone do not have.

    Source: MC-GRPO, arXiv 2601.22582, definition of a flip; the true mean takes the place of the true median.
    """
    import polars as pl

    chosen, sizes = [variant(v) for v in variants], whole("group_sizes", group_sizes)
    number = whole("prompts", [prompts], 2)[0]
    columns = {"variant": pl.String, "law": pl.String, "group_size": pl.Int64, "kind": pl.String,
               "rate": pl.Float64, "low": pl.Float64, "high": pl.Float64}  # fmt: skip
    rows: list[tuple[Any, ...]] = []
    for law in map(reward_laws.law, laws):
        simulated = _simulated(chosen, law, sizes, number, seed)
        for i, v in enumerate(chosen):
            for j, size in enumerate(sizes):
                key = (i, v.name, _label(law), size)
                exact = exact_flip_rate(v, law, size)
                if exact is not None:
                    rows.append((*key, "exact", exact, exact, exact))
                rows.append((*key, "simulated", *simulated[i, j].interval()))
    table = pl.DataFrame(rows, schema={"_order": pl.Int64, **columns}, orient="row")
    return table.sort("_order", maintain_order=True).drop("_order")


def exact_flip_rate(v: Variant, law: Law, group_size: int) -> float | None:
    """Expected flips over expected signed rollouts of a group, from all groups; None where they can't be listed."""
    listed = every_group(law, group_size + v.extra_rollouts) if enumerable(v) else None
    if listed is None:
        return None
    rewards, probability = listed
    counted = _flips(v, rewards, law.centre)
    if counted is None:
        return None
    flips, signed = (float(probability @ count[:, 0]) for count in counted)
    return flips / signed if signed > 0 else None


def _simulated(
    variants: list[Variant], law: Law, sizes: list[int], prompts: int, seed: int
) -> dict[tuple[int, int], Share]:
    """One share per variant and group size, from the same draws."""
    shares = {(i, j): Share() for i in range(len(variants)) for j in range(len(sizes))}
    longest = max(sizes, default=1) + max((v.extra_rollouts for v in variants), default=0)
    alone = [enumerable(v) for v in variants]
    for rewards in drawn(law, longest, prompts, seed):
        for (i, j), share in shares.items():
            v = variants[i]
            counted = _flips(v, np.ascontiguousarray(rewards[..., : sizes[j] + v.extra_rollouts]), law.centre)
            if counted is not None:
                share.add(*counted, alone[i])
    return shares


def _flips(v: Variant, rewards: Array, centre: float) -> tuple[Array, Array] | None:
    """Flips and signed rollouts of each group [S, P], or None if the rule refuses such rewards [S, P, n]."""
    found = outcome(v, rewards)
    if found is None:
        return None
    advantage, used = found
    truth = rewards - centre
    signed = used & (np.abs(truth) > NO_TRUTH)
    return (signed & ((advantage > 0) != (truth > 0))).sum(axis=-1), signed.sum(axis=-1)


def _label(law: Law) -> str:
    """The law's name, with its numbers where they are not the usual ones."""
    return law.name if law == reward_laws.law(law.name) else str(law)
