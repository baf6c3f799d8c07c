"""DRPO: a length reward that never turns against a correct response."""

from __future__ import annotations

from typing import Any

import numpy as np

import lab
from lab.papers.measure import Array, excludes, interval, runs
from lab.papers.record import Measurement, Paper, Table, add_paper, claim

add_paper(
    Paper(
        slug="drpo",
        title="DRPO: Efficient Reasoning via Decoupled Reward Policy Optimization",
        short="DRPO",
        date="October 2025 (ICLR 2026)",
        arxiv={"DRPO": "2510.04474"},
        code="https://github.com/Optimization-AI/DRPO",
        problem=(
            "A length reward added to GRPO pushes correct but long rollouts below the group's mean: their advantage "
            "turns negative and valid reasoning is discouraged. DRPO lets the length share weight among the correct "
            "rollouts only and sets them against the wrong ones."
        ),
        equations=(
            ("score", "s = mean over tokens of log π"),
            ("share", "ω = softmax over the correct rollouts of (1 − L/C)/λ"),
            ("objective", "J = Σ ω s − τ log mean over the wrong of exp(s/τ)"),
            ("trust region", "− (β/2) (K − δ)₊²,  K = mean over tokens of log π_old/π_new"),
            ("weights", "ω/(L·P) for correct, −softmax(s/τ)/(L·P) for wrong rollouts"),
        ),
        kept="The objective with both forms of the divergence and its trust region; a world of lengths whose prompts "
        "share their parameters.",
        left_out="The reasoning models: here a length is one action.",
        published=(
            Table(
                "DeepSeek-R1-Distill-Qwen on mathematics: pass@1, length, accuracy-efficiency score",
                ("method", "model", "pass@1", "length", "AES"),
                (
                    ("RLOO-LP", "1.5B", 0.567, 2531, -0.129),
                    ("ALP", "1.5B", 0.606, 3494, -0.387),
                    ("HAPO", "1.5B", 0.534, 1791, -0.519),
                    ("DRPO", "1.5B", 0.624, 1527, 0.178),
                    ("RLOO-LP", "7B", 0.692, 2649, -0.033),
                    ("DRPO", "7B", 0.714, 1502, 0.249),
                ),
                "read in a note on the paper",
            ),
        ),
        unknown="The lengths of the paper's example of six rollouts.",
    )
)

_SIZE, _STEPS = 8, 300


def _train(
    seed: int, method: str, strength: float, number: int, *, lr: float = 0.4, shared: bool = True, slip: float = 0.15
) -> dict[str, Array]:
    """Per run: share of correct rollouts with a negative weight [S], exact accuracy and mean length by prompt [S, P].

    The world `lengths`: 16 prompts, lengths 1 to 16, one policy for all of them or one for each. GRPO gets the reward
    right · (1 − strength · l/16), DRPO the right answers alone, and λ = strength.
    """
    from lab.training.loop import Settings, Walk
    from simulators import Lengths

    world = Lengths(shared=shared, slip=slip)
    if method == "grpo":
        variant, weights = lab.variant("grpo"), (1.0, -strength)
    else:
        variant, weights = lab.variant("drpo", temperature=strength, longest=16), (1.0, 0.0)
    rate = lr if shared else lr * world.prompts  # a policy of its own sees one prompt in sixteen
    walk = Walk(world, variant, list(runs(seed, number)), Settings(group_size=_SIZE, lr=rate, reward_weights=weights))
    harmed = np.zeros((2, number))
    for _ in range(_STEPS):
        moment = walk.look()
        right = moment.rewards[..., 0] == 1
        harmed += ((moment.weights["logp"][..., 0] < -1e-12) & right).sum(axis=(1, 2)), right.sum(axis=(1, 2))
        walk.advance(moment)
    accuracy, length = world.outcome(walk.policy)
    return {"harmed": harmed[0] / harmed[1], "accuracy": accuracy, "length": length}


@claim(
    "drpo.1",
    sentence="No correct rollout is pushed down: DRPO gives none of them a negative weight, GRPO with a length reward "
    "one in ten.",
    criterion="share exactly 0 for DRPO with λ = 0.05, 0.2 and 1e6, above 0.05 for GRPO, 95% interval included (8 "
    "runs)",
    note="The value is GRPO's share with penalty 0.2. Seeds 0 to 4: 0.104 to 0.111.",
    published="in an example of six rollouts the third correct one falls from +1 to −0.17",
)
def nothing_harmed(seed: int) -> Measurement:
    """Share of correct rollouts with a negative weight under GRPO with a length reward."""
    plain = _train(seed, "grpo", 0.2, 8)["harmed"]
    ours = {strength: _train(seed, "drpo", strength, 8)["harmed"].max() for strength in (0.05, 0.2, 1e6)}
    value, bounds = interval(plain)
    rows = [{"method": f"drpo, λ = {s:g}", "share": float(h)} for s, h in ours.items()]
    rows += [{"method": "grpo, penalty 0.2", "share": value}]
    return Measurement(value, max(ours.values()) == 0 and bounds[0] > 0.05, bounds, rows)


