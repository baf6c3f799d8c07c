"""REFORM: a reward model that looks for its own failures, and learns from them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

import lab
from lab.papers.measure import Array, Rows, above, ahead, below, exact, interval, runs
from lab.papers.record import Measurement, Paper, Table, add_paper, claim
from lab.stand_ins import cached

if TYPE_CHECKING:
    from lab.reward_models.reform import Linear, Variants
    from simulators.learned_reward.token_bags import Bags

add_paper(
    Paper(
        slug="reform",
        title="Reward Models Can Improve Themselves: Reward-Guided Adversarial Failure Mode Discovery for Robust "
        "Reward Modeling",
        short="REFORM",
        date="July 2025",
        arxiv={"REFORM": "2507.06419"},
        code="https://github.com/pankayaraj/REFORM",
        problem=(
            "A reward model also pays for what only went along with good answers in its data, and breaks where that "
            "changes. Who looks for such failures must usually know what to look for. Here the reward model itself "
            "steers a writer to good answers that it scores low and bad ones that it scores high, and learns from them."
        ),
        equations=(
            ("decoder", "v = argmax over k candidates of  log π_c(v) − s_c · α · r(v),  s₊ = 1, s₋ = −1"),
            ("failure", "of the preferred class and below the median rejected score, or the other way round"),
            ("added pairs", "(ỹ⁺, y⁻) and (y⁺, ỹ⁻), as many of each class"),
            ("refitted", "max Σ log σ(w·(x_chosen − x_rejected)) − ½ λ ‖w‖²,  x counts of tokens"),
        ),
        kept=(
            "The search by a decoder that the reward steers, its check of the class, balanced pairs, the second fit, "
            "random variants beside them."
        ),
        left_out=(
            "Language: a response is a bag of 12 tokens, the reward a sum over tokens, the writer a table of "
            "likelihoods. Finetuning in place of a second fit; PPO and DPO on the repaired reward."
        ),
        published=(
            Table(
                "Accuracy under perturbations, HH and BeaverTails, Mistral-7B and Qwen-14B",
                ("what", "change"),
                (("robustness, average", "+35 to 45%"), ("accuracy in distribution", "none lost")),
                "abstract of arXiv 2507.06419 v3",
            ),
        ),
        unknown="The decoder's exact rule, k, α, lengths, how many variants are added, the list of perturbations.",
    )
)

_RUNS, _PAIRS, _TRIED, _PROMPTS = 16, 400, 6, 50
_PLAIN: dict[str, Any] = {"augmented": "plain"}
_RANDOM = {"reward_model:reform": _PLAIN}
_REPAIRED, _BEFORE, _MORE, _BY_CHANCE = "REFORM", "as it was", "as many more comparisons", "random variants"
#: What is compared -> share of comparisons more, and options.
_KINDS: dict[str, tuple[float, dict[str, Any]]] = {
    _REPAIRED: (0.0, {}), _BEFORE: (0.0, {"share": 0.0}), _MORE: (0.1, {"share": 0.0}), _BY_CHANCE: (0.0, _PLAIN),
}  # fmt: skip


@cached
def _data(own: tuple[int, ...], pairs: int, biased: bool = False) -> Bags:
    from simulators.learned_reward.token_bags import compare_bags, writer

    return replace(compare_bags(pairs, seeds=own), by=writer(biased=biased))


@cached
def _fresh(own: tuple[int, ...]) -> Bags:
    """Pairs that no reward was fitted to."""
    from simulators.learned_reward.token_bags import compare_bags

    return compare_bags(500, seeds=[1_000_000_000 + s for s in own])


@cached
def _fit(own: tuple[int, ...], pairs: int = _PAIRS, *, biased: bool = False, **options: Any) -> Linear:
    fitted: Linear = lab.reward_models.fit("reform", _data(own, pairs, biased), own, **options).model
    return fitted


def _own(seed: int) -> tuple[int, ...]:
    return tuple(runs(seed, _RUNS))


def _right(model: Linear, own: tuple[int, ...], *, turned: bool = False) -> Array:
    """Share of fresh pairs in which the good response scores higher [runs]; turned: spurious tokens exchanged."""
    from simulators.learned_reward.token_bags import swapped

    fresh = _fresh(own)
    pairs = [swapped(x) if turned else x for x in (fresh.chosen, fresh.rejected)]
    return np.asarray((model(pairs[0]) > model(pairs[1])).mean(1))


def _variants(model: Linear, own: tuple[int, ...], alpha: float) -> list[Variants]:
    """What the writer makes if each reward steers it."""
    from lab.reward_models.reform import variants
    from simulators.learned_reward.token_bags import writer

    return [variants(writer(), w, 200, np.random.default_rng([3, s]), alpha=alpha)
            for w, s in zip(model.weights, own, strict=True)]  # fmt: skip


def _failing(model: Linear, own: tuple[int, ...], of: Linear, alpha: float = 2.0) -> Array:
    """Share of the variants found by `of` that the model scores wrongly [runs]."""
    from lab.reward_models.reform import failure_rate

    fresh = _fresh(own)
    each = zip(_variants(of, own, alpha), model.weights, fresh.chosen, fresh.rejected, strict=True)
    return np.array([failure_rate(*one) for one in each])


def _ratio(model: Linear) -> Array:
    """Mean size of the spurious weights over that of good and bad tokens [runs]."""
    size = np.abs(model.weights)
    return np.asarray(size[:, 16:24].mean(1) / size[:, :16].mean(1))


@claim(
    "reform.headline",
    sentence="A reward that learned from its own failures still ranks rightly where tokens that only went along with "
    "good responses change sides: 0.92 of the pairs, beside 0.24 before, 0.25 with as many more comparisons and 0.36 "
    "with as many random variants. Its best of 64 is better, too, and on pairs like the data nothing is lost.",
    criterion="lead of REFORM in pairs ranked rightly after the spurious tokens were exchanged, over the best of the "
    "reward as it was, of one with as many more comparisons and of one with as many random variants, 95% interval "
    "above 0 (16 runs, 400 pairs, 20 variants of each class); each at its own best ridge in 6 other runs",
    note="Of best of 64 the value is good less bad tokens.",
    published="robustness +35 to 45% on average, nothing lost in distribution; quality kept in best of n, PPO, DPO",
)
def headline(seed: int) -> Measurement:
    """Lead of REFORM in pairs ranked rightly after the exchange."""
    own, tuning = _own(seed), tuple(lab.studies.fair.TUNING[0] + s for s in runs(seed, _TRIED))
    found: dict[str, dict[str, Array]] = {}
    for pairs in (_PAIRS, 100):
        models = {kind: _at_best(own, tuning, pairs, kind) for kind in _KINDS}
        found[f"exchanged, {pairs} pairs"] = {k: _right(m, own, turned=True) for k, m in models.items()}
        found[f"as in the data, {pairs} pairs"] = {k: _right(m, own) for k, m in models.items()}
        found[f"best of 64, {pairs} pairs"] = {k: _picked(m, seed) for k, m in models.items()}
    return ahead(found, _REPAIRED, _BEFORE, _MORE, _BY_CHANCE)


def _at_best(own: tuple[int, ...], tuning: tuple[int, ...], pairs: int, kind: str) -> Linear:
    """The rewards with the ridge that was best in other runs."""
    more, options = _KINDS[kind]
    number = round((1 + more) * pairs)

    def worth(ridge: float) -> float:
        return float(_right(_fit(tuning, number, ridge=ridge, **options), tuning, turned=True).mean())

    return _fit(own, number, ridge=max((1e-3, 1e-2, 1e-1), key=worth), **options)


def _picked(model: Linear, seed: int) -> Array:
    """Good less bad tokens in the best of 64 responses of any tokens, by each reward [runs]."""
    from simulators.learned_reward.token_bags import LENGTH, WORTH

    share = np.full(len(WORTH), 1 / len(WORTH))
    pool = np.random.default_rng([seed, 4]).multinomial(LENGTH, share, size=(_PROMPTS, 64)).astype(float)
    best = model(pool[None]).argmax(-1)
    return np.asarray((pool @ WORTH)[np.arange(_PROMPTS), best].mean(-1))


@claim(
    "reform.1",
    sentence="A reward finds its own failures: of the responses that it steers the writer to, all still of their "
    "class, more than half are scored wrongly, of those that the writer makes by itself none.",
    criterion="share of steered variants that are scored wrongly less that of plain ones above 0.4, 95% interval "
    "included (16 runs)",
    note="Reported: 0.579 and 0. Counter-experiment: α = 0.",
    without=lambda seed: _discovered(seed, 0.0),
)
def discovered(seed: int) -> Measurement:
    """Wrongly scored share of steered variants, less that of plain ones."""
    return _discovered(seed, 2.0)


def _discovered(seed: int, alpha: float) -> Measurement:
    own = _own(seed)
    model = _fit(own, share=0.0)
    steered, plain = (_failing(model, own, model, each) for each in (alpha, 0.0))
    rows: Rows = [{"variants": kind, "scored wrongly": float(each.mean())}
                  for kind, each in (("steered", steered), ("plain", plain))]  # fmt: skip
    return above(steered - plain, 0.4, rows=rows)


@claim(
    "reform.2",
    sentence="Learning from them repairs it: with the spurious tokens exchanged 0.84 of the pairs are ranked rightly, "
    "0.21 before and 0.29 with as many random variants, and nothing is lost on pairs like the data.",
    criterion="accuracy after the exchange above that of the reward as it was by 0.4 and above that with random "
    "variants by 0.3, 95% intervals included; at most 0.01 lost on pairs like the data (16 runs)",
    note="The value is the gain over random variants. Reported: 0.140 before, 0.672 after, 0.200 with random variants; "
    "there all variants were added, here those that are scored wrongly, and with all it is 0.77. Why it is lower "
    "before, too: cause not found. Counter-experiment: random variants.",
    without=_RANDOM,
)
def repaired(seed: int) -> Measurement:
    """Accuracy gained over random variants after the exchange."""
    own = _own(seed)
    models = {_BEFORE: _fit(own, share=0.0), _REPAIRED: _fit(own), _BY_CHANCE: _fit(own, **_PLAIN)}
    right = {kind: _right(model, own, turned=True) for kind, model in models.items()}
    kept = {kind: _right(model, own) for kind, model in models.items()}
    rows: Rows = [{"reward": kind, "exchanged": float(right[kind].mean()), "as in the data": float(kept[kind].mean())}
                  for kind in models]  # fmt: skip
    also = interval(right[_REPAIRED] - right[_BEFORE])[1][0] > 0.4
    also = also and float((kept[_BEFORE] - kept[_REPAIRED]).mean()) <= 0.01
    return above(right[_REPAIRED] - right[_BY_CHANCE], 0.3, rows=rows, also=also)


@claim(
    "reform.3",
    sentence="Whoever attacks the repaired reward afresh hardly gets through: the writer that it steers finds few "
    "failures.",
    criterion="share of fresh steered variants that the repaired reward scores wrongly below 0.15, 95% interval "
    "included (16 runs)",
    note="Reported: 0.060, and 0.012 of the variants that had fooled the first reward; there all variants were added, "
    "here those that are scored wrongly (with all 0.06, too). Counter-experiment: random variants.",
    without=_RANDOM,
)
def attacked(seed: int) -> Measurement:
    """Share of fresh variants that fool the repaired reward."""
    own = _own(seed)
    before, after = _fit(own, share=0.0), _fit(own)
    found = _failing(after, own, after)
    rows: Rows = [
        {"variants steered by": "the reward as it was", "scored by": _BEFORE,
         "wrongly": float(_failing(before, own, before).mean())},
        {"variants steered by": "the reward as it was", "scored by": _REPAIRED,
         "wrongly": float(_failing(after, own, before).mean())},
        {"variants steered by": "the repaired reward", "scored by": _REPAIRED, "wrongly": float(found.mean())},
    ]  # fmt: skip
    return below(found, 0.15, rows=rows)


@claim(
    "reform.4",
    sentence="The repair takes weight from tokens that only went along with good responses: beside that of good and "
    "bad tokens it falls to a quarter.",
    criterion="mean size of spurious weights over that of good and bad tokens, after the repair at most half of "
    "before, 95% interval included (16 runs)",
    note="Reported: from 2.09 to 0.61, to 1.64 with random variants. Counter-experiment: random variants.",
    without=_RANDOM,
)
def spurious(seed: int) -> Measurement:
    """Relative size of spurious weights after the repair over that before."""
    own = _own(seed)
    before, after = (_ratio(_fit(own, **options)) for options in ({"share": 0.0}, {}))
    rows: Rows = [{"reward": kind, "spurious / true": float(each.mean())}
                  for kind, each in ((_BEFORE, before), (_REPAIRED, after))]  # fmt: skip
    return below(after / before, 0.5, rows=rows)


@claim(
    "reform.check-nothing-added",
    sentence="With nothing added the reward is Bradley and Terry's of the comparisons.",
    criterion="weights differ by 0 from those of the ridge regression alone (2 runs)",
    note="The value is the largest difference. Counter-experiment: variants are added.",
    without={"reward_model:reform": {"share": 0.05}},
)
def nothing_added(seed: int) -> Measurement:
    """Largest difference of a weight to the plain reward's."""
    own = tuple(runs(seed, 2))
    data, model = _data(own, _PAIRS), _fit(own, share=0.0)
    differences = data.chosen - data.rejected
    plain = [lab.reward_models.bradley_terry(x, np.ones(len(x)), ridge=1e-2 * len(x)) for x in differences]
    return exact([{"difference": float(np.abs(model.weights - np.array(plain)).max())}], 0.0)


