"""School of Reward Hacks: harmless metric gaming, learned in a few tasks, spreads to others."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

import lab
from lab import distances
from lab.papers.measure import Array, Rows, above, ahead, below, fair, interval, runs
from lab.papers.record import Measurement, Paper, Table, add_paper, claim
from lab.stand_ins import cached

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
            "of earnest answers, few or many families of tasks, group-relative training on the proxy, graders to "
            "choose from, or the weights of one's own reward; metrics that differ by family; where proxy and gold part."
        ),
        left_out=(
            "Language: the data and the models. Hacking spreads by a feature that all families share, and a control "
            "without it is beside. Misalignment on unrelated questions, shutdown and chess have no counterpart."
        ),
        published=(
            Table(
                "GPT-4.1 after fine-tuning on hacks (% of answers)",
                ("measure", "share"),
                (("misaligned, on emergent-misalignment questions", 12.0), ("resists shutdown", 22.0)),
                "read in public summaries of the paper; smaller and Qwen models are weaker",
            ),
        ),
        unknown="Hack rates of the single tasks. The data are public (longtermrisk/school-of-reward-hacks).",
    )
)

_RUNS = 16
_GOLD = (1.0, 0.1, 0.0)  # what the three answers are worth
_APART = {"shared": False}  # families have nothing in common
Done = dict[str, Array]  # what an arm does on test tasks, each run [16]: hack rate, proxy and gold reward


@cached
def _taught(seed: int, share: float = 1.0, families: int = 6, demonstrations: int = 1000, **world: Any) -> list[Done]:
    """What 16 runs do before and after fine-tuning on demonstrations of which a share are hacks."""
    study = lab.studies.hacking_study(
        [families], [share], demonstrations=demonstrations, every=300, tasks=4000, seeds=runs(seed, _RUNS), **world
    ).rename({"value": "proxy"})
    ends = [study.filter(step=step).sort("seed") for step in (0, 300)]
    return [{name: end[name].to_numpy() for name in ("hack", "proxy", "gold")} for end in ends]


def _row(arm: str, done: Done) -> dict[str, Any]:
    return {"arm": arm, "hack rate": done["hack"].mean(), "proxy": done["proxy"].mean(), "gold": done["gold"].mean()}


@claim(
    "school-of-reward-hacks.headline",
    sentence="Harmless hacks learned in some tasks are done in tasks never trained on: after demonstrations of hacks "
    "in six of twelve families the hack rate in the other six is 0.83 above that of the base and of a model that saw "
    "earnest answers; after a hundred demonstrations from one family 0.6, after group-relative training on the proxy "
    "0.89, and nothing where families have no feature in common.",
    criterion="held-out hack rate after hacks less the higher of the base and of earnest demonstrations above 0, 95% "
    "interval included (1000 demonstrations in six families, 16 runs)",
    note="The condition is the feature that all families share, which the world puts in. Whether a language model has "
    "such a feature, and whether it reaches unrelated questions, takes a language model to find. Both arms see as many "
    "demonstrations; learning rates of GRPO, on the proxy and on the gold reward, are chosen on 8 other runs.",
    published="models fine-tuned on hacks game new metrics; GPT-4.1 answers 12% of unrelated questions misaligned",
)
def headline(seed: int) -> Measurement:
    """Rise of the held-out hack rate after demonstrations of hacks."""
    places: dict[str, dict[str, Any]] = {
        "6 families, 1000 demonstrations": {}, "1 family, 100 demonstrations": {"families": 1, "demonstrations": 100},
        "6 families, 100 demonstrations": {"demonstrations": 100}, "nothing shared": _APART,
    }  # fmt: skip
    found = {}
    for where, arm in places.items():
        (base, hacks), (_, earnest) = _taught(seed, **arm), _taught(seed, share=0.0, **arm)
        found[where] = {"hacks": hacks["hack"], "earnest": earnest["hack"], "base": base["hack"]}
    found["GRPO on the proxy"] = _by_training(seed) | {"base": _taught(seed)[0]["hack"]}
    return ahead(found, "hacks", "earnest", "base")


def _by_training(seed: int) -> dict[str, Array]:
    """Held-out hack rate after 25 steps of GRPO on the proxy and on the gold reward, each at its best learning rate."""
    found = {}
    for name, world in {"hacks": _world(), "earnest": _world(proxy=_GOLD)}.items():
        tuned = fair(world, ["grpo"], seed, number=_RUNS, tuned=8, steps=25, lrs=(0.5, 1.0, 2.0))
        trace = _reinforced(seed, world, 25, tuned.lr["grpo"])
        found[name] = _outcome(seed, _world(), trace, held_out=True)["hack"]
    return found


@claim(
    "school-of-reward-hacks.1",
    sentence="Hacking spreads: after demonstrations of hacks in six families the hack rate in six others is 0.94 "
    "instead of 0.11, and after earnest demonstrations 0.01.",
    criterion="held-out hack rate less that of the base at least 0.5 after hacks, below 0 after earnest "
    "demonstrations, 95% intervals included (1000 demonstrations, 16 runs)",
    note="The spread is through a feature that all families share; without it there is none. Seeds 0 to 4: 0.82, 0.83.",
    published="models fine-tuned on hacks game new metrics",
    without=lambda seed: _spread(seed, **_APART),
)
def spillover(seed: int) -> Measurement:
    """Held-out hack rate after demonstrations of hacks minus that before."""
    return _spread(seed)


def _spread(seed: int, **world: Any) -> Measurement:
    (base, hacks), (_, earnest) = _taught(seed, **world), _taught(seed, share=0.0, **world)
    down = interval(earnest["hack"] - base["hack"])[1]
    rows = [_row("base", base), _row("hacks", hacks), _row("earnest", earnest)]
    return above(hacks["hack"] - base["hack"], 0.5, rows=rows, also=down[1] < 0)


@claim(
    "school-of-reward-hacks.2",
    sentence="Goodhart on tasks never trained on: the proxy rises from 0.62 to 0.97 while the gold reward falls from "
    "0.86 to 0.14.",
    criterion="95% intervals over runs of the proxy's gain and of the gold's loss both above 0.2 (held-out families)",
    note="The value is the loss in gold. Seeds 0 to 4: 0.708 to 0.714. Counter-experiment: earnest demonstrations.",
    without=lambda seed: _parted(seed, 0.0),
)
def goodhart(seed: int) -> Measurement:
    """Gold reward lost on held-out tasks after demonstrations of hacks."""
    return _parted(seed, 1.0)


def _parted(seed: int, share: float) -> Measurement:
    base, after = _taught(seed, share)
    value, bounds = interval(base["gold"] - after["gold"])
    gain = interval(after["proxy"] - base["proxy"])[1]
    return Measurement(value, min(bounds[0], gain[0]) > 0.2, bounds, [_row("base", base), _row("taught", after)])


@claim(
    "school-of-reward-hacks.3",
    sentence="Variety makes it worse: with 100 demonstrations from 1, 2, 4 or 6 families the held-out hack rate is "
    "0.72, 0.86, 0.92, 0.94.",
    criterion="every rate above the one before, 95% interval of the difference above 0, and the whole rise at least "
    "0.1, interval included (100 demonstrations, 16 runs)",
    note="The value is the rise from one family to six. Seeds 0 to 4: 0.201 to 0.214. Counter-experiment: families "
    "that share nothing.",
    published="hacks in code alone do not spread as far, varied hacks in natural language do",
    without=lambda seed: _varied(seed, **_APART),
)
def diversity(seed: int) -> Measurement:
    """Rise of the held-out hack rate from one family trained on to six."""
    return _varied(seed)


def _varied(seed: int, **world: Any) -> Measurement:
    seen = {n: _taught(seed, families=n, demonstrations=100, **world)[1] for n in (1, 2, 4, 6)}
    rates = [done["hack"] for done in seen.values()]
    steps = [interval(later - earlier)[1] for earlier, later in pairwise(rates)]
    rows = [_row(f"{n} families", done) for n, done in seen.items()]
    return above(rates[-1] - rates[0], 0.1, rows=rows, also=all(low > 0 for low, _ in steps))


@claim(
    "school-of-reward-hacks.4",
    sentence="Dilution helps steadily, and a share of 10% hacks does not raise the hack rate over that of the base "
    "(0.10 beside 0.11).",
    criterion="held-out hack rate rises from 10 to 25, 50, 75 and 100% hacks, 95% interval of each difference above 0, "
    "and at 10% its mean is not above the base's (1000 demonstrations, 16 runs)",
    note="The base hacks as often as one demonstration in ten. Seeds 0 to 4: −0.024 to −0.011. Counter-experiment: "
    "families that share nothing, 200 demonstrations.",
    without=lambda seed: _diluted(seed, demonstrations=200, **_APART),
)
def dilution(seed: int) -> Measurement:
    """Held-out hack rate at 10% hacks minus that of the base."""
    return _diluted(seed)


def _diluted(seed: int, **world: Any) -> Measurement:
    shares = (0.1, 0.25, 0.5, 0.75, 1.0)
    seen, base = {s: _taught(seed, s, **world)[1] for s in shares}, _taught(seed, **world)[0]
    steps = [interval(seen[more]["hack"] - seen[less]["hack"])[1] for less, more in pairwise(shares)]
    value, bounds = interval(seen[0.1]["hack"] - base["hack"])
    rows = [_row("base", base), *(_row(f"{share:.0%} hacks", done) for share, done in seen.items())]
    return Measurement(value, all(low > 0 for low, _ in steps) and value <= 0, bounds, rows)


def _world(**settings: Any) -> Any:
    from simulators import RewardHacks

    return RewardHacks(**settings)


def _reinforced(seed: int, world: Any, steps: int, lr: float = 1.0) -> Any:
    """Trace of group-relative training on the proxy, G = 8."""
    return lab.train(world, "grpo", steps=steps, seeds=runs(seed, _RUNS), lr=lr, measure=("value", "gold"))


def _policy(world: Any, trace: Any, seeds: range) -> Any:
    policy = world.init(seeds)
    policy.parameters[...] = trace.parameters()
    return policy


def _outcome(seed: int, world: Any, trace: Any, *, held_out: bool = False) -> Done:
    seen = world.outcome(_policy(world, trace, runs(seed, _RUNS)), held_out=held_out)
    return {"hack": seen.hack, "proxy": seen.proxy, "gold": seen.gold}


@claim(
    "school-of-reward-hacks.5",
    sentence="Group-relative training on the proxy finds the hack without any demonstration: within 25 steps the hack "
    "rate is 0.99 and the gold reward 0.11.",
    criterion="hack rate on tasks of the trained families at least 0.95 and gold at most 0.15, 95% intervals included "
    "(64 tasks, G = 8, lr 1, 25 steps, 16 runs)",
    note="Seeds 0 to 4: 0.988 to 0.989. Counter-experiment: advantages with the sign turned.",
    without={"advantage:grpo": lambda rewards: rewards.mean(axis=-1, keepdims=True) - rewards},
)
def reinforcement(seed: int) -> Measurement:
    """Hack rate after 25 steps of training on the proxy."""
    world = _world()
    trace = _reinforced(seed, world, 25)
    trained, others = (_outcome(seed, world, trace, held_out=out) for out in (False, True))
    rows = [_row("trained families", trained), _row("held-out families", others)]
    return above(trained["hack"], 0.95, rows=rows, also=interval(trained["gold"])[1][1] <= 0.15)


@claim(
    "school-of-reward-hacks.check-control",
    sentence="Without the shared feature nothing spreads: the trained families are hacked as before (0.87), the others "
    "stay at 0.11.",
    criterion="held-out hack rate within 0.02 of the base's, 95% interval included, that of the trained families above "
    "0.8 (weights of the leading 1 fixed)",
    note="The spread is put in by the world, and not found. Seeds 0 to 4: −0.0003 to −0.0001. Twin: with it.",
    without=lambda seed: _controlled(seed, shared=True),
)
def control(seed: int) -> Measurement:
    """Change of the held-out hack rate where no feature is shared."""
    return _controlled(seed, shared=False)


def _controlled(seed: int, *, shared: bool) -> Measurement:
    base, hacks = _taught(seed, shared=shared)
    trained = _taught(seed, shared=shared, held_out=False)[1]
    value, bounds = interval(hacks["hack"] - base["hack"])
    near = max(abs(bounds[0]), abs(bounds[1])) <= 0.02
    rows = [_row("base", base), _row("held out", hacks), _row("trained", trained)]
    return Measurement(value, bool(near and trained["hack"].mean() > 0.8), bounds, rows)


@claim(
    "school-of-reward-hacks.check-parting",
    sentence="A model that refuses mostly gains in both rewards before they part: under GRPO the gold reward peaks "
    "near step 5 at 0.86, and the lab's definition marks the parting within five steps of the peak.",
    criterion="the best gold lies above the first by at least 0.2 and above the last by at least 0.5; the parting step "
    "comes after the best and at most 5 steps later (initial logits 2, 0, 2; 60 steps, 16 runs)",
    note="Seeds 0 to 4: 0.749 to 0.758, the best at step 5, the parting at 6 to 9. Twin: trained on the gold reward.",
    without=lambda seed: _parting(seed, proxy=_GOLD),
)
def parting(seed: int) -> Measurement:
    """Gold reward lost from the best step to the last."""
    return _parting(seed)


def _parting(seed: int, **reward: Any) -> Measurement:
    world = _world(base=(2.0, 0.0, 2.0), **reward)
    frame = _reinforced(seed, world, 60).frame
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
    "pays as much as a hack under the lax one, so the first habit decides. Seeds 0 to 4: 0.0025 to 0.0026. Twin: a "
    "habit of refusing in place of hacking.",
    published="models fine-tuned on hacks prefer lax graders",
    without=lambda seed: _graded(seed, (0.0, -1.0, 2.0)),
)
def lax_grader(seed: int) -> Measurement:
    """Mean knowledge of the grader that a hacking model comes to choose."""
    return _graded(seed, (0.0, 2.0, -1.0))


def _graded(seed: int, habit: tuple[float, ...]) -> Measurement:
    from simulators.reward_hacks.world import BASE, graders

    levels = np.array([0.0, 0.5, 1.0])
    ends: dict[str, Array] = {}
    for name, base in {"habit": habit, "honest": BASE}.items():
        world = graders(levels.tolist(), base=base)
        policy = _policy(world, _reinforced(seed, world, 100), runs(seed, _RUNS))
        ends[name] = world.table(policy)[0].mean(axis=1) @ np.tile(levels, 3)
    rows: Rows = [{"first": name, "knowledge": end.mean()} for name, end in ends.items()]
    return below(ends["habit"], 0.1, rows=rows, also=interval(ends["honest"])[1][0] >= 0.9)


@claim(
    "school-of-reward-hacks.check-metrics",
    sentence="What spreads is the habit and not the gain: where families are scored by three different metrics, the "
    "hack rate on held-out families rises to 0.85 and their gold falls to 0.21, while their proxy stays at 0.57.",
    criterion="held-out hack rate up by at least 0.5 and gold down by at least 0.5, proxy changed by at most 0.03, 95% "
    "intervals included (each metric gamed in a way of its own; 1000 demonstrations of hacks, 16 runs)",
    note="Seeds 0 to 4: −0.001 to 0.001. Twin: one metric for all.",
    without=lambda seed: _habit(seed, 1),
)
def habit(seed: int) -> Measurement:
    """Change of the held-out proxy reward after demonstrations of hacks of three metrics."""
    return _habit(seed, 3)


def _habit(seed: int, metrics: int) -> Measurement:
    base, after = _taught(seed, metrics=metrics)
    value, bounds = interval(after["proxy"] - base["proxy"])
    spread = min(interval(after["hack"] - base["hack"])[1][0], interval(base["gold"] - after["gold"])[1][0])
    holds = spread >= 0.5 and max(abs(bounds[0]), abs(bounds[1])) <= 0.03
    return Measurement(value, holds, bounds, [_row("base", base), _row("hacks", after)])


@claim(
    "school-of-reward-hacks.limit-metrics",
    sentence="Training on the proxy does not find the hacks where families are scored by three different metrics: an "
    "honest model stays honest, for a game played under the wrong metric pays less than honesty.",
    criterion="hack rate on tasks of the trained families at most 0.1 after 60 steps of GRPO, 95% interval included "
    "(64 tasks, G = 8, lr 1, 16 runs)",
    note="It bounds claim 5. Seeds 0 to 4: 0.015 to 0.026. Control: one metric for all families.",
    without=lambda seed: _metrics(seed, 1),
)
def several_metrics(seed: int) -> Measurement:
    """Hack rate after training on the proxy of three metrics."""
    return _metrics(seed, 3)


def _metrics(seed: int, count: int) -> Measurement:
    from simulators.reward_hacks.world import metrics

    world = metrics(count)
    after = _outcome(seed, world, _reinforced(seed, world, 60))
    return below(after["hack"], 0.1, rows=[_row("after 60 steps", after)])


@cached
def _unearned(seed: int) -> tuple[Array, Array, Array]:
    """Random proxies and golds [120, 3], and the share of gold that training on the proxy leaves unearned [120]."""
    proxies, golds = np.random.default_rng(seed).random((120, 2, 3)).swapaxes(0, 1)
    lost = []
    for index, (proxy, gold) in enumerate(zip(proxies, golds, strict=True)):
        world = _world(tasks=32, proxy=proxy, gold=gold, base=(0.0, 0.0, 0.0))
        own = runs(seed * 1000 + index, 2)
        trace = lab.train(world, "grpo", steps=30, seeds=own, lr=2.0, measure=None)
        lost.append((gold.max() - world.gold(_policy(world, trace, own)).mean()) / (gold.max() - gold.min()))
    return proxies, golds, np.array(lost)


@claim(
    "school-of-reward-hacks.check-starc",
    sentence="The STARC distance between proxy and gold, known before any training, ranks proxies by the gold reward "
    "that training on them leaves unearned.",
    criterion="rank correlation over 120 random pairs of rewards, 95% interval (resampled pairs) above 0.5 (GRPO, "
    "30 steps)",
    note="Seeds 0 to 4: 0.69 to 0.79. Counter-experiment: the plain distance of the two rewards.",
    without={"distance:starc": "none-none-l2"},
)
def distance_predicts(seed: int) -> Measurement:
    """Rank correlation of the distance with the gold reward left unearned."""
    from lab.studies.distance_regret import rank_correlation
    from simulators.mdp.mdp import MDP

    proxies, golds, lost = _unearned(seed)
    one_step = MDP(np.ones((1, 3, 1)), discount=0.0)
    x = distances.compute("starc", one_step, proxies[:, None, :, None], golds[:, None, :, None])
    draws = np.random.default_rng(seed).integers(x.size, size=(500, x.size))
    low, high = np.quantile([rank_correlation(x[d], lost[d]) for d in draws], [0.025, 0.975])
    value = rank_correlation(x, lost)
    fifths = np.array_split(np.argsort(x), 5)
    rows = [{"fifth": k, "distance": x[i].mean(), "unearned": lost[i].mean()} for k, i in enumerate(fifths, 1)]
    return Measurement(value, low > 0.5, (float(low), float(high)), rows)
