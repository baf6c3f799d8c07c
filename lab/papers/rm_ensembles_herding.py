"""Helping or herding: ensembles help where members err apart, and follow one another where they err together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import lab
from lab.papers.measure import Array, Rows, above, ahead, interval, runs
from lab.papers.record import Measurement, Paper, Table, add_paper, claim
from lab.stand_ins import cached

if TYPE_CHECKING:
    import polars as pl

add_paper(
    Paper(
        slug="rm-ensembles-herding",
        title="Helping or Herding? Reward Model Ensembles Mitigate but do not Eliminate Reward Hacking",
        short="Helping or Herding",
        date="14 December 2023",
        arxiv={"Helping or Herding": "2312.09244"},
        code="https://github.com/google-deepmind/reward-ensembles",
        problem=(
            "Reward models that rank equally well give different rewards once a policy has moved: data do not settle "
            "what they say there. An ensemble notices where its members differ. Where all share an error, all are "
            "hacked together."
        ),
        equations=(
            ("mean, median, min", "R = mean_k s_k,  median_k s_k,  min_k s_k"),
            ("mean less deviation", "R = mean_k s_k − std_k s_k"),
            ("centred scores", "s_k = (r_k − mean r_k) / std r_k  over reference responses"),
            ("underspecification", "std_k s_k on chosen responses / on responses like the data"),
        ),
        kept=(
            "The four rules over members; ensembles that were only finetuned apart (one representation for all) and "
            "such that were pretrained apart; how far members agree before and after one of them is optimised; an "
            "error that all share."
        ),
        left_out=(
            "Language. A representation is the half of 24 nuisance features that a member reads, or, where networks "
            "are trained, their first weights; a finetuning seed is a bootstrap of the comparisons."
        ),
        published=(
            Table(
                "Order of gold reward, T5 models: helpfulness dialogue, TL;DR, XSum with an NLI reward",
                ("use", "order"),
                (("best of n", "pretrain > finetune > single"), ("RLHF", "pretrain > finetune > single")),
                "abstract of arXiv 2312.09244; several hacks survive every ensemble",
            ),
        ),
        unknown="How scores are normalised, the deviation's ddof, the figures of each task.",
    )
)

_RUNS, _FEWER, _N, _FAR, _TURN = 32, 16, 64, 1024, 1.5
_RULES = ("ensemble-mean", "ensemble-median", "ensemble-wco", "ensemble-mean-std")
_MEAN, _SINGLE = _RULES[0], "one member"
#: How members were made -> what each of them reads.
_MADE = {"finetune": "shared", "pretrain": "own"}


@cached
def _curves(seed: int, representation: str, turn: float = 0.0) -> pl.DataFrame:
    """Where the first feature turns, the worlds differ more."""
    return lab.studies.ensemble_curves(
        _RULES, seeds=runs(seed, _RUNS), prompts=16 if turn else 8, representation=representation, turn=turn
    )


def _gold(curves: pl.DataFrame, name: str, n: int) -> Array:
    """Gold reward of the best of n of each run."""
    return curves.filter(variant=name, step=n).sort("seed")["gold"].to_numpy()


@claim(
    "rm-ensembles-herding.headline",
    sentence="Even if each stops at its own best n, the mean of reward models that were pretrained apart is a better "
    "guide than that of models that were only finetuned apart, and than one of them; with an error that all share the "
    "lead is gone.",
    criterion="lead of the pretrain ensemble's mean over the better of finetune ensemble and single model in gold at "
    "each one's own best n up to 256, chosen on other worlds (32 paired worlds)",
    note="What is tuned is n, as the learning rate is in training.",
    published="pretrain ensembles beat finetune ensembles, both beat single models, in reranking and RLHF",
)
def headline(seed: int) -> Measurement:
    """Lead of the pretrain ensemble over the finetune ensemble and one member, each at its own best n."""
    found = {"errors apart": _at_best(seed, 0.0, 16), "an error that all share": _at_best(seed, _TURN, 8)}
    return ahead(found, "pretrain", "finetune", _SINGLE)


def _at_best(seed: int, turn: float, number: int) -> dict[str, Array]:
    """Gold of each ensemble's mean at its own best n, which is chosen on other worlds."""
    found: dict[str, Array] = {}
    for made, representation in _MADE.items():
        other = [lab.studies.fair.TUNING[0] + s for s in runs(seed, number)]
        tried = lab.studies.ensemble_curves([_MEAN], seeds=other, most=256, representation=representation, turn=turn)
        best = dict(lab.studies.turning_points(tried).select("variant", "step").iter_rows())
        judged = _curves(seed, representation, turn)
        found = {_SINGLE: _gold(judged, _SINGLE, best[_SINGLE]), **found, made: _gold(judged, _MEAN, best[_MEAN])}
    return found


