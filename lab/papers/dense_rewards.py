"""Dense rewards: which constructions speed learning up, and which change what is learned."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.papers.measure import Array, Rows, below, interval, runs
from lab.papers.record import Measurement, Paper, add_paper, claim

if TYPE_CHECKING:
    from simulators.mdp.q_learning import Learned

add_paper(
    Paper(
        slug="dense-rewards",
        title="Towards better dense rewards in Reinforcement Learning Applications (a proposal)",
        short="Dense rewards",
        date="December 2025, and textbook results",
        arxiv={"shaping and first values": "1106.5267"},
        code="",
        problem=(
            "A reward at the goal alone teaches slowly. A reward at every step teaches faster, or teaches something "
            "else: a bonus is farmed, progress is hovered at, a learned reward is misread."
        ),
        equations=(
            ("potential", "r + γΦ(s′) − Φ(s),  Φ = 0 at the end"),
            ("increment", "r + Φ(s′) − Φ(s)"),
            ("bonus", "r + c·1[event]"),
            ("count", "r + c·1[event]/N(event)^β"),
            ("preferences", "P(τ₁ ≻ τ₂) = σ(Σ r(τ₁) − Σ r(τ₂))"),
            ("demonstrations", "w ← w + η (μ_expert − μ_π)"),
            ("blend", "φ₂ r + φ₃ (Φ(s′) − Φ(s)), φ learned (BARFI)"),
        ),
        kept="One sparse task, a chain, and every construction in it: learned by Q-learning, scored exactly.",
        left_out="Deep networks; self-supervised novelty. Only the abstract could be read: the bench is the lab's.",
        unknown="The proposal publishes no method in detail and no figures.",
    )
)

_RUNS, _EPISODES = 32, 3000
LADDER = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)


@lru_cache(maxsize=32)
def trained(seed: int, name: str, length: int = 20, bonus: float = 0.1) -> Learned:
    """32 runs of one construction in the plain chain: g .97, 60 steps, 3000 episodes, step size .2, exploration .1."""
    from lab.studies.shaping import learned
    from simulators.mdp.chains import Chain

    given: dict[str, Any] = {"alpha": 0.2, "explore": 0.1, "episodes": _EPISODES, "bonus": bonus}
    return learned(name, Chain(length), seeds=runs(seed, _RUNS), **given)


def greedy(run: Learned, length: int = 20) -> Array:
    """Exact return of each run's greedy policy under the reward that is meant [S]."""
    from simulators.mdp.chains import Chain

    chain = Chain(length)
    return np.array([chain.mdp.returns(chain.reward, policy[0]) for policy in run.policy])


@claim(
    "dense-rewards.1",
    sentence="A potential speeds learning up: at 20 positions the sparse reward needs about 1000 episodes to succeed "
    "nine times in ten, with progress as potential the first twenty episodes do; both end at the optimum.",
    criterion="median episodes with the potential at most a tenth of the sparse median, and the greedy return of every "
    "run optimal to 1e-9 (32 runs)",
    note="The value is the mean number of episodes saved, run by run. Seeds 0 to 4: 888 to 1149; a median of "
    "886 was reported for the sparse reward, with other random numbers.",
)
def speed(seed: int) -> Measurement:
    """Episodes that the potential saves."""
    from lab.studies.shaping import episodes_until

    found = {name: trained(seed, name) for name in ("sparse", "pbrs")}
    episodes = {name: episodes_until(run.reached) for name, run in found.items()}
    best = 0.97**19
    rows: Rows = [
        {"construction": name, "median episodes": float(np.median(episodes[name])),
         "never": float((episodes[name] == _EPISODES).mean()), "greedy return": greedy(run).mean()}
        for name, run in found.items()
    ]  # fmt: skip
    same = all(np.abs(greedy(run) - best).max() <= 1e-9 for run in found.values())
    value, bounds = interval(episodes["sparse"] - episodes["pbrs"])
    return Measurement(value, same and rows[1]["median episodes"] <= 0.1 * rows[0]["median episodes"], bounds, rows)


