"""MAPO (MICA): credit for the turns of a long dialogue from returns per turn and pooled immediate rewards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import lab
from lab.papers.measure import Array, Rows, exact, fair, interval, last_values, promised, runs
from lab.papers.record import Measurement, Paper, Table, add_paper, claim

add_paper(
    Paper(
        slug="mapo",
        title="MAPO: Mixed Advantage Policy Optimization for Long-Horizon Multi-Turn Dialogue",
        short="MAPO",
        date="6 March 2026 (from v2 on: MICA, Multi-granularity Intertemporal Credit Assignment)",
        arxiv={"MAPO": "2603.06194"},
        code="",
        problem=(
            "In a dialogue over many turns, scored turn by turn, one reward for the whole trajectory gives every turn "
            "the same credit. A group sampled at every turn is too expensive, and after the first turn the states "
            "differ, so that turns cannot be compared state by state."
        ),
        equations=(
            ("incremental reward", "r_t = φ_{t−1} − φ_t,  φ ≥ 0 the distance from the satisfied state"),
            ("return", "R_t = Σ_{k≥t} γ^{k−t} r_k"),
            ("turn level", "A_turn = (R_t − mean)/(std + ε) over the prompt's rollouts that reach turn t"),
            ("immediate level", "A_imm = (r_t − mean)/(std + ε) over all turns of the prompt, or of the batch"),
            ("mixed", "A = α A_turn + (1 − α) A_imm"),
        ),
        kept=(
            "Both levels and their mixture, with the pool of the first version (the batch) and of the later ones (the "
            "group), incremental and absolute rewards; population deviations. The dialogue task of the world of turns."
        ),
        left_out="The language-model runs and the judge.",
        published=(
            Table(
                "EMPA dialogue score, gain over the base model",
                ("model", "gain"),
                (("Qwen2.5-7B", 43.2), ("Qwen3-8B", 28.2), ("Qwen3-32B", 15.3)),
                "the abstract of v1 and a summary; +42.5 is quoted for v3 on Qwen2.5-7B",
            ),
        ),
        unknown="The exact formulas of v1, γ, the degrees of freedom. No code is public.",
    )
)

_PROMPTS, _GROUP, _TURNS, _RUNS = 100, 8, 8, 32
_SHAPE = (_RUNS, _PROMPTS, _GROUP)
#: Immediate effect, delayed effects by lag, noise.
_WORLDS: dict[str, tuple[float, tuple[float, ...], float]] = {
    "mixed": (0.3, (0.3, 0.3), 0.5), "immediate": (0.5, (), 0.3), "delayed": (0.2, (0.5,), 0.3),
}  # fmt: skip
_RULES = {
    "turn": ("mapo@turn", "group"), "immediate": ("mapo@immediate", "group"),
    "immediate, batch": ("mapo@immediate", "batch"), "mixed": ("mapo", "group"), "mixed, batch": ("mapo", "batch"),
}  # fmt: skip


def _episodes(world: str, seed: int) -> tuple[Array, Array]:
    """Rewards of the turns and the true effect of each action [S, P, G, T]."""
    from simulators.reward_laws import BATCHES

    rng = np.random.default_rng([seed, list(_WORLDS).index(world)])
    reward, effect = np.moveaxis(BATCHES["turn_effects"](rng, _SHAPE, _TURNS, *_WORLDS[world]), -1, 0)
    return reward, effect


def _quality(advantage: Array, effect: Array) -> Array:
    """Correlation with the true effect over prompts and rollouts, averaged over turns [S]."""
    x, y = (a - a.mean(axis=(1, 2), keepdims=True) for a in (np.broadcast_to(advantage, effect.shape), effect))
    spread = np.sqrt((x**2).sum(axis=(1, 2)) * (y**2).sum(axis=(1, 2)))
    return np.asarray(((x * y).sum(axis=(1, 2)) / spread).mean(axis=-1))


def _advantage(name: str, reward: Array, **options: Any) -> Array:
    rule, pool = _RULES[name]
    options["pool"] = pool
    return lab.advantages.compute(rule, reward.sum(axis=-1, keepdims=True), turn_rewards=reward, **options)


def _qualities(world: str, seed: int) -> dict[str, Array]:
    """Quality of each estimator in each run [S]."""
    reward, effect = _episodes(world, seed)
    outcome = lab.advantages.compute("grpo", reward.sum(axis=-1, keepdims=True))[..., None]
    return {"outcome": _quality(outcome, effect)} | {
        name: _quality(_advantage(name, reward), effect) for name in _RULES
    }


def _rows(found: dict[str, Array], **given: Any) -> Rows:
    return [{**given, "estimator": name, "correlation": float(q.mean())} for name, q in found.items()]


@claim(
    "mapo.1",
    sentence="Where actions act at once and later, the mixed advantage follows the true effect of an action better "
    "than either level alone, and far better than one outcome for all turns.",
    criterion="both mixtures beat both levels by more than 0.02 and the outcome by more than 0.1 in the correlation "
    "with the true effect, 95% intervals of the differences above 0 (100 prompts, G = 8, 8 turns, 32 runs)",
    note="The value is that of the mixture with the batch pool. With the group pool the levels and the mixture come "
    "out lower, about 0.258 and 0.313 against 0.268 and 0.319. Seeds 0 to 4: 0.317 to 0.320.",
    without={"advantage:mapo": {"alpha": 1.0}},
)
def mixture(seed: int) -> Measurement:
    """Correlation with the true effect under the mixture, batch pool."""
    found = _qualities("mixed", seed)
    gaps = []
    for mix in ("mixed", "mixed, batch"):
        for other, least in (("turn", 0.02), ("immediate", 0.02), ("immediate, batch", 0.02), ("outcome", 0.1)):
            gap, bounds = interval(found[mix] - found[other])
            gaps.append(gap > least and bounds[0] > 0)
    value, bounds = interval(found["mixed, batch"])
    return Measurement(value, all(gaps), bounds, _rows(found))


_ALPHAS = (0.0, 0.3, 0.5, 0.7, 1.0)


@claim(
    "mapo.2",
    sentence="Neither level is best left alone: along α the quality has its maximum in the middle.",
    criterion="the largest of α = 0, 0.3, 0.5, 0.7, 1 lies in [0.3, 0.7] and exceeds both ends by more than 0.02",
    published="α between 0.5 and 0.7 is best",
    note="The value is the α of the maximum; group pool, the mixed world of mapo.1. Seeds 0 to 4: 0.5 each time.",
    without={"advantage:mapo": {"alpha": 1.0}},
)
def alpha(seed: int) -> Measurement:
    """The α of the largest correlation."""
    reward, effect = _episodes("mixed", seed)
    found = [float(_quality(_advantage("mixed", reward, alpha=a), effect).mean()) for a in _ALPHAS]
    best = int(np.argmax(found))
    holds = 0.3 <= _ALPHAS[best] <= 0.7 and found[best] - max(found[0], found[-1]) > 0.02
    return Measurement(
        _ALPHAS[best], holds, detail=[{"alpha": a, "correlation": q} for a, q in zip(_ALPHAS, found, strict=True)]
    )


def _outcome_for_all(rewards: Array, *, turn_rewards: Array) -> Array:
    """The advantage of the outcome at every turn, in place of the turns' own."""
    whole = lab.advantages.rule("grpo").function(rewards)
    return np.asarray(whole[..., None] + 0.0 * turn_rewards)