@claim(
    "rm-ensembles-herding.1",
    sentence="Members that rank fresh pairs equally well part once one of them is optimised: on the responses that it "
    "chooses they differ about twice as much, and the others see less of its gain.",
    criterion="deviation over members on the best of 1024 by one of them at least 1.7 times that on base responses "
    "for both kinds of ensemble, the others see less than 0.9 of the chooser's score, 95% intervals included; "
    "accuracies of the two kinds within 0.02 (16 worlds)",
    note="The value is the smaller ratio. Reported: 2.4 and 2.5, the others see 0.61 to 0.69. Without optimisation "
    "(n = 1) heavy tails alone give 1.3.",
    without=lambda seed: _parted(seed, 1),
)
def parted(seed: int) -> Measurement:
    """Smaller ratio of the deviation over members on chosen and on base responses."""
    return _parted(seed, _FAR)


def _parted(seed: int, n: int) -> Measurement:
    rows: Rows = []
    ratios, seen = [], []
    for made, found in _agreement(seed, n).items():
        ratios.append(found["chosen_spread"] / found["spread"])
        seen.append(found["others"] / found["own"] if n > 1 else np.ones(_FEWER))
        rows.append({"ensemble": made, **{name: float(values.mean()) for name, values in found.items()}})
    alike = abs(rows[0]["accuracy"] - rows[1]["accuracy"]) < 0.02
    less = max(interval(each)[1][1] for each in seen) < 0.9 if n > 1 else False
    return above(min(ratios, key=lambda ratio: float(ratio.mean())), 1.7, rows=rows, also=alike and less)


def _agreement(seed: int, n: int) -> dict[str, dict[str, Array]]:
    """What `ensemble_disagreement` finds in each world, by kind of ensemble."""
    found = {}
    for made, representation in _MADE.items():
        pools = (lab.studies.ensemble_pool(s, representation=representation) for s in runs(seed, _FEWER))
        each = [lab.studies.ensemble_disagreement(pool, n) for pool in pools]
        found[made] = {name: np.array([one[name] for one in each]) for name in each[0]}
    return found


@claim(
    "rm-ensembles-herding.2",
    sentence="Members that were pretrained apart make a better ensemble than those that were only finetuned apart, and "
    "these a better reward than one of them.",
    criterion="gold of the best of 64 by the mean: pretrain above finetune, and finetune above one member, 95% "
    "intervals included (32 paired worlds)",
    note="The value is pretrain's lead over finetune. Reported at n = 1024: 1.0 and 1.3. Counter-experiment: members "
    "that were pretrained together.",
    published="pretrain ensembles beat finetune ensembles, both beat single models, in reranking and RLHF",
    without=lambda seed: _order(seed, "shared"),
)
def order(seed: int) -> Measurement:
    """Lead of the pretrain ensemble's mean over that of the finetune ensemble."""
    return _order(seed, "own")


def _order(seed: int, representation: str) -> Measurement:
    kinds = {"finetune": _curves(seed, "shared"), "pretrain": _curves(seed, representation)}
    rows: Rows = [
        {"ensemble": made, "rule": name, "n": n, "gold": float(_gold(curves, name, n).mean())}
        for made, curves in kinds.items() for name in (_SINGLE, *_RULES) for n in (16, _N, 256, _FAR)
    ]  # fmt: skip
    ours, shared = (_gold(kinds[made], _MEAN, _N) for made in ("pretrain", "finetune"))
    averaged = interval(shared - _gold(kinds["finetune"], _SINGLE, _N))[1][0] > 0
    return above(ours - shared, rows=rows, also=averaged)


