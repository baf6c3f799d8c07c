"""Baselines: GRPO and its common relatives."""

from __future__ import annotations

import numpy as np

import lab
from lab.papers.measure import Array, above, binary, exact, interval
from lab.papers.record import Measurement, Paper, Table, add_paper, claim

add_paper(
    Paper(
        slug="baselines",
        title="Baselines: GRPO and its common relatives",
        short="GRPO",
        date="February 2024 to 2025",
        arxiv={
            "GRPO": "2402.03300",
            "RLOO": "2402.14740",
            "ReMax": "2310.10505",
            "REINFORCE++": "2501.03262",
            "DAPO": "2503.14476",
            "Dr. GRPO": "2503.20783",
            "GPG": "2504.02546",
            "OPO": "2505.23585",
            "CISPO": "2506.13585",
            "GSPO": "2507.18071",
            "GMPO": "2507.20673",
        },
        code="https://github.com/huggingface/trl",
        problem=(
            "Policy optimisation without a critic: G rollouts per prompt, an advantage from their rewards, a (usually "
            "clipped) surrogate over tokens. The methods differ in baseline, scale, ratio, clip and token aggregation; "
            "small differences (degrees of freedom, epsilon, what a batch statistic averages over) change numbers, so "
            "every one of them is an option."
        ),
        equations=(
            ("GRPO", "A = (R − mean) / (std + ε)"),
            ("Dr. GRPO", "A = R − mean"),
            ("RLOO", "A = (R − mean) · G / (G − 1)"),
            ("OPO", "A = R − Σ len·R / Σ len"),
            ("GPG", "A = (B / m) · (R − mean) / f,  m = rewards ≠ 0 among B"),
            ("REINFORCE++", "A = whiten over the tokens of the batch (return to go)"),
            ("REINFORCE++ with baseline", "A = whiten over the tokens of the batch (R − mean)"),
            ("ReMax", "A = return to go − R(greedy rollout)"),
            ("PPO clip", "w = c·A·ρ, and 0 where (A > 0 and ρ > 1 + hi) or (A < 0 and ρ < 1 − lo)"),
            ("GSPO", "w = c·A·s unless clipped,  s = exp(mean over tokens of log ρ)"),
            ("CISPO", "w = c·A·clip(ρ, 1 − lo, 1 + hi)"),
        ),
        kept=(
            "Every advantage and objective with its options, the defaults of TRL, verl, NeMo-RL and OpenRLHF as "
            "presets, all token aggregations, the KL terms, DAPO's clip-higher, dynamic sampling and overlong reward."
        ),
        left_out="Mini-batches across workers and importance correction between inference and training engines.",
        published=(
            Table(
                "Accuracy (%) before and after GRPO, DeepSeekMath 7B",
                ("benchmark", "SFT model", "with GRPO"),
                (("GSM8K", 82.9, 88.2), ("MATH", 46.8, 51.7)),
                "recalled from the paper, not read again",
            ),
            Table(
                "AIME 2024 (%), Qwen2.5-32B",
                ("method", "score"),
                (("GRPO", 30.0), ("DAPO", 50.0)),
                "recalled from the paper, not read again",
            ),
            Table(
                "Clip ranges in use",
                ("method", "low", "high"),
                (("GSPO", 3e-4, 4e-4), ("DAPO", 0.2, 0.28)),
                "recalled from the papers, not read again",
            ),
        ),
    )
)


def _expected_step(rule: str, success: float, seed: int) -> Array:
    """E[A (R − p)], the expected step on the success logit, in 20 blocks of 10 000 groups of 8."""
    rewards = binary(success, (20, 10_000, 8, 1), seed)
    advantage = lab.advantages.compute(rule, rewards)
    return np.asarray((advantage * (rewards[..., 0] - success)).mean(axis=(1, 2)))


@claim(
    "baselines.1",
    sentence="Dividing by the deviation weighs prompts far from p = 1/2 up: GRPO's expected step over Dr. GRPO's is "
    "larger at p = 0.1 than at p = 0.5 (G = 8).",
    criterion="ratio of the two ratios at least 1.15, its 95% interval included (200 000 groups)",
    note="Seeds 0 to 4: 1.254 to 1.255.",
)
def step_ratio(seed: int) -> Measurement:
    """Ratio at p = 0.1 over ratio at p = 0.5."""
    ratio = {p: _expected_step("grpo", p, seed) / _expected_step("dr_grpo", p, seed) for p in (0.1, 0.5)}
    rows = [{"success": p, "ratio": interval(r)[0], "limit": 1 / np.sqrt(p * (1 - p))} for p, r in ratio.items()]
    return above(ratio[0.1] / ratio[0.5], 1.15, rows=rows)


def _weighted_share(objective: str, log_ratio: Array, advantage: Array) -> Array:
    """Share of tokens with a weight that is not 0, per block [S]."""
    weights = lab.objectives.weights(objective, log_ratio, advantage, logp=np.zeros_like(log_ratio))
    return np.asarray((weights != 0).mean(axis=(1, 2, 3)))