@claim(
    "mapo.3",
    sentence="One outcome for all turns is the worst estimator, whether effects are mixed, immediate or delayed.",
    criterion="in all three worlds every estimator per turn is above it, 95% intervals of the differences above 0",
    note="The value is the smallest difference of the three worlds: the immediate level where effects are delayed. "
    "Seeds 0 to 4: 0.012 to 0.015.",
    without={f"advantage:{name}": _outcome_for_all for name in ("mapo", "mapo@turn", "mapo@immediate")},
)
def outcome(seed: int) -> Measurement:
    """Smallest correlation of an estimator per turn minus that of the outcome."""
    rows: Rows = []
    gaps = []
    for world in _WORLDS:
        found = _qualities(world, seed)
        rows += _rows(found, world=world)
        gaps += [interval(q - found["outcome"]) for name, q in found.items() if name != "outcome"]
    value, bounds = min(gaps)
    return Measurement(value, all(low > 0 for _, (low, _) in gaps), bounds, rows)


def _telescoping(seed: int, kept: slice = slice(None)) -> Measurement:
    """Largest |mean Σ r − (φ_0 − E φ_T)| over prompts, of the rewards of some turns."""
    from simulators import Turns

    world = Turns("dialogue", prompts=4)
    policy = world.init([seed])
    drawn = world.rollout(policy, 20_000, 0, fields=("turn_rewards",))
    assert drawn.turn_rewards is not None
    won = world.truth(policy, drawn, gradient=False).value[0]
    expected = np.sqrt(12) * ((1 - world.task.win)[world.starts] - (1 - won))
    sums = drawn.turn_rewards[0, ..., kept].sum(axis=-1).mean(axis=-1)
    rows: Rows = [
        {"prompt": p, "sum": float(s), "expected": float(e), "difference": float(s - e)}
        for p, (s, e) in enumerate(zip(sums, expected, strict=True))
    ]
    return exact(rows, 0.03)


@claim(
    "mapo.check-telescoping",
    sentence="The incremental rewards of an episode sum to φ at the start minus φ at the end.",
    criterion="mean of 20 000 episodes within 0.03 of φ_0 − E φ_T for each of 4 prompts of the dialogue task, the "
    "latter exact from the task's tables; without the last turn's rewards it is not",
    note="The value is the largest difference; its sampling error is about 0.008.",
    without=lambda seed: _telescoping(seed, slice(None, -1)),
)
def telescoping(seed: int) -> Measurement:
    """Largest |mean Σ r − (φ_0 − E φ_T)|."""
    return _telescoping(seed)


