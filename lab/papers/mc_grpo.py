"""MC-GRPO: the median in place of the mean, for small groups."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

import lab
from lab.papers.measure import Array, Rows, binary, interval, policies, rewards_of, runs
from lab.papers.record import Measurement, Paper, Table, add_paper, claim

if TYPE_CHECKING:
    from simulators.reward_laws import Law

add_paper(
    Paper(
        slug="mc-grpo",
        title="MC-GRPO: Median-Centered Group Relative Policy Optimization for Small-Rollout Reinforcement Learning",
        short="MC-GRPO",
        date="30 January 2026",
        arxiv={"MC-GRPO": "2601.22582"},
        code="https://github.com/lotusroot-kim/MC-GRPO",
        problem=(
            "With 2 to 8 rollouts per prompt the mean is a noisy baseline: one outlying reward can push a good rollout "
            "below the mean, so its advantage has the wrong sign. The median moves less."
        ),
        equations=(
            ("advantage", "A = (R − median) / (MAD + 10⁻³) over n = G + 1 rollouts"),
            ("deviation", "MAD = median of |R − median|"),
            ("pivot", "the rollout at the median is dropped from the update"),
            ("released gsm form", "A := A · n / n_nz,  n_nz = number of |A| > 10⁻⁶"),
        ),
        kept=(
            "The advantage, the pivot, both released forms (math and gsm), the authors' control with a mean "
            "baseline, clipping of the gradient norm, and the sign-flip ablation (`signflip=`)."
        ),
        left_out="The language-model runs.",
        published=(
            Table(
                "Gain over GRPO (points), GSM8K",
                ("model", "G", "gain"),
                (("Qwen3-1.7B", 2, 4.62),),
                "abstract; a summary adds: G = 2 and G = 8 within 1%, gains of 2 to 5% over models and losses",
            ),
        ),
        unknown="The reference behind the paper's measured flip rate; its tables.",
    )
)


def _laws() -> list[Law]:
    from simulators.reward_laws import contaminated_normal, normal, student_t

    return [student_t(2), contaminated_normal(), normal()]


def _formula(size: int) -> float:
    """Flip rate of the median of n = G + 1 = 2m + 1 continuous rewards: (2/G) Σ_{B > m} (B − m − 1) C(n, B) / 2^n."""
    n, m = size + 1, size // 2
    return 2 / size * sum((b - m - 1) * math.comb(n, b) for b in range(m + 1, n + 1)) / 2**n


@claim(
    "mc-grpo.1",
    sentence="For continuous rewards the median's flip rate is the same for every symmetric law: 0.125, 0.109 and "
    "0.091 at G = 2, 4, 8; a mean baseline flips 0.25 at G = 2.",
    criterion="within 0.005 of the formula for normal, Student t (2) and contaminated normal at each G, and of 0.25 "
    "for GRPO at G = 2 (100 000 prompts)",
    note="The value is MC-GRPO's rate at G = 2 for Student t. Seeds 0 to 4: 0.124 to 0.126.",
)
def flip_rate(seed: int) -> Measurement:
    """Flip rates by law and group size beside the formula."""
    sizes = (2, 4, 8)
    seen = lab.studies.sign_flip_study(["mc-grpo", "grpo"], _laws(), sizes, prompts=100_000, seed=seed)
    rows = seen.filter(kind="simulated").drop("kind").to_dicts()
    for row in rows:
        mean = 0.25 if row["group_size"] == 2 else None
        row["formula"] = _formula(row["group_size"]) if row["variant"] == "mc-grpo" else mean
    holds = all(abs(row["rate"] - row["formula"]) <= 0.005 for row in rows if row["formula"] is not None)
    return Measurement(rows[0]["rate"], holds, (rows[0]["low"], rows[0]["high"]), rows)


@claim(
    "mc-grpo.2",
    sentence="With heavy tails the median flips half as many signs as the mean (G = 4: Student t 0.109 against 0.210, "
    "contaminated normal 0.110 against 0.214), and giving the mean the same five draws does not help.",
    criterion="ratio of the rates at most 0.6 for Student t (2) and contaminated normal, at most 0.75 for the normal, "
    "and below 1 against the mean of five, 95% intervals included (10 blocks of 10 000 prompts)",
    note="The value is the ratio for Student t. Seeds 0 to 4: 0.515 to 0.522.",
)
def heavy_tails(seed: int) -> Measurement:
    """Ratio of the flip rates, median over mean, G = 4."""
    rates: dict[tuple[str, str, int], list[float]] = {}
    for block in runs(seed, 10):
        seen = lab.studies.sign_flip_study(["mc-grpo", "grpo"], _laws(), (4, 5), prompts=10_000, seed=block)
        for name, law, size, rate in (
            seen.filter(kind="simulated").select("variant", "law", "group_size", "rate").rows()
        ):
            rates.setdefault((name, law, size), []).append(rate)
    rows: Rows = []
    holds = True
    for law, most in zip(_laws(), (0.6, 0.6, 0.75), strict=True):
        median, mean, five = (np.array(rates[key]) for key in (
            ("mc-grpo", law.name, 4), ("grpo", law.name, 4), ("grpo", law.name, 5)))  # fmt: skip
        ratio, (low, high) = interval(median / mean)
        holds &= high <= most and interval(median / five)[1][1] < 1
        rows.append({"law": law.name, "median of 5": median.mean(), "mean of 4": mean.mean(), "mean of 5": five.mean(),
                     "ratio": ratio, "low": low, "high": high})  # fmt: skip
    return Measurement(rows[0]["ratio"], holds, (rows[0]["low"], rows[0]["high"]), rows)


@claim(
    "mc-grpo.3",
    sentence="The median of 5 lies closer to the true centre than the mean of 4 where there are outliers (0.64 against "
    "1.65, contaminated normal), and a little further away for the normal (0.54 against 0.50).",
    criterion="ratio of the root mean square distances below 0.5 for the contaminated normal and above 1 for the "
    "normal, 95% intervals included (20 blocks of 10 000 prompts)",
    note="Baselines are read off the rules: R − A for the mean, the dropped rollout's reward for the median. The "
    "value is the contaminated normal's ratio. Seeds 0 to 4: 0.390 to 0.392.",
)
def baseline_error(seed: int) -> Measurement:
    """Ratio of the distances, median over mean."""
    rows: Rows = []
    for law in _laws()[1:]:
        rewards = rewards_of(law, (20, 10_000, 5, 1), seed)
        dropped = lab.advantages.credit("mc-grpo", rewards).keep
        four = rewards[:, :, :4]
        mean = (four[..., 0] - lab.advantages.compute("dr_grpo", four))[..., 0]
        median = rewards[..., 0][~np.asarray(dropped)].reshape(mean.shape)
        far = {name: np.sqrt((b**2).mean(axis=1)) for name, b in (("median", median), ("mean", mean))}
        ratio, (low, high) = interval(far["median"] / far["mean"])
        rows.append({"law": law.name, "median of 5": float(far["median"].mean()),
                     "mean of 4": float(far["mean"].mean()), "ratio": ratio, "low": low, "high": high})  # fmt: skip
    outliers, plain = rows
    holds = outliers["high"] < 0.5 and plain["low"] > 1
    return Measurement(outliers["ratio"], holds, (outliers["low"], outliers["high"]), rows)


@claim(
    "mc-grpo.check-bound",
    sentence="GRPO's advantages stay within (G − 1)/√G on any rewards; MC-GRPO's have no bound: 96 for the outlier in "
    "(0.1, 0.2, 0.3, 0.4, 10), 120 in the gsm form.",
    criterion="|A| of GRPO at most (G − 1)/√G on random heavy-tailed rewards and on one outlier; MC-GRPO gives "
    "96.0396 and 120.0495 (golden case outlier) to 1e-4",
    note="The value is MC-GRPO's advantage of the outlier.",
)
def bound(seed: int) -> Measurement:
    """MC-GRPO's advantage of the outlier."""
    rows: Rows = []
    holds = True
    for size in (2, 4, 5, 8, 16):
        tails = np.random.default_rng(seed).standard_cauchy((1, 10_000, size, 1))
        tails[0, 0] = np.eye(size)[0, :, None]
        largest, most = np.abs(lab.advantages.compute("grpo", tails, eps=0.0)).max(), (size - 1) / math.sqrt(size)
        holds &= bool(largest <= most * (1 + 1e-12))
        rows.append({"rule": "grpo", "rewards": f"10 000 heavy-tailed groups of {size}", "largest": float(largest),
                     "bound": most})  # fmt: skip
    outlier = [0.1, 0.2, 0.3, 0.4, 10.0]
    for name, expected in (("mc-grpo", 96.0396), ("mc-grpo@gsm", 120.0495)):
        largest = float(lab.advantages.compute(name, outlier)[-1])
        holds &= abs(largest - expected) <= 1e-4
        rows.append({"rule": name, "rewards": str(tuple(outlier)), "largest": largest, "bound": None})
    return Measurement(rows[-2]["largest"], holds, detail=rows)


