"""OPRM: a distribution over nine ratings from comparisons, anchored by a few coarse levels of quality."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import lab
from lab.papers.measure import Array, above, interval, promised, runs
from lab.papers.record import Measurement, Paper, Table, add_paper, claim
from lab.stand_ins import cached

if TYPE_CHECKING:
    from lab.reward_models.oprm import Ordinal
    from lab.studies.fair import Comparison
    from simulators.learned_reward.annotators import Comparisons
    from simulators.learned_reward.gold import Gold
    from simulators.learned_reward.levels import Graded

add_paper(
    Paper(
        slug="oprm",
        title="Learning Ordinal Probabilistic Reward from Preferences",
        short="OPRM",
        date="February 2026",
        arxiv={"OPRM": "2602.12660"},
        code="https://github.com/ritzz-ai/OPRM",
        problem=(
            "A score from comparisons says which of two responses is better, and not whether either is good. OPRM "
            "gives each response a distribution over nine ratings; a few responses that are known to be bad, normal or "
            "good anchor what the ratings mean."
        ),
        equations=(
            ("preference", "P = Σ_{i>j} p_c(i) p_r(j),  loss = −log P: a tie does not count"),
            ("gradient", "∂P/∂p_c(k) = P(s_r < k),  ∂P/∂p_r(k) = P(s_c > k)"),
            ("reward and its risk", "r = E[s] − κ √Var[s]"),
            ("region flooding", "of levels bad, normal, good only {1,2,3}, {4,5,6}, {7,8,9}: i ∈ R(q_c), j ∈ R(q_r)"),
            ("triangle", "and the place of i in its region above that of j"),
        ),
        kept="The distribution, its loss, three forms of region flooding, pairs with and without levels in one batch, "
        "the price of risk in best of n.",
        left_out="Language: ratings are outputs of a small network, not digits that a language model would say next.",
        published=(
            Table(
                "RewardBench and RMB, accuracy in percent",
                ("model", "benchmark", "accuracy"),
                (("OPRM, Qwen2.5-14B", "RewardBench", 89.3), ("no levels", "RMB overall", 71.2),
                 ("good and bad", "RMB overall", 72.8), ("three levels", "RMB overall", 73.8),
                 ("all pairs with levels", "RMB overall", 73.5)),
                "third-party summaries of arXiv 2602.12660",
            ),
        ),
        unknown="Which ratings of a region count, and how they are weighed; the triangle is inferred.",
    )
)  # fmt: skip

_RUNS, _PAIRS, _FRESH = 6, 2000, 4000
_GOLDS = ("mlp", "linear")
#: Where levels begin: two thirds of the responses are good, or a third each.
_SKEWED, _BALANCED = (-1.2, -0.4), (-0.43, 0.43)


def _own(seed: int) -> tuple[int, ...]:
    return tuple(runs(seed, _RUNS))


@cached
def _golds(name: str, own: Sequence[int]) -> list[Gold]:
    from simulators.learned_reward.gold import gold

    return [gold(name, s) for s in own]


@cached
def _data(
    name: str, own: Sequence[int], share: float = 0.2, edges: Sequence[float] = _SKEWED, of_others: bool = False
) -> Graded:
    """Comparisons of runs, each with a gold reward of its own, and levels; `of_others` gives those of other pairs."""
    from simulators.learned_reward.annotators import annotate, stacked
    from simulators.learned_reward.levels import grade, graded

    each = [grade(annotate(g, _PAIRS, seeds=s), g, share=share, edges=edges, seeds=s)
            for g, s in zip(_golds(name, own), own, strict=True)]  # fmt: skip
    levels = np.concatenate([one.levels for one in each if one.levels is not None])
    return graded(stacked(each), np.roll(levels, 1, axis=1)[..., ::-1] if of_others else levels)


@cached
def _fit(name: str, own: Sequence[int], flooding: str, **data: Any) -> Ordinal:
    return lab.reward_models.fit("oprm", _data(name, own, **data), list(own), flooding=flooding).model


@cached
def _compared(name: str, own: Sequence[int]) -> Any:
    """Bradley and Terry's model of the same comparisons."""
    return lab.reward_models.fit("bradley-terry", _data(name, own), list(own), epochs=6).model


