"""The tabular worlds in which rewards are compared: exact values, optimal policies, regret."""

from __future__ import annotations

from itertools import product

import numpy as np

from lab.papers.measure import Array, Rows, interval
from lab.papers.record import Measurement, Paper, add_paper, claim

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


@claim(
    "mdp-substrate.1",
    sentence="Policy iteration finds the best of all deterministic policies.",
    criterion="return equal to that of the best of all 3^5 = 243 policies to 1e-10 in 20 random worlds",
    note="Exact: the value is the largest difference.",
)
def brute_force(seed: int) -> Measurement:
    """Largest difference between policy iteration and enumeration."""
    from simulators.mdp import families

    worst = 0.0
    for index in range(20):
        rng = families.environment(seed, index)
        mdp = families.sparse(5, 3, source=rng)
        reward = families.random_reward(mdp, rng)
        best = max(mdp.returns(reward, np.array(policy)) for policy in product(range(3), repeat=5))
        worst = max(worst, abs(best - mdp.returns(reward, mdp.optimal(reward))))
    return Measurement(worst, worst <= 1e-10)


@claim(
    "mdp-substrate.2",
    sentence="A potential moves the return of every policy by the same number, −μ·φ.",
    criterion="over 50 random policies the spread of the moves, and their distance from −μ·φ, are at most 1e-10 "
    "(20 worlds of 16 states)",
    note="Exact: the value is the larger of the two, over all worlds.",
)
def potentials(seed: int) -> Measurement:
    """Largest violation."""
    from simulators.mdp import families

    worst = 0.0
    for index in range(20):
        rng = families.environment(seed, index)
        mdp = families.sparse(16, 4, source=rng)
        reward, phi = families.random_reward(mdp, rng), families.random_potential(mdp, rng)
        policies = rng.dirichlet(np.ones(4), (50, 16))
        shaped = families.shaped(mdp, reward, phi)
        moves = np.array([mdp.returns(shaped, p) - mdp.returns(reward, p) for p in policies])
        worst = max(worst, float(moves.std()), float(np.abs(moves + mdp.start @ phi).max()))
    return Measurement(worst, worst <= 1e-10)


@claim(
    "mdp-substrate.3",
    sentence="Worst-case regret is at least the regret of every pair of policies that the proxy misjudges, 0 between a "
    "reward and its multiples and 1 between a reward and its negative.",
    criterion="no violation above 1e-9 over 200 random pairs in each of 20 worlds, both ends exact to 1e-6",
    note="The value is the largest regret of a misjudged pair over the worst case. The same quantity as "
    "a linear program over two occupancy measures is compared in the tests, to 1e-6. Seeds 0 to 4: 0.70 to 0.94.",
)
def worst_case(seed: int) -> Measurement:
    """Largest share of the worst case that random pairs reach."""
    from simulators.mdp import families

    shares: list[float] = []
    ends: list[float] = []
    for index in range(20):
        rng = families.environment(seed, index)
        mdp = families.sparse(16, 4, source=rng)
        true, proxy = families.random_reward(mdp, rng), families.random_reward(mdp, rng)
        limit = mdp.worst_case_regret(true, proxy)
        policies = rng.integers(4, size=(400, 16))
        j1, j2 = (np.array([mdp.returns(r, p) for p in policies]).reshape(200, 2) for r in (true, proxy))
        flipped = (j1[:, 0] - j1[:, 1]) * (j2[:, 0] - j2[:, 1]) <= 0
        lost = np.abs(j1[:, 0] - j1[:, 1])[flipped] / mdp.span(true)
        shares.append(float(lost.max(initial=0.0) / limit) if limit > 0 else float(lost.max(initial=0.0) > 1e-9))
        ends += [mdp.worst_case_regret(true, 3 * true), 1 - mdp.worst_case_regret(true, -true)]
    value = max(shares)
    rows: Rows = [{"world": i, "share": s} for i, s in enumerate(shares)]
    return Measurement(value, value <= 1 + 1e-9 and max(np.abs(ends)) <= 1e-6, detail=rows)


