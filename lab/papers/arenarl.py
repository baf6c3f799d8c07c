"""ArenaRL: advantages from tournaments of pairwise judgements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import lab
from lab.papers.measure import Array, Rows, above, below, fair, interval, promised
from lab.papers.record import Measurement, Paper, Table, add_paper, claim
from lab.stand_ins import cached

if TYPE_CHECKING:
    from simulators import Judged

add_paper(
    Paper(
        slug="arenarl",
        title="ArenaRL: Scaling RL for Open-Ended Agents via Tournament-based Relative Ranking",
        short="ArenaRL",
        date="January 2026",
        arxiv={"ArenaRL": "2601.06487"},
        code="https://github.com/Alibaba-NLP/qqr",
        problem=(
            "For open-ended tasks a judge gives each response a number. As the policy gets better the true qualities "
            "of a group draw together, the judge's noise does not shrink, and dividing by the group's deviation "
            "amplifies it. ArenaRL compares responses in pairs, plays a tournament and uses only the places."
        ),
        equations=(
            ("judgement", "(s_a, s_b) = J(a, b) + J(b, a)"),
            ("single elimination", "seeded by the comparisons with rollout 0, then knocked out: 2G − 2 comparisons"),
            ("reward", "r = 1 − place/(G − 1)"),
            ("advantage", "A = (r − mean)/(std + 1e-6)"),
        ),
        kept="All six tournaments, the advantage, a judge whose drift is shared by the two responses of a call.",
        left_out="Language-model judges. The released Swiss file books points to the wrong players: not copied.",
        published=(
            Table(
                "Open-Travel, mean win rate (%), Qwen3-8B, 8 responses",
                ("supervised", "anchor", "Swiss", "double elimination", "seeded single elimination", "round robin"),
                ((16.4, 27.8, 28.3, 30.2, 32.5, 32.9),),
                "the paper, comparison of topologies",
            ),
            Table(
                "Mean win rate (%), and score on LongBench-write",
                ("method", "Open-Travel", "Open-DeepResearch", "LongBench-write"),
                (("supervised", 16.4, 16.7, 72.17), ("GRPO", 16.4, 25.2, 73.60), ("GSPO", 17.2, 25.2, 73.03),
                 ("ArenaRL", 41.8, 64.3, 80.30)),
                "the paper",
            ),
        ),
    )
)  # fmt: skip

_GROUPS, _SIZE, _BATCHES = 120, 8, 5
_DRIFT, _NOISE = 1.0, 0.3
#: Ways to judge a group, the tournaments by the name of their rule.
_BRACKETS = ("arenarl", "arenarl@unseeded")
_ALL = (*_BRACKETS, "arenarl@round-robin", "arenarl@anchor", "arenarl@double-elimination", "arenarl@swiss")


def _within(advantage: Array, utility: Array) -> Array:
    """Correlation of advantages with utilities inside each group [n, G] -> [n]; 0 for a group without signal."""
    a, u = (x - x.mean(-1, keepdims=True) for x in (advantage, utility))
    scale = np.sqrt((a**2).sum(-1) * (u**2).sum(-1))
    return np.asarray((a * u).sum(-1) / np.where(scale > 0, scale, 1.0))


@cached
def _measured(seed: int, spread: float, ways: tuple[str, ...], drift: float = _DRIFT, noise: float = _NOISE) -> Any:
    """Correlation inside the groups of each way to judge, in batches of 120 groups: a dictionary of [batches]."""
    from simulators.judged.world import judgements

    rng = np.random.default_rng(seed)
    utility = rng.normal(0, spread, (_BATCHES * _GROUPS, _SIZE))
    calls = utility + drift * rng.normal(size=(7, *utility.shape)) + noise * rng.normal(size=(7, *utility.shape))
    pairs = judgements(utility, seed=seed, prompt=np.arange(len(utility)), drift=drift, noise=noise)
    found = {
        "pointwise": lab.advantages.compute("grpo", calls[0]),
        "mean of 7 calls": lab.advantages.compute("grpo", calls.mean(0)),
    } | {name: lab.advantages.compute(name, calls[0], pair_scores=pairs) for name in ways}
    return {name: _within(a, utility).reshape(_BATCHES, -1).mean(-1) for name, a in found.items()}


def _rows(found: dict[str, Array]) -> Rows:
    means = {name: interval(values) for name, values in found.items()}
    return [{"way": n, "correlation": mean, "low": low, "high": high} for n, (mean, (low, high)) in means.items()]


def _judged(spread: float = 1.0, calls: int = 1) -> Judged:
    """Four prompts of eight responses; a response judged alone gets the mean of some calls."""
    from simulators import Judged

    utility = np.random.default_rng(0).normal(0, spread, (4, 8))
    return Judged(utility, drift=_DRIFT / calls**0.5, noise=_NOISE / calls**0.5)


@claim(
    "arenarl.headline",
    sentence="Where responses are nearly equally good and a judge's numbers drift, tournaments teach more than numbers "
    "do: 0.10 more utility than GRPO's 0.15 after 30 steps (utilities 0.3 apart, drift 1). The lead is larger with "
    "four rollouts and smaller where utilities are 1 apart; where GRPO's numbers are means of four calls, for about as "
    "many calls of the judge, a third to a half of it is left.",
    criterion="lead over GRPO in expected utility after 30 steps, G = 8, each at its own best learning rate",
    note="Four prompts of eight responses; 24 runs to judge on, 6 others to tune on. Both orders of 14 comparisons are "
    "28 calls, four calls for each of 8 numbers 32. A random bracket, at half the comparisons, ends as high as the "
    "seeded one: what seeding adds to the order (see arenarl.3) does not show in training here. Seeds 0 to 4: 0.08 to "
    "0.10.",
    published="Open-Travel: 16.4% with GRPO, 41.8% with ArenaRL",
)
def headline(seed: int) -> Measurement:
    """Lead of ArenaRL over GRPO on numbers in expected utility, each at its own best learning rate."""
    settings: dict[str, Any] = {"number": 24, "tuned": 6, "steps": 30, "lrs": (8.0, 16.0)}
    rivals = ["grpo", "arenarl"]
    found = {
        "close, G = 8": fair(_judged(0.3), ["grpo", *_BRACKETS], seed, group_size=8, **settings),
        "close, G = 8, four calls for each number": fair(_judged(0.3, 4), ["grpo"], seed, group_size=8, **settings),
        "close, G = 4": fair(_judged(0.3), rivals, seed, group_size=4, **settings),
        "apart, G = 8": fair(_judged(1.0), rivals, seed, group_size=8, **settings),
    }
    return promised(found, "arenarl", "grpo")


@claim(
    "arenarl.1",
    sentence="Seeded single elimination asks for 2G − 2 comparisons, round robin for G(G − 1)/2.",
    criterion="exactly, for G = 2 to 16 (G = 8: 14 against 28; G = 16: 30 against 120)",
    note="Counted from tournaments that were played. The value is the share of round robin's at G = 16. Control: Swiss "
    "rounds ask for another number.",
    without=lambda seed: _cost("swiss"),
)
def cost(seed: int) -> Measurement:
    """Comparisons of each tournament."""
    return _cost("single-elimination")


def _cost(topology: str) -> Measurement:
    from lab.advantages.tournaments import TOPOLOGIES, comparisons

    rows = [{"topology": t, "group_size": n, "comparisons": float(comparisons(t, n))} for n in (4, 8, 16)
            for t in TOPOLOGIES]  # fmt: skip
    right = all(
        comparisons(topology, n) == 2 * n - 2 and comparisons("round-robin", n) == n * (n - 1) // 2
        for n in range(2, 17)
    )
    return Measurement(comparisons(topology, 16) / comparisons("round-robin", 16), right, detail=rows)


@claim(
    "arenarl.2",
    sentence="Where utilities spread as widely as the judge's drift, seeded single elimination is nearly as good as "
    "round robin at half the comparisons; a random bracket is not.",
    criterion="its correlation with the utility above 0.9 of round robin's, 95% interval included (G = 8, spread 1, "
    "drift 1, noise 0.3)",
    note="Correlations are taken inside each group and averaged over 600 groups. Seeds 0 to 4: 0.93; a "
    "random bracket 0.85 to 0.87 (0.947 was reported; see arenarl.3)",
    published="Open-Travel: 32.5% against 32.9% for round robin",
    without={"advantage:arenarl": "arenarl@unseeded"},
)
def nearly_round_robin(seed: int) -> Measurement:
    """Ratio of the two correlations."""
    found = _measured(seed, 1.0, ("arenarl", "arenarl@round-robin"))
    also = found["arenarl"].min() > found["pointwise"].max()
    return above(found["arenarl"] / found["arenarl@round-robin"], 0.9, rows=_rows(found), also=also)


@claim(
    "arenarl.3",
    sentence="Seeding helps: a bracket seeded by the comparisons with rollout 0 orders better than a random one.",
    criterion="its correlation more than 0.04 higher, 95% interval included (spread 1)",
    note="Seeds 0 to 4: 0.059 to 0.075. Reported: 0.888 and 0.793, so 0.095; cause not found. Round robin's 0.938 is "
    "met to the digit, yet neither a drift drawn once for both orders, nor judgements drawn anew for each match, nor "
    "losers in random order, nor correlations over all groups at once give the two others.",
    without={"advantage:arenarl": "arenarl@unseeded"},
)
def seeding(seed: int) -> Measurement:
    """Difference of the two correlations."""
    found = _measured(seed, 1.0, _BRACKETS)
    return above(found["arenarl"] - found["arenarl@unseeded"], 0.04, rows=_rows(found))


@claim(
    "arenarl.4",
    sentence="When utilities draw together, numbers given one by one say little, and the tournament twice as much.",
    criterion="at spread 0.3 the pointwise correlation is below 0.35 and seeded single elimination's 1.9 times that, "
    "95% interval included",
    note="The value is the ratio. Seeds 0 to 4: 2.09 to 2.57 (2.56 was reported).",
    published="Open-Travel: 16.4% with GRPO, 41.8% with ArenaRL",
    without={"advantage:arenarl": "grpo"},
)
def collapse(seed: int) -> Measurement:
    """Correlation by tournament over correlation by number."""
    found = _measured(seed, 0.3, ("arenarl",))
    also = found["pointwise"].mean() < 0.35
    return above(found["arenarl"] / found["pointwise"].mean(), 1.9, rows=_rows(found), also=also)


@claim(
    "arenarl.check-one-set",
    sentence="By single elimination every group of one size gets the same set of advantages, even if the judge ties "
    "everywhere.",
    criterion="largest difference of the sorted advantages below 1e-12 over 200 groups of 8, one of them all ties",
    note="The value is the largest difference. By round robin, whose places can be shared, it is not so.",
    without={"advantage:arenarl": "arenarl@round-robin"},
)
def one_set(seed: int) -> Measurement:
    """Largest difference between the sorted advantages of different groups."""
    pairs = np.random.default_rng(seed).normal(size=(200, _SIZE, _SIZE))
    pairs[0] = 1.0
    ordered = np.sort(lab.advantages.compute("arenarl", np.zeros((200, _SIZE)), pair_scores=pairs), axis=-1)
    worst = float(np.abs(ordered - ordered[0]).max())
    return Measurement(worst, worst < 1e-12 and float(np.ptp(ordered[0])) > 1)


@claim(
    "arenarl.limit-close",
    sentence="Nearly equivalent to round robin it is not where utilities are close.",
    criterion="at spread 0.1 its correlation is below 0.75 of round robin's, 95% interval included; at spread 1 it is "
    "not",
    note="Seeds 0 to 4: 0.52 to 0.59 (0.60 was reported).",
    published="Open-Travel: 32.5% against 32.9% for round robin, 'nearly equivalent'",
    without=lambda seed: _close(seed, 1.0),
)
def close(seed: int) -> Measurement:
    """Ratio of the two correlations at spread 0.1."""
    return _close(seed, 0.1)


def _close(seed: int, spread: float) -> Measurement:
    found = _measured(seed, spread, ("arenarl", "arenarl@round-robin"))
    return below(found["arenarl"] / found["arenarl@round-robin"].mean(), 0.75, rows=_rows(found))


@claim(
    "arenarl.limit-drift",
    sentence="The gain comes from the drift that cancels and from the number of calls, not from ranking: without a "
    "shared drift the mean of 7 single calls is better than any tournament.",
    criterion="with noise 1 and no drift the mean of 7 calls is ahead of every tournament, 95% intervals included; "
    "with drift 1 and noise 0.3 it is not",
    note="The value is its lead over round robin. Seeds 0 to 4: 0.078 to 0.085 (0.075 was reported).",
    without=lambda seed: _control(seed, _DRIFT, _NOISE),
)
def control(seed: int) -> Measurement:
    """The mean of seven calls against the best tournament, without drift."""
    return _control(seed, drift=0.0, noise=1.0)


def _control(seed: int, drift: float, noise: float) -> Measurement:
    found = _measured(seed, 1.0, _ALL, drift, noise)
    leads = {name: interval(found["mean of 7 calls"] - found[name]) for name in _ALL}
    value, bounds = leads["arenarl@round-robin"]
    return Measurement(value, all(low > 0 for _, (low, _) in leads.values()), bounds, _rows(found))
