"""Tabular MDPs: the worked example, planning against brute force, regret against a linear program, refusals."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from lab import distances
from simulators.mdp import families, planning
from simulators.mdp.mdp import MDP
from tests.distances.worlds import factors, numbers, potentials, rewards, seeds, worlds

ARRIVE = np.array([0.0, 1.0])  # 1 for every step that ends in the second state


def random_world(seed: int, states: int = 5, actions: int = 3, discount: float = 0.9) -> tuple[MDP, np.ndarray]:
    mdp = families.sparse(states, actions, discount, source=seed)
    return mdp, np.random.default_rng(seed).standard_normal((4, *mdp.transition.shape))


# ------------------------------------------------------------------------------------ the worked example
def test_worked_example_by_hand() -> None:
    mdp = families.two_states()
    assert mdp.expected(ARRIVE).tolist() == [[0, 1], [1, 0]]
    assert mdp.optimal(ARRIVE).tolist() == [1, 0]
    assert mdp.value(ARRIVE, [1, 0]).tolist() == [2, 2]
    assert mdp.returns(ARRIVE, [1, 0]) == 2.0
    assert mdp.returns(ARRIVE, mdp.optimal(-ARRIVE)) == 0.0
    assert mdp.span(ARRIVE) == 2.0
    assert np.allclose(mdp.value(ARRIVE), [1, 1], rtol=1e-15)
    levelled = distances.canonical_form("val", mdp, ARRIVE)
    assert np.allclose(levelled, np.array([[-0.5, 0.5], [0.5, -0.5]])[..., None], atol=1e-15)
    assert distances.compute("val-l2-l2", mdp, ARRIVE, -ARRIVE) == pytest.approx(2.0, rel=1e-15)
    assert mdp.regret(ARRIVE, -ARRIVE) == 1.0
    assert mdp.worst_case_regret(ARRIVE, -ARRIVE) == 1.0


# ------------------------------------------------------------------------------------------------ planning
@pytest.mark.parametrize("seed", range(20))
def test_policy_iteration_is_brute_force(seed: int) -> None:
    mdp, (reward, *_) = random_world(seed)
    policies = np.array(list(itertools.product(range(mdp.actions), repeat=mdp.states)))
    r = np.broadcast_to(mdp.expected(reward), (len(policies), mdp.states, mdp.actions))
    returns = planning.evaluate(mdp.transition, mdp.discount, r, policies) @ mdp.start
    assert abs(mdp.returns(reward, mdp.optimal(reward)) - returns.max()) <= 1e-10
    assert abs(mdp.span(reward) - np.ptp(returns)) <= 1e-10


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    mdp, many = random_world(3)
    whole = mdp.optimal(many)
    monkeypatch.setattr(planning, "_BLOCK", 1)
    assert np.array_equal(mdp.optimal(many), whole)
    assert np.array_equal(mdp.optimal(many[2]), whole[2])


def test_of_equally_good_actions_the_first() -> None:
    mdp = MDP(np.full((3, 4, 3), 1 / 3), 0.9)
    assert mdp.optimal(np.zeros((3, 4))).tolist() == [0, 0, 0]
    assert mdp.optimal([[1, 3, 3, 2], [0, 0, 0, 0], [1, 1, 1, 1 + 1e-14]]).tolist() == [1, 0, 0]


def test_policy_iteration_that_finds_no_end_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_STEPS", 0)
    with pytest.raises(RuntimeError, match=r"discount 0\.5"):
        families.two_states().optimal(ARRIVE)


@given(data=st.data(), mdp=worlds())
@settings(max_examples=30)
def test_shaping_moves_every_return_alike(data: st.DataObject, mdp: MDP) -> None:
    reward, phi = data.draw(rewards(mdp)), data.draw(potentials(mdp))
    policies = np.random.default_rng(data.draw(seeds)).dirichlet(np.ones(mdp.actions), (10, mdp.states))
    moved = [
        mdp.returns(families.shaped(mdp, reward, phi), p) - mdp.returns(reward, p) + mdp.start @ phi for p in policies
    ]
    assert np.abs(moved).max() <= 1e-11 * 100 / (1 - mdp.discount) ** 2


@given(data=st.data(), mdp=worlds())
@settings(max_examples=30)
def test_occupancy_sums_to_the_horizon_and_gives_the_return(data: st.DataObject, mdp: MDP) -> None:
    reward = data.draw(rewards(mdp))
    policy = np.random.default_rng(data.draw(seeds)).dirichlet(np.ones(mdp.actions), mdp.states)
    for pi in (policy, policy.argmax(axis=1), None):
        visits = mdp.occupancy(pi)
        assert abs(visits.sum() - 1 / (1 - mdp.discount)) <= 1e-9
        assert abs((visits * mdp.expected(reward)).sum() - mdp.returns(reward, pi)) <= 1e-9 / (1 - mdp.discount)


# -------------------------------------------------------------------------------------------------- regret
def linear_program(mdp: MDP, true: np.ndarray, proxy: np.ndarray) -> float:
    """max J1(p) - J1(q) with J2(q) >= J2(p), over the occupancies of both policies."""
    r1, r2 = mdp.expected(true).ravel(), mdp.expected(proxy).ravel()
    flow = np.repeat(np.eye(mdp.states), mdp.actions, axis=1) - mdp.discount * mdp.transition.reshape(-1, mdp.states).T
    zero = np.zeros_like(flow)
    both = np.concatenate([np.hstack([flow, zero]), np.hstack([zero, flow])])
    found = linprog(
        -np.concatenate([r1, -r1]), A_ub=[np.concatenate([r2, -r2])], b_ub=[0.0], A_eq=both, b_eq=np.tile(mdp.start, 2),
        method="highs",
    )  # fmt: skip
    return float(-found.fun / mdp.span(true))


@pytest.mark.parametrize("seed", range(12))
def test_worst_case_regret_is_the_linear_program(seed: int) -> None:
    mdp, (a, b, c, _) = random_world(seed, 6, 3)
    pairs = [(a, b), (a, a + 0.01 * b), (a, b - a), (c, a - 2 * c), (a, a + 1e-4 * c)]
    ours = mdp.worst_case_regret(np.array([p for p, _ in pairs]), np.array([q for _, q in pairs]))
    assert np.abs(ours - [linear_program(mdp, *pair) for pair in pairs]).max() <= 1e-6
    assert np.array_equal(ours, [mdp.worst_case_regret(*pair) for pair in pairs])


@given(data=st.data(), mdp=worlds())
@settings(max_examples=40)
def test_regret_is_a_share_and_the_worst_case_bounds_it(data: st.DataObject, mdp: MDP) -> None:
    true, proxy = data.draw(rewards(mdp)), data.draw(rewards(mdp))
    regret, worst = mdp.regret(true, proxy), mdp.worst_case_regret(true, proxy)
    assert 0 <= regret <= worst + 1e-9 <= 1 + 2e-9
    assert mdp.regret(true, proxy, symmetric=True) == (regret + mdp.regret(proxy, true)) / 2


@given(data=st.data(), mdp=worlds())
@settings(max_examples=40)
def test_equivalent_rewards_cost_nothing_and_opposite_ones_everything(data: st.DataObject, mdp: MDP) -> None:
    reward = data.draw(rewards(mdp))
    shaped = families.shaped(mdp, reward, data.draw(potentials(mdp))) + data.draw(numbers)
    same = data.draw(factors) * shaped + families.random_redistribution(mdp, data.draw(seeds))
    assert mdp.worst_case_regret(reward, same) <= 1e-8
    assert mdp.regret(reward, same) <= 1e-8
    told_apart = float(mdp.span(reward) > 0)
    assert mdp.regret(reward, -reward) == pytest.approx(told_apart, abs=1e-12)
    assert mdp.worst_case_regret(reward, -reward) == pytest.approx(told_apart, abs=1e-12)


def test_rewards_that_tell_no_policies_apart() -> None:
    mdp, (reward, *_) = random_world(0)
    zero, constant = np.zeros_like(reward), np.full_like(reward, 7.3)
    potential = families.shaped(mdp, zero, np.arange(5.0))
    impossible = np.where(mdp.transition > 0, 0.0, 1e6)
    spread = families.random_redistribution(mdp, 1, scale=1e4)
    for nothing in (zero, constant, potential, impossible, spread):
        assert mdp.span(nothing) == 0.0
        assert mdp.regret(nothing, reward) == 0.0
        assert mdp.worst_case_regret(nothing, reward) == 0.0
        assert mdp.worst_case_regret(reward, nothing) == 1.0
        assert 0 <= mdp.regret(reward, nothing) <= 1
    assert mdp.worst_case_regret(zero, zero) == 0.0


@pytest.mark.parametrize("scale", [1e-12, 1e9])
def test_no_unit_of_reward_is_special(scale: float) -> None:
    mdp, (a, b, *_) = random_world(1)
    assert np.array_equal(mdp.optimal(scale * a), mdp.optimal(a))
    assert mdp.regret(scale * a, b) == pytest.approx(mdp.regret(a, b), rel=1e-9)
    assert mdp.worst_case_regret(scale * a, b / scale) == pytest.approx(mdp.worst_case_regret(a, b), rel=1e-9)


def test_many_rewards_at_once() -> None:
    mdp, many = random_world(5)
    first, second = many[:2, None], many[None, 2:]
    for method in (mdp.regret, mdp.worst_case_regret):
        table = method(first, second)
        assert table.shape == (2, 2)
        assert table[1, 0] == pytest.approx(method(many[1], many[2]), rel=1e-12)
    assert mdp.span(many.reshape(2, 2, *many.shape[1:])).shape == (2, 2)
    assert isinstance(mdp.returns(many[0]), float)
    assert np.allclose(mdp.returns(many), [mdp.returns(r) for r in many], rtol=1e-12)


# ------------------------------------------------------------------------------------------------ refusals
STAY = [[[1, 0]], [[0, 1]]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"transition": [[1, 0], [0, 1]]}, r"shape \(2, 2\); it must be \[S, A, S\]"),
        ({"transition": [[[0.5, 0.5, 0]], [[0, 0.5, 0.5]]]}, r"shape \(2, 1, 3\)"),
        ({"transition": np.zeros((0, 1, 0))}, r"shape \(0, 1, 0\)"),
        ({"transition": [[[0.6, 0.5]], [[0, 1]]]}, r"sums to 1\.1 over s=0, a=0"),
        ({"transition": [[[1.5, -0.5]], [[0, 1]]]}, r"holds -0\.5 at \(0, 0, 1\)"),
        ({"transition": [[[1, 0]], [[0, np.nan]]]}, r"holds nan at \(1, 0, 1\)"),
        ({"discount": 1.5}, r"discount must lie in \[0, 1\], not 1\.5"),
        ({"discount": np.nan}, "discount must lie"),
        ({"start": [1.0]}, "one probability per state"),
        ({"start": [0.2, 0.2]}, r"start sums to 0\.4"),
    ],
)
def test_what_is_no_world(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MDP(**{"transition": STAY, **arguments})


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        (np.zeros((2, 2, 2)), r"shape \(2, 2, 2\); this world needs \(2, 1, 2\), \(2, 1\) or \(2,\)"),
        (np.zeros(3), r"shape \(3,\)"),
        ([[[0, 1]], [[np.nan, 0]]], r"holds nan at \(1, 0, 0\)"),
        ([np.inf, 0], r"holds inf"),
        ([1e200, 0], "below 1e150"),
        ([1e-160, 0], "at most 1e-160, which is lost in rounding"),
    ],
)
def test_what_is_no_reward(reward: Any, message: str) -> None:
    mdp = MDP(STAY)
    for call in (mdp.span, mdp.optimal, mdp.returns, lambda r: distances.compute("starc", mdp, r, r)):
        with pytest.raises(ValueError, match=message):
            call(reward)


@pytest.mark.parametrize("policy", [[0, 1], [0.0, 0.0], [[1.0], [0.5]], [0]])
def test_what_is_no_policy(policy: Any) -> None:
    with pytest.raises(ValueError, match="policy"):
        MDP(STAY).value([0, 1], policy)


def test_a_discount_of_one_has_no_values() -> None:
    mdp = MDP(STAY, 1)
    for call in (mdp.value, mdp.span, mdp.optimal, lambda r: mdp.regret(r, r)):
        with pytest.raises(ValueError, match="discount below 1"):
            call([0, 1])
    with pytest.raises(ValueError, match="discount below 1"):
        mdp.occupancy()


def test_a_world_does_not_change() -> None:
    given = np.array(STAY, dtype=float)
    mdp = MDP(given)
    given[:] = 0.5
    assert mdp.transition.tolist() == STAY
    with pytest.raises(ValueError, match="read-only"):
        mdp.transition[0] = 0
    assert repr(mdp) == "MDP(states=2, actions=1, discount=0.95)"


@pytest.mark.parametrize("name", ["starc", "val-l2-l2", "val-l1-l1", "dard-l2-l2", "epic-l2-l2"])
def test_a_potential_is_nothing_at_a_discount_near_one(name: str) -> None:
    """What rounding leaves of it grows with the horizon 1 / (1 − γ): the floor under a form does too."""
    mdp = families.sparse(8, 3, 0.99999, source=1)
    potential = np.random.default_rng(2).standard_normal(8)
    shaping = np.broadcast_to(0.99999 * potential - potential[:, None, None], mdp.transition.shape)
    assert distances.compute(name, mdp, shaping, np.zeros(8)) == 0.0


@pytest.mark.parametrize("discount", [None, "x", 10**400, -0.1, [0.9]])
def test_what_is_no_discount(discount: Any) -> None:
    with pytest.raises(ValueError, match=r"discount must lie in \[0, 1\], not "):
        MDP(np.ones((1, 1, 1)), discount)


def test_rewards_that_are_no_numbers() -> None:
    for reward in ([10**400], ["x"], [[1], [1, 2]]):
        with pytest.raises(ValueError, match="reward must be numbers, in rows of one length; "):
            MDP(np.ones((1, 1, 1))).rewards(reward)