@claim(
    "dense-rewards.2",
    sentence="A bonus that can be repeated is farmed: the greedy policy never reaches the goal and 50 of 60 steps are "
    "spent on the event that pays.",
    criterion="the greedy policy earns nothing in at least 95% of 32 runs, and the share of steps spent on the event "
    "over the last 500 episodes is at least a half, 95% interval included (c = 0.1)",
    note="The value is that share. Seeds 0 to 4: 0.838 to 0.840.",
)
def farmed(seed: int) -> Measurement:
    """Share of steps on the event that pays."""
    run = trained(seed, "bonus")
    share = run.events[:, -500:, 0].sum(axis=1) / run.steps[:, -500:].sum(axis=1)
    never = float((greedy(run) <= 1e-12).mean())
    value, bounds = interval(share)
    rows: Rows = [{"greedy policy never reaches the goal": never, "share on the event": value,
                   "steps of 60": run.events[:, -500:, 0].mean()}]  # fmt: skip
    return Measurement(value, never >= 0.95 and bounds[0] >= 0.5, bounds, rows)


@claim(
    "dense-rewards.3",
    sentence="Shaping is another beginning: Q-learning with a potential, from 0, does step by step what it does "
    "without one from Q = Φ.",
    criterion="not one action or position differs in 200 episodes of 32 runs, while without either they do differ; "
    "action values differ by Φ to 1e-9",
    note="Exact: the value is the number of differing steps. Action values nearer than 1e-10 count as equal, so that "
    "rounding breaks no tie.",
    published="proved by Wiewiora 2003",
)
def beginning(seed: int) -> Measurement:
    """Number of steps at which the two runs differ."""
    from lab.studies.shaping import learned
    from simulators.mdp.chains import Chain
    from simulators.mdp.q_learning import learn

    chain = Chain(20)
    phi = np.where(chain.end, 0.0, chain.progress)
    given: dict[str, Any] = {"seeds": runs(seed, _RUNS), "episodes": 200, "record": True}
    shaped, plain = learned("pbrs", chain, **given), learn(chain, chain.reward, **given)
    begun = learn(chain, chain.reward, first=phi, **given)
    different = int((shaped.trail != begun.trail).sum())
    apart = float(np.abs(shaped.q[:, 0] + phi[:, None] - begun.q[:, 0]).max())
    arms = {"potential, Q = 0": shaped, "none, Q = Φ": begun, "none, Q = 0": plain}
    rows: Rows = [{"arm": name, "steps": float(run.steps.sum(axis=1).mean())} for name, run in arms.items()]
    holds = different == 0 and apart <= 1e-9 and bool((plain.trail != begun.trail).any())
    return Measurement(float(different), holds, None, rows)


@claim(
    "dense-rewards.4",
    sentence="Exact scores: a potential is at distance 0; the bonus's distance and worst-case regret rise with its "
    "size, and between 0.01 and 0.03 its optimum turns away from the goal.",
    criterion="distance of the potential at most 1e-9; over bonuses .001 to .3 the distance rises strictly, worst-case "
    "regret never falls, alignment is 1 up to .01 and 0 from .03 (threshold c g²/(1 − g) = g^19, c = .0179); the "
    "increment is aligned although its worst case is above .5",
    note="Exact: the value is the increment's distance, .306. A distance bounds the worst case: far off, and yet its "
    "optimum is aligned here.",
)
def scores(seed: int) -> Measurement:
    """Distance of the increment."""
    from lab.studies.shaping import shaping_scores
    from simulators.mdp.chains import Chain

    chain = Chain(20)
    rows: Rows = [{"bonus": None, **row} for row in shaping_scores(["pbrs", "increment"], chain=chain).to_dicts()]
    rows += [{"bonus": c, **shaping_scores(["bonus"], chain=chain, bonus=c).row(0, named=True)} for c in LADDER]
    pbrs, increment, *ladder = rows
    rising = all(a["distance"] < b["distance"] for a, b in pairwise(ladder))
    rising &= all(a["worst_case_regret"] <= b["worst_case_regret"] + 1e-12 for a, b in pairwise(ladder))
    turned = all((row["alignment"] > 1 - 1e-9) == (row["bonus"] < 0.0179) for row in ladder)
    turned &= all(row["alignment"] < 1e-9 for row in ladder[3:])
    far = increment["alignment"] > 1 - 1e-9 and increment["worst_case_regret"] > 0.5
    holds = pbrs["distance"] <= 1e-9 and rising and turned and far
    return Measurement(increment["distance"], bool(holds), None, rows)


