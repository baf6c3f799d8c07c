"""LSC: rewards transformed so that adding them up asks for all of them at once."""

from __future__ import annotations

import numpy as np

import lab
from lab.papers.measure import Array, Rows, above, ahead, below, exact, runs
from lab.papers.record import Measurement, Paper, add_paper, claim
from lab.stand_ins import cached

add_paper(
    Paper(
        slug="lsc-transform",
        title="Transforming and Combining Rewards for Aligning Large Language Models",
        short="LSC",
        date="1 February 2024",
        arxiv={"LSC": "2402.00742"},
        code="",
        problem=(
            "Comparisons fix a reward only up to a monotone map. Which map should be maximised, and how should several "
            "rewards be added up? LSC pays the log of the probability of being good: a poor answer is worth mending, a "
            "good one not worth pushing, and a sum of such logs asks for all at once."
        ),
        equations=(
            ("transform", "u = log σ(r − ref),  ref the 85% quantile of the first policy's rewards"),
            ("slope", "du/dr = σ(ref − r)"),
            ("combination", "u = Σ_k log σ(r_k − ref_k)"),
        ),
        kept="The transform with both forms of its reference, and the sum over rewards.",
        left_out="The language models; canned answers as references; training, for no world has two learned rewards.",
        unknown="Numbers of the paper's runs, their references and KL coefficients.",
    )
)

_NAME, _KLS, _SEEDS = "lsc-empirical", (1.0, 2.0, 3.0), 24


@cached
def _policies(name: str, kl: float, seed: int, components: int = 2) -> Array:
    """Exact policies at a KL [24, P, M] from two rewards at odds, or from the first; "" for the raw sum."""
    return lab.studies.candidates.tilted(_reward(name, seed, components), kl)


def _answers(seed: int, components: int = 2) -> lab.studies.candidates.Answers:
    found = lab.studies.candidates.conflicting(runs(seed, _SEEDS))
    return lab.studies.candidates.Answers(found.proxy[..., :components], found.gold, found.references[..., :components])


def _reward(name: str, seed: int, components: int) -> Array:
    answers = _answers(seed, components)
    if name == "standardised":
        return np.asarray(lab.advantages.compute("gdpo", answers.proxy))
    return lab.studies.candidates.shaped(name, answers, every=True) if name else answers.proxy.sum(-1)


def _both(name: str, kl: float, seed: int) -> Array:
    """Probability that an answer is good by both rewards [24]."""
    return (_policies(name, kl, seed) * _answers(seed).gold).sum(-1).mean(-1)


@claim(
    "lsc-transform.headline",
    sentence="Of two rewards at odds, whose scales differ from prompt to prompt, LSC's sum makes answers good by both "
    "2.5 times as often as the raw sum at a KL of 3. Standardising each reward does nearly as well, and better at a "
    "KL of 1.",
    criterion="lead over the raw sum in the probability of an answer that is good by both, KL 3, exact policies, 95% "
    "interval over 24 draws",
    note="KL is the cost, and it is the same for all. Standardised rewards (GDPO's) stand in the rows: they take away "
    "the difference of scales too.",
    published="substantially better judged win rates at equal KL, for each property and for both",
)
def headline(seed: int) -> Measurement:
    """Lead over the raw sum at KL 3."""
    names = {"lsc-transform": _NAME, "raw sum": "", "standardised": "standardised"}
    found = {f"KL {kl:g}": {words: _both(name, kl, seed) for words, name in names.items()} for kl in reversed(_KLS)}
    return ahead(found, "lsc-transform", "raw sum")


@claim(
    "lsc-transform.1",
    sentence="At price 1 the best policy for LSC is the first policy given that the answer is good: π ∝ σ(r − ref).",
    criterion="equal to 1e-12 for every answer of 24 · 32 prompts",
    note="The value is the largest difference.",
    without={"reward:lsc-empirical": "par"},
)
def conditioned(seed: int) -> Measurement:
    """Largest difference from the first policy given a good answer."""
    answers = _answers(seed, 1)
    r = answers.proxy[..., 0]
    weight = np.exp(lab.studies.candidates.shaped(_NAME, answers, every=True))
    good = 1 / (1 + np.exp(np.quantile(r, 0.85, axis=-1, keepdims=True) - r))
    gap = np.abs(weight / weight.sum(-1, keepdims=True) - good / good.sum(-1, keepdims=True)).max()
    return exact([{"answers": r.size, "difference": float(gap)}], 1e-12)


