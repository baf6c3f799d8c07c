"""The doors: names, shapes, options, zero rewards, errors; the two counterexamples that EPIC was left for."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import lab
from lab import distances
from lab.errors import InputError, UnknownNameError
from simulators.mdp import families
from simulators.mdp.mdp import MDP

WORLD = families.sparse(8, 3, 0.9, source=0)
MANY = np.random.default_rng(0).standard_normal((5, *WORLD.transition.shape))
A, B, C = MANY[:3]


# ------------------------------------------------------------------------------------------ names and shapes
def test_names_are_found_however_they_are_written() -> None:
    assert distances.distance("STARC").name == "val-l2-l2"
    assert distances.distance("Minimal-W-w2-l2").name == "minimal_w-w2-l2"
    assert len(set(distances.names())) == len(distances.names()) == 6 + 10 * 7 * 6
    for wrong, right in (("val-l2-l3", "val-l2-l2"), ("epik", "epic")):
        with pytest.raises(UnknownNameError, match=right):
            distances.compute(wrong, WORLD, A, B)
    with pytest.raises(UnknownNameError, match="canonicalisation 'vol'; nearest: 'val'"):
        distances.canonical_form("vol", WORLD, A)


def test_the_door_of_the_package() -> None:
    assert lab.distances is distances
    code = "import lab.distances, sys; assert not {'polars', 'numba', 'scipy', 'torch'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_table_shows_what_is_declared() -> None:
    table = distances.table()
    assert table["name"].to_list() == distances.names()
    assert table.null_count().row(0, named=True)["equation"] == 0
    row = table.filter(table["name"] == "val-l2-l2").row(0, named=True)
    assert row["starc"] and row["redistribution"] and row["maximum"] == 2.0
    assert not table.filter(table["canonicalisation"] == "epic")["redistribution"].any()
    starc = table.filter(table["starc"])
    assert set(starc["canonicalisation"]) == {"val", "minimal", "minimal_w"}
    assert "none" not in set(starc["norm"])


@pytest.mark.parametrize("name", ["starc", "dard-w1-linf", "epic", "npec", "erc"])
def test_many_at_once_are_each_alone(name: str) -> None:
    table = distances.compute(name, WORLD, MANY[:2, None], MANY[None, 2:])
    assert table.shape == (2, 3)
    alone = [[distances.compute(name, WORLD, a, b) for b in MANY[2:]] for a in MANY[:2]]
    assert np.allclose(table, alone, rtol=1e-12)
    assert np.allclose(distances.compute(name, WORLD, A, MANY), [distances.compute(name, WORLD, A, b) for b in MANY])
    square = distances.matrix(name, WORLD, MANY)
    assert np.allclose(square[:2, 2:], alone, rtol=1e-12)
    assert (np.diag(square) == 0).all()
    assert np.array_equal(square, square.T) == (name != "npec")
    assert isinstance(distances.compute(name, WORLD, A, B), float)


def test_matrix_takes_rewards_of_any_form() -> None:
    rows = distances.matrix("starc", WORLD, [A, A.mean(-1), A[0, 0]])
    assert rows[0, 2] == pytest.approx(distances.compute("starc", WORLD, A, A[0, 0]))
    with pytest.raises(InputError, match="list of N rewards"):
        distances.matrix("starc", WORLD, [MANY, MANY])
    with pytest.raises(InputError, match=r"list of N rewards .* not shape \(0,\)"):
        distances.matrix("starc", WORLD, [])


def test_a_world_is_needed() -> None:
    for call in (distances.compute, distances.matrix, lambda n, *rest: distances.canonical_form("val", *rest)):
        with pytest.raises(InputError, match=r"simulators.MDP\(transition, discount\), not .*ndarray"):
            call("starc", WORLD.transition, *([MANY] if call is distances.matrix else [A]), *(
                [B] if call is distances.compute else []))  # fmt: skip


def test_compare_shares_and_agrees() -> None:
    found = distances.compare(WORLD, A, MANY)
    assert list(found) == distances.names()
    for name in ("val-none-winf", "epic-direct", "singleton-w2-l1", "minimal-linf-w1"):
        assert np.allclose(found[name], distances.compute(name, WORLD, A, MANY), rtol=1e-12)


# --------------------------------------------------------------------------------------------------- options
def test_options_go_where_they_belong() -> None:
    uneven = np.arange(1, 9) / 36
    with_option = distances.compare(WORLD, A, B, ["epic", "val-l2-l2"], state_dist=uneven)
    assert with_option["epic"] == distances.compute("epic", WORLD, A, B, state_dist=uneven)
    assert with_option["epic"] != distances.compute("epic", WORLD, A, B)
    assert with_option["val-l2-l2"] == distances.compute("starc", WORLD, A, B)
    first = np.zeros(8, dtype=int)
    assert distances.compute("starc", WORLD, A, B, policy=first) != distances.compute("starc", WORLD, A, B)
    for call in (distances.compute, lambda n, *rest, **o: distances.compare(*rest, [n], **o)):
        with pytest.raises(UnknownNameError, match=r"'polcy', nearest|'polcy'"):
            call("starc", WORLD, A, B, polcy=first)


@pytest.mark.parametrize("name", ["val", "valpotential"])
def test_any_fixed_policy_levels(name: str) -> None:
    policy = np.random.default_rng(1).dirichlet(np.ones(3), 8)
    shaped = families.shaped(WORLD, A, np.arange(8.0))
    form, same = (distances.canonical_form(name, WORLD, r, policy=policy) for r in (A, shaped))
    assert np.allclose(form, same, atol=1e-12)
    assert np.abs(np.vecdot(WORLD.expected(form), policy)).max() < 1e-13


@pytest.mark.parametrize("wrong", [[1.0], [0.5] * 8, [-1.0, 2.0, 0, 0, 0, 0, 0, 0], [np.nan] * 8])
def test_what_is_no_distribution(wrong: Any) -> None:
    with pytest.raises(InputError, match="state_dist must be 8 probabilities"):
        distances.compute("epic", WORLD, A, B, state_dist=wrong)


def test_epic_direct_needs_a_norm() -> None:
    squared = distances.compute("epic-direct", WORLD, A, B, power=2)
    assert squared == pytest.approx(distances.compute("epic", WORLD, A, B), rel=1e-12)
    with pytest.raises(InputError, match="p >= 1"):
        distances.compute("epic-direct", WORLD, A, B, power=0.5)


def test_epic_is_half_of_its_name_in_the_family() -> None:
    found = distances.compare(WORLD, A, MANY[1:], ["epic", "epic-l2-l2"])
    assert np.allclose(2 * found["epic"], found["epic-l2-l2"], rtol=1e-9)


def test_npec_is_the_limit_of_the_authors_steps() -> None:
    """Least-squares potential, then least-squares scale and shift, a hundred times."""
    source, target = A, 3 * A + B + np.arange(8.0)
    for _ in range(100):
        source = target + distances.canonical_form("minimalpotential", WORLD, source - target)
        scale, shift = np.polyfit(source.ravel(), target.ravel(), 1)
        assert scale > 0
        source = scale * source + shift
    left = np.sqrt(np.mean((source - target) ** 2))
    limit = distances.compute("npec", WORLD, A, target)
    assert limit <= left == pytest.approx(limit, rel=1e-6)


def test_erc_is_the_correlation_of_sampled_episodes() -> None:
    world = families.dirichlet(3, 2, 0.5, source=1)
    a, b = np.random.default_rng(2).standard_normal((2, 3, 2, 3))
    rng, episodes = np.random.default_rng(3), 40_000
    state, returns = rng.integers(3, size=episodes), np.zeros((2, episodes))
    for t in range(40):
        action = rng.integers(2, size=episodes)
        cumulative = world.transition[state, action].cumsum(-1)
        after = np.minimum((rng.random(episodes)[:, None] > cumulative).sum(-1), 2)
        returns += 0.5**t * np.stack([a[state, action, after], b[state, action, after]])
        state = after
    sampled = np.corrcoef(returns)[0, 1]
    exact = 1 - 2 * distances.compute("erc", world, a, b) ** 2
    assert abs(sampled - exact) < 5 * (1 - exact**2) / np.sqrt(episodes)


# ---------------------------------------------------------------------------------------------- zero rewards
def test_the_zero_reward_and_its_like() -> None:
    zero = np.zeros_like(A)
    like = {
        "": zero, "offset": zero + 3.3, "shaping": families.shaped(WORLD, zero, 10 * np.arange(8.0)),
        "redistribution": families.random_redistribution(WORLD, 0, scale=100.0),
    }  # fmt: skip
    for change, nothing in like.items():
        assert WORLD.span(nothing) == 0.0
        for d, value in distances.compare(WORLD, zero, nothing).items():
            blind = not change or change in distances.distance(d).properties
            assert value < 1e-10 if blind else value > 0, (change, d)
        for d, value in distances.compare(WORLD, nothing, A).items():
            assert np.isfinite(value), d
            assert value > 0, d
    unit = distances.compare(WORLD, zero, A, ["starc", "epic", "epic-l2-l2"])
    assert np.allclose(list(unit.values()), [1.0, 0.5, 1.0])


@pytest.mark.parametrize("scale", [1e-20, 1e-8, 1e6, 1e30])
def test_no_unit_of_reward_is_special(scale: float) -> None:
    before = distances.compare(WORLD, A, B)
    for name, value in distances.compare(WORLD, scale * A, B).items():
        if "scale" in distances.distance(name).properties:
            assert value == pytest.approx(before[name], rel=1e-9), name


def test_a_discount_of_one() -> None:
    world = MDP(WORLD.transition, 1.0)
    shaped = families.shaped(world, A, np.arange(8.0))
    for name in ("epic-l2-l2", "dard-l2-l2", "greedy-l2-l2", "minimalpotential-l2-l2", "epic", "npec"):
        assert distances.compute(name, world, A, shaped) < 1e-12
        assert np.isfinite(distances.compute(name, world, A, B))
    for name in ("val-l2-l2", "valpotential-l2-l2", "minimal-l2-l2", "minimal_w-l1-l1", "singleton-l2-l2", "erc"):
        with pytest.raises(InputError, match="discount below 1"):
            distances.compute(name, world, A, B)


@pytest.mark.parametrize("discount", [1 - 1e-9, 1 - 1e-14])
def test_a_discount_that_is_all_but_one(discount: float) -> None:
    world = MDP(WORLD.transition, discount)
    assert np.isfinite(distances.compute("epic", world, A, B))
    for call in (world.regret, world.worst_case_regret, lambda a, b: distances.compute("starc", world, a, b)):
        with pytest.raises(ValueError, match="discount below 1"):
            call(A, B)


def test_no_world_below_that_gives_anything_but_numbers() -> None:
    world = MDP(WORLD.transition, 1 - 1e-7)
    assert np.isfinite(list(distances.compare(world, A, B).values())).all()
    assert world.worst_case_regret(A, B) >= world.regret(A, B) - 1e-3


@pytest.mark.parametrize("sizes", [(1, 1), (1, 3), (3, 1)])
def test_the_smallest_worlds(sizes: tuple[int, int]) -> None:
    world = families.dirichlet(*sizes, source=0)
    a, b = np.random.default_rng(0).standard_normal((2, *world.transition.shape))
    assert np.isfinite(list(distances.compare(world, a, b).values())).all()
    if sizes[1] == 1:  # every policy is the same policy
        starc = [n for n in distances.names() if "starc" in distances.distance(n).properties]
        assert list(distances.compare(world, a, b, starc).values()) == [0.0] * len(starc)


# ------------------------------------------------------------------------------------------- counterexamples
@pytest.mark.parametrize("seed", range(5))
def test_epic_is_not_sound(seed: int) -> None:
    """A huge reward that both share where nothing ever happens hides that they are opposite where something does."""
    mdp = families.sparse(16, 4, 0.9, source=seed)
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(mdp.transition.shape)
    shared = np.where(mdp.transition > 0, 0.0, rng.standard_normal(x.shape) * 50 * np.abs(x).mean())
    found = distances.compare(mdp, shared + x, shared - x, ["epic", "starc"])
    assert found["epic"] < 0.05
    assert found["starc"] > 1.9
    assert mdp.worst_case_regret(shared + x, shared - x) > 0.99


@pytest.mark.parametrize("seed", range(5))
def test_epic_is_not_complete(seed: int) -> None:
    """Spreading a reward over next states changes EPIC, and no return of any policy."""
    mdp = families.sparse(16, 4, 0.9, source=seed)
    reward = np.random.default_rng(seed).standard_normal(mdp.transition.shape)
    moved = families.random_redistribution(mdp, seed + 100)
    spread = reward + moved / moved.std()
    found = distances.compare(mdp, reward, spread, ["epic", "starc"])
    assert found["epic"] > 0.2
    assert found["starc"] < 1e-9
    assert mdp.worst_case_regret(reward, spread) < 1e-6
