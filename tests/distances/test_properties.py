"""What each distance declares holds for whatever is drawn, and fails somewhere for each that does not declare it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab import distances
from lab.distances import CANONS, PROPERTIES, canonical_form, compare
from simulators.mdp import families
from simulators.mdp.mdp import MDP
from tests.distances.worlds import factors, numbers, potentials, rewards, seeds, worlds

Array = np.ndarray
Three = tuple[Array, Array, Array]
INVARIANCES = ("shaping", "offset", "redistribution", "scale")
#: Errors count in units of how far the two rewards are from nothing.
TOLERANCE = 1e-7


def declaring(name: str) -> list[str]:
    return [n for n in distances.names() if name in distances.distance(n).properties]


def without(name: str) -> list[str]:
    return [n for n in distances.names() if name not in distances.distance(n).properties]


def measured(names: list[str], mdp: MDP, a: Array, b: Array) -> Array:
    return np.array(list(compare(mdp, a, b, names).values()))


def size(names: list[str], mdp: MDP, a: Array, b: Array) -> Array:
    zero = np.zeros_like(a)
    least = 1e-3 * max(1.0, np.abs(a).max(), np.abs(b).max())
    return measured(names, mdp, a, zero) + measured(names, mdp, zero, b) + measured(names, mdp, a, b) + least


def change(name: str, mdp: MDP, reward: Array, draw: Callable[[st.SearchStrategy[Any]], Any]) -> Array:
    """The reward after a change that a distance with this property does not see."""
    if name == "shaping":
        return families.shaped(mdp, reward, draw(potentials(mdp)))
    if name == "offset":
        return reward + draw(numbers)
    if name == "redistribution":
        return reward + families.random_redistribution(mdp, draw(seeds), scale=5.0)
    return draw(factors) * reward


@pytest.mark.parametrize("name", INVARIANCES)
@given(data=st.data(), mdp=worlds())
@settings(max_examples=40)
def test_a_distance_is_blind_to_what_it_declares(name: str, data: st.DataObject, mdp: MDP) -> None:
    a, b, names = data.draw(rewards(mdp)), data.draw(rewards(mdp)), declaring(name)
    changed_a, changed_b = (change(name, mdp, r, data.draw) for r in (a, b))
    before, unit = measured(names, mdp, a, b), size(names, mdp, a, b)
    for after in (measured(names, mdp, changed_a, b), measured(names, mdp, changed_a, changed_b)):
        error = np.abs(after - before) / unit
        assert error.max() < TOLERANCE, names[int(error.argmax())]


@given(data=st.data(), mdp=worlds())
@settings(max_examples=40)
def test_pseudometric_axioms(data: st.DataObject, mdp: MDP) -> None:
    a, b, c = (data.draw(rewards(mdp)) for _ in range(3))
    every = distances.names()
    forth = measured(every, mdp, a, b)
    assert np.isfinite(forth).all()
    assert (forth >= 0).all()
    assert (measured(every, mdp, a, a) <= 1e-12 * size(every, mdp, a, a)).all()
    names = declaring("symmetric")
    assert np.array_equal(measured(names, mdp, a, b), measured(names, mdp, b, a))
    names = declaring("triangle")
    there, on, direct = (measured(names, mdp, *pair) for pair in ((a, b), (b, c), (a, c)))
    assert (direct <= (there + on) * (1 + 1e-12) + 1e-12 * size(names, mdp, a, c)).all()


@given(data=st.data(), mdp=worlds())
@settings(max_examples=40)
def test_largest_values(data: st.DataObject, mdp: MDP) -> None:
    a, b = data.draw(rewards(mdp)), data.draw(rewards(mdp))
    names = declaring("opposite")
    apart, opposite = measured(names, mdp, a, b), measured(names, mdp, a, -a)
    seen = measured(names, mdp, a, np.zeros_like(a)) > 0
    assert (apart[seen] <= opposite[seen] * (1 + 1e-12)).all()
    for name, value in zip(distances.names(), measured(distances.names(), mdp, a, b), strict=True):
        largest = distances.distance(name).maximum
        assert largest is None or value <= largest * (1 + 1e-12), name
    limits = np.array([distances.distance(n).maximum or np.nan for n in names])
    known = seen & ~np.isnan(limits)
    assert np.allclose(opposite[known], limits[known], rtol=1e-12)


@given(data=st.data(), mdp=worlds(least=2))
@settings(max_examples=40)
def test_starc_is_zero_only_between_rewards_that_order_policies_alike(data: st.DataObject, mdp: MDP) -> None:
    a, b = data.draw(rewards(mdp)), data.draw(rewards(mdp))
    names = declaring("starc")
    assert all({"shaping", "redistribution", "scale", "triangle"} <= distances.distance(n).properties for n in names)
    if mdp.worst_case_regret(a, b) > 1e-6:
        assert (measured(names, mdp, a, b) > 1e-9).all()


def trials(seed: int) -> tuple[MDP, Three]:
    mdp = families.dirichlet(4, 3, 0.9, source=seed)
    a, b, c = np.random.default_rng(seed).standard_normal((3, *mdp.transition.shape))
    return mdp, (a, b, c)


def broken(name: str, names: list[str], mdp: MDP, three: Three, seed: int) -> Array:
    """Which of the names break the property on these rewards, by a thousandth at least."""
    a, b, c = three
    d = measured(names, mdp, a, b)
    if name == "symmetric":
        return np.abs(measured(names, mdp, b, a) - d) > 1e-3 * d
    if name == "triangle":  # by way of a reward that is short, and in the direction of the end
        over = measured(names, mdp, a, b / 100) + measured(names, mdp, b / 100, b)
        return d > over * 1.001
    if name == "opposite":
        return measured(names, mdp, a, -a) < measured(names, mdp, 2 * b, -2 * b) * 0.999
    changed = {
        "shaping": families.shaped(mdp, a, c[:, 0, 0]),
        "offset": a + 1,
        "redistribution": a + families.random_redistribution(mdp, seed),
        "scale": 2 * a,
    }[name]
    back = np.abs(measured(names, mdp, b, changed) - measured(names, mdp, b, a))
    return np.abs(measured(names, mdp, changed, b) - d) + back > 1e-3 * d


@pytest.mark.parametrize("name", [p for p in PROPERTIES if p != "starc"])
def test_a_counterexample_to_what_is_not_declared(name: str) -> None:
    names = without(name)
    found = np.zeros(len(names), dtype=bool)
    for seed in range(30):
        found |= broken(name, names, *trials(seed), seed)
        if found.all():
            break
    assert [n for n, f in zip(names, found, strict=True) if not f] == []


def test_what_is_not_starc_lacks_an_invariance() -> None:
    for name in without("starc"):
        assert not {"shaping", "redistribution", "scale"} <= distances.distance(name).properties, name


@pytest.mark.parametrize("name", CANONS)
@given(data=st.data(), mdp=worlds())
@settings(max_examples=25)
def test_canonical_forms(name: str, data: st.DataObject, mdp: MDP) -> None:
    a, b, canon = data.draw(rewards(mdp)), data.draw(rewards(mdp)), CANONS[name]
    form = canonical_form(name, mdp, a)
    unit = 100 * max(1.0, np.abs(a).max(), np.abs(b).max()) / (1 - mdp.discount)
    for invariance in canon.unchanged:
        changed = canonical_form(name, mdp, change(invariance, mdp, a, data.draw))
        assert np.abs(changed - form).max() < 1e-10 * unit, invariance
    if canon.idempotent:
        assert np.abs(canonical_form(name, mdp, form) - form).max() < 1e-10 * unit
    if canon.linear:
        both = canonical_form(name, mdp, 2 * a - 3 * b)
        assert np.abs(both - 2 * form + 3 * canonical_form(name, mdp, b)).max() < 1e-10 * unit
    k = data.draw(factors)
    assert np.abs(canonical_form(name, mdp, k * a) - k * form).max() < 1e-10 * k * unit


@pytest.mark.parametrize("name", CANONS)
def test_counterexamples_for_canonical_forms(name: str) -> None:
    canon, (mdp, (a, b, c)) = CANONS[name], trials(1)
    form = canonical_form(name, mdp, a)
    changes = {
        "shaping": families.shaped(mdp, a, c[:, 0, 0]),
        "offset": a + 1,
        "redistribution": a + families.random_redistribution(mdp, 1),
    }
    for invariance, changed in changes.items():
        moved = np.abs(canonical_form(name, mdp, changed) - form).max() > 1e-3
        assert moved == (invariance not in canon.unchanged), invariance
    again = np.abs(canonical_form(name, mdp, form) - form).max() > 1e-3
    assert again == (not canon.idempotent)
    summed = np.abs(canonical_form(name, mdp, a + b) - form - canonical_form(name, mdp, b)).max() > 1e-3
    assert summed == (not canon.linear)
    level = np.ptp(form, axis=-1).max() < 1e-12
    assert level == canon.level


@given(data=st.data(), mdp=worlds())
@settings(max_examples=30)
def test_equivalent_rewards_stay_equivalent(data: st.DataObject, mdp: MDP) -> None:
    """The forms that see neither potentials nor redistribution differ from the reward by these two alone."""
    a = data.draw(rewards(mdp))
    for name in ("val", "minimal", "minimal_w"):
        assert mdp.worst_case_regret(a, canonical_form(name, mdp, a)) < 1e-7
