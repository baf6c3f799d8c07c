"""FLR: what a user would say next, as a language model has it, is the reward of an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

import lab
from lab.papers.measure import Array, Rows, above, exact, fair, interval, promised, runs
from lab.papers.record import Measurement, Paper, add_paper, claim
from lab.stand_ins import cached

if TYPE_CHECKING:
    from lab.reward_models.flr import FollowUps
    from lab.studies.fair import Comparison
    from simulators.learned_reward.gold import Gold

add_paper(
    Paper(
        slug="flr",
        title="Aligning Language Models Using Follow-up Likelihood as Reward Signal",
        short="FLR",
        date="September 2024",
        arxiv={"FLR": "2409.13948"},
        code="https://github.com/e0397123/FLR",
        problem=(
            "Users react to answers: “that makes sense”, “that is not what I asked”. How likely a language model "
            "finds "
            "such follow-ups after an answer is a reward that needs no preference labels."
        ),
        equations=(
            ("likelihood", "l(f | h, y) = (1/|f|) Σ_t log P(f_t | h, y, f_<t)"),
            ("reward", "R = mean_q (mean_{f ∈ F_q⁺} l(f) − mean_{f ∈ F_q⁻} l(f))"),
            ("as released", "l(f) = mean over the L tokens of logits[T − L, f_t]: raw, and all at one place"),
            ("mined pairs", "of 8 answers the best and the worst by R, for DPO or KTO"),
        ),
        kept="The likelihood of follow-ups in three forms (normalised, raw, as released), both lists and each "
        "alone; a "
        "scorer that is trained on what users said and never sees a comparison; pairs mined with it.",
        left_out="Language, the six categories of helpfulness, DPO and KTO on what was mined.",
        unknown="How the paper joins categories and statements (here: means); its tables of results.",
    )
)

_RUNS, _LOGS, _POOL, _EACH = 6, 2000, 500, 10


@cached
def _fit(seed: int, own: Sequence[int], heard: str) -> FollowUps:
    """Scorers of these runs: of what users said, of what others' users said ("shuffled"), or "untrained"."""
    from lab.reward_models.flr import flr
    from simulators.learned_reward.follow_ups import react

    data = react(_gold(seed), _LOGS, seeds=list(own), said=seed)
    if heard == "shuffled":
        data = replace(data, follow_ups=np.roll(data.follow_ups, 1, axis=1))
    sizes: dict[str, Any] = {"hidden": 32, "batch": 128, "lr": 6e-3}
    return flr(data, own, said=seed, epochs=0 if heard == "untrained" else 10, **sizes)


def _gold(seed: int) -> Gold:
    from simulators.learned_reward.gold import gold

    return gold("mlp", seed)


@cached
def _pool(seed: int) -> tuple[Array, Array]:
    """Fresh answers [500, 16] and their gold reward."""
    meant = _gold(seed)
    x = meant.draw(np.random.default_rng([seed, 77]), _POOL)
    return x, meant(x)


@cached
def _said(seed: int, form: str, heard: str = "heard") -> Array:
    """Scores of the follow-ups after each fresh answer, positive ones first [6, 500, 20]."""
    return _fit(seed, tuple(runs(seed, _RUNS)), heard).said(_pool(seed)[0][None], form)


def _rewards(said: Array, chosen: Any = slice(None), side: str = "difference") -> Array:
    """The registered reward of some of the ten follow-ups of each side [6, 500]."""
    lists = np.stack([said[..., :_EACH][..., chosen].mean(-1), said[..., _EACH:][..., chosen].mean(-1)], axis=-1)
    return lab.rewards.apply("flr", lists, side=side)[..., 0]


def _right(scores: Array, seed: int) -> Array:
    """Share of all pairs of the fresh answers that each run ranks as the gold does [6]."""
    i, j = np.triu_indices(_POOL, 1)
    true = _pool(seed)[1]
    return np.asarray(((scores[:, i] > scores[:, j]) == (true[i] > true[j])).mean(1))


@cached
def _compared(seed: int, number: int, own: Sequence[int]) -> Any:
    """Bradley and Terry's model of so many comparisons."""
    from simulators.learned_reward.annotators import annotate
    from simulators.learned_reward.fitters import FITTERS

    return FITTERS["bradley-terry"](annotate(_gold(seed), number, seeds=list(own)), own)