@claim(
    "lsc-transform.2",
    sentence="A soft AND: at the same KL answers that are good by both rewards are at least 1.5 times as likely under "
    "LSC's sum as under the raw sum.",
    criterion="ratio at KL 3 above 1.5, 95% interval over 24 draws; mean ratio above 1.5 at KL 1 and 2",
    without={"reward:lsc-empirical": "centered"},
)
def soft_and(seed: int) -> Measurement:
    """Ratio of the probabilities at KL 3."""
    ratios = [_both(_NAME, kl, seed) / _both("", kl, seed) for kl in _KLS]
    rows: Rows = [{"KL": kl, "LSC": float(_both(_NAME, kl, seed).mean()), "raw sum": float(_both("", kl, seed).mean())}
                  for kl in _KLS]  # fmt: skip
    return above(ratios[2], 1.5, rows=rows, also=min(float(r.mean()) for r in ratios) > 1.5)


@claim(
    "lsc-transform.3",
    sentence="No prompt is left behind: with one reward whose scale differs from prompt to prompt, the share of "
    "prompts that hardly move (a quarter of the mean KL or less) falls from 0.2 to below 0.1.",
    criterion="share under the raw reward less that under LSC at KL 2 above 0.05, 95% interval over 24 draws",
    without={"reward:lsc-empirical": "centered"},
)
def left_behind(seed: int) -> Measurement:
    """Difference of the shares of prompts that hardly move."""
    moved = {name: lab.studies.candidates.kl_of(_policies(name, 2.0, seed, 1)) for name in ("", _NAME)}
    share = {name: (kl < 0.5).mean(-1) for name, kl in moved.items()}
    rows: Rows = [{"reward": name or "raw", "hardly moved": float(share[name].mean()), "spread of KL":
                   float(kl.std(-1).mean())} for name, kl in moved.items()]  # fmt: skip
    return above(share[""] - share[_NAME], 0.05, rows=rows)


@claim(
    "lsc-transform.4",
    sentence="It is hacked less: on PAR's hackable reward LSC's best policy has more gold than that of the raw reward "
    "at the same KL.",
    criterion="lead at KL 1 above 0.05, 95% interval over 24 draws; mean lead above 0.1 at KL 2 and 3",
    without={"reward:lsc-empirical": "centered"},
)
def hacked_less(seed: int) -> Measurement:
    """Lead over the raw reward at KL 1."""
    answers = lab.studies.candidates.hackable(runs(seed, _SEEDS))
    rewards = lab.studies.candidates.shaped(_NAME, answers, every=True), answers.proxy[..., 0]
    leads = []
    for kl in _KLS:
        ours, raw = ((lab.studies.candidates.tilted(u, kl) * answers.gold).sum(-1).mean(-1) for u in rewards)
        leads.append(ours - raw)
    rows: Rows = [{"KL": kl, "over raw": float(lead.mean())} for kl, lead in zip(_KLS, leads, strict=True)]
    return above(leads[0], 0.05, rows=rows, also=min(float(lead.mean()) for lead in leads) > 0.1)


@claim(
    "lsc-transform.limit-scales",
    sentence="Much of the soft AND is the difference of scales: rewards that are standardised prompt by prompt make "
    "answers good by both more often than LSC at a KL of 1.",
    criterion="probability under LSC less that under standardised rewards at KL 1 below 0, 95% interval over 24 draws",
    note="At a KL of 3 it is the other way round. Control: rewards that are not standardised.",
    without={"advantage:gdpo": "dr_grpo"},
)
def scales(seed: int) -> Measurement:
    """Difference of the probabilities at KL 1."""
    names = {"LSC": _NAME, "standardised": "standardised"}
    rows: Rows = [{"KL": kl, **{words: float(_both(name, kl, seed).mean()) for words, name in names.items()}}
                  for kl in _KLS]  # fmt: skip
    return below(_both(_NAME, 1.0, seed) - _both("standardised", 1.0, seed), rows=rows)