@claim(
    "mapo.headline",
    sentence="Credit for each turn teaches more in the same number of steps than one outcome for all turns, at the "
    "best learning rate of each: 0.05 more expected reward with eight rollouts, 0.1 with four. That it is a mixture "
    "does not matter: the immediate level alone does as well.",
    criterion="lead over GRPO on the outcome in exact value after 20 steps of the dialogue task, each at its own best "
    "learning rate",
    note="One policy for 8 prompts, G = 8. The levels alone stand beside it: the mixture is not told apart from "
    "the immediate level. Learning rates are chosen on 8 other runs each, and judged on 64.",
)
def headline(seed: int) -> Measurement:
    """Lead of MAPO over GRPO in exact value, each at its own best learning rate."""
    from simulators import Turns

    settings: dict[str, Any] = {"number": 64, "tuned": 8, "lrs": (8.0, 16.0, 32.0), "steps": 20}
    names = ["grpo", "mapo", "mapo@turn", "mapo@immediate"]
    found = {
        f"dialogue, G = {size}": fair(Turns("dialogue", shared=True), names, seed, group_size=size, **settings)
        for size in (8, 4)
    }
    return promised(found, "mapo", "grpo")


@claim(
    "mapo.check-dialogue",
    sentence="In the dialogue task, where listening pays later and pressing costs later, MAPO learns much faster than "
    "GRPO on the outcome.",
    criterion="exact value after 150 steps at least 0.1 above GRPO's with its 95% interval (one policy for 8 prompts, "
    "G = 8, lr 1, 8 paired runs)",
    note="The value is the difference. Seeds 0 to 4: 0.225 to 0.235.",
    without={"advantage:mapo": _outcome_for_all},
)
def learns(seed: int) -> Measurement:
    """Exact value under MAPO minus that under GRPO in the dialogue task."""
    return _ahead("dialogue", seed, lambda low, high: low >= 0.1)


@claim(
    "mapo.limit-process",
    sentence="MAPO never looks at the outcome, so it is no better than the scores of the turns: where a process reward "
    "model pays for needless steps, it falls far behind GRPO on the outcome.",
    criterion="exact value in the steps task at least 0.2 below GRPO's with its 95% interval (as mapo.check-dialogue)",
    note="The value is the difference. Seeds 0 to 4: −0.346 to −0.344.",
    without={"advantage:mapo": _outcome_for_all},
)
def misled(seed: int) -> Measurement:
    """Exact value under MAPO minus that under GRPO in the steps task."""
    return _ahead("steps", seed, lambda low, high: high <= -0.2)


def _ahead(task: str, seed: int, holds: Callable[[float, float], bool]) -> Measurement:
    from simulators import Turns

    found = last_values(Turns(task, shared=True), ["grpo", "mapo"], runs(seed, 8), 150, lr=1.0)
    value, bounds = interval(found["mapo"] - found["grpo"])
    rows = [{"variant": name, "value": float(v.mean())} for name, v in found.items()]
    return Measurement(value, holds(*bounds), bounds, rows)


@claim(
    "mapo.limit-immediate",
    sentence="The mixture is no free gain: where effects are purely immediate it is worse than the immediate level "
    "alone, and where they are mainly delayed it hardly beats the turn level.",
    criterion="purely immediate: mixture at least 0.05 below the immediate level; mainly delayed: less than 0.03 above "
    "the turn level",
    note="The value is the difference in the immediate world (group pool). Seeds 0 to 4: −0.109 to −0.108.",
    without={"advantage:mapo": {"alpha": 0.0}},
)
def no_free_gain(seed: int) -> Measurement:
    """Correlation of the mixture minus that of the immediate level where effects are immediate."""
    at_once, later = (_qualities(world, seed) for world in ("immediate", "delayed"))
    value, bounds = interval(at_once["mixed"] - at_once["immediate"])
    gain = float((later["mixed"] - later["turn"]).mean())
    rows = [*_rows(at_once, world="immediate"), *_rows(later, world="delayed")]
    return Measurement(value, value <= -0.05 and gain < 0.03, bounds, rows)


@claim(
    "mapo.limit-position",
    sentence="The pooled immediate level keeps an offset of the position: when rewards decline over the turns, early "
    "turns look good whatever was done there. The turn level has none.",
    criterion="mean of the immediate level above 0.5 at the first turn and below −0.2 at the last; |mean| of the turn "
    "level below 1e-9 at every turn",
    note="The value is the offset of the first turn (group pool, the world of mapo.1). Seeds 0 to 4: 0.741 to 0.746.",
    without={"advantage:mapo@immediate": {"alpha": 1.0}},
)
def position(seed: int) -> Measurement:
    """Mean immediate advantage of the first turn."""
    reward, _ = _episodes("mixed", seed)
    means = {name: _advantage(name, reward).mean(axis=(1, 2)) for name in ("immediate", "turn")}
    value, bounds = interval(means["immediate"][:, 0])
    last = float(means["immediate"][:, -1].mean())
    holds = value > 0.5 and last < -0.2 and float(np.abs(means["turn"]).max()) < 1e-9
    rows = [{"level": n, "turn": t, "mean": float(m)} for n, a in means.items() for t, m in enumerate(a.mean(axis=0))]
    return Measurement(value, holds, bounds, rows)