@claim(
    "flr.headline",
    sentence="A policy trained on follow-ups ends where one trained on comparisons ends: GRPO on FLR's reward of "
    "2000 reactions and GRPO on Bradley and Terry's of 1000 comparisons reach the same gold reward.",
    criterion="lead of FLR over Bradley and Terry's model in the gold reward of the policy after 8 steps of GRPO, G "
    "= 8, each at its own best learning rate, 95% interval above 0.05 (6 runs)",
    note="The paper promises as much, not more, so level is what was to be seen; a lead of less than 0.05 counts as "
    "none. Seeds 0 to 4: −0.09 to 0.14, each known to a few tenths. Gold `mlp`; learning rates are chosen on 4 other "
    "runs. Language, DPO and KTO on mined pairs are left out.",
    published="as good as strong reward models on 8 benchmarks of pairs and 4 of ratings; the scores were not "
    "available",
)
def headline(seed: int) -> Measurement:
    """Lead of FLR in the gold reward after training."""
    from simulators.learned_reward.world import LearnedReward

    worlds = {
        name: LearnedReward("mlp", reward_model=fit, prompts=4, seed=seed) for name, fit in _fitters(seed).items()
    }
    found: dict[str, Comparison] = {}
    for size in (8, 4):
        settings: dict[str, Any] = {
            "tuned": 4,
            "lrs": (0.5, 1.0, 2.0),
            "steps": 8,
            "metric": "gold",
            "group_size": size,
        }
        ours, theirs = (fair(world, [lab.variant("grpo", name)], seed, number=_RUNS, **settings)
                        for name, world in worlds.items())  # fmt: skip
        found[f"G = {size}"] = ours.beside(theirs)
    return promised(found, "FLR", "GRPO", least=0.05)


def _fitters(seed: int) -> dict[str, Callable[..., Any]]:
    """What is learned from 2000 reactions, and from 1000 comparisons."""
    return {"FLR": lambda data, seeds: _fit(seed, tuple(seeds), "heard"),
            "GRPO": lambda data, seeds: _compared(seed, 1000, tuple(seeds))}  # fmt: skip


@claim(
    "flr.1",
    sentence="Without a single comparison, follow-ups in 2000 dialogues make as good a reward as 1000 comparisons, "
    "and a better one than 250: about 0.85 of fresh pairs are ranked rightly, beside 0.85 and 0.80.",
    criterion="accuracy of FLR above that of Bradley and Terry's model less 0.02 with 1000 comparisons, and above "
    "that with 250, 95% intervals included (6 runs)",
    note="Reported: 0.860 beside 0.853 and 0.798. Control: every answer with the follow-up of another dialogue.",
    without=lambda seed: _matches(seed, "shuffled"),
)
def matches(seed: int) -> Measurement:
    """Accuracy of FLR less that of 1000 comparisons."""
    return _matches(seed, "heard")


@cached
def _baseline(seed: int, number: int) -> Array:
    return _right(_compared(seed, number, tuple(runs(seed, _RUNS)))(_pool(seed)[0][None]), seed)


def _matches(seed: int, heard: str) -> Measurement:
    ours = _right(_rewards(_said(seed, "log-likelihood", heard)), seed)
    theirs = {number: _baseline(seed, number) for number in (250, 1000)}
    rows: Rows = [{"learned from": "2000 follow-ups", "accuracy": float(ours.mean())}]
    rows += [{"learned from": f"{n} comparisons", "accuracy": float(found.mean())} for n, found in theirs.items()]
    return above(ours - theirs[1000], -0.02, rows=rows, also=interval(ours - theirs[250])[1][0] > 0)


@claim(
    "flr.2",
    sentence="More follow-ups help: ten of each side rank 0.01 to 0.05 more of the pairs rightly than one of each.",
    criterion="accuracy with ten follow-ups of each side above that with one of each, 95% interval above 0.005 (6 "
    "runs; mean over the ten pairs of one)",
    note="Reported: 0.827, 0.852 and 0.860 with 1, 3 and 10, of one draw of follow-ups; five draws gain 0.01 to 0.04. "
    "Control: every answer with the follow-up of another dialogue.",
    without=lambda seed: _more(seed, "shuffled"),
)
def more(seed: int) -> Measurement:
    """Accuracy gained by ten follow-ups of each side over one."""
    return _more(seed, "heard")