@claim(
    "mc-grpo.limit-skewed",
    sentence="For skewed rewards the median flips more signs against the true mean: 1.39 times as many as GRPO for the "
    "log-normal and 1.74 times for the recipe's rewards {0, 1.5, 2} at G = 8 (0.45 at G = 2).",
    criterion="ratio of the rates at G = 8 above 1 for log-normal (95% interval included) and three-level rewards; "
    "below 1 for three-level rewards at G = 2",
    note="The value is log-normal's ratio; three-level rewards are exact, 0.450 and 1.736 where 0.44 and 1.79 were "
    "reported from samples. Those count all kept rollouts; among rollouts with a sign, as the lab's sign-flip rate "
    "counts, the exact ratios are 0.547 and 3.02. Seeds 0 to 4: 1.386 to 1.393.",
)
def skewed(seed: int) -> Measurement:
    """Ratio of the flips per kept rollout, median over mean."""
    from simulators.reward_laws import log_normal, three_level

    drawn = rewards_of(log_normal(), (20, 10_000, 9), seed)
    rows: Rows = []
    for size in (2, 4, 8):
        flips = {name: _flips_per_kept(name, drawn[..., :n], log_normal().centre)
                 for name, n in (("mc-grpo", size + 1), ("grpo", size))}  # fmt: skip
        ratio, (low, high) = interval(flips["mc-grpo"] / flips["grpo"])
        rows.append({"law": "log_normal", "group_size": size, "ratio": ratio, "low": low, "high": high})
        exact = _exact_flips("mc-grpo", three_level(), size + 1) / _exact_flips("grpo", three_level(), size)
        rows.append({"law": "three_level", "group_size": size, "ratio": exact, "low": exact, "high": exact})
    shown = rows[4]["low"] > 1 and rows[5]["ratio"] > 1 and rows[1]["ratio"] < 1
    return Measurement(rows[4]["ratio"], shown, (rows[4]["low"], rows[4]["high"]), rows)


