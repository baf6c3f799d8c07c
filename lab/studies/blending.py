"""BARFI's blend as it is learnt: the weights of a heuristic, the true return that they lead to, the policy.

>>> from lab.studies import blend_study
>>> blend_study("reversed", steps=2).columns
['heuristic', 'variant', 'seed', 'step', 'value', 'optimum', 'phi1', 'phi2', 'phi3', 'discount']

`blend_study` has one row per heuristic, variant ("r_p only", "naive sum", "BARFI") and outer step; the first two learn
no blend, so their rows repeat. For one heuristic it is a trace, fit for `lab.trace.summarise` and `lab.figures.curves`;
the seed is always 0, as all is exact. `blend_policies` has one row per cell of the grid, for the policies at the end.
A call takes about a second per heuristic; both functions share what was computed for the same settings.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.errors import UnknownNameError, check_whole
from lab.sizes import sized
from lab.stand_ins import cached

if TYPE_CHECKING:
    import polars as pl

    from lab.reward_models.barfi import Blend

__all__ = ["HEURISTICS", "VARIANTS", "blend_policies", "blend_study", "blend_weights"]

#: What a designer may have guessed, see `simulators.mdp.families.goal_grid`.
HEURISTICS = ("helpful", "reversed", "farmable")

#: What is trained on.
VARIANTS = ("r_p only", "naive sum", "BARFI")


@cached
def _blends(
    heuristic: str, size: int, discount: float, entropy: float, steps: int, learn_discount: bool, discount_cost: float
) -> dict[str, list[Blend]]:
    """The blends of each variant, one per outer step (a single one where nothing is learnt)."""
    from lab.reward_models.barfi import align
    from simulators.mdp.families import goal_grid

    mdp, true, heuristics = goal_grid(size, discount)
    if heuristic not in heuristics:
        raise UnknownNameError("heuristic", heuristic, heuristics)
    fixed = {"r_p only": (0.0, 1.0, 0.0), "naive sum": (0.0, 1.0, 1.0)}
    found = {
        name: align(mdp, true, [heuristics[heuristic]], phi=phi, entropy=entropy, steps=0)
        for name, phi in fixed.items()
    }
    learnt = align(
        mdp, true, [heuristics[heuristic]], entropy=entropy, steps=steps, learn_discount=learn_discount,
        discount_cost=discount_cost,
    )  # fmt: skip
    return {**found, "BARFI": learnt}


def _settings(
    size: int = 3, discount: float = 0.9, entropy: float = 0.05, steps: int = 25, learn_discount: bool = False,
    discount_cost: float = 0.0,
) -> tuple[int, float, float, int, bool, float]:  # fmt: skip
    """The arguments of `_blends` behind the first, of one type each, so that equal ones are found again."""
    counts = check_whole("size", size, 2), check_whole("steps", steps, 0)
    return counts[0], float(discount), float(entropy), counts[1], bool(learn_discount), float(discount_cost)


@sized(32.0, "size", "size", "size", "size")
def blend_study(
    heuristics: str | Iterable[str] = HEURISTICS, *, size: int = 3, discount: float = 0.9, entropy: float = 0.05,
    steps: int = 25, learn_discount: bool = False, discount_cost: float = 0.0,
) -> pl.DataFrame:  # fmt: skip
    """BARFI on a grid with a goal, beside training on the true reward alone and on the sum of it and the heuristic.

    Everything is exact (no sampling), so there are no intervals and no seeds.

    Args:
        heuristics: Of `HEURISTICS`, one or several.
        size: Cells along a side of the grid.
        discount: Of the world.
        entropy: Weight of the learner's bonus for entropy; above 0 it competes with the true reward.
        steps: Outer steps.
        learn_discount: BARFI also learns the learner's discount.
        discount_cost: What a discount of 1 costs in the outer objective, in units of return.

    Returns:
        Table heuristic, variant, seed (0), step, value (true return J_p), optimum (the best possible), phi1, phi2, phi3
        (weights of the constant, the true reward, the heuristic), discount (the learner's).

    Raises:
        UnknownNameError: No such heuristic. InputError: a number that is none. ValueError: what the world refuses.

    Source: BARFI, arXiv 2310.19007; the grid and the constants are the lab's.
    """
    import polars as pl

    names = [heuristics] if isinstance(heuristics, str) else list(heuristics)
    given = _settings(size, discount, entropy, steps, learn_discount, discount_cost)
    best, rows = given[1] ** (2 * given[0] - 3), []
    for name in names:
        for variant, blends in _blends(name, *given).items():
            for step in range(given[3] + 1):
                one = blends[min(step, len(blends) - 1)]
                weights = dict(zip(("phi1", "phi2", "phi3"), map(float, one.phi), strict=True))
                rows.append({"heuristic": name, "variant": variant, "seed": 0, "step": step, "value": one.value,
                             "optimum": best, **weights, "discount": one.discount})  # fmt: skip
    return pl.DataFrame(rows)


def blend_policies(heuristics: str | Iterable[str] = HEURISTICS, **settings: Any) -> pl.DataFrame:
    """The policies at the end of `blend_study`, cell by cell.

    Args:
        heuristics: Of `HEURISTICS`, one or several.
        **settings: Those of `blend_study`.

    Returns:
        Table heuristic, variant, state, row, column, action (the most likely: "up", "right", "down", "left"; null in
        the goal), probability (of it), visits (expected discounted visits of the cell, in steps).
    """
    import polars as pl

    from simulators.mdp.families import goal_grid

    names = [heuristics] if isinstance(heuristics, str) else list(heuristics)
    given = _settings(**settings)
    mdp, frames = goal_grid(*given[:2])[0], []
    row, column = np.divmod(np.arange(mdp.states), given[0])
    for name in names:
        for variant, blends in _blends(name, *given).items():
            policy = blends[-1].policy
            action = np.array(("up", "right", "down", "left"))[policy.argmax(axis=-1)].tolist()
            columns = {"state": np.arange(mdp.states), "row": row, "column": column, "action": [*action[:-1], None],
                       "probability": policy.max(axis=-1), "visits": mdp.occupancy(policy).sum(axis=-1)}  # fmt: skip
            frames.append(pl.DataFrame({"heuristic": name, "variant": variant, **columns}))
    return pl.concat(frames)


def blend_weights(trace: pl.DataFrame, *, discount: bool = False) -> pl.DataFrame:
    """The weights of the learned blend over its outer steps, as a trace for `lab.trace.summarise`.

    Args:
        trace: `blend_study` of one heuristic.
        discount: Whether the learner's discount, learnt too, is among them.

    Returns:
        Table seed, step, variant (what is weighed), weight.
    """
    names = {"phi1": "constant φ₁", "phi2": "true reward φ₂", "phi3": "heuristic φ₃"}
    names |= {"discount": "discount γᵥ"} if discount else {}
    learnt = trace.filter(variant="BARFI").select("seed", "step", *names).rename(names)
    return learnt.unpivot(index=["seed", "step"], variable_name="variant", value_name="weight")
