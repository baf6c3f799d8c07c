"""The tabular worlds in which rewards are compared: exact values, optimal policies, regret."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from lab import distances
from lab.papers.measure import Array, Rows, ahead, exact, interval
from lab.papers.record import Measurement, Paper, add_paper, claim

if TYPE_CHECKING:
    from simulators.mdp.mdp import MDP

add_paper(
    Paper(
        slug="mdp-substrate",
        title="Tabular worlds with exact values, regret and gradients",
        short="MDP worlds",
        date="textbook, and the experiments of STARC",
        arxiv={"STARC": "2309.15257"},
        code="https://github.com/lucyfarnik/starc",
        problem=(
            "To say what a wrong reward costs, returns, optimal policies and regret must be known without sampling. "
            "Small Markov decision processes allow that: random ones with few successors, grids and chains."
        ),
        equations=(
            ("value", "V = (I − g P_π)⁻¹ r_π,  J = μ·V"),
            ("regret", "(J₁(π₁) − J₁(π₂)) / span₁,  span = max J + max J(−R)"),
            ("worst case", "WR = min over λ ≥ 0 of span(R₁ − λ R₂) / span(R₁)"),
            ("gradient", "dJ/dθ[s, a] = d(s) π(a|s) A(s, a)"),
        ),
        kept="Random, Dirichlet, deterministic, grid and chain worlds, random rewards, policy iteration, regret.",
        left_out="Worlds too large for a table.",
        unknown="Nothing; the definitions are those of the authors' code, with two changes that the sources name.",
    )
)


def _worlds(seed: int, count: int = 20, states: int = 16, actions: int = 4) -> list[tuple[MDP, np.random.Generator]]:
    """Random worlds with a discount of 0.95, each with the generator that drew it."""
    from simulators.mdp import families

    drawn = [families.environment(seed, index) for index in range(count)]
    return [(families.sparse(states, actions, source=rng), rng) for rng in drawn]


def _at(mdp: MDP, discount: float | None) -> MDP:
    """The world at another discount; None leaves it as it is."""
    from simulators import MDP

    return mdp if discount is None else MDP(mdp.transition, discount, mdp.start)


def _sampled(mdp: MDP, true: Array, proxy: Array, episodes: int, rng: np.random.Generator) -> float:
    """Regret as `MDP.regret` with `symmetric`, with the returns of the two optimal policies estimated from episodes."""
    from simulators.mdp.episodes import walk

    horizon, earned = 40, []
    for policy in (mdp.optimal(true), mdp.optimal(proxy)):
        states, actions = walk(mdp, episodes, horizon, policy=policy, rng=rng)
        places = states[:, :-1], actions, states[:, 1:]
        earned.append([float((r[places] @ mdp.discount ** np.arange(horizon)).mean()) for r in (true, proxy)])
    (own, foreign), (other, best) = earned
    return ((own - other) / mdp.span(true) + (best - foreign) / mdp.span(proxy)) / 2


def _followed(seed: int, states: int, episodes: int) -> dict[str, Array]:
    """Rank correlation of VAL's distance with regret, exact and from episodes, in each world [24]."""
    from lab.studies.distance_regret import rank_correlation
    from simulators.mdp import families

    found: dict[str, list[float]] = {"exact": [], "estimated": []}
    for wide, rng in _worlds(seed, 24, states):
        mdp = _at(wide, 0.9)
        true, last = families.random_reward(mdp, rng), families.random_reward(mdp, rng)
        between = np.array([true + (last - true) * share for share in np.arange(1, 9) / 8])
        distance = distances.compute("val-l2-l2", mdp, true, between)
        estimated = np.array([_sampled(mdp, true, other, episodes, rng) for other in between])
        for name, regret in (("exact", mdp.regret(true, between, symmetric=True)), ("estimated", estimated)):
            found[name].append(rank_correlation(distance, regret))
    return {name: np.array(values) for name, values in found.items()}


@claim(
    "mdp-substrate.headline",
    sentence="What exact values are for: along the way from one random reward to another the rank correlation of VAL's "
    "distance with exact regret is 0.98, with regret estimated from 10 episodes of each policy 0.17 lower.",
    criterion="rank correlation with exact regret less that with estimated regret above 0, 95% interval over 24 worlds "
    "(8 steps, S = 16, A = 4, 10 episodes of 40 steps, discount 0.9)",
    note="There is no method here to compare with others: these are the worlds of their experiments. "
    "Seeds 0 to 4: 0.09 to 0.24.",
)
def headline(seed: int) -> Measurement:
    """Lead of exact over estimated regret in the rank correlation with a distance."""
    places = {"S = 16, 10 episodes": (16, 10), "S = 16, 100 episodes": (16, 100), "S = 8, 10 episodes": (8, 10)}
    found = {where: _followed(seed, *place) for where, place in places.items()}
    return ahead(found, "exact", "estimated")