def _flips_per_kept(name: str, rewards: Array, centre: float) -> Array:
    """Wrong signs over all kept rollouts, zero advantages among them: [S, P, n] -> [S]."""
    given = lab.advantages.credit(name, rewards[..., None])
    wrong = given.advantage * (rewards - centre) < 0
    keep = np.ones_like(wrong) if given.keep is None else given.keep
    return np.asarray((wrong & keep).sum(axis=(1, 2)) / keep.sum(axis=(1, 2)))


def _exact_flips(name: str, law: Law, size: int) -> float:
    """The same as an expectation over all groups of n = `size` rollouts of a law with finitely many values."""
    from lab.studies.groups import every_group

    listed = every_group(law, size)
    assert listed is not None, "the law has finitely many values"
    return float(listed[1] @ _flips_per_kept(name, listed[0], law.centre))


@claim(
    "mc-grpo.limit-binary",
    sentence="Binary rewards leave nothing to repair: a mean baseline never flips a sign, while 61% (p = 0.5) to 77% "
    "(p = 0.2) of MC-GRPO's kept rollouts get no advantage at all (G = 4).",
    criterion="GRPO's flip rate exactly 0 at p = 0.2, 0.5; share of kept rollouts with A = 0 within 0.01 of 0.61 "
    "and 0.77",
    note="The value is the share at p = 0.5, 20 blocks of 10 000 prompts. Seeds 0 to 4: 0.609 to 0.610.",
)
def binary_rewards(seed: int) -> Measurement:
    """Share of MC-GRPO's kept rollouts without an advantage, G = 4."""
    rows, holds = [], True
    value, bounds = 0.0, (0.0, 0.0)
    for p, expected in ((0.2, 0.77), (0.5, 0.61)):
        rewards = binary(p, (20, 10_000, 5), seed)
        flips = _flips_per_kept("grpo", rewards[..., :4], p).max()
        given = lab.advantages.credit("mc-grpo", rewards[..., None])
        idle = (given.advantage == 0) & np.asarray(given.keep)
        value, bounds = interval(idle.sum(axis=(1, 2)) / np.asarray(given.keep).sum(axis=(1, 2)))
        holds &= flips == 0 and abs(value - expected) <= 0.01
        rows.append({"success": p, "flips of grpo": float(flips), "idle rollouts of mc-grpo": value})
    return Measurement(value, holds, bounds, rows)


