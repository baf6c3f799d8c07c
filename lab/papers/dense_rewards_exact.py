"""Dense rewards scored exactly, and what comparisons, demonstrations and blends make of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from lab.papers.measure import Array, Rows, runs
from lab.papers.record import Measurement, claim

#: Size of a bonus -> its distance and worst-case regret, as reported.
LADDER = {0.001: (0.003, 0.056), 0.003: (0.010, 0.168), 0.01: (0.032, 0.559), 0.03: (0.096, 1.0), 0.1: (0.313, 1.0),
          0.3: (0.765, 1.0)}  # fmt: skip


def score(chain: Any, reward: Array) -> dict[str, Any]:
    """Exact scores of a reward in a chain."""
    from lab.studies.shaping import Construction, shaping_scores

    return shaping_scores([Construction("own", "a reward", lambda *_: reward)], chain=chain).row(0, named=True)


@claim(
    "dense-rewards.4",
    sentence="Exact scores: a potential is at distance 0; the bonus's distance and worst-case regret rise with its "
    "size, and between 0.01 and 0.03 its optimum turns away from the goal.",
    criterion="distance of the potential at most 1e-9; over bonuses .001 to .3 distance and worst-case regret are the "
    "reported ones to .001, both never fall, alignment is 1 up to .01 and 0 from .03 (threshold c g²/(1 − g) = g^19, "
    "c = .0179); the increment is at .306 with .554 and aligned",
    note="Exact: the value is the increment's distance. A distance bounds the worst case: far off, and yet its "
    "optimum is aligned here. Control: the increment in place of the potential.",
    without=lambda seed: _scored("increment"),
)
def scores(seed: int) -> Measurement:
    """Distance of the increment."""
    return _scored("pbrs")


def _scored(ours: str) -> Measurement:
    from lab.studies.shaping import shaping_scores
    from simulators.mdp.chains import Chain

    chain = Chain(20)
    rows: Rows = [{"bonus": None, **row} for row in shaping_scores([ours, "increment"], chain=chain).to_dicts()]
    rows += [{"bonus": c, **shaping_scores(["bonus"], chain=chain, bonus=c).row(0, named=True)} for c in LADDER]
    pbrs, increment, *ladder = rows
    reported = [*LADDER.values(), (0.306, 0.554)]
    near = all(
        np.allclose((row["distance"], row["worst_case_regret"]), wanted, rtol=0, atol=1e-3)
        for row, wanted in zip([*ladder, increment], reported, strict=True)
    )
    rising = all(
        a["distance"] < b["distance"] and a["worst_case_regret"] <= b["worst_case_regret"] + 1e-12
        for a, b in pairwise(ladder)
    )
    turned = all(abs(row["alignment"] - (row["bonus"] < 0.0179)) < 1e-9 for row in ladder)
    holds = pbrs["distance"] <= 1e-9 and near and rising and turned and increment["alignment"] > 1 - 1e-9
    return Measurement(increment["distance"], bool(holds), None, rows)


@claim(
    "dense-rewards.check-groups",
    sentence="Group-relative advantages of whole episodes don't see a potential: all that is left of it at the end is "
    "the start's Φ, the same for the group.",
    criterion="GRPO's advantages with and without the potential equal to 1e-9 in 64 groups of 8 finished episodes, "
    "while those with the increment differ by more than 0.1 somewhere; reward-to-go falls by Φ(s_t) to 1e-9",
    note="Exact: the value is the largest change. Returns are discounted; the reward costs 0.01 per search, so that "
    "episodes of one group differ. Control: a potential that is not 0 at the goal.",
    without=lambda seed: _grouped(seed, 1.0),
)
def groups(seed: int) -> Measurement:
    """Largest change of a group-relative advantage."""
    return _grouped(seed, 0.0)


def _grouped(seed: int, at_goal: float) -> Measurement:
    import lab
    from lab.rewards import shaping
    from simulators.mdp.chains import Chain
    from simulators.mdp.episodes import walk

    chain, rng = Chain(5, 0.9), np.random.default_rng(seed)
    phi = np.where(chain.end, at_goal, rng.normal(size=6))
    drawn = walk(chain.mdp, 512, 400, policy=np.tile((0.2, 0.6, 0.2), (6, 1)), rng=rng)
    here, after = drawn.states[:, :-1], drawn.states[:, 1:]
    over = chain.end[here]
    plain = np.where(over, 0.0, (after == 5) - 0.01 * (drawn.actions == 2))
    dense = np.where(over, 0.0, shaping.pbrs(plain, phi[here], phi[after], discount=0.9))
    naive = shaping.increment(plain, chain.progress[here], chain.progress[after])
    factor = 0.9 ** np.arange(400)
    advantages = [lab.advantages.compute("grpo", (r @ factor).reshape(64, 8)) for r in (plain, dense, naive)]
    changed, moved = (float(np.abs(a - advantages[0]).max()) for a in advantages[1:])
    shift = [np.cumsum((r * factor)[:, ::-1], axis=1)[:, ::-1] for r in (plain, dense)]
    apart = float(np.abs(shift[1] - shift[0] + factor * np.where(over, 0.0, phi[here])).max())
    rows: Rows = [{"potential": changed, "increment": moved, "reward-to-go off by": apart}]
    finished = bool(chain.end[drawn.states[:, -1]].all())
    return Measurement(changed, finished and changed <= 1e-9 and apart <= 1e-9 and moved > 0.1, None, rows)


@claim(
    "dense-rewards.check-learned",
    sentence="A reward of positions learned from the best policy has the right optimum, once entering the goal, which "
    "ends the episode, pays what staying there would have.",
    criterion="alignment 1 to 1e-9 in the chain of 13 positions for gates of .3, .5 and .9",
    note="Exact: the value is the smallest alignment. Control: without that payment the optimum stays away from the "
    "goal, where all pay ends.",
    without=lambda seed: _from_demonstrations(ended=False),
)
def demonstrations(seed: int) -> Measurement:
    """Smallest alignment over gates."""
    return _from_demonstrations(ended=True)


def _from_demonstrations(ended: bool) -> Measurement:
    from lab.reward_models.learned_rewards import from_demonstrations
    from simulators.mdp.chains import Chain

    chains = {gate: Chain.gate(gate, length=12) for gate in (0.3, 0.5, 0.9)}
    rows: Rows = [{"gate": g, **score(c, from_demonstrations(c, ended=ended))} for g, c in chains.items()]
    value = min(row["alignment"] for row in rows)
    return Measurement(value, value >= 1 - 1e-9, None, rows)


@claim(
    "dense-rewards.check-blend",
    sentence="Where the plain sum of goal and progress is a trap, BARFI's blend of the two is not: it weighs the goal "
    "higher.",
    criterion="alignment 0 for the sum and 1 for the blend, to 1e-9, with a gate of .1 and γ .9 and .95 (13 positions)",
    note="Exact: the value is the blend's smallest alignment. Control: progress alone in place of the blend.",
    without=lambda seed: _blended("progress"),
)
def blended(seed: int) -> Measurement:
    """Smallest alignment of the blend."""
    return _blended("blend")


def _blended(ours: str) -> Measurement:
    from lab.studies.shaping import shaping_scores
    from simulators.mdp.chains import Chain

    rows: Rows = []
    for discount in (0.9, 0.95):
        table = shaping_scores(["increment", ours], chain=Chain.gate(0.1, 12, discount))
        rows += [{"γ": discount, **row} for row in table.to_dicts()]
    naive, blend = ([row["alignment"] for row in rows if row["variant"] == n] for n in ("increment", ours))
    return Measurement(min(blend), max(naive) < 1e-9 and min(blend) > 1 - 1e-9, None, rows)


@claim(
    "dense-rewards.limit-preferences",
    sentence="200 faultless comparisons of episodes don't make a reward that leads to the goal: its optimum stops "
    "before the gate.",
    criterion="alignment 0 in at least 4 of 5 sets of comparisons (13 positions, gate .5, episodes of 40 steps, "
    "rewards of position and action; entering the goal pays what staying there would have)",
    note="The value is the share of aligned sets. The sum over an episode does not say when the pay came, and what is "
    "paid for positions near the goal is earned for ever by staying there. Seeds 0 to 4: 0 in all. Without a gate and "
    "with 1000 comparisons most sets are aligned. Control: a reward learned from the best policy.",
    without=lambda seed: _aligned(seed, "demonstrations"),
)
def preferences(seed: int) -> Measurement:
    """Share of sets of comparisons whose reward has the right optimum."""
    return _aligned(seed, "preferences")


def _aligned(seed: int, source: str) -> Measurement:
    from lab.reward_models.constructions import CHAIN
    from lab.reward_models.learned_rewards import from_demonstrations, from_preferences

    learn = {"preferences": from_preferences, "demonstrations": lambda chain, k: from_demonstrations(chain)}[source]
    rows: Rows = [{"set": k, **score(CHAIN, learn(CHAIN, k))} for k in runs(seed, 5)]
    value = float(np.mean([row["alignment"] > 0.5 for row in rows]))
    return Measurement(value, value <= 1 / 5, None, rows)