@claim(
    "mdp-substrate.1",
    sentence="Policy iteration finds the best of all deterministic policies.",
    criterion="return equal to that of the best of all 3^5 = 243 policies to 1e-10 in 20 random worlds",
    note="Exact: the value is the largest difference. Twin: the policy that is best for the next reward alone.",
    without=lambda seed: _planned(seed, 0.0),
)
def brute_force(seed: int) -> Measurement:
    """Largest difference between policy iteration and enumeration."""
    return _planned(seed)


def _planned(seed: int, discount: float | None = None) -> Measurement:
    from simulators.mdp import families

    rows: Rows = []
    for index, (mdp, rng) in enumerate(_worlds(seed, states=5, actions=3)):
        reward = families.random_reward(mdp, rng)
        best = max(mdp.returns(reward, np.array(policy)) for policy in product(range(3), repeat=5))
        found = mdp.returns(reward, _at(mdp, discount).optimal(reward))
        rows.append({"world": index, "best of 243": best, "found": found, "difference": best - found})
    return exact(rows, 1e-10)


@claim(
    "mdp-substrate.2",
    sentence="A potential moves the return of every policy by the same number, −μ·φ.",
    criterion="over 50 random policies the spread of the moves, and their distance from −μ·φ, are at most 1e-10 "
    "(20 worlds of 16 states)",
    note="Exact: the value is the larger of the two, over all worlds. Twin: the potential without the discount.",
    without=lambda seed: _moved(seed, 1.0),
)
def potentials(seed: int) -> Measurement:
    """Largest violation."""
    return _moved(seed)


def _moved(seed: int, discount: float | None = None) -> Measurement:
    from simulators.mdp import families

    rows: Rows = []
    for index, (mdp, rng) in enumerate(_worlds(seed)):
        reward, phi = families.random_reward(mdp, rng), families.random_potential(mdp, rng)
        policies = rng.dirichlet(np.ones(4), (50, 16))
        shaped = families.shaped(_at(mdp, discount), reward, phi)
        moves = np.array([mdp.returns(shaped, p) - mdp.returns(reward, p) for p in policies])
        away = float(np.abs(moves + mdp.start @ phi).max())
        rows.append({"world": index, "spread": float(moves.std()), "difference": max(float(moves.std()), away)})
    return exact(rows, 1e-10)


def _misjudged(mdp: MDP, true: Array, proxy: Array) -> float:
    """Largest loss over all pairs of policies that the proxy does not rank down, by enumeration, over the span.

    Every pair of policies is a mixture of pairs of deterministic ones, and with one condition two of them are enough.
    """
    policies = [np.array(p) for p in product(range(mdp.actions), repeat=mdp.states)]
    j1, j2 = (np.array([mdp.returns(r, p) for p in policies]) for r in (true, proxy))
    lost, gained = (j1[:, None] - j1).ravel(), (j2 - j2[:, None]).ravel()
    up, down = gained >= 0, gained < 0
    share = gained[up][:, None] / (gained[up][:, None] - gained[down])
    mixed = (1 - share) * lost[up][:, None] + share * lost[down]
    return float(max(lost[up].max(), mixed.max(initial=0.0)) / mdp.span(true))


@claim(
    "mdp-substrate.3",
    sentence="Worst-case regret is the largest loss over all pairs of policies that the proxy misjudges, 0 between a "
    "reward and its multiples and 1 between a reward and its negative.",
    criterion="equal to 1e-9 to the best mixture of two pairs of the 16 deterministic policies in 20 worlds of 4 "
    "states and 2 actions, both ends exact to 1e-6",
    note="Exact: the value is the largest difference. The same quantity as a linear program over two occupancy "
    "measures is compared in the tests, to 1e-6. Twin: the regret of the two optimal policies.",
    without=lambda seed: _worst(seed, "regret"),
)
def worst_case(seed: int) -> Measurement:
    """Largest difference between worst-case regret and enumeration."""
    return _worst(seed)


def _worst(seed: int, of: str = "worst_case_regret") -> Measurement:
    from simulators.mdp import families

    rows: Rows = []
    for index, (mdp, rng) in enumerate(_worlds(seed, states=4, actions=2)):
        true, proxy = families.random_reward(mdp, rng), families.random_reward(mdp, rng)
        measure = getattr(mdp, of)
        found, listed = measure(true, proxy), _misjudged(mdp, true, proxy)
        rows.append({"world": index, "found": found, "by enumeration": listed, "difference": found - listed,
                     "multiple": measure(true, 3 * true), "negative": measure(true, -true)})  # fmt: skip
    ends = all(row["multiple"] <= 1e-6 and row["negative"] >= 1 - 1e-6 for row in rows)
    return exact(rows, 1e-9, also=ends)