def _more(seed: int, heard: str) -> Measurement:
    said, found = _said(seed, "log-likelihood", heard), {}
    for number in (1, 3, 10):
        ways = np.arange(_EACH // number * number).reshape(-1, number)
        found[number] = np.mean([_right(_rewards(said, way), seed) for way in ways], axis=0)
    rows: Rows = [{"follow-ups of each side": n, "accuracy": float(each.mean())} for n, each in found.items()]
    return above(found[10] - found[1], 0.005, rows=rows)


@claim(
    "flr.3",
    sentence="With raw logits the difference of the two lists matters, for what is not normalised carries an offset "
    "of its context, and one list or the other suffers.",
    criterion="accuracy of the difference above that of the worse list by 0.015 on average, 95% interval above 0 (6 "
    "runs, raw logits)",
    note="The value is the gain over the worse list of each run. Reported: 0.836 and 0.844 alone, 0.859 together. "
    "Which list suffers depends on the draw of follow-ups; with log-probabilities one alone is as good. Control: "
    "log-probabilities in place of logits.",
    without=lambda seed: _sides(seed, "log-likelihood"),
)
def sides(seed: int) -> Measurement:
    """Accuracy gained by the difference over the worse list, raw logits."""
    return _sides(seed, "logit")


def _sides(seed: int, form: str) -> Measurement:
    from lab.rewards.flr import SIDES

    found = {f: {side: _right(_rewards(_said(seed, f), side=side), seed) for side in SIDES}
             for f in ("logit", "log-likelihood", "released")}  # fmt: skip
    rows: Rows = [{"read": f, "lists": side, "accuracy": float(right.mean())}
                  for f, sides in found.items() for side, right in sides.items()]  # fmt: skip
    lists = found[form]
    gain = above(lists["difference"] - np.minimum(lists["positive"], lists["negative"]), rows=rows)
    return replace(gain, holds=gain.holds and gain.value >= 0.015)


@claim(
    "flr.4",
    sentence="Pairs that are mined with it are right: of eight answers the best and the worst by FLR are in the "
    "gold's order in more than 99% of the groups.",
    criterion="best and worst of 8 answers by FLR are in the gold's order in more than 0.98 of the groups, and its "
    "rank correlation with the gold is above 0.8, 95% intervals included (6 runs, 2000 groups)",
    note="Reported: 0.997, and a rank correlation of 0.891. Control: a scorer that was not trained.",
    without=lambda seed: _mined(seed, "untrained"),
)
def mined(seed: int) -> Measurement:
    """Share of mined pairs in the gold's order."""
    return _mined(seed, "heard")


def _mined(seed: int, heard: str) -> Measurement:
    scores, true = _rewards(_said(seed, "log-likelihood", heard)), _pool(seed)[1]
    groups = np.random.default_rng([seed, 78]).permuted(np.tile(np.arange(_POOL), (2000, 1)), axis=1)[:, :8]
    which = np.arange(len(groups))
    best, worst = (groups[which, pick(scores[:, groups], axis=-1)] for pick in (np.argmax, np.argmin))
    agree = (true[best] > true[worst]).mean(1)
    ranks = [np.argsort(np.argsort(each)) for each in (true, *scores)]
    alike = np.asarray(np.corrcoef(ranks))[0, 1:]
    rows: Rows = [{"run": r, "pairs in the gold's order": a, "rank correlation": c}
                  for r, (a, c) in enumerate(zip(agree, alike, strict=True))]  # fmt: skip
    return above(agree, 0.98, rows=rows, also=interval(alike)[1][0] > 0.8)


@claim(
    "flr.check-offset",
    sentence="An offset of all logits of an answer changes nothing in the difference of the lists: it is in both.",
    criterion="difference of raw and of released scores moves by less than 1e-9, and equal lists give exactly 0 "
    "(500 answers, offsets of deviation 10)",
    note="The value is the largest movement. Control: the positive list alone.",
    without={"reward:flr": {"side": "positive"}},
)
def offset(seed: int) -> Measurement:
    """Largest movement of the reward by an offset."""
    rng = np.random.default_rng(seed)
    lists, moved = rng.normal(size=(2, 500, 2)), 10 * rng.normal(size=(500, 1))
    rows: Rows = []
    for name, each in zip(("raw", "released"), lists, strict=True):
        found = [lab.rewards.apply("flr", each[None] + shift) for shift in (0.0, moved)]
        rows.append({"read": name, "difference": float(np.abs(found[0] - found[1]).max())})
    equal = lab.rewards.apply("flr", np.repeat(lists[:1, :, :1], 2, axis=-1))
    return exact(rows, 1e-9, also=bool((equal == 0).all()))
