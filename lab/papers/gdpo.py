"""GDPO: each reward normalised on its own, then added, then normalised over the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import lab
from lab.papers.measure import Array, OnePolicy, Rows, above, binary, fair, policies, promised, runs
from lab.papers.record import Measurement, Paper, Table, add_paper, claim

if TYPE_CHECKING:
    from lab.methods import Variant
    from lab.trace import Trace
    from simulators import Bandit

_PAPER = "arXiv 2601.05242 v1"

add_paper(
    Paper(
        slug="gdpo",
        title="GDPO: Group reward-Decoupled Normalization Policy Optimization for Multi-reward RL Optimization",
        short="GDPO",
        date="8 January 2026",
        arxiv={"GDPO": "2601.05242"},
        code="https://github.com/NVlabs/GDPO",
        problem=(
            "With several rewards, GRPO adds them and normalises the sum. Different combinations of rewards then fall "
            "onto the same advantage, and a reward with a small spread is drowned by one with a large spread."
        ),
        equations=(
            ("each reward on its own", "Aₖ = (rₖ − meanₖ) / (stdₖ + ε)"),
            ("weighted sum", "A_sum = Σₖ wₖ Aₖ"),
            ("batch step", "A = (A_sum − mean) / (std + ε) over all prompts and rollouts"),
            ("conditioned reward", "r_k := r_k if r_l ≥ t else 0"),
        ),
        kept=(
            "The advantage with its batch step over rollouts (the authors' code on TRL, TRL, NeMo-RL), over tokens "
            "(verl) or left out; weights; the conditioned reward."
        ),
        left_out="The language-model runs: tool use, mathematics and code.",
        published=(
            Table(
                "Tool use, BFCL-v3: average accuracy and correct format (%), 5 runs",
                ("model", "metric", "GRPO", "GDPO", "GRPO without std"),
                (
                    ("Qwen2.5-1.5B-Instruct", "accuracy", 30.18, 32.81, 29.26),
                    ("Qwen2.5-1.5B-Instruct", "correct format", 76.33, 80.66, 0.0),
                    ("Qwen2.5-3B-Instruct", "accuracy", 39.20, 40.87, None),
                    ("Qwen2.5-3B-Instruct", "correct format", 81.64, 82.23, None),
                ),
                _PAPER,
            ),
            Table(
                "Mathematics: accuracy and share of over-long responses (%)",
                ("model and benchmark", "metric", "GRPO", "GDPO"),
                (
                    ("DeepSeek-R1-1.5B, AIME", "accuracy", 23.1, 29.4),
                    ("DeepSeek-R1-1.5B, AIME", "over-length", 10.8, 6.5),
                    ("DeepSeek-R1-7B, AIME", "accuracy", 50.2, 53.1),
                    ("DeepSeek-R1-7B, AIME", "over-length", 2.1, 0.2),
                    ("DeepSeek-R1-7B, AIME, conditioned length", "accuracy", 53.3, 57.7),
                    ("DeepSeek-R1-7B, AIME, conditioned length", "over-length", 29.2, 12.3),
                    ("Qwen3-4B-Instruct, AIME", "accuracy", 54.6, 56.9),
                    ("Qwen3-4B-Instruct, AIME", "over-length", 2.5, 0.1),
                    ("DeepSeek-R1-1.5B, MATH", "accuracy", 83.6, 86.2),
                    ("DeepSeek-R1-1.5B, MATH", "over-length", 1.5, 0.8),
                ),
                _PAPER,
            ),
            Table(
                "Code, Codecontests, DeepSeek-R1-7B: pass rate, over-long and buggy responses (%)",
                ("rewards", "metric", "GRPO", "GDPO"),
                (
                    ("2 rewards", "pass", 63.2, 65.8),
                    ("2 rewards", "over-length", 14.2, 14.3),
                    ("2 rewards", "bug", 14.1, 13.2),
                    ("3 rewards", "pass", 65.6, 65.6),
                    ("3 rewards", "over-length", 19.3, 15.8),
                    ("3 rewards", "bug", 3.9, 2.5),
                ),
                _PAPER,
            ),
        ),
        unknown="The appendix's ablations (without the batch step: 'occasional convergence failures').",
    )
)

_RULES = ("grpo", "dr_grpo", "gdpo@no-batch-norm")
_BY_SIZE = {
    "grpo": [2, 4, 7, 11, 16, 22, 29],
    "dr_grpo": [3, 6, 10, 15, 21, 28, 36],
    "gdpo@no-batch-norm": [3, 6, 14, 26, 38, 59, 81],
}
_BY_COMPONENTS = {"grpo": [7, 14, 23], "dr_grpo": [10, 20, 35], "gdpo@no-batch-norm": [14, 45, 127]}

#: GDPO with the rewards added before they are normalised.
_GRPO = {"advantage:gdpo": "grpo"}


@claim(
    "gdpo.headline",
    sentence="Where the reward of the large range is noisy and groups are small, GDPO ends with more of both rewards: "
    "a format worth 1 is learnt beside a correctness of −3 to 3 with a noise of 3, where GRPO, with or without the "
    "deviation, ends 0.2 to 0.3 lower. With groups of 8 the lead is small, and with little noise there is none.",
    criterion="lead over the better of GRPO and GRPO without the deviation in the expected sum of both rewards after "
    "30 steps, noise 3, G = 4, each at its own best learning rate",
    note="One policy for 8 groups, two heads of 16 arms: one arm in 16 keeps the format, correctness rises evenly over "
    "the arms. Seeds 0 to 4: 0.22 to 0.31; at G = 8 and noise 2 "
    "the difference is between −0.08 and 0.01. Learning rates are chosen "
    "on 48 other runs each, and judged on 192.",
    published="BFCL-v3, 1.5B: accuracy 32.8% against 30.2%, correct format 80.7% against 76.3%",
)
def headline(seed: int) -> Measurement:
    """Lead of GDPO in the expected sum of both rewards over the better of its comparators."""
    found = {
        f"noise {noise:g}, G = {size}": fair(
            _noisy(noise), ["gdpo", "grpo", "dr_grpo"], seed, number=192, tuned=48, lrs=(4.0, 8.0, 16.0),
            group_size=size, steps=30,
        )
        for noise, size in ((3.0, 4), (3.0, 8), (2.0, 4), (2.0, 8), (0.5, 4))
    }  # fmt: skip
    return promised(found, "gdpo", "grpo", "dr_grpo")


def _noisy(noise: float) -> OnePolicy:
    """A format that one arm of 16 keeps, and a correctness from −3 to 3 under Gaussian noise."""
    from simulators import Bandit
    from simulators.reward_laws import normal

    means = np.stack([np.eye(16)[-1], np.linspace(-3, 3, 16)])[None]
    return OnePolicy(Bandit(means=means, law=["bernoulli", normal(noise)]), 8)


@claim(
    "gdpo.1",
    sentence="GDPO tells more combinations of rewards apart: 14 kinds of groups of 4 with two binary rewards, "
    "where GRPO sees 7 and GRPO without the deviation 10.",
    criterion="counts equal to the integers reported for K = 2, G = 2 to 8 and G = 4, K = 2 to 4 (batch step left out)",
    without={"advantage:gdpo@no-batch-norm": "grpo"},
)
def levels(seed: int) -> Measurement:
    """Distinct sorted advantage vectors over all multisets of binary reward vectors."""
    by_size = lab.studies.level_counts(_RULES, components=2, group_sizes=range(2, 9))
    by_components = lab.studies.level_counts(_RULES, components=(2, 3, 4), group_sizes=(4,))
    equal = all(
        frame.filter(rule=rule)["levels"].to_list() == expected[rule]
        for frame, expected in ((by_size, _BY_SIZE), (by_components, _BY_COMPONENTS))
        for rule in _RULES
    )
    value = by_size.filter(rule="gdpo@no-batch-norm", group_size=4)["levels"].item()
    return Measurement(value, equal, detail=by_size.vstack(by_components).unique(maintain_order=True).to_dicts())


def _correlation(a: Array, b: Array) -> Array:
    """Pearson correlation over prompts and rollouts: [S, P, G] x [S, P, G] -> [S]."""
    a, b = (x - x.mean(axis=(1, 2), keepdims=True) for x in (a, b))
    return np.asarray((a * b).sum(axis=(1, 2)) / np.sqrt((a**2).sum(axis=(1, 2)) * (b**2).sum(axis=(1, 2))))


@claim(
    "gdpo.2",
    sentence="A reward of small spread keeps its influence: with format ~ Bernoulli(0.8) beside correctness ~ U(−3, "
    "3), GDPO's advantage correlates with the group-normalised format reward over three times as strongly as "
    "GRPO's.",
    criterion="correlation under GDPO at least 2.5 times that under GRPO, 95% interval included (G = 8, 20 batches of "
    "4000 prompts)",
    note="The value is the ratio. Seeds 0 to 4: 3.26 to 3.31.",
    without=_GRPO,
)
def influence(seed: int) -> Measurement:
    """Ratio of the two correlations with the format reward."""
    shape = (20, 4000, 8)
    rewards = {
        "format": binary(0.8, shape, seed),
        "correctness": np.random.default_rng(seed).uniform(-3, 3, shape),
    }
    both = np.stack(list(rewards.values()), axis=-1)
    found = {
        (rule, name): _correlation(lab.advantages.compute(rule, both), lab.advantages.compute("grpo", r[..., None]))
        for rule in ("grpo", "gdpo")
        for name, r in rewards.items()
    }
    rows = [{"rule": rule, "reward": name, "correlation": float(c.mean())} for (rule, name), c in found.items()]
    return above(found["gdpo", "format"] / found["grpo", "format"], 2.5, rows=rows)


@claim(
    "gdpo.3",
    sentence="GDPO learns the format while GRPO is busy with correctness: after 40 steps P(format) is higher by "
    "0.46, P(correct) the same up to 0.03, and both methods meet by step 300.",
    criterion="difference of P(format) after 40 steps above 0.3, 95% interval above 0, that of P(correct) at most "
    "0.05; P(format) above 0.95 and within 0.02 of each other after 300 (64 runs)",
    note="One policy for all 8 prompts of the batch, as behind the reported figures: two heads with two arms each. A "
    "two-armed softmax moves by twice the gradient of a single logit, and the mean over the two heads halves it, so "
    "lr = 0.3 is the single logits' 0.3. With a policy per prompt (lr 2.4) the difference is 0.434. "
    "Seeds 0 to 4: 0.461 to 0.469. At one learning rate: with each at its own best the gap closes when there is little "
    "noise (see the headline).",
    without=_GRPO,
)
def training(seed: int) -> Measurement:
    """Difference of P(format) between GDPO and GRPO after 40 steps."""
    from simulators import Bandit
    from simulators.reward_laws import normal

    bandit = Bandit(means=[[[0, 1], [-3, 3]]], law=["bernoulli", normal(0.5)], logits=[[0, -2], [0, -1]])
    rows: Rows = []
    chances = {}
    for steps in (40, 300):
        trace = _learnt(bandit, ["grpo", "gdpo"], seed, steps, group_size=4)
        for name in ("grpo", "gdpo"):
            chance = chances[name, steps] = policies(trace, name)[:, 0, :, 1]
            means = chance.mean(axis=0)
            rows.append({"variant": name, "step": steps, "format": float(means[0]), "correct": float(means[1])})
    gaps = chances["gdpo", 40] - chances["grpo", 40]
    last = [row["format"] for row in rows if row["step"] == 300]
    met = min(last) > 0.95 and abs(last[0] - last[1]) < 0.02 and abs(gaps[:, 1].mean()) <= 0.05
    return above(gaps[:, 0], 0, mean=0.3, rows=rows, also=met)


def _learnt(bandit: Bandit, variants: Sequence[Variant | str], seed: int, steps: int, **settings: Any) -> Trace:
    """64 runs of one policy that learns from 8 groups a step."""
    return lab.train(
        OnePolicy(bandit, 8), variants, steps=steps, seeds=runs(seed, 64), lr=0.3, measure=None, **settings
    )


@claim(
    "gdpo.4",
    sentence="An easy reward runs ahead of a hard one; conditioned on the hard one it waits: P(correct) after 20 "
    "steps rises from 0.38 to 0.54, as if the easy reward had a weight between 0.5 and 0.25.",
    criterion="gain in P(correct) by the condition above 0.1, 95% interval included, P(easy) lower; the gain by a "
    "weight of 0.75 at most half as large (64 runs)",
    note="One policy for 8 groups of 8: correctness starts at a logit of −2, the easy reward at 0. The paper saw "
    "weights act only from 0.25 on; here they act by degrees. Seeds 0 to 4: 0.161 to 0.164.",
    published="AIME, DeepSeek-R1-7B: GDPO with the conditioned length reward 57.7% against 53.1%",
    without={"reward:conditioned": {"threshold": 0.0}},
)
def conditioned(seed: int) -> Measurement:
    """Gain in P(correct) after 20 steps by conditioning the easy reward on it."""
    from lab.methods import Variant
    from simulators import Bandit

    bandit = Bandit(success=[[[0, 1], [0, 1]]], logits=[[0, -2], [0, 0]])
    waiting = Variant("conditioned", advantage="gdpo", reward="conditioned")
    arms: dict[str, tuple[Variant | str, float]] = {"weight 1": ("gdpo", 1.0), "conditioned": (waiting, 1.0)}
    arms |= {f"weight {weight:g}": ("gdpo", weight) for weight in (0.75, 0.5, 0.25)}
    found, rows = {}, []
    for name, (variant, weight) in arms.items():
        trace = _learnt(bandit, [variant], seed, 20, group_size=8, reward_weights=(1.0, weight))
        chance = found[name] = policies(trace, trace.variants[0].name)[:, 0, :, 1]
        rows.append({"easy reward": name, "correct": float(chance[:, 0].mean()), "easy": float(chance[:, 1].mean())})
    gain, other = (found[name] - found["weight 1"] for name in ("conditioned", "weight 0.75"))
    also = gain[:, 1].mean() < 0 and other[:, 0].mean() <= gain[:, 0].mean() / 2
    return above(gain[:, 0], 0.1, rows=rows, also=bool(also))


_COMPLEMENTARY = [[1, 0], [1, 0], [0, 1]]
_CANCELLING = (
    # components' parts of a group with equal totals, weights, whether the parts cancel
    ("2 rewards, G = 3", _COMPLEMENTARY, (1, 1), True),
    ("2 rewards, G = 3, weights 1 and 0.5", _COMPLEMENTARY, (1, 0.5), False),
    ("3 rewards, G = 3", [[1, 0, 0], [0, 1, 0], [0, 0, 1]], (1, 1, 1), True),
    ("3 rewards, G = 4", [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], (1, 1, 1), False),
)


@claim(
    "gdpo.limit-cancel",
    sentence="Equal totals made of complementary parts still get nothing: with two rewards and r₂ = 1 − r₁, the "
    "normalised parts are not zero but cancel exactly; unequal weights or a third reward are needed.",
    criterion="A_sum exactly 0 for r₁ = (1, 1, 0), r₂ = (0, 0, 1) with equal weights, while the parts are not 0; above "
    "0.1 with weights 1 and 0.5, and with three rewards for G = 4",
    note="The paper says that such a group gets non-zero advantages. The value is the largest |A_sum|. Three rewards "
    "are not enough for G = 3: one-hot parts cancel there by symmetry. Control: the same group with weights 1 and 0.5.",
    without=lambda seed: _cancelled((1, 0.5)),
)
def cancel(seed: int) -> Measurement:
    """Largest |A_sum| of a group with r₂ = 1 − r₁."""
    return _cancelled((1, 1))


def _cancelled(first: tuple[float, ...]) -> Measurement:
    """The same with those weights in the first case."""
    parts = [np.abs(lab.advantages.compute("grpo", np.array(_COMPLEMENTARY)[:, k])) for k in (0, 1)]
    rows: Rows = []
    for k, (name, rewards, weights, _) in enumerate(_CANCELLING):
        parts_of = _before(np.array([rewards]), weights if k else first)
        rows.append({"group": name, "largest": float(np.abs(parts_of).max())})
    shown = [
        row["largest"] == 0 if case[3] else row["largest"] > 0.1 for row, case in zip(rows, _CANCELLING, strict=True)
    ]
    return Measurement(rows[0]["largest"], all(shown) and np.min(parts) > 0.1, detail=rows)


def _before(rewards: Array, weights: Sequence[float]) -> Array:
    """A_sum, before the batch step."""
    return lab.advantages.compute("gdpo@no-batch-norm", rewards, weights=weights)


@claim(
    "gdpo.limit-single-prompt",
    sentence="With a single prompt in the batch the batch step takes the extra resolution away: totals (0, 1) and "
    "(0, 2) both become ±0.707; it lives between prompts only.",
    criterion="(0, 1) and (0, 2) differ before the batch step (0.707 and 1.414) and agree to 1e-3 after it, alone in "
    "the batch; side by side in one batch they differ",
    note="The value is the distance of the two after the batch step, alone in the batch.",
    without={"advantage:gdpo": {"batch_norm": "none"}},
)
def single_prompt(seed: int) -> Measurement:
    """Distance between the advantages of (0, 1) and (0, 2)."""
    groups = np.array([[[0.0, 0.0], [1.0, 0.0]], [[0.0, 0.0], [1.0, 1.0]]])
    before = _before(groups, (1.0, 1.0))[:, 1]
    alone = np.array([lab.advantages.compute("gdpo", group[None])[0, 1] for group in groups])
    together = lab.advantages.compute("gdpo", groups)[:, 1]
    stages = {"before the batch step": before, "alone in the batch": alone, "side by side": together}
    rows = [{"stage": name, "(0, 1)": float(a), "(0, 2)": float(b)} for name, (a, b) in stages.items()]
    value = float(abs(alone[0] - alone[1]))
    seen = np.abs(before - [0.7071, 1.4142]).max() < 1e-3 and np.abs(alone - 0.7071).max() < 1e-3
    return Measurement(value, bool(seen and value < 1e-3 and together[1] - together[0] > 0.5), detail=rows)


@claim(
    "gdpo.limit-token-offset",
    sentence="In verl's form a prompt whose rewards cancel everywhere gets a common non-zero advantage, because "
    "the batch mean is weighted by tokens and the other prompt's lengths differ.",
    criterion="verl's form gives the cancelling prompt of the golden case complementary_partition −0.1794 ± 0.0005 in "
    "every rollout; over rollouts it gets 0",
    without={"advantage:gdpo@verl": {"batch_norm": "rollout"}},
)
def token_offset(seed: int) -> Measurement:
    """The common advantage of a prompt with A_sum = 0."""
    rewards = np.array([[[1, 0], [1, 0], [0, 1]], [[0, 0], [1, 1], [1, 1]]], dtype=float)
    mask = np.arange(4) < np.array([[4, 2, 4], [1, 3, 1]])[..., None]
    offset = lab.advantages.compute("gdpo@verl", rewards, mask=mask)[0]
    plain = lab.advantages.compute("gdpo", rewards)[0]
    value = float(offset[0])
    rows = [
        {"form": "verl, over tokens", "advantage": value},
        {"form": "TRL, over rollouts", "advantage": float(np.abs(plain).max())},
    ]
    seen = abs(value + 0.1794) <= 5e-4 and np.ptp(offset) < 1e-9 and np.abs(plain).max() < 1e-9
    return Measurement(value, bool(seen), detail=rows)