@claim(
    "dense-rewards.check-noise",
    sentence="A potential leaves the expected policy gradient alone and changes its noise: the value of the policy "
    "halves the variance, its negative doubles it, a random one of five times the size raises it severalfold.",
    criterion="variance over that without a potential: 95% interval over 12 random worlds below 1 for Φ = V, above 1 "
    "for Φ = −V, above 2 for the large random one, which is above the small one in every world",
    note="The value is the ratio for Φ = V. Seeds 0 to 4: 0.56 to 0.77. In one world .58, 2.35, 6.66 and 1.27 "
    "(small random Φ) were reported.",
)
def noise(seed: int) -> Measurement:
    """Ratio of the gradient's variance with the policy's value as potential."""
    found = np.array([_noise(seed, index) for index in range(12)])
    names = ("Φ = V", "Φ = −V", "Φ random", "Φ random, 5 times")
    spread = [interval(column) for column in found.T]
    rows: Rows = [
        {"potential": n, "ratio": m, "low": b[0], "high": b[1]} for n, (m, b) in zip(names, spread, strict=True)
    ]
    holds = spread[0][1][1] < 1 < spread[1][1][0] and spread[3][1][0] > 2 and (found[:, 3] > found[:, 2]).all()
    return Measurement(spread[0][0], bool(holds), spread[0][1], rows)


def _noise(seed: int, index: int) -> list[float]:
    """Variance of REINFORCE's samples with each potential, over that without one, in one random world."""
    from simulators.mdp import families
    from simulators.mdp import gradient as gradients

    rng = families.environment(seed, index)
    mdp = families.sparse(10, 3, 0.9, source=rng)
    reward, theta, phi = rng.normal(size=(10, 3, 10)), 0.5 * rng.normal(size=(10, 3)), rng.normal(size=10)
    value = mdp.value(reward, gradients.softmax(theta))
    spread = []
    for potential in (np.zeros(10), value, -value, phi, 5 * phi):
        dense = families.shaped(mdp, reward, potential)
        drawn = gradients.reinforce(mdp, dense, theta, episodes=600, horizon=60, rng=np.random.default_rng(seed))
        spread.append(float(drawn.var(axis=0).sum()))
    return [s / spread[0] for s in spread[1:]]


@claim(
    "dense-rewards.check-groups",
    sentence="Group-relative advantages of whole episodes don't see a potential: all that is left of it at the end is "
    "the start's Φ, the same for the group.",
    criterion="GRPO's advantages with and without the potential equal to 1e-9 in 64 groups of 8 finished episodes, "
    "while those with the increment differ by more than 0.1 somewhere; reward-to-go falls by Φ(s_t) to 1e-9",
    note="Exact: the value is the largest change. Returns are discounted; the reward costs 0.01 per search, so that "
    "episodes of one group differ.",
)
def groups(seed: int) -> Measurement:
    """Largest change of a group-relative advantage."""
    import lab
    from lab.rewards import shaping
    from simulators.mdp.chains import Chain
    from simulators.mdp.episodes import walk

    chain, rng = Chain(5, 0.9), np.random.default_rng(seed)
    phi = np.where(chain.end, 0.0, rng.normal(size=6))
    drawn = walk(chain.mdp, 512, 400, policy=np.tile((0.2, 0.6, 0.2), (6, 1)), rng=rng)
    here, after = drawn.states[:, :-1], drawn.states[:, 1:]
    plain = np.where(chain.end[here], 0.0, (after == 5) - 0.01 * (drawn.actions == 2))
    dense = shaping.pbrs(plain, phi[here], phi[after], discount=0.9)
    naive = shaping.increment(plain, chain.progress[here], chain.progress[after])
    factor = 0.9 ** np.arange(400)
    advantages = [lab.advantages.compute("grpo", (r @ factor).reshape(64, 8)) for r in (plain, dense, naive)]
    changed, moved = (float(np.abs(a - advantages[0]).max()) for a in advantages[1:])
    shift = [np.cumsum((r * factor)[:, ::-1], axis=1)[:, ::-1] for r in (plain, dense)]
    apart = float(np.abs(shift[1] - shift[0] + factor * phi[here]).max())
    rows: Rows = [{"potential": changed, "increment": moved, "reward-to-go off by": apart}]
    finished = bool(chain.end[drawn.states[:, -1]].all())
    return Measurement(changed, finished and changed <= 1e-9 and apart <= 1e-9 and moved > 0.1, None, rows)


