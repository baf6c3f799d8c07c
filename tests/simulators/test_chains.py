"""Chains and Q-learning in them: against a plain Python loop, policy iteration, and Wiewiora's identity."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.mdp.chains import BACK, FORWARD, SEARCH, Chain
from simulators.mdp.families import shaped
from simulators.mdp.q_learning import TIE, learn
from simulators.random import uniforms


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    length = draw(st.integers(2, 7))
    slips = st.sampled_from([0.0, 0.25, 0.6])
    slip: Any = draw(slips) if draw(st.booleans()) else tuple(draw(slips) for _ in range(length))
    return Chain(
        length, draw(st.sampled_from([0.5, 0.9, 0.97])), draw(st.integers(1, 30)), slip,
        draw(st.integers(0, 3)), draw(st.integers(0, length - 1)),
    )  # fmt: skip


def by_hand(chain: Chain, reward: Any, episodes: int, seed: int, **given: Any) -> tuple[Any, list[list[int]], Any]:
    """Q-learning as one would write it in Python: action values by what was seen, trail, events of each episode."""
    alpha, explore, pay, beta = (given[n] for n in ("alpha", "explore", "pay", "beta"))
    q: dict[tuple[int, int], list[float]] = {}
    trails, counts = [], []
    for episode in range(episodes):
        s, seen, trail, count = 0, 0, [], [0] * chain.events
        for t in range(chain.horizon):
            if chain.end[s]:
                break
            random, which, where = (float(uniforms(seed, step=episode, rollout=t, draw=d)) for d in range(3))
            row = q.setdefault((seen, s), [0.0] * 3)
            best = [a for a in range(3) if row[a] >= max(row) - TIE]
            a = int(which * 3) if random < explore else best[int(which * len(best))]
            total, after = 0.0, -1
            for state in range(chain.length + 1):
                total += chain.mdp.transition[s, a, state]
                if after < 0 and where < total:
                    after = state
            r, k, known = reward[s, a, after], chain.event[s, a, after], seen
            if k >= 0:
                count[k] += 1
                r += pay * count[k] ** -beta
                known |= (1 << k) * given["remember"]
            later = 0.0 if chain.end[after] else max(q.setdefault((known, after), [0.0] * 3))
            row[a] += alpha * (r + chain.discount * later - row[a])
            trail.append(s * 3 + a)
            s, seen = after, known
        trails.append(trail)
        counts.append(count)
    return q, trails, counts


@settings(max_examples=40, deadline=None)
@given(chain=chains(), seed=st.integers(0, 1000), remember=st.booleans(), beta=st.sampled_from([0.0, 1.0, 3.0]))
def test_the_kernel_does_what_plain_python_does(chain: Chain, seed: int, remember: bool, beta: float) -> None:
    reward = np.random.default_rng(seed).normal(size=chain.mdp.transition.shape)
    options: dict[str, Any] = {"alpha": 0.3, "explore": 0.4, "pay": 0.25, "beta": beta, "remember": remember}
    run = learn(chain, reward, episodes=6, seeds=[seed], record=True, **options)
    q, trails, counts = by_hand(chain, reward, 6, seed, **options)
    assert [[x for x in row if x >= 0] for row in run.trail[0].tolist()] == trails
    assert run.events[0].tolist() == counts
    assert run.steps[0].tolist() == [len(t) for t in trails]
    for (seen, s), row in q.items():
        assert run.q[0, seen, s] == pytest.approx(row, abs=1e-12)
    last = [chain.length if run.reached[0, e] else None for e in range(6)]
    assert [m > 0 for m in run.meant[0]] == [x is not None for x in last]


def test_returns_and_idle_steps_are_those_of_the_trail() -> None:
    chain = Chain(3, 0.9, 12)
    reward = np.random.default_rng(0).normal(size=chain.mdp.transition.shape)
    run = learn(chain, reward, episodes=5, seeds=2, explore=1.0, record=True, pay=0.5, beta=1.0)
    for i, e in np.ndindex(2, 5):
        codes = [c for c in run.trail[i, e] if c >= 0]
        total, meant, idle, lured = 0.0, 0.0, 0, 0
        for t, code in enumerate(codes):
            s, a = divmod(int(code), 3)
            after = {BACK: max(s - 1, 0), FORWARD: s + 1, SEARCH: s}[a]
            lured += (s, a) == (2, SEARCH)
            total += 0.9**t * (reward[s, a, after] + (0.5 / lured if (s, a) == (2, SEARCH) else 0.0))
            meant += 0.9**t * (after == 3)
            idle += after == s
        assert run.trained[i, e] == pytest.approx(total)
        assert run.meant[i, e] == pytest.approx(meant)
        assert run.idle[i, e] == idle
        assert run.events[i, e, 0] == lured


@settings(max_examples=40, deadline=None)
@given(chain=chains(), seed=st.integers(0, 1000), scale=st.sampled_from([0.1, 1.0, 5.0]))
def test_shaping_is_another_beginning(chain: Chain, seed: int, scale: float) -> None:
    phi = scale * np.random.default_rng(seed).normal(size=chain.length + 1)
    phi[chain.end] = 0.0
    from_zero = learn(chain, shaped(chain.mdp, chain.reward, phi), episodes=30, seeds=[seed], record=True)
    from_phi = learn(chain, chain.reward, first=phi, episodes=30, seeds=[seed], record=True)
    assert (from_zero.trail == from_phi.trail).all()
    assert from_zero.q[:, 0] + phi[:, None] == pytest.approx(from_phi.q[:, 0], abs=1e-9)


def test_learning_finds_what_policy_iteration_finds() -> None:
    chain = Chain(6, 0.9, 40)
    for reward in (chain.reward, chain.reward + 0.03 * (chain.event == 0), chain.reward + 0.2 * (chain.event == 0)):
        run = learn(chain, reward, episodes=4000, seeds=3, alpha=1.0, explore=1.0)
        best = chain.mdp.value(reward, chain.mdp.optimal(reward))
        assert run.q[:, 0, :6].max(axis=-1) == pytest.approx(np.tile(best[:6], (3, 1)), abs=1e-9)


def test_the_first_runs_are_the_same_among_more() -> None:
    chain = Chain(5, slip=0.2, every=2)
    few, many = (learn(chain, chain.reward, episodes=20, seeds=s, pay=0.1, beta=1.0) for s in ([3], [1, 2, 3]))
    assert (few.q[0] == many.q[2]).all() and (few.trained[0] == many.trained[2]).all()


def test_repeats_fade_by_a_power_or_as_told() -> None:
    chain = Chain(5, slip=0.2, every=2, horizon=20)
    given: dict[str, Any] = {"episodes": 30, "seeds": 2, "pay": 0.1, "remember": True, "record": True}
    power = learn(chain, chain.reward, beta=2.0, **given)
    told = learn(chain, chain.reward, fading=[float(n) ** -2 for n in range(1, 21)], **given)
    assert (power.trail == told.trail).all() and (power.q == told.q).all()
    once = learn(chain, 0 * chain.reward, fading=np.arange(20) == 0, **given | {"explore": 1.0})
    assert once.trained.max() <= 0.1 * chain.events
    with pytest.raises(ValueError, match=r"fading has shape \(3,\)"):
        learn(chain, chain.reward, fading=[1.0, 1.0, 1.0])


def test_events_lie_where_the_chain_says() -> None:
    chain = Chain(15, every=3, slip=0.05)
    assert chain.events == 6
    at = [tuple(int(i) for i in np.argwhere(chain.event == k)[0]) for k in range(6)]
    assert at == [(2, SEARCH, 2), *((3 * k - 1, FORWARD, 3 * k) for k in range(1, 6))]
    assert (chain.event >= 0).sum() == 6
    assert chain.mdp.transition[4, FORWARD, [0, 5]].tolist() == [0.05, 0.95]


def test_pay_may_come_late() -> None:
    chain = Chain(4, 0.9, 20)
    late = np.zeros((10, 1))
    late[5:] = 0.5
    never, later, ever = (
        learn(chain, chain.reward, episodes=10, seeds=2, explore=1.0, pay=p) for p in (0.0, late, 0.5)
    )
    assert (later.trained[:, :5] == never.trained[:, :5]).all()
    assert (later.trained[:, 5:] == ever.trained[:, 5:]).all()
    assert (later.trained[:, 5:] != never.trained[:, 5:]).any()


@settings(max_examples=20, deadline=None)
@given(chain=chains(), bonus=st.sampled_from([0.01, 0.3]), most=st.integers(1, 3))
def test_counting_a_bonus_that_does_not_fade_changes_nothing(chain: Chain, bonus: float, most: int) -> None:
    mdp, meant, number = chain.counting(most)
    plain = chain.reward + bonus * (chain.event == 0)
    counted = meant + bonus * (number > 0)
    best = mdp.optimal(counted)
    assert mdp.returns(counted, best) == pytest.approx(chain.mdp.returns(plain, chain.mdp.optimal(plain)))
    assert mdp.returns(meant, mdp.optimal(meant)) == pytest.approx(
        chain.mdp.returns(chain.reward, chain.mdp.optimal(chain.reward))
    )


def test_paid_once_is_searched_once() -> None:
    chain = Chain(6, 0.9)
    mdp, meant, number = chain.counting(2)
    best = mdp.optimal(meant + 0.9 * (number == 1)).reshape(7, 3)
    assert best[2].tolist() == [SEARCH, FORWARD, FORWARD]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: Chain(1), "length"),
        (lambda: Chain(discount=1.0), "discount=1.0; it must lie between"),
        (lambda: Chain(4, lure=4), "lure=4; it must be a position before the goal, 0..3"),
        (lambda: Chain(4, slip=(0.1, 0.2)), "slip=.*one for each of 4 positions"),
        (lambda: Chain(4, slip=-0.1), "slip=-0.1"),
        (lambda: learn(Chain(4), [1.0, 2.0]), "reward has shape"),
        (lambda: learn(Chain(4), Chain(4).reward, first=[1.0, 2.0]), "first has shape"),
        (lambda: learn(Chain(4), Chain(4).reward, pay=[1.0, 2.0]), "pay has shape"),
        (lambda: learn(Chain(4), Chain(4).reward, pay=np.nan), "finite"),
        (lambda: learn(Chain(4), Chain(4).reward, alpha=1.5), "alpha=1.5; it must lie in"),
        (lambda: learn(Chain(4), Chain(4).reward, episodes=0), "episodes must be at least 1"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call()
