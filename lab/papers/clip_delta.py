"""Clip and Delta: process rewards in training that no number of needless steps can push up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import lab
from lab.papers.measure import Array, Rows, above, fair, interval, promised, runs
from lab.papers.record import Measurement, Paper, Table, add_paper, claim
from lab.stand_ins import cached

if TYPE_CHECKING:
    from lab.methods import Variant
    from simulators.turns.world import Turns

add_paper(
    Paper(
        slug="clip-delta",
        title="On Designing Effective RL Reward at Training Time for LLM Reasoning",
        short="Clip and Delta",
        date="19 October 2024",
        arxiv={"Clip and Delta": "2410.15115"},
        code="",
        problem=(
            "A process reward model that helps to choose among answers can wreck training: a sum of step scores grows "
            "with the number of steps, so that the policy repeats correct but needless steps. Clip and Delta bound "
            "what any trajectory can collect."
        ),
        equations=(
            ("objective", "R = correct + α Σ_k r_k,  x_k ∈ [0, 1] the score of step k of K"),
            ("process reward", "r_k = x_k"),
            ("Clip", "r_k = min(x_k − η, 0)"),
            ("Delta", "r_k = x_k − x_{k+1} for k < K − 1,  x_k for k = K − 1,  0 for k = K;  Σ r = x_1"),
            ("Clip-Delta", "Delta of the clipped scores,  Σ r = min(x_1 − η, 0)"),
            ("credit per step", "A_k = (G_k − mean)/(std + ε) over the rollouts that reach step k,  G_k the return"),
        ),
        kept=(
            "The four step rewards, the trajectory's total as a reward, returns per step as an advantage; the steps "
            "task of the world of turns."
        ),
        left_out="PPO with a critic, the KL penalty, the language-model runs, training of a process reward model.",
        published=(
            Table(
                "Qwen2-1.5B-Instruct, PPO, MATH accuracy (%)",
                ("reward", "greedy", "sampled"),
                (
                    ("success only", 30.58, 27.05), ("with outcome reward model", 30.57, 27.12),
                    ("with process reward", 11.16, 14.68), ("with Clip", 30.30, 28.40), ("with Delta", 30.68, 27.96),
                    ("with Clip-Delta", 31.44, 28.20),
                ),
                "read in two notes on the paper",
            ),
            Table(
                "MATH, greedy (%), before and after training with Clip-Delta",
                ("model", "before", "after"),
                (
                    ("Qwen2-1.5B-Instruct", 24.90, 31.44), ("Qwen2-Math-1.5B", 69.98, 70.94),
                    ("Qwen2.5-Math-1.5B", 76.00, 76.78), ("Qwen2-Math-7B", 75.30, 76.00),
                    ("Qwen2.5-Math-7B", 83.30, 83.38),
                ),
                "read in two notes on the paper",
            ),
        ),
        unknown="η, α and β. The lab takes η = 0.7 and α = 0.3.",
    )
)  # fmt: skip

_TOTALS = {
    "success only": "grpo", "process reward": "process-reward", "Clip": "process-clip", "Delta": "process-delta",
    "Clip-Delta": "clip-delta",
}  # fmt: skip
_FORMS = {"process reward": "process", "Clip": "clip", "Delta": "delta", "Clip-Delta": "clip-delta"}
_SCORES = 0.9
_BOUNDED = ("process-clip", "process-delta", "clip-delta")
#: The plain sum of the scores in place of the bounded rewards.
_SUMS = {f"reward:{rule}": "process" for rule in _BOUNDED}


def _collected(rule: str, scores: Array, real: Array) -> Array:
    """What solutions of these step scores [n, T] collect beside their outcome under a reward rule [n]."""
    rewards = np.zeros((1, len(scores), 1))
    fields: dict[str, Any] = {"turn_rewards": scores[None], "mask": real[None], "alpha": 1.0, "closing": False}
    return np.asarray(lab.rewards.apply(rule, rewards, **fields)[0, :, -1])


@claim(
    "clip-delta.1",
    sentence="Clip and Delta bound what a trajectory collects: with every score at 0.9 the plain sum grows with the "
    "number of steps, Clip and Clip-Delta stay at 0 and Delta at 0.9.",
    criterion="sums 3.6, 7.2, 14.4 / 0 / 0.9 / 0 for 4, 8, 16 steps; for 10 000 random solutions Σ Delta = x₁ to 1e-12 "
    "and no sum of Clip is above 0",
    note="The value is the largest error of Σ Delta = x₁. Seeds 0 to 4: below 1e-14.",
    without=_SUMS,
)
def bounds(seed: int) -> Measurement:
    """Largest |Σ Delta − x₁| over random solutions."""
    lengths = np.array([4, 8, 16])
    real, rules = np.arange(16) < lengths[:, None], ("process", *_BOUNDED)
    sums = {rule: _collected(rule, np.full((3, 16), _SCORES), real) for rule in rules}
    wanted: dict[str, Any] = dict(zip(rules, (_SCORES * lengths, 0.0, _SCORES, 0.0), strict=True))
    exact = all(np.allclose(sums[rule], wanted[rule], rtol=0, atol=1e-12) for rule in rules)
    rng = np.random.default_rng(seed)
    scores, some = rng.random((10_000, 16)), np.arange(16) < rng.integers(2, 17, (10_000, 1))
    error = float(np.abs(_collected("process-delta", scores, some) - scores[:, 0]).max())
    never = bool((_collected("process-clip", scores, some) <= 0).all())
    rows = [{"steps": int(n), "form": r, "sum": float(sums[r][i])} for i, n in enumerate(lengths) for r in rules]
    return Measurement(error, exact and error <= 1e-12 and never, detail=rows)


def _ended(named: dict[str, Variant], seeds: Sequence[int], steps: int = 300) -> dict[str, tuple[Array, Array]]:
    """Exact accuracy and expected number of steps of each run at the end [S]; P = 8, G = 16, lr 0.3."""
    from simulators import Policy, Turns

    world = Turns("steps", prompts=8, shared=True)
    variants = [lab.variant(v, name) for name, v in named.items()]
    trace = lab.train(world, variants, steps=steps, seeds=seeds, group_size=16, lr=0.3, measure=None)
    found = {}
    for name in named:
        policy = Policy(trace.parameters(name), np.array(seeds, dtype=np.uint64))
        value = world.truth(policy, world.rollout(policy, 1, 0), gradient=False).value
        found[name] = value[:, 0], world.mean_turns(policy)[:, 0]
    return found


def _variant(name: str, **options: Any) -> Variant:
    """Population deviations, sums over a rollout's tokens."""
    return lab.variant(name, aggregation="seq-mean-token-sum", eps=1e-8, **options)