def _right(models: Any, golds: Sequence[Gold]) -> Array:
    """Share of fresh pairs that each run's model ranks as its gold does [runs]."""
    from simulators.learned_reward.metrics import accuracy

    return np.array([accuracy(models[[i]], meant, _FRESH)[0] for i, meant in enumerate(golds)])


@cached
def _fresh(name: str, own: Sequence[int]) -> tuple[Array, Array]:
    """Fresh responses [runs, 4000, 16] and their gold reward."""
    golds = _golds(name, own)
    x = np.stack([g.draw(np.random.default_rng([s, 77]), _FRESH) for g, s in zip(golds, own, strict=True)])
    return x, np.stack([g(each) for g, each in zip(golds, x, strict=True)])


def _placed(name: str, own: Sequence[int], found: Array, edges: Sequence[float] = _SKEWED) -> Array:
    """Share of fresh responses whose level [runs, 4000] is the true one [runs]."""
    from simulators.learned_reward.levels import level

    return np.asarray((found == level(_fresh(name, own)[1], edges)).mean(-1))


def _on_level(name: str, own: Sequence[int], model: Ordinal) -> Array:
    """Share of fresh responses whose most likely level is the true one [runs]."""
    return _placed(name, own, model.levels(_fresh(name, own)[0]).argmax(-1))


@claim(
    "oprm.headline",
    sentence="OPRM ranks no more fresh pairs rightly than Bradley and Terry's model (0.87 each), is no better "
    "calibrated, and two cuts through that model's scores put as many responses on their level (0.81): levels anchor, "
    "whatever is anchored.",
    criterion="lead of OPRM (levels on 20% of the pairs) over Bradley and Terry's model, and over one that has the "
    "levels as further pairs, in pairs ranked as the gold does, each at its own best learning rate, 95% interval above "
    "0.005 (mlp, 2000 pairs, 6 runs)",
    note="Seeds 0 to 4: −0.006 to 0.002. Learning rates are chosen on 4 other runs. Calibration: of P(s > s') + "
    "½ P(s = s'). The cuts part the responses with levels as their levels do. GRPO: 8 steps of the same length; OPRM's "
    "score ends at nine and leaves 0.1 less gold (seed 0). Ratings as digits of a language model, which may know what "
    "they mean beforehand, are left out.",
    published="accuracy 2.9 to 7.4 points above prior reward models; no calibration was reported",
)
def headline(seed: int) -> Measurement:
    """Lead of OPRM in pairs ranked rightly."""
    ranked = _ranked(seed)
    found = promised({"accuracy": ranked, "gold after 8 steps of GRPO": _trained(seed)}, *_FITTED, least=0.005)
    more = [{"where": where, "variant": name, "value": mean, "low": low, "high": high, "lr": ranked.lr[name]}
            for where, values in _further(seed, ranked).items()
            for name, each in values.items() for mean, (low, high) in (interval(each),)]  # fmt: skip
    return replace(found, detail=[*found.detail, *more])


def _ordinal(data: Comparisons, own: Sequence[int], lr: float) -> Any:
    return lab.reward_models.fit("oprm", data, list(own), lr=lr).model


def _plain(data: Comparisons, own: Sequence[int], lr: float) -> Any:
    return lab.reward_models.fit("bradley-terry", data, list(own), lr=lr, epochs=6).model


def _with_pairs(data: Graded, own: Sequence[int], lr: float) -> Any:
    """Bradley and Terry's model of the comparisons and of 800 pairs of responses on different levels."""
    from simulators.learned_reward.annotators import Comparisons

    x = np.concatenate([data.chosen, data.rejected], axis=1)
    assert data.levels is not None
    levels = np.concatenate([data.levels[..., 0], data.levels[..., 1]], axis=1)
    more = np.stack([_higher(level, s) for level, s in zip(levels, own, strict=True)], axis=1)
    first, second = (np.take_along_axis(x, index[..., None], 1) for index in more)
    sides = ((data.chosen, first), (data.rejected, second))
    return _plain(Comparisons(*(np.concatenate(both, axis=1) for both in sides)), own, lr)


def _higher(levels: Array, seed: int) -> Array:
    """Places of a higher and a lower level [2, 800] among those of which one is known."""
    a, b = np.random.default_rng([seed, 4]).choice(np.flatnonzero(levels >= 0), (2, 20_000))
    above_it = levels[a] > levels[b]
    return np.stack([a[above_it], b[above_it]])[:, :800]