@claim(
    "rm-ensembles-herding.3",
    sentence="Herding: with an error that all members share every ensemble turns over, the pessimistic ones as well.",
    criterion="what every rule over both kinds of ensemble loses from its own best n up to n = 256 above 0 deviations "
    "of gold, 95% intervals included, and the smallest more than 1 (32 worlds)",
    note="The value is the smallest loss. Reported for an error of 0.6 (x − 1)² at n = 1024: from 0.96 to −5.47 by the "
    "mean, from 1.24 to −1.85 by the minimum; here it is 1.5 (x − 1)² at n = 256. Counter-experiment: without the "
    "shared error no pessimistic rule turns over.",
    without=lambda seed: _herding(seed, 0.0),
)
def herding(seed: int) -> Measurement:
    """Smallest loss of gold after its best n, over rules and kinds of ensemble."""
    return _herding(seed, _TURN)


def _herding(seed: int, turn: float) -> Measurement:
    import polars as pl

    rows: Rows = []
    lost: list[Array] = []
    for made, representation in _MADE.items():
        curves = _curves(seed, representation, turn).filter(pl.col("step") <= 256)
        for point in lab.studies.turning_points(curves).iter_rows(named=True):
            kept = {name: point[name] for name in ("step", "gold", "gold_end", "lost", "low", "high")}
            rows.append({"ensemble": made, "rule": point["variant"], **kept})
            lost.append(_gold(curves, point["variant"], point["step"]) - _gold(curves, point["variant"], 256))
    return above(min(lost, key=lambda values: interval(values)[1][0]), mean=1.0, rows=rows)


@claim(
    "rm-ensembles-herding.check-alike",
    sentence="Members that share a representation are more alike: their scores correlate more on responses like the "
    "data than those of members that were pretrained apart.",
    criterion="mean correlation over pairs of members higher, 95% interval included (16 paired worlds)",
    note="The value is the difference. Reported: 0.68 and 0.61.",
    without=lambda seed: _alike(seed, "shared"),
)
def alike(seed: int) -> Measurement:
    """How much more the scores of a finetune ensemble's members correlate."""
    return _alike(seed, "own")


def _alike(seed: int, representation: str) -> Measurement:
    found: dict[str, Array] = {}
    for kind in ("shared", representation):
        pools = [lab.studies.ensemble_pool(s, prompts=1, representation=kind) for s in runs(seed, _FEWER)]
        found[kind] = np.array([lab.studies.ensemble_disagreement(pool, 1)["correlation"] for pool in pools])
    rows: Rows = [{"representation": kind, "correlation": float(values.mean())} for kind, values in found.items()]
    return above(found["shared"] - found[representation], rows=rows)


_MEDIAN, _CAREFUL, _AWAY = "ensemble-median", "ensemble-mean-std", 100.0


@claim(
    "rm-ensembles-herding.check-outlier",
    sentence="One member of five that loses its head over a response (+100) lifts neither its median beyond what the "
    "other four say nor its mean less the deviation, while the mean rises by 20.",
    criterion="the median at most the largest score of the other members, the mean less the deviation lower than "
    "before, on 256 responses",
    note="The value is the larger of the two excesses, at most 0.",
    without={f"reward:{_MEDIAN}": "ensemble-mean", f"reward:{_CAREFUL}": "ensemble-mean"},
)
def outlier(seed: int) -> Measurement:
    """How far either rule rises beyond what it may when one member's score of every response is moved far up."""
    sane = np.random.default_rng(seed).standard_normal((16, 16, 5))
    mad = sane + _AWAY * np.eye(5)[0]
    median = lab.rewards.apply(_MEDIAN, mad)[..., 0] - sane[..., 1:].max(-1)
    careful = (lab.rewards.apply(_CAREFUL, mad) - lab.rewards.apply(_CAREFUL, sane))[..., 0]
    rows: Rows = [
        {"rule": _MEDIAN, "excess": float(np.max(median))},
        {"rule": _CAREFUL, "excess": float(np.max(careful))},
    ]
    worst = max(float(row["excess"]) for row in rows)
    return Measurement(worst, worst <= 0, detail=rows, border=0.0)
