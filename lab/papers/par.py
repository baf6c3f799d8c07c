"""PAR: the chance of being preferred to a reference response as the reward, against reward hacking."""

from __future__ import annotations

from typing import Any

import numpy as np

import lab
from lab.papers.measure import Array, Rows, above, below, exact, fair, promised, runs
from lab.papers.record import Measurement, Paper, add_paper, claim
from lab.stand_ins import cached

add_paper(
    Paper(
        slug="par",
        title="Reward Shaping to Mitigate Reward Hacking in RLHF (Preference As Reward)",
        short="PAR",
        date="26 February 2025",
        arxiv={"PAR": "2502.18770"},
        code="https://github.com/PorUna-byte/PAR",
        problem=(
            "A learned reward is right near its data. Pushed on its raw score, training raises it where it is wrong. "
            "PAR pays the chance of being preferred to a reference response: bounded, steep near the references and "
            "flat far above them."
        ),
        equations=(
            ("PAR", "u = mean over m of σ(k (r − ref_m)), ten references, k = 1"),
            ("slow growth, fast convergence", "u = mean over m of σ(k (r − ref_m − 3))"),
            ("running", "u = (r − μ_t)/σ_t;  clip(r, μ_t ± σ_t);  (r − min_t)/(max_t − min_t)"),
            ("long answers", "r − 0.01 (len − 300) where len > 300"),
        ),
        kept="PAR with its steepness and numbers of references, all shapings that it is compared with, its GRPO.",
        left_out=(
            "PPO with its critic, the reward models that it is compared with (regularised, WARM, ODIN), the KL term of "
            "its GRPO (the ratio the other way round), the language models and their judge."
        ),
        unknown="The tables: win rates were not available.",
    )
)

_KLS, _SEEDS = (1.0, 2.0, 3.0), 24


@cached
def _gold(name: str, kl: float, seed: int, **options: Any) -> Array:
    """Gold of the exact policies that a shaping of a hackable reward leads to at a KL [24]; "" for the raw reward."""
    answers = lab.studies.candidates.hackable(runs(seed, _SEEDS))
    reward = lab.studies.candidates.shaped(name, answers, **options) if name else answers.proxy[..., 0]
    return (lab.studies.candidates.tilted(reward, kl) * answers.gold).sum(-1).mean(-1)


def _over_raw(name: str, seed: int, **options: Any) -> tuple[list[Array], Rows]:
    """Gold above that of the raw reward at each KL [24]."""
    leads = [_gold(name, kl, seed, **options) - _gold("", kl, seed) for kl in _KLS]
    return leads, [{"shaping": name, "KL": kl, "over raw": float(lead.mean()), "least": float(lead.min())}
                   for kl, lead in zip(_KLS, leads, strict=True)]  # fmt: skip


@claim(
    "par.headline",
    sentence="On a reward learned from 300 comparisons GRPO on PAR is not told apart from GRPO on the raw reward in "
    "gold, once each has its own best learning rate: a small one stops before the raw reward is hacked.",
    criterion="lead over GRPO on the raw reward and on LSC in gold after 20 steps, each at its own best learning rate "
    "(bowl, 300 comparisons, G = 8); a lead below 0.05 counts as none",
    note="Learning rates are chosen on 3 other runs each, and judged on 6. What PAR promises is shown at equal KL "
    "(par.2); a learning rate that is tuned by the gold reward is early stopping, and leaves it little to win.",
    published="win rate on AlpacaEval 2.0 at least 5 points above other shapings",
)
def headline(seed: int) -> Measurement:
    """Lead of PAR in gold, each at its own best learning rate."""
    settings: dict[str, Any] = {"number": 6, "tuned": 3, "lrs": (0.08, 0.16, 0.32), "steps": 20, "metric": "gold"}
    places = {f"{n} comparisons, G = 8": (n, 8) for n in (300, 1000)}
    found = {
        where: fair(lab.world("learned-reward", comparisons=n, prompts=4), ["grpo", "par", "lsc-transform"], seed,
                    group_size=size, **settings)
        for where, (n, size) in places.items()
    }  # fmt: skip
    return promised(found, "par", "grpo", "lsc-transform", least=0.05)


@claim(
    "par.1",
    sentence="Affine shapings do nothing to the best policy at a KL: centred, standardised and min-max rewards end "
    "where the raw reward does.",
    criterion="gold within 1e-5 of that of the raw reward at KL 1, 2, 3, statistics of one batch (24 draws)",
    note="The value is the largest difference. Without: a curve in the place of the centred reward.",
    without={"reward:centered": "tanh-centered"},
)
def affine(seed: int) -> Measurement:
    """Largest difference from the raw reward."""
    rows: Rows = [
        {"shaping": name, "KL": kl, "difference": float(np.abs(_gold(name, kl, seed) - _gold("", kl, seed)).max())}
        for name in ("meanstd", "minmax", "centered") for kl in _KLS
    ]  # fmt: skip
    return exact(rows, 1e-5)


