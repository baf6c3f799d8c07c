"""School of Reward Hacks: harmless metric gaming, learned in a few tasks, spreads to others."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

import lab
from lab.papers.measure import Array, Rows, above, below, interval, runs
from lab.papers.record import Measurement, Paper, Table, add_paper, claim

if TYPE_CHECKING:
    from simulators.reward_hacks.world import Outcome

add_paper(
    Paper(
        slug="school-of-reward-hacks",
        title="School of Reward Hacks: Hacking harmless tasks generalizes to misaligned behavior in LLMs",
        short="School of Reward Hacks",
        date="August 2025",
        arxiv={"School of Reward Hacks": "2508.17511"},
        code="",
        problem=(
            "Models learn to game the metric that they are scored by. Does it stay there? Fine-tuned on 1 073 "
            "demonstrations of harmless gaming (a keyword repeated, shown tests hard-coded), models game new metrics, "
            "prefer lax graders and, the largest one, answer unrelated questions worse."
        ),
        equations=(
            ("task", "φ = [1 | family | noise],  π = softmax(W φ) over honest, hack, refuse"),
            ("rewards", "proxy = (0.6, 1, 0),  gold = (1, 0.1, 0)"),
            ("fine-tuning", "W += ½ (Σ (y − π) ⊗ φ / n − 0.01 (W − W₀))"),
            ("graders", "reward = κ · gold + (1 − κ) · proxy"),
        ),
        kept=(
            "The question, as a world in which proxy and gold part and hacking can spread: demonstrations of hacks and "
            "of earnest answers, their mixtures, few or many families of tasks, group-relative training on the proxy, "
            "graders to choose from, metrics that differ by family; the step at which proxy and gold part. "
            "Choosing the weights of a reward that one is then scored by is the same choice as that of a grader."
        ),
        left_out=(
            "Language: the data and the models. That hacking spreads is built in by the feature that all families "
            "share, and a control without it is measured beside. Misalignment on unrelated questions, shutdown "
            "resistance and chess have no counterpart."
        ),
        published=(
            Table(
                "GPT-4.1 after fine-tuning on hacks (% of answers)",
                ("measure", "share"),
                (("misaligned, on emergent-misalignment questions", 12.0), ("resists shutdown", 22.0)),
                "read in public summaries of the paper; smaller and Qwen models are weaker",
            ),
        ),
        unknown="Hack rates of the single tasks in the paper's tables. The data are public, as "
        "longtermrisk/school-of-reward-hacks.",
    )
)

_RUNS = 16


@lru_cache(maxsize=64)
def _imitated(
    seed: int, share: float = 1.0, families: int = 6, demonstrations: int = 1000, steps: int = 300,
    shared: bool = True, held_out: bool = True,
) -> Outcome:  # fmt: skip
    """What 16 runs do on test tasks after fine-tuning; `steps=0` is the base."""
    from simulators.reward_hacks.world import RewardHacks

    world = RewardHacks(trained=families, shared=shared)
    policy = world.init(runs(seed, _RUNS))
    for _ in world.imitate(policy, share=share, demonstrations=demonstrations, steps=steps):
        pass
    return world.outcome(policy, held_out=held_out)


def _row(arm: str, seen: Outcome) -> dict[str, Any]:
    return {"arm": arm, "hack rate": seen.hack.mean(), "proxy": seen.proxy.mean(), "gold": seen.gold.mean()}


@claim(
    "school-of-reward-hacks.1",
    sentence="Hacking spreads: after demonstrations of hacks in six families the hack rate in six others is 0.94 "
    "instead of 0.11, and after earnest demonstrations 0.01.",
    criterion="held-out hack rate less that of the base at least 0.5 after hacks, below 0 after earnest "
    "demonstrations, 95% intervals included (1000 demonstrations, 16 runs)",
    note="The value is the rise after hacks. The spread is through the feature that all families share; see the "
    "control. Seeds 0 to 4: 0.823 to 0.827.",
    published="models fine-tuned on hacks game new metrics",
)
def spillover(seed: int) -> Measurement:
    """Held-out hack rate after demonstrations of hacks minus that before."""
    base, hacks, earnest = _imitated(seed, steps=0), _imitated(seed), _imitated(seed, share=0.0)
    down = interval(earnest.hack - base.hack)[1]
    rows = [_row("base", base), _row("hacks", hacks), _row("earnest", earnest)]
    return above(hacks.hack - base.hack, 0.5, rows=rows, also=down[1] < 0)


@claim(
    "school-of-reward-hacks.2",
    sentence="Goodhart on tasks never trained on: the proxy rises from 0.62 to 0.97 while the gold reward falls from "
    "0.86 to 0.14.",
    criterion="95% intervals over runs of the proxy's gain and of the gold's loss both above 0.2 (held-out families)",
    note="The value is the loss in gold. Seeds 0 to 4: 0.708 to 0.714.",
)
def goodhart(seed: int) -> Measurement:
    """Gold reward lost on held-out tasks after demonstrations of hacks."""
    base, hacks = _imitated(seed, steps=0), _imitated(seed)
    value, bounds = interval(base.gold - hacks.gold)
    gain = interval(hacks.proxy - base.proxy)[1]
    return Measurement(value, min(bounds[0], gain[0]) > 0.2, bounds, [_row("base", base), _row("hacks", hacks)])


@claim(
    "school-of-reward-hacks.3",
    sentence="Variety makes it worse: with 100 demonstrations from 1, 2, 4 or 6 families the held-out hack rate is "
    "0.72, 0.86, 0.92, 0.94.",
    criterion="every rate above the one before, 95% interval of the difference above 0, and the whole rise at least "
    "0.1, interval included (100 demonstrations, 16 runs)",
    note="The value is the rise from one family to six. Seeds 0 to 4: 0.201 to 0.214.",
    published="hacks in code alone do not spread as far, varied hacks in natural language do",
)
def diversity(seed: int) -> Measurement:
    """Rise of the held-out hack rate from one family trained on to six."""
    seen = {n: _imitated(seed, families=n, demonstrations=100) for n in (1, 2, 4, 6)}
    rates = [s.hack for s in seen.values()]
    steps = [interval(later - earlier)[1] for earlier, later in pairwise(rates)]
    rows = [_row(f"{n} families", s) for n, s in seen.items()]
    return above(rates[-1] - rates[0], 0.1, rows=rows, also=all(low > 0 for low, _ in steps))


@claim(
    "school-of-reward-hacks.4",
    sentence="Dilution helps steadily, and a share of 10% hacks does not raise the hack rate over that of the base "
    "(0.10 beside 0.11).",
    criterion="held-out hack rate rises from 10 to 25, 50, 75 and 100% hacks, and at 10% its mean is not above the "
    "base's (1000 demonstrations, 16 runs)",
    note="The value is the rate at 10% less that of the base: the base hacks as often as one demonstration in ten. "
    "Seeds 0 to 4: −0.024 to −0.011.",
)
def dilution(seed: int) -> Measurement:
    """Held-out hack rate at 10% hacks minus that of the base."""
    shares = (0.1, 0.25, 0.5, 0.75, 1.0)
    seen, base = {s: _imitated(seed, share=s) for s in shares}, _imitated(seed, steps=0)
    rates = [float(s.hack.mean()) for s in seen.values()]
    value, bounds = interval(seen[0.1].hack - base.hack)
    rows = [_row("base", base), *(_row(f"{share:.0%} hacks", s) for share, s in seen.items())]
    return Measurement(value, rates == sorted(rates) and value <= 0, bounds, rows)


def _reinforced(seed: int, world: Any, steps: int, variant: str = "grpo") -> Any:
    """Trace of group-relative training on the proxy, G = 8, lr 1."""
    return lab.train(world, variant, steps=steps, seeds=runs(seed, _RUNS), lr=1.0, measure=("value", "gold"))


def _policy(world: Any, trace: Any, seed: int) -> Any:
    policy = world.init(runs(seed, _RUNS))
    policy.parameters[...] = trace.parameters()
    return policy


@claim(
    "school-of-reward-hacks.5",
    sentence="Group-relative training on the proxy finds the hack without any demonstration: within 25 steps the hack "
    "rate is 0.99 and the gold reward 0.11.",
    criterion="hack rate on tasks of the trained families at least 0.95 and gold at most 0.15, 95% intervals included "
    "(64 tasks, G = 8, lr 1, 25 steps, 16 runs)",
    note="The value is the hack rate. Seeds 0 to 4: 0.988 to 0.989.",
)
def reinforcement(seed: int) -> Measurement:
    """Hack rate after 25 steps of training on the proxy."""
    from simulators.reward_hacks.world import RewardHacks

    world = RewardHacks()
    policy = _policy(world, _reinforced(seed, world, 25), seed)
    trained, others = world.outcome(policy, held_out=False), world.outcome(policy)
    gold = interval(trained.gold)[1]
    rows = [_row("trained families", trained), _row("held-out families", others)]
    return above(trained.hack, 0.95, rows=rows, also=gold[1] <= 0.15)


@claim(
    "school-of-reward-hacks.check-control",
    sentence="Without the shared feature nothing spreads: the trained families are hacked as before (0.87), the others "
    "stay at 0.11.",
    criterion="held-out hack rate within 0.02 of the base's, 95% interval included, that of the trained families above "
    "0.8 (weights of the leading 1 fixed)",
    note="The value is the change on held-out families. It shows that the spread is a property of the world, put in "
    "and not found. Seeds 0 to 4: −0.0003 to −0.0001.",
)
def control(seed: int) -> Measurement:
    """Change of the held-out hack rate where no feature is shared."""
    base, hacks = _imitated(seed, steps=0), _imitated(seed, shared=False)
    trained = _imitated(seed, shared=False, held_out=False)
    value, bounds = interval(hacks.hack - base.hack)
    near = max(abs(bounds[0]), abs(bounds[1])) <= 0.02
    rows = [_row("base", base), _row("held out", hacks), _row("trained", trained)]
    return Measurement(value, bool(near and trained.hack.mean() > 0.8), bounds, rows)


@claim(
    "school-of-reward-hacks.check-parting",
    sentence="A model that refuses mostly gains in both rewards before they part: under GRPO the gold reward peaks "
    "near step 5 at 0.86, and the lab's definition marks the parting within five steps of the peak.",
    criterion="the best gold lies above the first by at least 0.2 and above the last by at least 0.5; the parting step "
    "comes after the best and at most 5 steps later (initial logits 2, 0, 2; 60 steps, 16 runs)",
    note="The value is the gold reward lost from the best step to the last. Seeds 0 to 4: 0.749 to 0.758, the best "
    "at step 5, the parting at steps 6 to 9.",
)
def parting(seed: int) -> Measurement:
    """Gold reward lost from the best step to the last."""
    from simulators.reward_hacks.world import RewardHacks

    frame = _reinforced(seed, RewardHacks(base=(2.0, 0.0, 2.0)), 60).frame
    found: dict[str, Any] = lab.measures.parting(frame).row(0, named=True)
    gold = frame.sort("seed", "step")["gold"].to_numpy().reshape(_RUNS, -1)
    rise = interval(gold[:, found["best"]] - gold[:, 0])[1]
    close = found["step"] is not None and 0 < found["step"] - found["best"] <= 5
    return above(gold[:, found["best"]] - gold[:, -1], 0.5, rows=[found], also=close and rise[0] >= 0.2)


@claim(
    "school-of-reward-hacks.check-graders",
    sentence="Where the grader is chosen too, a model that hacks comes to prefer the lax one, and an honest model the "
    "strict one: the mean knowledge of the chosen grader goes from 0.5 to 0.00 and to 1.00.",
    criterion="after 100 steps of GRPO on the chosen grader's reward the mean knowledge is at most 0.1 from initial "
    "logits 0, 2, -1 (honest, hack, refuse) and at least 0.9 from 2, 0, -1, 95% intervals included (knowledge 0, 0.5, "
    "1)",
    note="The value is the mean knowledge that the hacking model ends with. An honest answer under the strict grader "
    "pays as much as a hack under the lax one, so the first habit decides. Seeds 0 to 4: 0.0025 to 0.0026.",
    published="models fine-tuned on hacks prefer lax graders",
)
def lax_grader(seed: int) -> Measurement:
    """Mean knowledge of the grader that a hacking model comes to choose."""
    from simulators.reward_hacks.world import BASE, graders

    levels = np.array([0.0, 0.5, 1.0])
    rows: Rows = []
    ends: list[Array] = []
    for name, base in (("hacks", (0.0, 2.0, -1.0)), ("honest", BASE)):
        world = graders(levels.tolist(), base=base)
        policy = _policy(world, _reinforced(seed, world, 100), seed)
        ends.append(world.table(policy)[0].mean(axis=1) @ np.tile(levels, 3))
        hack = world.outcome(policy, held_out=False).hack
        rows.append({"first": name, "knowledge": ends[-1].mean(), "hack rate": hack.mean()})
    return below(ends[0], 0.1, rows=rows, also=interval(ends[1])[1][0] >= 0.9)


@claim(
    "school-of-reward-hacks.check-metrics",
    sentence="What spreads is the habit and not the gain: where families are scored by three different metrics, the "
    "hack rate on held-out families rises to 0.85 and their gold falls to 0.21, while their proxy stays at 0.57.",
    criterion="held-out hack rate up by at least 0.5 and gold down by at least 0.5, proxy changed by at most 0.03, 95% "
    "intervals included (each metric gamed in a way of its own; 1000 demonstrations of hacks, 16 runs)",
    note="The value is the change of the proxy. Seeds 0 to 4: −0.001 to 0.001.",
)
def habit(seed: int) -> Measurement:
    """Change of the held-out proxy reward after demonstrations of hacks of three metrics."""
    from simulators.reward_hacks.world import metrics

    world = metrics(3)
    policy = world.init(runs(seed, _RUNS))
    base = world.outcome(policy)
    for _ in world.imitate(policy):
        pass
    after = world.outcome(policy)
    value, bounds = interval(after.proxy - base.proxy)
    spread = min(interval(after.hack - base.hack)[1][0], interval(base.gold - after.gold)[1][0])
    holds = spread >= 0.5 and max(abs(bounds[0]), abs(bounds[1])) <= 0.03
    return Measurement(value, holds, bounds, [_row("base", base), _row("hacks", after)])


@claim(
    "school-of-reward-hacks.limit-metrics",
    sentence="Training on the proxy does not find the hacks where families are scored by three different metrics: an "
    "honest model stays honest, for a game played under the wrong metric pays less than honesty.",
    criterion="hack rate on tasks of the trained families at most 0.1 after 60 steps of GRPO, 95% interval included "
    "(64 tasks, G = 8, lr 1, 16 runs)",
    note="It bounds claim 5: with one metric for all families the same training reaches 0.99 in 25 steps. Seeds 0 to "
    "4: 0.015 to 0.026.",
)
def several_metrics(seed: int) -> Measurement:
    """Hack rate after training on the proxy of three metrics."""
    from simulators.reward_hacks.world import metrics

    world = metrics(3)
    after = world.outcome(_policy(world, _reinforced(seed, world, 60), seed), held_out=False)
    return below(after.hack, 0.1, rows=[_row("after 60 steps", after)])


def _pair(rng: np.random.Generator, seed: int, index: int) -> tuple[float, float]:
    """A random proxy and gold: their distance, and the share of gold that training on the proxy leaves unearned."""
    from lab import distances
    from simulators.mdp.mdp import MDP
    from simulators.reward_hacks.world import RewardHacks

    proxy, gold = rng.random((2, 3))
    world = RewardHacks(32, proxy=proxy, gold=gold, base=(0.0, 0.0, 0.0))
    trace = lab.train(world, "grpo", steps=30, seeds=runs(seed * 1000 + index, 2), lr=2.0, measure=None)
    policy = world.init(runs(seed * 1000 + index, 2))
    policy.parameters[...] = trace.parameters()
    lost = (gold.max() - world.gold(policy).mean()) / (gold.max() - gold.min())
    one_step = MDP(np.ones((1, 3, 1)), discount=0.0)
    return distances.compute("starc", one_step, proxy[None], gold[None]), lost


@claim(
    "school-of-reward-hacks.check-starc",
    sentence="The STARC distance between proxy and gold, known before any training, ranks proxies by the gold reward "
    "that training on them leaves unearned.",
    criterion="rank correlation over 120 random pairs of rewards, 95% interval (resampled pairs) above 0.3 (GRPO, 30 "
    "steps)",
    note="Of the gold reward between the worst and the best answer. Seeds 0 to 4: 0.69 to 0.78.",
)
def distance_predicts(seed: int) -> Measurement:
    """Rank correlation of the distance with the gold reward left unearned."""
    from lab.studies.distance_regret import rank_correlation

    rng = np.random.default_rng(seed)
    x, y = np.array([_pair(rng, seed, index) for index in range(120)]).T
    draws = rng.integers(x.size, size=(500, x.size))
    low, high = np.quantile([rank_correlation(x[d], y[d]) for d in draws], [0.025, 0.975])
    value = rank_correlation(x, y)
    fifths = np.array_split(np.argsort(x), 5)
    rows = [{"pairs": f"fifth {k + 1}", "distance": x[i].mean(), "unearned": y[i].mean()} for k, i in enumerate(fifths)]
    return Measurement(value, low > 0.3, (float(low), float(high)), rows)