_FITTED: dict[str, Callable[..., Any]] = {
    "OPRM": _ordinal, "Bradley–Terry": _plain, "Bradley–Terry, levels as pairs": _with_pairs,
}  # fmt: skip


@cached
def _at(name: str, own: Sequence[int], lr: float) -> Any:
    return _FITTED[name](_data("mlp", own), own, lr)


def _ranked(seed: int) -> Comparison:
    """Accuracy of each, at its own best learning rate."""
    from lab.studies.fair import TUNING, compare_learners

    def learner(name: str) -> Callable[[float, Sequence[int]], Array]:
        return lambda lr, seeds: _right(_at(name, tuple(seeds), lr), _golds("mlp", tuple(seeds)))

    return compare_learners({name: learner(name) for name in _FITTED}, lrs=(2e-3, 4e-3, 8e-3), seeds=_own(seed),
                            tuning=[TUNING[0] + s for s in runs(seed, 4)], metric="accuracy")  # fmt: skip


def _further(seed: int, ranked: Comparison) -> dict[str, dict[str, Array]]:
    """Error of calibration, and share of fresh responses on their level, of the first two."""
    from simulators.learned_reward.metrics import probability_error

    own, found = _own(seed), {}
    (x, gold), data = _fresh("mlp", own), _data("mlp", own)
    ours, theirs = (_at(name, own, ranked.lr[name]) for name in list(_FITTED)[:2])
    chance = 0.5 * (1 + np.tanh(gold[:, ::2] - gold[:, 1::2]))
    preferred = np.random.default_rng([seed, 5]).random(chance.shape) < chance
    scores = theirs(x)
    given = ours.preferred(x[:, ::2], x[:, 1::2]), 0.5 * (1 + np.tanh(0.5 * (scores[:, ::2] - scores[:, 1::2])))
    found["calibration error"] = dict(zip(_FITTED, (probability_error(p, preferred) for p in given), strict=False))
    cut = _cut(scores, theirs, data)
    places = (ours.levels(x).argmax(-1), cut)
    found["on their level"] = dict(zip(_FITTED, (_placed("mlp", own, each) for each in places), strict=False))
    return found


def _cut(scores: Array, model: Any, data: Graded) -> Array:
    """Levels by two cuts through the scores, which part the labelled responses as their levels do."""
    assert data.levels is not None
    known = np.concatenate([model(data.chosen), model(data.rejected)], axis=1)
    levels = np.concatenate([data.levels[..., 0], data.levels[..., 1]], axis=1)
    found = []
    for own, level, here in zip(known, levels, scores, strict=True):
        shares = [(level[level >= 0] < edge).mean() for edge in (1, 2)]
        found.append(np.searchsorted(np.quantile(own[level >= 0], shares), here))
    return np.stack(found)


def _trained(seed: int) -> Comparison:
    """Gold reward after GRPO on each of the first two; its steps are as long whatever the scale of the rewards."""
    from simulators.learned_reward.gold import gold
    from simulators.learned_reward.levels import grade
    from simulators.learned_reward.world import LearnedReward

    meant = gold("mlp", seed)

    def fitted(name: str, data: Comparisons, seeds: Sequence[int]) -> Any:
        return _FITTED[name](grade(data, meant, edges=_SKEWED, seeds=seeds), seeds, 4e-3)

    worlds = {name: LearnedReward("mlp", comparisons=_PAIRS, prompts=4, seed=seed, reward_model=partial(fitted, name))
              for name in list(_FITTED)[:2]}  # fmt: skip
    settings: dict[str, Any] = {"seeds": _own(seed), "steps": 8, "metric": "gold", "group_size": 8}
    ours, theirs = (lab.compare(world, [lab.variant("grpo", name)], **settings) for name, world in worlds.items())
    return ours.beside(theirs)


@claim(
    "oprm.2",
    sentence="Levels on a fifth of the pairs anchor the ratings; comparisons alone cannot: with two good responses of "
    "three, 0.80 (mlp) and 0.92 (linear) of fresh ones are put on their level, beside 0.50 and 0.49.",
    criterion="share of fresh responses whose most likely level is true, above that without levels by 0.15, mlp and "
    "linear, 95% intervals (2000 pairs, 6 runs)",
    note="The value is mlp's gain. Reported: 0.527 to 0.796, and 0.493 to 0.920; with levels on 5% 0.696 and 0.728. "
    "Control: labels that are there and not read.",
    without=lambda seed: _anchored(seed, "none"),
)
def anchored(seed: int) -> Measurement:
    """Share of fresh responses on their level gained by levels, mlp."""
    return _anchored(seed, "tri")