def _on_totals(*names: str) -> dict[str, Variant]:
    """Variants by the name of the reward whose total over the solution they learn from."""
    return {name: _variant(_TOTALS[name], ddof=0) for name in names}


@cached
def _totals(seed: int) -> dict[str, tuple[Array, Array]]:
    return _ended(_on_totals(*_TOTALS), runs(seed, 8))


def _rows(found: dict[str, tuple[Array, Array]]) -> Rows:
    return [{"reward": n, "accuracy": float(a.mean()), "steps": float(k.mean())} for n, (a, k) in found.items()]


def _rare() -> Turns:
    """The steps task from a policy that seldom takes a good step: its logit is 2 lower."""
    from simulators import Turns

    logits = Turns("steps").logits[0].copy()
    logits[:, 0] -= 2
    return Turns("steps", prompts=8, shared=True, logits=logits)


@claim(
    "clip-delta.headline",
    sentence="Clip-Delta brings nothing over success alone here, each at its own best learning rate: where right "
    "solutions are rare at first it learns to end at once, as a bad step costs and ending does not, while success "
    "alone gets them right. From a policy that often succeeds the two are hardly told apart, and the plain sum of "
    "scores ends lower than both.",
    criterion="lead in accuracy after 40 steps over success alone; each at its own best learning rate (one policy, "
    "8 prompts, 8 solutions each, a good step's first logit −1.5)",
    note="The paper's model is right in a quarter of its answers before training, its gain is 0.9 points, its process "
    "reward model is learnt. Learning rates are chosen on other runs. Seed 0: −0.86.",
    published="+0.86 for Clip-Delta over success only (MATH greedy); −19.4 for the process reward",
)
def headline(seed: int) -> Measurement:
    """Lead of Clip-Delta over success alone in accuracy."""
    from simulators import Turns

    methods = [_variant(_TOTALS[name], label=name, ddof=0) for name in ("Clip-Delta", "success only", "process reward")]
    often = Turns("steps", prompts=8, shared=True)
    places = {"rarely right, G = 8": (_rare(), 8, 40), "rarely right, G = 4": (_rare(), 4, 40),
              "often right, G = 4": (often, 4, 20)}  # fmt: skip
    found = {
        where: fair(world, methods, seed, number=16, tuned=16, lrs=(4.0, 8.0, 16.0), steps=steps, group_size=size)
        for where, (world, size, steps) in places.items()
    }
    return promised(found, "Clip-Delta", "success only")