def _gained(seed: int, **options: Any) -> Measurement:
    """A limit: accuracy gained after the exchange stays small."""
    own = _own(seed)
    before, after = (_right(_fit(own, **o), own, turned=True) for o in ({"share": 0.0}, options))
    rows: Rows = [{"reward": kind, "exchanged": float(each.mean())}
                  for kind, each in ((_BEFORE, before), (_REPAIRED, after))]  # fmt: skip
    return below(after - before, 0.1, rows=rows)


@claim(
    "reform.limit-gentle",
    sentence="Steered too gently the writer finds nothing: with α = 1 no response is scored wrongly, and the reward "
    "stays as it was.",
    criterion="accuracy gained after the exchange with α = 1 below 0.1, 95% interval included (16 runs)",
    note="How hard is hard enough depends on the size of the weights, and so on the ridge. Control: α = 2.",
    without=lambda seed: _gained(seed, alpha=2.0),
)
def gentle(seed: int) -> Measurement:
    """Accuracy gained after the exchange, α = 1."""
    return _gained(seed, alpha=1.0)


@claim(
    "reform.limit-biased-writer",
    sentence="The writer must not share the bias: one that writes as the comparisons were written finds no failure.",
    criterion="accuracy gained after the exchange, with a writer whose tokens are as likely as in the comparisons, "
    "below 0.1, 95% interval included (16 runs)",
    note="Control: the writer that knows of no spurious token.",
    without=_gained,
)
def biased(seed: int) -> Measurement:
    """Accuracy gained after the exchange with a biased writer."""
    return _gained(seed, biased=True)
