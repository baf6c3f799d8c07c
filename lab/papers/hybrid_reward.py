"""HARMO: hybrid and multi-aspect rewards."""

from __future__ import annotations

from typing import Any

import numpy as np

import lab
from lab.papers.measure import Array, above, binary, interval
from lab.papers.record import Measurement, Paper, Table, add_paper, claim
from lab.stand_ins import cached

add_paper(
    Paper(
        slug="hybrid-reward",
        title="Beyond Monolithic Rewards: A Hybrid and Multi-Aspect Reward Optimization for MLLM Alignment",
        short="HARMO",
        date="6 October 2025",
        arxiv={"HARMO": "2510.05283"},
        code="",
        problem=(
            "A single learned reward is badly calibrated on checkable tasks, blind to the form of an instruction, and "
            "open to hacking by brevity. HARMO scores checkable prompts by rules and open ones by a model, and adds a "
            "group-relative length penalty and a format reward."
        ),
        equations=(
            ("accuracy", "r_hyb = rule's verdict on checkable prompts, learned score on open ones"),
            ("length", "r_len = −P·clip(1 − len/L, 0, 1) where r_hyb < τ,  L = mean length of the correct answers"),
            ("total", "R = r_hyb + r_len + w·r_fmt"),
            ("advantage", "A = R − mean"),
        ),
        kept="The three rewards and the advantage without a deviation, as the variant `hybrid-reward`.",
        left_out="The 7B reward model and the embedding surrogate; their errors are simulated.",
        published=(
            Table(
                "Average gain over the base model (%), Qwen2.5-VL-3B-Instruct",
                ("benchmarks", "gain"),
                (("general and mathematics", 9.5), ("mathematics alone", 16.0)),
                "read in public reviews of the paper",
            ),
        ),
        unknown="The length penalty's formula, what tau means, the rewards' scales, the training set-up.",
    )
)


@cached
def _trained(*settings: Any) -> tuple[Array, Array]:
    from lab.studies.brevity import brevity_study

    return brevity_study(*settings)


def _compare(arms: dict[str, tuple[Array, Array]], kind: int) -> tuple[Array, list[dict[str, Any]]]:
    """Accuracy of the second arm minus the first, per run [S], and both as rows."""
    rows = [
        {"reward": name, "accuracy": float(a[:, kind].mean()), "length": float(n[:, kind].mean())}
        for name, (a, n) in arms.items()
    ]
    first, second = (a[:, kind] for a, _ in arms.values())
    return second - first, rows


_CHECKABLE, _OPEN_ENDED = 0, 1


_RATES = (1.0, 4.0)


@claim(
    "hybrid-reward.headline",
    sentence="Rules where answers can be checked and a length penalty elsewhere: HARMO answers more prompts right "
    "than a learned reward alone, which is hacked by brevity, and than rules and learned reward without the penalty.",
    criterion="lead in accuracy over all prompts over the best of the others, each at its own best step size, 95% "
    "interval above 0 (6 runs of 400 steps)",
    note="Four checkable and four open prompts, half of each hard; G = 16. Step sizes of 1 and 4 are tried on 6 other "
    "runs. Learned only also with plain GRPO. The others end best with the smallest step, as they are hacked the "
    "longer they learn. The learned reward's taste for short answers is built in; how much a real one has decides how "
    "much the penalty brings.",
    published="general and mathematical benchmarks +9.5% over the base model",
)
def headline(seed: int) -> Measurement:
    """Lead of HARMO in accuracy over all prompts."""
    arms = {
        "HARMO": (1.0, True, "dr_grpo"), "learned only": (0.0, False, "dr_grpo"),
        "learned only, GRPO": (0.0, False, "grpo"), "rules and learned, no penalty": (0.0, True, "dr_grpo"),
    }  # fmt: skip
    found, rows = {}, []
    for name, (p_max, rules, rule) in arms.items():
        best = max(_RATES, key=lambda rate: _trained(seed + 1_000_000, p_max, rules, rate, rule)[0].mean())
        accuracy, length = _trained(seed, p_max, rules, best, rule)
        found[name] = accuracy.mean(axis=1)
        rows += [
            {"arm": name, "step": best, "prompts": kind, "accuracy": float(a), "length": float(n)}
            for kind, a, n in zip(("checkable", "open"), accuracy.mean(0), length.mean(0), strict=True)
        ]
    ours, *others = found.values()
    return above(ours - np.max(others, axis=0), rows=rows)


