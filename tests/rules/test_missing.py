"""Unscored rollouts and components: refused with their place, or left out as if they were not there."""

from typing import Any

import numpy as np
import pytest

from lab import advantages
from lab.errors import InputError
from tests.rules.cases import NAMES, Array, fields, only, rewards, run

every_rule = pytest.mark.parametrize("name", NAMES)


def with_holes(*shape: int, each: int = 2) -> tuple[Array, Array]:
    """Rewards [P, G, K] with `each` unscored rollouts per group, and where those are [P, G]."""
    values, rng = rewards(*shape), np.random.default_rng(7)
    holes = np.zeros(shape[:2], dtype=bool)
    for row in holes:
        row[rng.permutation(shape[1])[:each]] = True
    return np.where(holes[..., None], np.nan, values), holes


@every_rule
@pytest.mark.parametrize("components", [1, 2])
def test_unscored_rollouts_are_left_out(name: str, components: int) -> None:
    """The others get what they would get without them; the unscored ones get 0."""
    values, holes = with_holes(3, 6, components)
    given = fields(name, (3, 6))
    found = advantages.credit(name, values, missing="skip", **given)

    def without(array: Array) -> Array:
        return array[~holes].reshape(3, 4, *array.shape[2:])

    fewer = only(given, np.nonzero(~holes)[1].reshape(3, 4))
    expected = advantages.credit(name, without(values), **fewer)
    assert without(found.advantage) == pytest.approx(expected.advantage, rel=1e-12, abs=1e-12)
    assert np.abs(found.advantage[holes]).max() == 0.0
    if expected.keep is not None:
        assert np.array_equal(without(found.keep), expected.keep)


@every_rule
def test_groups_with_nothing_or_one_scored_stay_finite(name: str) -> None:
    values = rewards(4, 5, 1)
    values[0], values[1, 1:], values[2, :2] = np.nan, np.nan, np.nan
    advantage = run(name, values, missing="skip")
    assert np.isfinite(advantage).all()
    assert np.abs(advantage[0]).max() == 0.0
    assert np.abs(run(name, np.full((2, 3, 1), np.nan), missing="skip")).max() == 0.0


@every_rule
def test_skip_changes_nothing_where_all_is_scored(name: str) -> None:
    values = rewards(3, 4, 2)
    assert np.array_equal(run(name, values, missing="skip"), run(name, values))


def test_a_missing_component_leaves_the_others() -> None:
    """As TRL: NaN is skipped in the weighted sum, and in each component's mean and deviation."""
    nan = np.nan
    values = np.array([[[1.0, 3.0], [nan, 1.0], [0.0, nan], [nan, nan]]])
    totals = [1 + 2 * 3.0, 2 * 1.0, 0.0]
    centred = [t - np.mean(totals) for t in totals]
    assert advantages.compute("dr_grpo", values, missing="skip", weights=[1, 2])[0] == pytest.approx([*centred, 0.0])

    def normal(r: float, *group: float) -> float:
        return (r - np.mean(group)) / (np.std(group, ddof=1) + 1e-4)

    parts = [normal(1, 1, 0) + 2 * normal(3, 3, 1), 2 * normal(1, 3, 1), normal(0, 1, 0)]
    found = advantages.compute("gdpo@no-batch-norm", values, missing="skip", weights=[1, 2])[0]
    assert found == pytest.approx([*parts, 0.0])
    unit = values[:, :, :1], values[:, :, 1:] / 4
    alone = [advantages.compute("bnpo", part, missing="skip") for part in unit]
    both = advantages.compute("bnpo", np.concatenate(unit, axis=-1), missing="skip")
    assert both == pytest.approx((alone[0] + alone[1]) / 2)


@pytest.mark.parametrize(
    ("values", "place", "count"),
    [
        ([0.0, 1.0, np.nan], "nan at g=2", 1),
        ([[0.0, 1.0], [np.inf, np.nan]], "inf at p=1, g=0", 2),
        (np.where(np.arange(8).reshape(2, 2, 2) == 5, -np.inf, 0.0), "-inf at p=1, g=0, k=1", 1),
        (np.where(np.arange(8).reshape(2, 1, 4, 1) == 6, np.nan, 0.0), "nan at s=1, p=0, g=2, k=0", 1),
    ],
)
def test_rewards_that_are_no_numbers_are_named_with_their_place(values: Any, place: str, count: int) -> None:
    with pytest.raises(InputError, match=place) as error:
        advantages.compute("grpo", values)
    assert f"{count} value(s)" in str(error.value)
    assert ("missing='skip'" in str(error.value)) == place.startswith("nan")


def test_infinite_rewards_are_refused_even_where_missing_ones_are_skipped() -> None:
    with pytest.raises(InputError, match="inf at g=1"):
        advantages.compute("grpo", [np.nan, np.inf, 0.0], missing="skip")