@claim(
    "dense-rewards.check-learned",
    sentence="A reward of positions learned from the best policy has the right optimum, once entering the goal, which "
    "ends the episode, pays what staying there would have.",
    criterion="alignment 1 to 1e-9 in the chain of 13 positions for gates of .3, .5 and .9",
    note="Exact: the value is the smallest alignment. Without that payment the optimum stays away from the goal, where "
    "all pay ends.",
)
def demonstrations(seed: int) -> Measurement:
    """Smallest alignment over gates."""
    from lab.studies.shaping import shaping_scores
    from simulators.mdp.chains import Chain

    rows: Rows = []
    for gate in (0.3, 0.5, 0.9):
        chain = Chain.gate(gate, length=12)
        rows.append({"gate": gate, **shaping_scores(["demonstrations"], chain=chain).row(0, named=True)})
    value = min(row["alignment"] for row in rows)
    return Measurement(value, value >= 1 - 1e-9, None, rows)


@claim(
    "dense-rewards.check-blend",
    sentence="Where the plain sum of goal and progress is a trap, BARFI's blend of the two is not: it weighs the goal "
    "higher.",
    criterion="alignment 0 for the sum and 1 for the blend, to 1e-9, with a gate of .1 and γ .9 and .95 (13 positions)",
    note="Exact: the value is the blend's smallest alignment.",
)
def blended(seed: int) -> Measurement:
    """Smallest alignment of the blend."""
    from lab.studies.shaping import shaping_scores
    from simulators.mdp.chains import Chain

    rows: Rows = []
    for discount in (0.9, 0.95):
        table = shaping_scores(["increment", "blend"], chain=Chain.gate(0.1, 12, discount))
        rows += [{"γ": discount, **row} for row in table.to_dicts()]
    naive, blend = ([row["alignment"] for row in rows if row["variant"] == n] for n in ("increment", "blend"))
    return Measurement(min(blend), max(naive) < 1e-9 and min(blend) > 1 - 1e-9, None, rows)


@claim(
    "dense-rewards.limit-dense",
    sentence="A dense reward does not always beat the sparse one: in the small chain the fading bonus, whose optimum "
    "earns 95% of the best, leaves Q-learning farming, while the sparse reward succeeds.",
    criterion="gold return over the last fifth of 1000 episodes below the sparse reward's, 95% interval of the paired "
    "difference below 0, for progress, bonus and count, and above 0 nowhere by more than 0.1 (16 runs)",
    note="The value is the difference for count. The learner sees whether it has searched, not how often: what is left "
    "of the bonus is little, but more than the goal it has never seen. Seeds 0 to 4: −0.33 to −0.31.",
)
def not_always(seed: int) -> Measurement:
    """Gold return of the fading bonus less that of the sparse reward."""
    import polars as pl

    from lab.studies.shaping import shaping_study

    names = ["sparse", "pbrs", "increment", "progress", "bonus", "count"]
    study = shaping_study(names, seeds=runs(seed, 16)).filter(pl.col("step") >= 800)
    late = study.group_by("variant", "seed", maintain_order=True).agg(pl.col("gold").mean())
    gold = {name: late.filter(variant=name)["gold"].to_numpy() for name in names}
    found = {name: interval(gold[name] - gold["sparse"]) for name in names[1:]}
    rows: Rows = [{"construction": n, "gold": gold[n].mean(), "less sparse": m, "low": b[0], "high": b[1]}
                  for n, (m, b) in found.items()]  # fmt: skip
    worse = all(found[n][1][1] < 0 for n in ("progress", "bonus", "count"))
    value, bounds = found["count"]
    return Measurement(value, worse and max(m for m, _ in found.values()) <= 0.1, bounds, rows)