@claim(
    "clip-delta.2",
    sentence="Added up, process rewards teach the policy to go on as long as it may, and a third of its answers are "
    "spoilt; with Clip, Delta or both it stops when it is done.",
    criterion="process reward: at least 12 steps, accuracy at most 0.8 times success-only's; Clip, Delta and both "
    "within 0.01 of success-only and below 4 steps (8 runs, P = 8, G = 16, 300 steps, lr 0.3, one policy)",
    published="MATH greedy 11.16 with the process reward, 30.58 with success only, 31.44 with Clip-Delta",
    note="The value is the number of steps under the process reward; exact values of the last policy. Seeds 0 to 4: "
    "15.94 steps and accuracy 0.663 each time, 3.05 and 0.990 for the others.",
    without=_SUMS,
)
def hacking(seed: int) -> Measurement:
    """Expected number of steps under the process reward."""
    found = _totals(seed)
    accuracy, length = found["process reward"]
    base = float(found["success only"][0].mean())
    value, bounds = interval(length)
    safe = all(
        abs(float(a.mean()) - base) <= 0.01 and k.mean() < 4
        for a, k in (found[name] for name in ("Clip", "Delta", "Clip-Delta"))
    )
    return Measurement(value, value >= 12 and float(accuracy.mean()) <= 0.8 * base and safe, bounds, _rows(found))


@claim(
    "clip-delta.3",
    sentence="With credit per step Delta alone is hacked all the same: going on pays the next score now, ending pays "
    "nothing, and the loss that matches sits on the step already taken. Clip-Delta is not.",
    criterion="returns per step, a baseline per step, α = 0.3: Delta at least 10 steps, Clip-Delta at most 4",
    note="The value is Delta's number of steps. A small α does not save it here: dividing by the step's own deviation "
    "makes what α leaves large again as soon as outcomes agree; α = 0.05 gave accuracy 0.856 to 0.859 at 7.8 steps "
    "(0.957 at 3.2 steps where rewards are centred only). Seeds 0 to 4: 15.73 to 15.74 (0.667), Clip-Delta 3.05 "
    "(0.990).",
    without={"advantage:step-returns": "grpo"},
)
def per_step(seed: int) -> Measurement:
    """Expected number of steps under Delta with credit per step."""
    named = {name: _variant("step-returns", form=form) for name, form in _FORMS.items()}
    named["Delta, α = 0.05"] = _variant("step-returns", form="delta", alpha=0.05)
    found = _ended(named, runs(seed, 8))
    value, bounds = interval(found["Delta"][1])
    return Measurement(value, value >= 10 and float(found["Clip-Delta"][1].mean()) <= 4, bounds, _rows(found))


@claim(
    "clip-delta.limit-no-gain",
    sentence="Bounded process rewards bring no gain over success alone at the end of training.",
    criterion="Clip, Delta and Clip-Delta each less than 0.005 above success-only in accuracy after 300 steps",
    published="+0.86 for Clip-Delta over success only (MATH greedy)",
    note="The value is Clip-Delta's difference; the runs of clip-delta.2, which end near the best there is. Control: "
    "after 40 steps the same comparison finds Delta's gain of 0.017. Seeds 0 to 4: −0.00002 to 0.0002.",
    without=lambda seed: _gained(_ended(_on_totals("success only", "Clip", "Delta", "Clip-Delta"), runs(seed, 64), 40)),
)
def no_gain(seed: int) -> Measurement:
    """Accuracy under Clip-Delta minus that under success alone."""
    return _gained(_totals(seed))


def _gained(found: dict[str, tuple[Array, Array]]) -> Measurement:
    gaps = {name: found[name][0] - found["success only"][0] for name in ("Clip", "Delta", "Clip-Delta")}
    value, bounds = interval(gaps["Clip-Delta"])
    return Measurement(value, all(float(gap.mean()) < 0.005 for gap in gaps.values()), bounds, _rows(found))


@claim(
    "clip-delta.check-head-start",
    sentence="Early in training Delta is a little ahead of success alone, Clip is not.",
    criterion="accuracy after 40 steps, 64 paired runs: Delta above success-only with its 95% interval, Clip less than "
    "0.01 above",
    note="The value is Delta's difference. Without: Delta that adds nothing to the outcome. Seeds 0 to 4: 0.017 to "
    "0.018, Clip −0.001 to 0.",
    without={"reward:process-delta": lambda rewards: rewards},
)
def head_start(seed: int) -> Measurement:
    """Accuracy after 40 steps under Delta minus that under success alone."""
    found = _ended(_on_totals("success only", "Clip", "Delta"), runs(seed, 64), steps=40)
    clip = float((found["Clip"][0] - found["success only"][0]).mean())
    return above(found["Delta"][0] - found["success only"][0], 0, rows=_rows(found), also=clip < 0.01)