@claim(
    "hybrid-reward.1",
    sentence="Rules where answers can be checked: accuracy on checkable prompts is 0.9 with the hybrid reward and "
    "below 0.1 with the learned reward alone, which shrinks answers to one token.",
    criterion="hybrid minus learned-only at least 0.5, 95% interval included (no length penalty; 6 runs of 400 steps)",
    note="Seeds 0 to 4: 0.887 to 0.891. Control: no prompt is told apart.",
    without={"reward:hybrid-reward": {"task": None}},
)
def rules_where_possible(seed: int) -> Measurement:
    """Accuracy on checkable prompts, hybrid minus learned only."""
    arms = {"learned only": _trained(seed, 0.0, False), "hybrid": _trained(seed, 0.0)}
    gain, rows = _compare(arms, _CHECKABLE)
    return above(gain, 0.5, rows=rows)


@claim(
    "hybrid-reward.2",
    sentence="The length penalty stops hacking by brevity on open prompts: accuracy rises from below 0.1 to about "
    "0.75, the mean length from 1 to 8.",
    criterion="accuracy on open prompts with P = 1 minus without at least 0.4, 95% interval included",
    note="The detail has P = 0.5 and 2 as well (0.59 and 0.85 were reported). Seeds 0 to 4: 0.68 to 0.73.",
    without={"reward:hybrid-reward": {"p_max": 0.0}},
)
def penalty(seed: int) -> Measurement:
    """Accuracy on open prompts with the penalty minus without."""
    arms = {f"P = {p:g}": _trained(seed, p) for p in (0.0, 1.0)}
    gain, rows = _compare(arms, _OPEN_ENDED)
    rows += _compare({f"P = {p:g}": _trained(seed, p) for p in (0.5, 2.0)}, _OPEN_ENDED)[1]
    return above(gain, 0.4, rows=rows)


@claim(
    "hybrid-reward.3",
    sentence="Without the deviation a prompt far from p = 1/2 counts less, not more: mean |A| of a prompt with p = "
    "0.05 over one with p = 0.5 is 0.19 centred and 0.44 normalised.",
    criterion="mean |A| within 2% of 2p(1 − p) and 2√(p(1 − p)) and the ratios within 0.01 of 0.19 and 0.436",
    note="Groups of 4096, where the group's own mean and deviation are those of the law. The value is the ratio of "
    "centred rewards. Seeds 0 to 4: 0.190 to 0.191.",
    without={"advantage:dr_grpo": "grpo"},
)
def without_deviation(seed: int) -> Measurement:
    """Mean |A| at p = 0.05 over p = 0.5, centred."""
    rows: list[dict[str, Any]] = []
    sizes = {}
    for rule in ("dr_grpo", "grpo"):
        for p in (0.05, 0.5):
            found = np.abs(lab.advantages.compute(rule, binary(p, (200, 4096), seed))).mean(axis=-1)
            expected = 2 * p * (1 - p) if rule == "dr_grpo" else 2 * np.sqrt(p * (1 - p))
            sizes[rule, p] = found
            rows.append({"rule": rule, "success": p, "size": float(found.mean()), "expected": float(expected)})
    value, bounds = interval(sizes["dr_grpo", 0.05] / sizes["dr_grpo", 0.5])
    normalised = float((sizes["grpo", 0.05] / sizes["grpo", 0.5]).mean())
    near = all(abs(r["size"] / r["expected"] - 1) < 0.02 for r in rows)
    return Measurement(value, near and abs(value - 0.19) < 0.01 and abs(normalised - 0.436) < 0.01, bounds, rows)


@claim(
    "hybrid-reward.limit-rules-suffice",
    sentence="On checkable prompts the penalty adds nothing to the rules: the whole gain there is the rule's.",
    criterion="accuracy on checkable prompts with the penalty within 0.03 of that without",
    note="The value is the difference. Seeds 0 to 4: 0.005 to 0.008. Control: scored by the learned reward, the same "
    "prompts gain much from the penalty.",
    without=lambda seed: _by_penalty(seed, rules=False),
)
def rules_suffice(seed: int) -> Measurement:
    """Accuracy on checkable prompts with the penalty minus without."""
    return _by_penalty(seed, rules=True)


def _by_penalty(seed: int, rules: bool) -> Measurement:
    gain, rows = _compare({f"P = {p:g}": _trained(seed, p, rules) for p in (0.0, 1.0)}, _CHECKABLE)
    value, bounds = interval(gain)
    return Measurement(value, abs(value) < 0.03, bounds, rows)