@claim(
    "dense-rewards.limit-preferences",
    sentence="200 faultless comparisons of episodes don't make a reward that leads to the goal: its optimum stops "
    "before the gate.",
    criterion="alignment 0 in at least 4 of 5 sets of comparisons (13 positions, gate .5, episodes of 40 steps, "
    "rewards of position and action; entering the goal pays what staying there would have)",
    note="The value is the share of aligned sets. The sum over an episode does not say when the pay came, and what is "
    "paid for positions near the goal is earned for ever by staying there. Seeds 0 to 4: 0 in all. Without a gate and "
    "with 600 comparisons most sets are aligned.",
)
def preferences(seed: int) -> Measurement:
    """Share of sets of comparisons whose reward has the right optimum."""
    from lab import distances
    from lab.reward_models.constructions import CHAIN
    from lab.reward_models.learned_rewards import from_preferences

    rows: Rows = []
    best = CHAIN.mdp.returns(CHAIN.reward, CHAIN.mdp.optimal(CHAIN.reward))
    for k in runs(seed, 5):
        reward = from_preferences(CHAIN, k)
        earned = CHAIN.mdp.returns(CHAIN.reward, CHAIN.mdp.optimal(reward))
        rows.append({"set": k, "alignment": earned / best,
                     "distance": distances.compute("val-l2-l2", CHAIN.mdp, CHAIN.reward, reward)})  # fmt: skip
    value = float(np.mean([row["alignment"] > 0.5 for row in rows]))
    return Measurement(value, value <= 1 / 5, None, rows)


@claim(
    "dense-rewards.limit-distance",
    sentence="A small distance to the reward that is meant does not make a reward easy to learn from: one learned from "
    "returns lies within .01 of it, has its optimum, and leaves Q-learning hovering at errors of a ten-thousandth.",
    criterion="distance below 0.02, alignment 1 to 1e-9, and gold return over the last fifth of 1000 episodes below "
    "half of the sparse reward's in the mean, 95% interval of the paired difference below 0 (16 runs)",
    note="The value is the difference in gold return. The distance bounds what the best policy loses, not what a "
    "learner finds: until the goal has been seen, the largest error is the largest pay. Seeds 0 to 4: −0.33 to −0.28.",
)
def near(seed: int) -> Measurement:
    """Gold return under a reward learned from returns less that under the sparse reward."""
    import polars as pl

    from lab.reward_models.learned_rewards import from_returns
    from lab.studies.shaping import CHAIN, Construction, shaping_scores, shaping_study

    reward = from_returns(CHAIN, seed)
    learned = Construction("redistributed", "from returns", lambda chain, bonus: reward)
    score = shaping_scores([learned]).row(0, named=True)
    late = shaping_study(["sparse", learned], seeds=runs(seed, 16)).filter(pl.col("step") >= 800)
    means = late.group_by("variant", "seed", maintain_order=True).agg(pl.col("gold").mean())
    gold = {name: means.filter(variant=name)["gold"].to_numpy() for name in ("sparse", "redistributed")}
    rows: Rows = [{"distance": score["distance"], "alignment": score["alignment"],
                   **{f"gold, {name}": g.mean() for name, g in gold.items()}}]  # fmt: skip
    close = score["distance"] < 0.02 and score["alignment"] > 1 - 1e-9
    half = gold["redistributed"].mean() < 0.5 * gold["sparse"].mean()
    return below(gold["redistributed"] - gold["sparse"], 0, rows=rows, also=close and half)