_CONTEXTS, _CLIP = 16, 0.25


@claim(
    "mc-grpo.limit-outliers",
    sentence="In training, unbounded advantages cost more than flipped signs: with 10% outliers MC-GRPO ends lower "
    "than GRPO (by 0.04 at G = 2, 0.03 at G = 4), though it flips fewer signs at the start; without outliers it is "
    "a little better at G = 4 and 8.",
    criterion="final expected reward below GRPO's at G = 2 and 4 with outliers and above it at G = 4 and 8 without, "
    "95% intervals included; fewer flips at the first step with outliers at each G (64 runs)",
    note="16 contexts of 5 arms with rewards 0 to 1 + N(0, 0.2²), outliers N(0, 5²), 200 steps. The reported "
    "learning rate of 0.5 is on each context's own mean, so lr = 8 here, and its figures appear with the norm "
    "clipped at 4 on that scale (1/4 here). Which norm is clipped decides: clipped in each context alone, an "
    "outlier no longer starves the other contexts and MC-GRPO does not end lower (last row). Flips are compared at "
    "the first step, where both have one policy; over the whole run both flip 0.44, for the true advantages of a "
    "finished policy are all noise. The value is the difference at G = 2 (−0.034 and −0.021 at G = 2 and 4 were "
    "reported). Seeds 0 to 4: −0.040 to −0.034.",
    published="GSM8K at G = 2: 4.62 points over GRPO",
)
def training(seed: int) -> Measurement:
    """Difference of the final expected rewards with outliers at G = 2."""
    from simulators.reward_laws import contaminated_normal, normal

    laws = {"outliers": contaminated_normal(0.1, 5.0, 0.2), "no outliers": normal(0.2)}
    rows = [_compared(name, law, size, seed) for name, law in laws.items() for size in (2, 4, 8)]
    lower = all(row["high"] < 0 for row in rows[:2]) and all(row["low"] > 0 for row in rows[4:])
    fewer = all(row["flips of mc-grpo"] < row["flips of grpo"] for row in rows[:3])
    alone = _compared("outliers, norm clipped per context", laws["outliers"], 2, seed, contexts=1)
    return Measurement(rows[0]["difference"], lower and fewer, (rows[0]["low"], rows[0]["high"]), [*rows, alone])


def _compared(name: str, law: Law, size: int, seed: int, contexts: int = _CONTEXTS) -> dict[str, Any]:
    """Final expected reward and flip rate of both variants; 64 runs of 16 contexts, `contexts` in one gradient."""
    from simulators import Bandit

    means = np.tile(np.linspace(0, 1, 5), (contexts, 1))
    together = contexts / _CONTEXTS
    trace = lab.train(
        Bandit(means=means, law=law), ["grpo", "mc-grpo"], steps=200, seeds=runs(seed, round(64 / together)),
        group_size=size, lr=0.5 * contexts, max_grad_norm=_CLIP if contexts > 1 else 1.0, every=200,
    )  # fmt: skip
    value = {
        v: (policies(trace, v)[:, :, 0] * means).sum(axis=-1).reshape(64, -1).mean(axis=-1) for v in ("grpo", "mc-grpo")
    }
    flips = {v: trace.frame.filter(variant=v, step=0)["sign_flip"].mean() for v in value}
    difference, (low, high) = interval(value["mc-grpo"] - value["grpo"])
    ends = {v: float(x.mean()) for v, x in value.items()}
    return {"law": name, "group_size": size, **ends, "difference": difference, "low": low, "high": high,
            **{f"flips of {v}": x for v, x in flips.items()}}  # fmt: skip