def _anchored(seed: int, flooding: str) -> Measurement:
    own, rows, gains = _own(seed), [], []
    for name in _GOLDS:
        for share in (0.0, 0.05, 0.2):
            model = _fit(name, own, flooding if share else "none", share=share)
            right, mean = _on_level(name, own, model), float(model.moments(_fresh(name, own)[0])[0].mean())
            rows.append({"gold": name, "labelled": share, "on their level": float(right.mean()), "mean rating": mean})
        with_levels, without = _fit(name, own, flooding, share=0.2), _fit(name, own, "none", share=0.0)
        gains.append(_on_level(name, own, with_levels) - _on_level(name, own, without))
    return above(gains[0], 0.15, rows=rows, also=interval(gains[1])[1][0] > 0.15)


@claim(
    "oprm.3",
    sentence="The anchor costs nothing in ranking, and ratings rank nearly as well as Bradley and Terry's scores.",
    criterion="accuracy with levels above that without less 0.015, and that without above Bradley and Terry's less "
    "0.025, mlp and linear, 95% intervals (6 runs)",
    note="The value is mlp's change by levels. Reported: 0.860 to 0.865 and 0.951 to 0.957; Bradley and Terry's 0.859 "
    "and 0.963. Control: levels of other pairs, on 60% of them.",
    without=lambda seed: _cost(seed, of_others=True),
)
def cost(seed: int) -> Measurement:
    """Accuracy gained by levels, mlp."""
    return _cost(seed, of_others=False)


def _cost(seed: int, of_others: bool) -> Measurement:
    own, rows, kept, level = _own(seed), [], [], True
    for name in _GOLDS:
        more = {"of_others": True, "share": 0.6} if of_others else {}
        found = {"levels": _fit(name, own, "tri", **more), "no levels": _fit(name, own, "none", share=0.0),
                 "Bradley–Terry": _compared(name, own)}  # fmt: skip
        right = {kind: _right(model, _golds(name, own)) for kind, model in found.items()}
        rows += [{"gold": name, "model": kind, "accuracy": float(each.mean())} for kind, each in right.items()]
        kept.append(right["levels"] - right["no levels"])
        level &= interval(right["no levels"] - right["Bradley–Terry"])[1][0] > -0.025
    return above(kept[0], -0.015, rows=rows, also=level and interval(kept[1])[1][0] > -0.015)


@claim(
    "oprm.4",
    sentence="The triangle uses more of the scale than the whole block: inside a block of two different levels there "
    "is nothing to gain by moving on, inside a triangle there is.",
    criterion="deviation of E[s] over fresh responses larger in every run, 95% interval above 0.05, skewed and "
    "balanced levels; levels found by either differ by less than 0.03 (mlp, 6 runs)",
    note="The value is the gain with skewed levels. Reported: 1.75 to 1.92, and 1.92 to 2.10. Control: the block.",
    without=lambda seed: _wider(seed, "block"),
)
def wider(seed: int) -> Measurement:
    """Deviation of the ratings gained by the triangle, skewed levels."""
    return _wider(seed, "tri")


def _wider(seed: int, flooding: str) -> Measurement:
    own, rows, gains, alike = _own(seed), [], [], True
    for name, edges in (("skewed", _SKEWED), ("balanced", _BALANCED)):
        fitted = [_fit("mlp", own, each, edges=edges) for each in ("block", flooding)]
        x = _fresh("mlp", own)[0]
        wide = [each.moments(x)[0].std(-1) for each in fitted]
        right = [_placed("mlp", own, each.levels(x).argmax(-1), edges) for each in fitted]
        rows += [
            {"levels": name, "flooding": kind, "deviation of E[s]": float(w.mean()), "on their level": float(r.mean())}
            for kind, w, r in zip(("block", flooding), wide, right, strict=True)
        ]
        gains.append(wide[1] - wide[0])
        alike &= abs(float((right[1] - right[0]).mean())) < 0.03
    every = all((gain > 0).all() for gain in gains) and interval(gains[1])[1][0] > 0.05
    return above(gains[0], 0.05, rows=rows, also=every and alike)
