"""Dense rewards: which constructions speed learning up, and which change what is learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lab.papers.dense_rewards_exact import score
from lab.papers.measure import Array, Rows, below, fair, interval, promised, runs
from lab.papers.record import Measurement, Paper, add_paper, claim
from lab.stand_ins import cached

if TYPE_CHECKING:
    from lab.studies.fair import Comparison
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
        kept="One sparse task, a chain, and every construction in it: learned by Q-learning and by groups of walks, "
        "scored exactly.",
        left_out="Deep networks; self-supervised novelty. Only the abstract could be read: the bench is the lab's.",
        unknown="The proposal publishes no method in detail and no figures.",
    )
)

_RUNS, _EPISODES = 32, 3000


@claim(
    "dense-rewards.headline",
    sentence="A dense reward speeds learning up where the goal is seldom found, and costs nothing where it often is: "
    "with 20 positions and four walks per group, progress as potential reaches the goal in nearly every walk after 15 "
    "steps, the sparse reward and plain GRPO in a quarter. With eight walks they are nearer, with 10 positions level; "
    "a bonus that can be repeated never gets there.",
    criterion="lead over the better of the sparse reward and GRPO in the probability to reach the goal after 15 steps "
    "of four groups, each at its own best learning rate, 95% interval above 0 (16 runs)",
    note="Dense rewards by `mapo@turn`, the return from each move on against the group's. A walk that is cut off keeps "
    "its Φ, as a cut-off is no end. Learning rates are chosen on 8 other runs. Seeds 0 to 4: 0.63 to 0.83.",
)
def headline(seed: int) -> Measurement:
    """Lead of the potential in the probability to reach the goal."""
    from simulators.mdp.chains import Chain

    places = {"20 positions, G = 4": (20, 4), "20 positions, G = 8": (20, 8), "10 positions, G = 4": (10, 4)}
    found = {where: _walked(Chain(length, horizon=3 * length), size, seed) for where, (length, size) in places.items()}
    return promised(found, "pbrs", "sparse", "grpo")


def _walked(chain: Any, size: int, seed: int) -> Comparison:
    """Constructions beside plain GRPO after 15 steps."""
    import lab
    from lab.studies.walks import Walks

    settings: dict[str, Any] = {"number": 16, "tuned": 8, "lrs": (32.0, 128.0), "steps": 15, "group_size": size}
    found = fair(Walks("sparse", chain), ["grpo"], seed, **settings)
    for name in ("pbrs", "sparse", "increment", "bonus") if size == 4 and chain.length == 20 else ("pbrs", "sparse"):
        variant = lab.variant("mapo@turn", name, gamma=chain.discount)
        found = found.beside(fair(Walks(name, chain), [variant], seed, **settings))
    return found


@cached
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
    "nine times in ten, with progress as potential the first twenty episodes do; whoever succeeds ends at the optimum.",
    criterion="median episodes with the potential at most a tenth of the sparse median; greedy return optimal to 1e-9 "
    "in every run with the potential, and in every sparse one that ever succeeded, at least 26 of 32",
    note="The value is the mean number of episodes saved, run by run. Seeds 0 to 4: 888 to 1149; a median of "
    "886 was reported for the sparse reward. One sparse run in a hundred never finds the goal in 3000 episodes.",
    without=lambda seed: _speed(seed, "sparse"),
)
def speed(seed: int) -> Measurement:
    """Episodes that the potential saves."""
    return _speed(seed, "pbrs")


def _speed(seed: int, ours: str) -> Measurement:
    from lab.studies.shaping import episodes_until

    found = [(name, trained(seed, name)) for name in ("sparse", ours)]
    plain, dense = (episodes_until(run.reached) for _, run in found)
    optimal = [np.abs(greedy(run) - 0.97**19) <= 1e-9 for _, run in found]
    rows: Rows = [
        {"construction": name, "median episodes": float(np.median(episodes)),
         "never": float((episodes == _EPISODES).mean()), "greedy policy optimal": float(right.mean())}
        for (name, _), episodes, right in zip(found, (plain, dense), optimal, strict=True)
    ]  # fmt: skip
    succeeded = plain < _EPISODES
    same = optimal[1].all() and optimal[0][succeeded].all() and succeeded.sum() >= 26
    value, bounds = interval(plain - dense)
    return Measurement(value, bool(same and np.median(dense) <= 0.1 * np.median(plain)), bounds, rows)


@claim(
    "dense-rewards.2",
    sentence="A bonus that can be repeated is farmed: the greedy policy never reaches the goal and 50 of 60 steps are "
    "spent on the event that pays.",
    criterion="the greedy policy earns nothing in at least 95% of 32 runs, and the share of steps spent on the event "
    "over the last 500 episodes is at least a half, 95% interval included (c = 0.1)",
    note="The value is that share. Seeds 0 to 4: 0.838 to 0.840.",
    without=lambda seed: _farmed(seed, 0.0),
)
def farmed(seed: int) -> Measurement:
    """Share of steps on the event that pays."""
    return _farmed(seed, 0.1)


def _farmed(seed: int, bonus: float) -> Measurement:
    run = trained(seed, "bonus", bonus=bonus)
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
    "rounding breaks no tie. Control: a beginning at 0.",
    published="proved by Wiewiora 2003",
    without=lambda seed: _begun(seed, 0.0),
)
def beginning(seed: int) -> Measurement:
    """Number of steps at which the two runs differ."""
    return _begun(seed, 1.0)


def _begun(seed: int, share: float) -> Measurement:
    """Beside a beginning at that share of the potential."""
    from lab.studies.shaping import learned
    from simulators.mdp.chains import Chain
    from simulators.mdp.q_learning import learn

    chain = Chain(20)
    phi = np.where(chain.end, 0.0, chain.progress)
    given: dict[str, Any] = {"seeds": runs(seed, _RUNS), "episodes": 200, "record": True}
    shaped, plain = learned("pbrs", chain, **given), learn(chain, chain.reward, **given)
    begun = learn(chain, chain.reward, first=share * phi, **given)
    different = int((shaped.trail != begun.trail).sum())
    apart = float(np.abs(shaped.q[:, 0] + phi[:, None] - begun.q[:, 0]).max())
    arms = {"potential, Q = 0": shaped, f"none, Q = {share} Φ": begun, "none, Q = 0": plain}
    rows: Rows = [{"arm": name, "steps": float(run.steps.sum(axis=1).mean())} for name, run in arms.items()]
    holds = different == 0 and apart <= 1e-9 and bool((plain.trail != begun.trail).any())
    return Measurement(float(different), holds, None, rows)


@claim(
    "dense-rewards.check-noise",
    sentence="A potential leaves the expected policy gradient alone and changes its noise: the value of the policy "
    "lowers the variance, its negative raises it, a random one of five times the size raises it severalfold.",
    criterion="variance over that without a potential, its geometric mean over 16 random worlds, 95% interval: below "
    "1 for Φ = V, above 1 for Φ = −V, above 2 for the large random one and for its ratio to the small one",
    note="The value is the ratio for Φ = V. Seeds 0 to 4: 0.62 to 0.70. In one world .58, 2.35, 6.66 "
    "and 1.27 (small random Φ) were reported. Control: potentials of size 0.",
    without=lambda seed: _noise(seed, 0.0),
)
def noise(seed: int) -> Measurement:
    """Ratio of the gradient's variance with the policy's value as potential."""
    return _noise(seed, 1.0)


def _noise(seed: int, scale: float) -> Measurement:
    from lab.studies import potential_study

    study = potential_study(runs(seed, 16), scale=scale)
    names = study["potential"].unique(maintain_order=True).to_list()
    ratio = {name: np.log(study.filter(potential=name)["ratio"].to_numpy()) for name in names}
    ratio["5 N(0, 1) over N(0, 1)"] = ratio["5 N(0, 1)"] - ratio["N(0, 1)"]
    rows: Rows = []
    for name, logs in ratio.items():
        mean, (low, high) = interval(logs)
        rows.append({"potential": name, "ratio": np.exp(mean), "low": np.exp(low), "high": np.exp(high)})
    _, large, value, negative, apart = rows
    holds = value["high"] < 1 < negative["low"] and large["low"] > 2 and apart["low"] > 2
    return Measurement(value["ratio"], bool(holds), (value["low"], value["high"]), rows)


@claim(
    "dense-rewards.limit-dense",
    sentence="A dense reward does not always beat the sparse one: in the small chain the fading bonus, whose optimum "
    "earns 95% of the best, leaves Q-learning farming, while the sparse reward succeeds.",
    criterion="gold return over the last fifth of 1000 episodes below the sparse reward's, 95% interval of the paired "
    "difference below 0, for progress, bonus and count, and above 0 nowhere by more than 0.1 (16 runs)",
    note="The value is the difference for count. The learner sees whether it has searched, not how often: what is left "
    "of the bonus is little, but more than the goal it has never seen. Seeds 0 to 4: −0.33 to −0.31. Control: a chain "
    "of 21 positions without a gate, where progress and the potential are far ahead.",
    without=lambda seed: _against_sparse(seed, gated=False),
)
def not_always(seed: int) -> Measurement:
    """Gold return of the fading bonus less that of the sparse reward."""
    return _against_sparse(seed, gated=True)


def _against_sparse(seed: int, gated: bool) -> Measurement:
    from lab.studies.shaping import CHAIN
    from simulators.mdp.chains import Chain

    names = ("sparse", "pbrs", "increment", "progress", "bonus", "count")
    gold = _late_gold(names, seed, CHAIN if gated else Chain(20, every=3))
    found = {name: interval(gold[name] - gold["sparse"]) for name in names[1:]}
    rows: Rows = [{"construction": n, "gold": gold[n].mean(), "less sparse": m, "low": b[0], "high": b[1]}
                  for n, (m, b) in found.items()]  # fmt: skip
    worse = all(found[n][1][1] < 0 for n in ("progress", "bonus", "count"))
    value, bounds = found["count"]
    return Measurement(value, worse and max(m for m, _ in found.values()) <= 0.1, bounds, rows)


def _late_gold(constructions: Any, seed: int, chain: Any) -> dict[str, Array]:
    """Gold return over the last fifth of 1000 episodes of 16 runs, by construction."""
    import polars as pl

    from lab.studies.shaping import shaping_study

    late = shaping_study(constructions, chain=chain, seeds=runs(seed, 16)).filter(pl.col("step") >= 800)
    means = late.group_by("variant", "seed", maintain_order=True).agg(pl.col("gold").mean())
    return {str(n): part["gold"].to_numpy() for (n,), part in means.group_by("variant", maintain_order=True)}


@claim(
    "dense-rewards.limit-distance",
    sentence="A small distance to the reward that is meant does not make a reward easy to learn from: one learned from "
    "returns lies within .01 of it, has its optimum, and leaves Q-learning hovering at errors of a ten-thousandth.",
    criterion="distance below 0.02, alignment 1 to 1e-9, and gold return over the last fifth of 1000 episodes below "
    "two thirds of the sparse reward's in the mean, 95% interval of the paired difference below 0 (16 runs)",
    note="The value is the difference in gold return. The distance bounds what the best policy loses, not what a "
    "learner finds: until the goal has been seen, the largest error is the largest pay. Seeds 0 to 4: −0.33 to −0.28. "
    "Control: a potential, which is near too.",
    without=lambda seed: _near(seed, "pbrs"),
)
def near(seed: int) -> Measurement:
    """Gold return under a reward learned from returns less that under the sparse reward."""
    return _near(seed, "redistributed")


def _near(seed: int, ours: str) -> Measurement:
    from lab.reward_models.constructions import CONSTRUCTIONS
    from lab.reward_models.learned_rewards import from_returns
    from lab.studies.shaping import CHAIN, Construction

    reward = from_returns(CHAIN, seed) if ours == "redistributed" else CONSTRUCTIONS[ours].reward(CHAIN, 0.0)
    scores = score(CHAIN, reward)
    gold = _late_gold(["sparse", Construction(ours, "a reward", lambda *_: reward)], seed, CHAIN)
    rows: Rows = [{"distance": scores["distance"], "alignment": scores["alignment"],
                   **{f"gold, {name}": g.mean() for name, g in gold.items()}}]  # fmt: skip
    close = scores["distance"] < 0.02 and scores["alignment"] > 1 - 1e-9
    less = gold[ours].mean() < 2 / 3 * gold["sparse"].mean()
    return below(gold[ours] - gold["sparse"], 0, rows=rows, also=bool(close and less))