@claim(
    "drpo.2",
    sentence="At equal mean length DRPO makes fewer errors than GRPO with a length reward, above all on hard prompts, "
    "and answers easy prompts more briefly.",
    criterion="ratio of error rates (1 − accuracy/0.85) at most 0.9 with its 95% interval below 1, mean lengths within "
    "0.3 (λ = 0.2 against penalty 0.2, 24 runs)",
    note="The value is the ratio of errors. Seeds 0 to 4: 0.79 to 0.86 (0.78 was reported).",
    published="1.5B: pass@1 0.624 at length 1527 (DRPO), 0.567 at 2531 (RLOO-LP), 0.606 at 3494 (ALP)",
)
def fewer_errors(seed: int) -> Measurement:
    """Error rate of DRPO over that of GRPO."""
    found = {m: _train(seed, m, 0.2, 24) for m in ("grpo", "drpo")}
    error = {m: 1 - f["accuracy"] / 0.85 for m, f in found.items()}
    value, bounds = interval(error["drpo"].mean(-1) / error["grpo"].mean(-1))
    rows: list[dict[str, Any]] = [
        {"method": m, "error": float(error[m].mean()), "hard": float(error[m][:, 12:].mean()),
         "length": float(f["length"].mean()), "easy length": float(f["length"][:, :4].mean())}
        for m, f in found.items()
    ]  # fmt: skip
    alike = abs(rows[0]["length"] - rows[1]["length"]) < 0.3
    return Measurement(value, bool(value <= 0.9 and bounds[1] < 1 and alike), bounds, rows)


_DIAL = (1e6, 0.5, 0.3, 0.2, 0.1, 0.05)


@claim(
    "drpo.3",
    sentence="λ is a dial for the length: the smaller it is, the shorter the responses, from 12 to 8; the weight of "
    "GRPO's penalty hardly is one.",
    criterion="mean length falls strictly over λ = 1e6, 0.5, 0.3, 0.2, 0.1, 0.05, and over a range more than twice "
    "that of GRPO's penalty from 0.2 to 0.9 (lr 0.2, 8 runs)",
    note="The value is the range of DRPO's mean lengths. Seeds 0 to 4: 4.06 to 4.34.",
)
def dial(seed: int) -> Measurement:
    """Longest minus shortest mean length over λ."""
    ours = [_train(seed, "drpo", s, 8, lr=0.2)["length"].mean(-1) for s in _DIAL]
    plain = [_train(seed, "grpo", s, 8, lr=0.2)["length"].mean(-1) for s in (0.2, 0.9)]
    value, bounds = interval(ours[0] - ours[-1])
    means = [float(x.mean()) for x in ours]
    rows: list[dict[str, Any]] = [
        {"method": "drpo", "strength": s, "length": m} for s, m in zip(_DIAL, means, strict=True)
    ]
    rows += [
        {"method": "grpo", "strength": s, "length": float(x.mean())} for s, x in zip((0.2, 0.9), plain, strict=True)
    ]
    wider = value > 2 * abs(float((plain[0] - plain[1]).mean()))
    return Measurement(value, bool((np.diff(means) < 0).all() and wider), bounds, rows)


@claim(
    "drpo.limit-independent",
    sentence="With a policy of its own for each prompt DRPO shortens easy prompts far less: a group that is all "
    "correct gives no signal, and what hard prompts learn is not shared.",
    criterion="mean length on the four easiest prompts falls by less than half as much as with shared parameters (λ = "
    "0.2, 8 runs)",
    note="The value is how much it falls without sharing, from 11.8. Long enough responses are always right here: with "
    "the 15% of errors of the other claims most groups do carry a signal, and independent policies shorten as well. "
    "Seeds 0 to 4: 0.04 to 0.07, with sharing about 0.5.",
)
def independent(seed: int) -> Measurement:
    """Fall of the mean length on easy prompts with independent policies."""
    from simulators import Lengths

    world = Lengths()
    start = float(world.outcome(world.init([seed]))[1][0, 0])
    fall = {
        s: start - _train(seed, "drpo", 0.2, 8, shared=s, slip=0.0)["length"][:, :4].mean(-1) for s in (False, True)
    }
    value, bounds = interval(fall[False])
    rows = [{"shared": s, "fall": float(f.mean())} for s, f in fall.items()]
    return Measurement(value, value < 0.5 * float(fall[True].mean()), bounds, rows)


@claim(
    "drpo.limit-too-short",
    sentence="Turned too far the dial costs accuracy: at λ = 0.05 DRPO is less accurate than GRPO with a length "
    "reward.",
    criterion="accuracy minus GRPO's (penalty 0.2) below 0, 95% interval included (24 runs)",
    note="The value is the difference. Seeds 0 to 4: −0.075 to −0.070.",
)
def too_short(seed: int) -> Measurement:
    """Accuracy of DRPO at λ = 0.05 minus that of GRPO."""
    found = {m: _train(seed, m, s, 24) for m, s in (("drpo", 0.05), ("grpo", 0.2))}
    value, bounds = interval((found["drpo"]["accuracy"] - found["grpo"]["accuracy"]).mean(-1))
    rows = [
        {"method": m, "accuracy": float(f["accuracy"].mean()), "length": float(f["length"].mean())}
        for m, f in found.items()
    ]
    return Measurement(value, value < 0 and excludes(bounds), bounds, rows)