@claim(
    "mdp-substrate.4",
    sentence="Discounted visits add up to 1/(1 − g), and the return is their inner product with the reward.",
    criterion="both to 1e-9 for 50 random policies in 20 worlds",
    note="Exact: the value is the larger violation. Twin: visits at a discount of 0.9 in place of 0.95.",
    without=lambda seed: _visited(seed, 0.9),
)
def occupancies(seed: int) -> Measurement:
    """Largest violation of the two identities."""
    return _visited(seed)


def _visited(seed: int, discount: float | None = None) -> Measurement:
    from simulators.mdp import families

    rows: Rows = []
    for index, (mdp, rng) in enumerate(_worlds(seed)):
        reward, other = families.random_reward(mdp, rng), _at(mdp, discount)
        for policy in rng.dirichlet(np.ones(4), (50, 16)):
            visits = other.occupancy(policy)
            total, earned = visits.sum() * (1 - mdp.discount) - 1, (visits * mdp.expected(reward)).sum()
            away = max(abs(float(total)), abs(float(earned - mdp.returns(reward, policy))))
            rows.append({"world": index, "difference": away})
    return exact(rows, 1e-9)


@claim(
    "mdp-substrate.check-by-hand",
    sentence="Two states, two actions, 1 for every step that ends in the second state: all numbers as by hand.",
    criterion="V* = (2, 2), J = 2, span 2, V of the uniform policy (1, 1), VAL form (−.5, .5; .5, −.5), all to 1e-12",
    note="Exact: the value is the largest difference. Twin: a discount of 0.6 in place of 0.5.",
    without=lambda seed: _by_hand(0.6),
)
def by_hand(seed: int) -> Measurement:
    """Largest difference from the worked example."""
    return _by_hand()


def _by_hand(discount: float | None = None) -> Measurement:
    from simulators.mdp.families import two_states

    mdp, reward = _at(two_states(), discount), np.array([0.0, 1.0])
    best = mdp.optimal(reward)
    form = distances.canonical_form("val", mdp, reward)[:, :, 0]
    found = {
        "V of the best": mdp.value(reward, best) - 2, "J": mdp.returns(reward, best) - 2, "span": mdp.span(reward) - 2,
        "V of the uniform": mdp.value(reward) - 1, "VAL": form - np.array([[-0.5, 0.5], [0.5, -0.5]]),
        "best": best - np.array([1, 0]),
    }  # fmt: skip
    return exact([{"of": name, "difference": float(np.abs(d).max())} for name, d in found.items()], 1e-12)


def _samples(seed: int, index: int, phi_scale: float, discount: float | None) -> tuple[Array, Array]:
    """REINFORCE samples [n, S·A] of one world's gradient, and the exact one [S·A]."""
    from simulators.mdp import families
    from simulators.mdp import gradient as gradients

    rng = families.environment(seed, index)
    mdp = families.sparse(10, 3, 0.9, source=rng)
    reward, theta = rng.normal(size=(10, 3, 10)), 0.5 * rng.normal(size=(10, 3))
    shaped = families.shaped(_at(mdp, discount), reward, phi_scale * rng.normal(size=10))
    drawn = gradients.reinforce(mdp, shaped, theta, episodes=4000, horizon=120, rng=rng)
    return drawn.reshape(4000, -1), gradients.exact(mdp, reward, theta).ravel()


@claim(
    "mdp-substrate.check-gradient",
    sentence="REINFORCE's samples average to the exact policy gradient, whatever the potential: shaping leaves the "
    "expected gradient alone and changes its noise.",
    criterion="mean of 4000 episodes within 5 standard errors of the exact gradient in every coordinate, without a "
    "potential and with one of size 5 (4 worlds of 10 states); variance with the potential above 2 times that without",
    note="The value is the mean ratio of the variances; 6.66 was reported for another random world. "
    "Seeds 0 to 4: 4.1 to 5.6. Twin: the potential without the discount.",
    without=lambda seed: _gradient(seed, 1.0),
)
def gradient(seed: int) -> Measurement:
    """Ratio of the gradient's variance with a potential of size 5."""
    return _gradient(seed)


def _gradient(seed: int, discount: float | None = None) -> Measurement:
    ratios, close = [], True
    for index in range(4):
        spread = []
        for scale in (0.0, 5.0):
            drawn, true = _samples(seed, index, scale, discount)
            error = drawn.std(0, ddof=1) / np.sqrt(len(drawn)) + 1e-3 * np.abs(true).max()
            close &= bool((np.abs(drawn.mean(0) - true) < 5 * error).all())
            spread.append(drawn.var(0).sum())
        ratios.append(spread[1] / spread[0])
    mean, bounds = interval(np.array(ratios))
    rows: Rows = [{"world": index, "ratio of variances": float(ratio)} for index, ratio in enumerate(ratios)]
    return Measurement(mean, close and mean > 2, bounds, rows)