@claim(
    "mdp-substrate.4",
    sentence="Discounted visits add up to 1/(1 − g), and the return is their inner product with the reward.",
    criterion="both to 1e-9 for 50 random policies in 20 worlds",
    note="Exact: the value is the larger violation.",
)
def occupancies(seed: int) -> Measurement:
    """Largest violation of the two identities."""
    from simulators.mdp import families

    worst = 0.0
    for index in range(20):
        rng = families.environment(seed, index)
        mdp = families.sparse(16, 4, source=rng)
        reward = families.random_reward(mdp, rng)
        for policy in rng.dirichlet(np.ones(4), (50, 16)):
            visits = mdp.occupancy(policy)
            total, earned = visits.sum() * (1 - mdp.discount) - 1, (visits * mdp.expected(reward)).sum()
            worst = max(worst, abs(float(total)), abs(float(earned - mdp.returns(reward, policy))))
    return Measurement(worst, worst <= 1e-9)


@claim(
    "mdp-substrate.check-by-hand",
    sentence="Two states, two actions, 1 for every step that ends in the second state: all numbers as by hand.",
    criterion="V* = (2, 2), J = 2, span 2, V of the uniform policy (1, 1), VAL form (−.5, .5; .5, −.5), all to 1e-12",
    note="Exact: the value is the largest difference.",
)
def by_hand(seed: int) -> Measurement:
    """Largest difference from the worked example."""
    from simulators.mdp.families import two_states

    mdp, reward = two_states(), np.array([0.0, 1.0])
    best = mdp.optimal(reward)
    uniform = mdp.value(reward)
    form = mdp.expected(reward) + mdp.discount * mdp.transition @ uniform - uniform[:, None]
    differences = [
        mdp.value(reward, best) - 2, mdp.returns(reward, best) - 2, mdp.span(reward) - 2, uniform - 1,
        form - np.array([[-0.5, 0.5], [0.5, -0.5]]), best - np.array([1, 0]),
    ]  # fmt: skip
    worst = max(float(np.abs(d).max()) for d in differences)
    return Measurement(worst, worst <= 1e-12)


def _samples(seed: int, index: int, phi_scale: float = 0.0) -> tuple[Array, Array]:
    """REINFORCE samples [n, S·A] of one world's gradient, and the exact one [S·A]."""
    from simulators.mdp import families
    from simulators.mdp import gradient as gradients

    rng = families.environment(seed, index)
    mdp = families.sparse(10, 3, 0.9, source=rng)
    reward, theta = rng.normal(size=(10, 3, 10)), 0.5 * rng.normal(size=(10, 3))
    shaped = families.shaped(mdp, reward, phi_scale * rng.normal(size=10))
    drawn = gradients.reinforce(mdp, shaped, theta, episodes=4000, horizon=120, rng=rng)
    return drawn.reshape(4000, -1), gradients.exact(mdp, reward, theta).ravel()


@claim(
    "mdp-substrate.check-gradient",
    sentence="REINFORCE's samples average to the exact policy gradient, whatever the potential: shaping leaves the "
    "expected gradient alone and changes its noise.",
    criterion="mean of 4000 episodes within 5 standard errors of the exact gradient in every coordinate, without a "
    "potential and with one of size 5 (4 worlds of 10 states); variance with the potential above 2 times that without",
    note="The value is the mean ratio of the variances; 6.66 was reported for another random world. "
    "Seeds 0 to 4: 4.1 to 5.6.",
)
def gradient(seed: int) -> Measurement:
    """Ratio of the gradient's variance with a potential of size 5."""
    ratios, close = [], True
    for index in range(4):
        spread = []
        for scale in (0.0, 5.0):
            drawn, true = _samples(seed, index, scale)
            error = drawn.std(0, ddof=1) / np.sqrt(len(drawn)) + 1e-3 * np.abs(true).max()
            close &= bool((np.abs(drawn.mean(0) - true) < 5 * error).all())
            spread.append(drawn.var(0).sum())
        ratios.append(spread[1] / spread[0])
    mean, bounds = interval(np.array(ratios))
    return Measurement(mean, close and mean > 2, bounds)
