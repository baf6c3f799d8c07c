"""The world in which a reward is learned from comparisons while the one that is meant is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import lab
from lab.papers.measure import Array, Rows, above, ahead, below, exact, runs
from lab.papers.record import Measurement, Paper, add_paper, claim
from lab.stand_ins import cached

if TYPE_CHECKING:
    from simulators.learned_reward.gold import Gold

add_paper(
    Paper(
        slug="preference-substrate",
        title="Comparisons, learned rewards, and a policy that is trained on them beside the gold reward",
        short="Learned reward",
        date="textbook, and the experiments on over-optimisation",
        arxiv={"over-optimisation of reward models": "2210.10760"},
        code="",
        problem=(
            "A reward that was learned from comparisons is right near its data and wrong far from them, and a policy "
            "that is trained on it goes where it is wrong. To see that, the reward that is meant must be known: here "
            "annotators with known errors compare responses, a small reward model is fitted in a second, and the gold "
            "reward and the KL of the policy are exact."
        ),
        equations=(
            ("a label", "P(a preferred to b) = σ(β (gold(a) − gold(b))), then flipped with probability η"),
            ("reward model", "loss = −log σ(r(chosen) − r(rejected))"),
            ("best of n", "KL = log n − (n − 1)/n"),
            ("policy", "x = μ + ε,  KL = |μ|²/2,  μ ← μ + lr · mean of A (x − μ)"),
        ),
        kept="Four gold rewards, annotators, reward models, best of n, the Gaussian policy, all metrics.",
        left_out="Policies over fixed candidates, personas, ties.",
        unknown="Nothing; the world is the lab's own.",
    )
)

_STEPS, _LR, _EVERY, _RUNS = 75, 0.2, 5, 6
_FEW, _MANY, _SIZES = 250, 2000, (300, 1000, 4000)


@cached
def _models(gold: str, pairs: int, flips: float, seed: int) -> tuple[list[Gold], Any]:
    """Golds of six runs, and the reward models fitted to comparisons by them."""
    from simulators.learned_reward.annotators import annotate, stacked
    from simulators.learned_reward.gold import gold as gold_reward

    numbers = list(runs(seed, 6))
    golds = [gold_reward(gold, s) for s in numbers]
    data = stacked([annotate(g, pairs, flips=flips, seeds=s) for g, s in zip(golds, numbers, strict=True)])
    return golds, lab.reward_models.fit("bradley-terry", data, numbers).model


def _seen(metric: str, pairs: int, flips: float, seed: int) -> Array:
    """A metric of the six models [6]."""
    from simulators.learned_reward import metrics

    golds, models = _models("mlp", pairs, flips, seed)
    return np.array([getattr(metrics, metric)(models[[i]], gold, 5000)[0] for i, gold in enumerate(golds)])


@cached
def _trained(seed: int, gold: str = "bowl", comparisons: int = 300) -> dict[str, Array]:
    """Step [T], and proxy, gold and KL [6, T] of GRPO on what was learned."""
    world = lab.world("learned-reward", gold=gold, comparisons=comparisons)
    trace = lab.train(world, "grpo", steps=_STEPS + 1, lr=_LR, seeds=runs(seed, _RUNS), every=_EVERY,
                      measure=["value", "gold", "kl_start"])  # fmt: skip
    frame = trace.frame.sort("seed", "step")
    found = {name: frame[name].to_numpy().reshape(_RUNS, -1) for name in ("value", "gold", "kl_start")}
    return {"step": frame["step"].to_numpy()[: found["gold"].shape[1]], **found}


def _ends(seed: int, **world: Any) -> dict[str, Any]:
    """Where training ends, beside where the mean gold was best."""
    found = _trained(seed, **world)
    best = int(found["gold"].mean(0).argmax())
    columns = {"gold": "gold", "KL": "kl_start", "proxy": "value"}
    there = {f"{words} there": float(found[name][:, best].mean()) for words, name in columns.items()}
    end = {f"{words} at the end": float(found[name][:, -1].mean()) for words, name in columns.items()}
    return {
        **{name: str(value) for name, value in world.items()},
        "best step": int(found["step"][best]),
        **there,
        **end,
    }


def _stopped(seed: int, **world: Any) -> dict[str, Array]:
    """Gold of three runs at the step that was best for the three others, and at the end [3] each."""
    gold = _trained(seed, **world)["gold"]
    best = int(gold[1::2].mean(0).argmax())
    return {"stopped where gold was best": gold[::2, best], "to the end": gold[::2, -1]}


@claim(
    "preference-substrate.headline",
    sentence="What a known gold reward is for: of GRPO on a reward learned from 300 comparisons, runs that stop at "
    "the step that was best for other runs end with 12 more gold than those that go on; with 4000 comparisons that is "
    "worth little, and where the gold cannot fall, nothing.",
    criterion="lead of stopping over going on to the end, 95% interval over 3 runs above 0 (bowl, 300 comparisons)",
    note="There is no method here to compare with others: this is the world of their experiments. The step is chosen "
    "on 3 other runs.",
)
def headline(seed: int) -> Measurement:
    """Lead of stopping early in gold."""
    places: dict[str, dict[str, Any]] = {
        "bowl, 300 comparisons": {}, "bowl, 4000 comparisons": {"comparisons": 4000},
        "mlp, 300 comparisons": {"gold": "mlp"},
    }  # fmt: skip
    found = {where: _stopped(seed, **place) for where, place in places.items()}
    return ahead(found, "stopped where gold was best", "to the end")


@claim(
    "preference-substrate.1",
    sentence="Best of n is log n − (n − 1)/n away from the base policy, whatever the reward.",
    criterion="sum over 100 000 equally likely responses within 1e-4 for n = 2, 4, 16, 64, 256",
    note="The value is the largest difference. Twin: 1000 responses, where the formula is only a bound.",
    without=lambda seed: _best_of_n(1000),
)
def best_of_n(seed: int) -> Measurement:
    """Largest difference between the sum over ranks and the formula."""
    return _best_of_n(100_000)


def _best_of_n(outcomes: int) -> Measurement:
    from simulators.learned_reward.best_of_n import kl, kl_of_ranks

    rows: Rows = []
    for n in (2, 4, 16, 64, 256):
        found, formula = kl_of_ranks(n, outcomes), float(kl(n))
        rows.append({"n": n, "sum over ranks": found, "formula": formula, "difference": found - formula})
    return exact(rows, 1e-4)


@claim(
    "preference-substrate.2",
    sentence="A reward model ranks better with more comparisons and worse with flipped labels: from 250 to 2000 its "
    "accuracy rises by 0.07, and two flipped labels of five cost 0.1 or more.",
    criterion="rise above 0, 95% interval over 6 models; loss by flips at least 0.06 on average at either number",
    note="Gold: mlp. Twin: 250 comparisons either way, a rise of exactly 0. Seeds 0 to 4: 0.05 to 0.07.",
    without=lambda seed: _accuracy(seed, _FEW),
)
def accuracy(seed: int) -> Measurement:
    """Rise of the accuracy with the number of comparisons."""
    return _accuracy(seed, _MANY)


def _accuracy(seed: int, many: int) -> Measurement:
    found = {(n, flips): _seen("accuracy", n, flips, seed) for n in (_FEW, many) for flips in (0.0, 0.4)}
    rows: Rows = [{"comparisons": n, "flips": flips, "accuracy": float(a.mean())} for (n, flips), a in found.items()]
    lost = min(float((found[n, 0.0] - found[n, 0.4]).mean()) for n in (_FEW, many))
    return above(found[many, 0.0] - found[_FEW, 0.0], rows=rows, also=lost >= 0.06)


@claim(
    "preference-substrate.3",
    sentence="Flips destroy calibration even where accuracy survives: one flipped label of five costs less than 0.06 "
    "in accuracy and multiplies the calibration error by 4 or more.",
    criterion="calibration error with flips less 3 times that without above 0, 95% interval over 6 models; ratio of "
    "the means at least 4, accuracy lost less than 0.06 (2000 comparisons)",
    note="The value is error with flips − 3 · error without. Twin: no label is flipped.",
    without=lambda seed: _calibration(seed, 0.0),
)
def calibration(seed: int) -> Measurement:
    """Calibration error with flips, beyond three times that without."""
    return _calibration(seed, 0.2)


def _calibration(seed: int, share: float) -> Measurement:
    rows: Rows = [
        {"flips": flips, "calibration error": float(_seen("calibration", _MANY, flips, seed).mean()),
         "accuracy": float(_seen("accuracy", _MANY, flips, seed).mean())} for flips in (0.0, share)
    ]  # fmt: skip
    clean, noisy = (_seen("calibration", _MANY, flips, seed) for flips in (0.0, share))
    survives = rows[0]["accuracy"] - rows[1]["accuracy"] < 0.06
    return above(noisy - 3 * clean, rows=rows, also=survives and noisy.mean() >= 4 * clean.mean())


@claim(
    "preference-substrate.4",
    sentence="Over-optimisation: on a reward learned from 300 comparisons the gold rises to 0.9, then falls below that "
    "of the untrained policy, while the proxy goes on rising.",
    criterion="final gold below 0 in each of 6 runs, 95% interval included; final proxy above 2 times that at the best "
    "gold (GRPO, 75 steps)",
    note="The value is the final gold. Twin: a gold that rises for ever (linear).",
    without=lambda seed: _overoptimised(seed, "linear"),
)
def overoptimised(seed: int) -> Measurement:
    """Gold at the end of training."""
    return _overoptimised(seed, "bowl")


def _overoptimised(seed: int, gold: str) -> Measurement:
    row, final = _ends(seed, gold=gold), _trained(seed, gold=gold)["gold"][:, -1]
    rising = row["proxy at the end"] > 2 * row["proxy there"]
    return below(final, rows=[row], also=bool((final < 0).all()) and rising)


@claim(
    "preference-substrate.5",
    sentence="More comparisons delay it: with 300, 1000 and 4000 the gold ends at about −11, −9 and 0.1, and the gap "
    "between proxy and gold shrinks more than fivefold.",
    criterion="mean final gold rises with the number; gap at 300 less 5 times the gap at 4000 above 0, 95% interval "
    "over 6 runs",
    note="The value is gap(300) − 5 · gap(4000). Twin: 300 comparisons each time.",
    without=lambda seed: _delayed(seed, (300, 300, 300)),
)
def delayed(seed: int) -> Measurement:
    """Gap at 300 comparisons beyond five times that at 4000."""
    return _delayed(seed, _SIZES)


def _delayed(seed: int, sizes: tuple[int, ...]) -> Measurement:
    found = [_trained(seed, "bowl", n) for n in sizes]
    gaps = [each["value"][:, -1] - each["gold"][:, -1] for each in found]
    ends = [float(each["gold"][:, -1].mean()) for each in found]
    rows: Rows = [{"comparisons": n, "gold at the end": end, "gap": float(gap.mean())}
                  for n, end, gap in zip(sizes, ends, gaps, strict=True)]  # fmt: skip
    return above(gaps[0] - 5 * gaps[2], rows=rows, also=ends == sorted(ends))


@claim(
    "preference-substrate.6",
    sentence="Best of n is misled less by a model of more comparisons: with 300 the gold stands still from n = 64 to "
    "512 while the proxy rises; with 4000 both rise.",
    criterion="rise of the gold from n = 64 to 512 with 4000 comparisons less that with 300 above 0, 95% interval "
    "over 10 models; with 300 it is below 0.15; gap at 512 falls with the number (bowl, 20 pools of 512)",
    note="The value is the difference of the two rises. Twin: 300 comparisons each time, a difference of exactly 0.",
    without=lambda seed: _picked(seed, (300, 300, 300)),
)
def picked(seed: int) -> Measurement:
    """How much more the gold of the best of 512 rises with 4000 comparisons than with 300."""
    return _picked(seed, _SIZES)


def _picked(seed: int, sizes: tuple[int, ...]) -> Measurement:
    rows, rises, gaps = [], [], []
    for n in sizes:
        found = _best_of(n, seed)  # [10, proxy and gold, two numbers]
        rises.append(found[:, 1, 1] - found[:, 1, 0])
        gaps.append(float((found[:, 0, 1] - found[:, 1, 1]).mean()))
        rows += [{"comparisons": n, "best of": number, "proxy": float(found[:, 0, i].mean()),
                  "gold": float(found[:, 1, i].mean())} for i, number in enumerate((64, 512))]  # fmt: skip
    holds = gaps == sorted(gaps, reverse=True) and float(rises[0].mean()) < 0.15
    return above(rises[2] - rises[0], rows=rows, also=holds)


@cached
def _best_of(comparisons: int, seed: int) -> Array:
    """Proxy and gold of the best of 64 and of 512 by the proxy of each run [10, 2, 2]."""
    from simulators.learned_reward import best_of_n as best

    world: Any = lab.world("learned-reward", comparisons=comparisons)
    pools = np.random.default_rng(10_000 + seed).standard_normal((20, 512, 16))
    gold, rows = world.meant(pools), []
    for model in world.models(runs(seed, 10)):
        proxy = model(pools[None])[0]
        rows.append([best.expected(proxy, worth, (64, 512)).mean(0) for worth in (proxy, gold)])
    return np.array(rows)


@claim(
    "preference-substrate.limit-no-peak",
    sentence="Where the gold saturates (mlp) or rises for ever (linear), training on the learned reward loses nothing: "
    "the gap grows, but gold that is lost has to be there to be lost.",
    criterion="final mean gold at least 0.97 times its highest for both; interval of the loss from the highest mean to "
    "the end below a tenth of it (6 runs)",
    note="The value is the larger of the two losses, as a share of the highest. Control: the bowl.",
    without=lambda seed: _no_peak(seed, ("bowl",)),
)
def no_peak(seed: int) -> Measurement:
    """Largest share of the highest gold that is lost until the end."""
    return _no_peak(seed, ("mlp", "linear"))


def _no_peak(seed: int, golds: tuple[str, ...]) -> Measurement:
    measured = []
    for gold in golds:
        found = _trained(seed, gold)["gold"]
        best = int(found.mean(0).argmax())
        lost = (found[:, best] - found[:, -1]) / found[:, best].mean()
        measured.append(below(lost, 0.1, also=lost.mean() <= 0.03))
    worst = max(measured, key=lambda m: m.value)
    rows = [_ends(seed, gold=gold) for gold in golds]
    return Measurement(worst.value, all(m.holds for m in measured), worst.interval, rows, 0.1)
