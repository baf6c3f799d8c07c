"""What a potential does to the policy gradient: its mean stays, its noise does not.

>>> from lab import studies
>>> studies.potential_study(2, episodes=50)["potential"].unique(maintain_order=True).to_list()
['N(0, 1)', '5 N(0, 1)', 'V', '−V']
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lab.errors import check_whole
from lab.sizes import sized
from lab.stand_ins import cached
from lab.training.jobs import seeds_of

if TYPE_CHECKING:
    import polars as pl

__all__ = ["potential_study"]

Array = NDArray[Any]

_STATES, _ACTIONS, _DISCOUNT = 10, 3, 0.9


@sized(8.0, "episodes", "horizon")
def potential_study(
    worlds: int | Sequence[int] = 16, *, episodes: int = 250, horizon: int = 60, scale: float = 1.0
) -> pl.DataFrame:
    """REINFORCE's gradient with a potential beside the one without, in random worlds of 10 states and 3 actions.

    Args:
        worlds: Number of worlds (0 to n - 1), or their numbers.
        episodes: Samples of the gradient per world and potential, at least 2.
        horizon: Steps of an episode.
        scale: Factor on every potential; 0 takes them away.

    Returns:
        Table potential ("N(0, 1)", five times that, the value V of the policy, -V), world, ratio (variance of a sample,
        summed over the parameters, over that without a potential; both from the same draws) and miss (largest distance
        of the mean from the exact gradient, in standard errors; a thousandth of the gradient is allowed for the cut).

    Raises:
        InputError: A number that is none.

    Source: barfi and dense-rewards in the catalogue.
    """
    import polars as pl

    count = check_whole("episodes", episodes, 2)
    rows = [
        {"potential": name, "world": world, "ratio": ratio, "miss": miss}
        for world in seeds_of(worlds).tolist()
        for name, ratio, miss in _in_world(world, count, check_whole("horizon", horizon, 1), float(scale))
    ]
    return pl.DataFrame(rows)


@cached
def _in_world(world: int, episodes: int, horizon: int, scale: float) -> list[tuple[str, float, float]]:
    """Name, ratio of variances and miss of each potential."""
    from simulators.mdp import families, gradient

    rng = families.environment(world)
    mdp = families.sparse(_STATES, _ACTIONS, _DISCOUNT, source=rng)
    reward, theta = rng.normal(size=(_STATES, _ACTIONS, _STATES)), 0.5 * rng.normal(size=(_STATES, _ACTIONS))
    unit, value = rng.normal(size=_STATES), mdp.value(reward, gradient.softmax(theta))
    true, found = gradient.exact(mdp, reward, theta), {}
    for name, phi in {"none": 0 * unit, "N(0, 1)": unit, "5 N(0, 1)": 5 * unit, "V": value, "−V": -value}.items():
        shaped = families.shaped(mdp, reward, scale * phi)
        given: dict[str, Any] = {"episodes": episodes, "horizon": horizon, "rng": np.random.default_rng(world)}
        drawn = gradient.reinforce(mdp, shaped, theta, **given)
        error = drawn.std(0, ddof=1) / np.sqrt(episodes) + 1e-3 * np.abs(true).max()
        found[name] = float(drawn.var(0).sum()), float((np.abs(drawn.mean(0) - true) / error).max())
    bare = found.pop("none")[0]
    return [(name, variance / bare, miss) for name, (variance, miss) in found.items()]