@claim(
    "baselines.2",
    sentence="Clipping silences tokens: with log-ratios N(0, 0.3²) and advantages of either sign, a quarter of the "
    "tokens has no weight under PPO's clip, less under DAPO's, none under CISPO.",
    criterion="shares of tokens with a weight within 0.01 of 0.750 (ppo_clip), 0.783 (clip-higher 0.28), 1 (cispo), "
    "in this order",
    note="The value is ppo_clip's share. Seeds 0 to 4: 0.749 to 0.751.",
)
def clipped_share(seed: int) -> Measurement:
    """Shares under the three objectives on the same tokens."""
    rng = np.random.default_rng(seed)
    log_ratio, sign = 0.3 * rng.standard_normal((20, 10, 100, 20)), rng.choice([-1.0, 1.0], (20, 10, 100))
    expected = {"ppo_clip": 0.750, "ppo_clip@dapo": 0.783, "cispo": 1.0}
    shares = {name: _weighted_share(name, log_ratio, sign) for name in expected}
    means = {name: float(share.mean()) for name, share in shares.items()}
    near = all(abs(means[name] - wanted) <= 0.01 for name, wanted in expected.items())
    ordered = means["ppo_clip"] < means["ppo_clip@dapo"] < means["cispo"]
    value, bounds = interval(shares["ppo_clip"])
    return Measurement(value, near and ordered, bounds, [{"objective": n, "share": m} for n, m in means.items()])


@claim(
    "baselines.3",
    sentence="GSPO's log-ratio of a sequence varies by σ/√T for independent noise of the tokens: 0.3/√64 = 0.0375.",
    criterion="within 2% of σ/√T for T = 64, σ = 0.3",
    note="Read off GSPO's weights for A = 1 without a clip, w = c·s. Seeds 0 to 4: 0.0373 to 0.0377.",
)
def sequence_ratio_spread(seed: int) -> Measurement:
    """Deviation of log s over 20 blocks of 2000 rollouts."""
    runs, rollouts, length, sigma = 20, 2000, 64, 0.3
    log_ratio = sigma * np.random.default_rng(seed).standard_normal((runs, 1, rollouts, length))
    weights = lab.objectives.weights(
        "gspo", log_ratio, np.ones((runs, 1, rollouts)), logp=np.zeros_like(log_ratio), clip_low=1.0, clip_high=1e9
    )
    log_s = np.log(weights[..., 0] * rollouts * length)
    value, bounds = interval(log_s.std(axis=(1, 2), ddof=1))
    expected = sigma / np.sqrt(length)
    rows = [{"tokens": length, "sigma": sigma, "measured": value, "expected": expected}]
    return Measurement(value, abs(value / expected - 1) <= 0.02, bounds, rows)


@claim(
    "baselines.check-rloo",
    sentence="RLOO is G/(G − 1) times Dr. GRPO on any rewards.",
    criterion="largest difference below 1e-12 on random rewards, G = 2 to 16",
)
def rloo_identity(seed: int) -> Measurement:
    """Largest absolute difference."""
    rows = []
    for size in (2, 3, 4, 8, 16):
        rewards = np.random.default_rng(seed).standard_normal((1, 1000, size, 1))
        scaled = lab.advantages.compute("dr_grpo", rewards) * size / (size - 1)
        worst = float(np.abs(lab.advantages.compute("rloo", rewards) - scaled).max())
        rows.append({"group_size": size, "difference": worst})
    return exact(rows, 1e-12)


@claim(
    "baselines.check-signal",
    sentence="A prompt gives a learning signal with probability 1 − p^G − (1 − p)^G, and dynamic sampling draws one "
    "over that many prompts for each useful one (G = 8: 1.76 at p = 0.1, 1.01 at p = 0.5).",
    criterion="formula exact to 1e-12 for p = 0.1, 0.5, 0.9; prompts drawn per useful one within 2% of its inverse",
    note="The value is the number of prompts that the dynamic-sampling filter draws per useful one at p = 0.1, over "
    "20 blocks of 10 000 prompts. Seeds 0 to 4: 1.751 to 1.759.",
)
def share_with_signal(seed: int) -> Measurement:
    """Prompts drawn per useful prompt at p = 0.1."""
    rows, holds, size = [], True, 8
    value, bounds = 0.0, (0.0, 0.0)
    for p in (0.9, 0.5, 0.1):
        silent = lab.studies.signal_study([p], [size], prompts=64, seed=seed).filter(kind="exact")["share"].item()
        share = 1 - p**size - (1 - p) ** size
        kept = lab.sampling.keep("uniform", binary(p, (20, 10_000, size, 1), seed)).mean(axis=-1)
        value, bounds = interval(1 / kept)
        holds &= abs(1 - silent - share) <= 1e-12 and abs(value * share - 1) <= 0.02
        rows.append({"success": p, "share": 1 - silent, "formula": share, "drawn": value, "expected": 1 / share})
    return Measurement(value, holds, bounds, rows)


@claim(
    "baselines.check-offset",
    sentence="Whitening over the tokens of the batch gives a prompt whose rewards all agree an advantage as soon as "
    "lengths differ: 0.092 to each rollout of an all-wrong prompt, where GRPO gives exactly 0.",
    criterion="reinforce_pp_baseline gives the all-wrong prompt of the golden case one_hot 0.0920 ± 0.0005, GRPO 0",
)
def offset(seed: int) -> Measurement:
    """The common advantage of eight zero rewards beside a prompt with one success, responses of 2 to 4 tokens."""
    rewards = np.zeros((2, 8))
    rewards[0, 3] = 1
    lengths = 2 + (np.arange(16) % 8 % 3 + np.arange(16) // 8) % 3
    mask = np.arange(4) < lengths.reshape(2, 8, 1)
    whitened = lab.advantages.compute("reinforce_pp_baseline", rewards, mask=mask)[1]
    plain = lab.advantages.compute("grpo", rewards)[1]
    value, silent = float(whitened[0]), bool((plain == 0).all() and (whitened == whitened[0]).all())
    rows = [{"rule": "reinforce_pp_baseline", "advantage": value}, {"rule": "grpo", "advantage": float(plain[0])}]
    return Measurement(value, abs(value - 0.092) <= 5e-4 and silent, detail=rows)