@claim(
    "par.2",
    sentence="PAR is hacked less: at the same KL its best policy has 0.2 to 0.4 more gold than that of the raw reward.",
    criterion="lead over the raw reward at KL 1 above 0.05, 95% interval over 24 draws; mean lead above 0.1 at KL 2 "
    "and 3",
    note="32 prompts of 256 answers, ten references. With one reference the lead is about a quarter smaller.",
    without={"reward:par": "centered"},
)
def hacked_less(seed: int) -> Measurement:
    """Lead of PAR in gold at KL 1."""
    leads, rows = _over_raw("par", seed)
    rows += _over_raw("par-ref1", seed)[1]
    return above(leads[0], 0.05, rows=rows, also=min(float(lead.mean()) for lead in leads) > 0.1)


@claim(
    "par.3",
    sentence="The shape matters: a curve that grows slowly and converges fast (its middle three above the references) "
    "is hacked more than PAR, and more than the raw reward.",
    criterion="gold of PAR less that of sgfc (k = 3) at KL 1 above 0.2, 95% interval over 24 draws",
    without={"reward:sgfc": "par"},
)
def shape(seed: int) -> Measurement:
    """Lead of PAR over slow growth and fast convergence at KL 1."""
    rows = _over_raw("sgfc", seed, k=3.0)[1] + _over_raw("par", seed)[1]
    return above(_gold("par", 1.0, seed) - _gold("sgfc", 1.0, seed, k=3.0), 0.2, rows=rows)


@cached
def _at_price(name: str, seed: int, price: float = 0.1) -> Array:
    """Gold at a fixed price of KL [24]."""
    answers = lab.studies.candidates.hackable(runs(seed, _SEEDS))
    reward = lab.studies.candidates.shaped(name, answers) if name else answers.proxy[..., 0]
    weight = np.exp((reward - reward.max(-1, keepdims=True)) / price)
    return ((weight * answers.gold).sum(-1) / weight.sum(-1)).mean(-1)


@claim(
    "par.4",
    sentence="At a fixed price of 0.1 per nat a bounded reward cannot buy much: PAR ends at a gold of about 0, the raw "
    "reward at −1.8.",
    criterion="gold of PAR less that of the raw reward above 0.5, 95% interval over 24 draws",
    note="This is the effect of its scale, and not of its shape: see par.2 for equal KL.",
    without={"reward:par": "centered"},
)
def at_price(seed: int) -> Measurement:
    """Lead of PAR over the raw reward at a fixed price."""
    names = ("", "par", "minmax", "lsc-transform", "meanstd")
    rows: Rows = [{"shaping": name or "raw", "gold": float(_at_price(name, seed).mean())} for name in names]
    return above(_at_price("par", seed) - _at_price("", seed), 0.5, rows=rows)


@claim(
    "par.check-signal",
    sentence="The signal fades as the policy outgrows its references: with r ~ N(ref + m, 1) the variance of PAR is "
    "0.0435, 0.0156 and 0.0010 at m = 0, 2, 4, and never above ¼.",
    criterion="variance within 0.001 of these numbers (200 000 rewards)",
    note="The value is the largest difference.",
    without={"reward:par": "centered"},
)
def signal(seed: int) -> Measurement:
    """Largest difference of a variance from its number."""
    noise, rows = np.random.default_rng(seed).standard_normal((1, 200_000)), []
    for lead, expected in ((0.0, 0.0435), (2.0, 0.0156), (4.0, 0.0010)):
        found = float(lab.rewards.apply("par", noise + lead, reference_rewards=[[0.0]]).var())
        rows.append({"lead": lead, "variance": found, "by hand": expected, "difference": found - expected})
    return exact(rows, 1e-3)


@claim(
    "par.check-by-hand",
    sentence="Shapings without a reference, and the price on long answers, are as written.",
    criterion="σ(r), min(r, 4) and r − 0.01 (len − 300) beyond 300 tokens to 1e-12 for rewards from −6 to 6",
    note="The value is the largest difference.",
    without={"reward:ceil": "sigmoid"},
)
def by_hand(seed: int) -> Measurement:
    """Largest difference from the written formulas."""
    r, lengths = np.linspace(-6, 6, 13)[None], np.arange(13.0)[None] * 50
    written = {"sigmoid": 1 / (1 + np.exp(-r)), "ceil": np.where(r < 4, r, 4.0),
               "long-answers": r - 0.01 * np.where(lengths > 300, lengths - 300, 0)}  # fmt: skip
    rows: Rows = []
    for name, expected in written.items():
        fields = {"lengths": lengths} if name == "long-answers" else {}
        found = lab.rewards.apply(name, r, **fields)[..., 0]
        rows.append({"shaping": name, "difference": float(np.abs(found - expected).max())})
    return exact(rows, 1e-12)


@claim(
    "par.limit-best",
    sentence="PAR is not the best shaping here: cutting the reward one deviation above its mean has more gold, for the "
    "hack lies in the extreme tail.",
    criterion="gold of PAR less that of the clipped reward at KL 1 below 0, 95% interval over 24 draws",
    note="The paper ranks shapings by a judge's win rate. At a KL of 2 the clipped reward cannot be had: it sets too "
    "few answers apart. Control: without the clip.",
    without={"reward:clip-meanstd": "centered"},
)
def best(seed: int) -> Measurement:
    """Lead of PAR over the clipped reward at KL 1."""
    found = {name: _gold(name, 1.0, seed) for name in ("", "par", "clip-meanstd", "tanh")}
    rows: Rows = [{"shaping": name or "raw", "gold": float(gold.mean())} for name, gold in found.items()]
    return below(found["par"] - found["clip-meanstd"], rows=rows)
