"""THR: token hidden reward, exploration and exploitation steered by each token's influence."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

import lab
from lab.papers.measure import Array, above, interval, runs
from lab.papers.record import Measurement, Paper, Table, add_paper, claim

if TYPE_CHECKING:
    from simulators.hidden_lm.world import HiddenLM
    from simulators.records import Policy, Rollouts

add_paper(
    Paper(
        slug="thr",
        title="Token Hidden Reward: Steering Exploration-Exploitation in Group Relative Deep Reinforcement Learning",
        short="THR",
        date="October 2025 (ICLR 2026)",
        arxiv={"THR": "2510.03669"},
        code="",
        problem=(
            "A token's update moves the likelihood of the correct responses also through other tokens that share its "
            "hidden direction, so some tokens of wrong responses hurt the right ones. THR measures that influence per "
            "token; its sign tells exploitation from exploration, and reweighting by it steers training."
        ),
        equations=(
            ("prediction error", "e = onehot(y) − softmax(W h)"),
            ("influence", "s = e' M h,  M = Σ over correct responses (1/T) Σₖ eₖ hₖ'"),
            ("token hidden reward", "THR = s for a correct, −s for a wrong response"),
            ("threshold", "τ = β minᵢ mean s over the tokens of correct response i"),
            ("advantage", "A_thr = 1[|THR| > τ] (1 + p sign THR) A"),
            ("predecessor (NTHR)", "A of a wrong response's token with s > τ times η = 2|½ − share correct|"),
        ),
        kept="Both rules, exactly, on a language model with a hidden state of which only the unembedding is trained.",
        left_out="The language-model runs; cutting the vocabulary to the tokens of the group, which only saves memory.",
        published=(
            Table(
                "Greedy accuracy, mean of mathematics sets (%)",
                ("model", "GRPO", "THR, p = 0", "THR, p = 0.1"),
                (
                    ("Qwen2.5-Math-1.5B", 34.8, 34.8, 36.3),
                    ("Qwen2.5-Math-7B", 42.7, 43.3, 46.8),
                    ("Qwen2.5-0.5B-Ins", 10.0, 10.9, 11.8),
                ),
                "read in a note on the ICLR version",
            ),
            Table(
                "AIME and AMC, Qwen2.5-Math-1.5B (%)",
                ("metric", "GRPO", "THR, p = 0", "THR, p < 0"),
                (("pass@128", 67.3, 67.5, 69.7), ("pass@256", 72.5, 72.5, 76.7)),
                "read in a note on the ICLR version",
            ),
        ),
        unknown=(
            "The authors' code. That the factor 1/T stands inside the threshold, and that a response counts towards "
            "its own influence, is inferred from the predecessor."
        ),
    )
)

_WORLDS, _GROUP, _LENGTH = 60, 16, 6
_NO_END = np.append(-1000.0, np.zeros(8))


def _world(seed: int, prompts: int, words: int, **more: Any) -> HiddenLM:
    """Eight letters, six positions, no end: right where three letters agree with one of the secret words."""
    from simulators import HiddenLM
    from simulators.toy_lm.tasks import targets

    task = targets(prompts, 9, _LENGTH, seed, words=words, needed=3)
    return HiddenLM(task, width=16, logits=_NO_END, seed=seed, **more)


def _groups(seed: int) -> list[tuple[HiddenLM, Policy, Rollouts]]:
    """One group in each of 60 worlds, those left out whose responses are all right or all wrong."""
    found = []
    for place in runs(seed, _WORLDS):
        world = _world(place, 1, 2, shared=0.0, spread=0.5)
        policy = world.init([place])
        drawn = world.rollout(policy, _GROUP, 0, fields=("hidden", "prediction_error"))
        if np.ptp(drawn.rewards[..., 0]) > 0:
            found.append((world, policy, drawn))
    return found


def _given(drawn: Rollouts) -> dict[str, Any]:
    return {"hidden": drawn.hidden, "prediction_error": drawn.prediction_error, "mask": drawn.mask}


def _influence(drawn: Rollouts) -> Array:
    from lab.advantages.thr import hidden_influence

    return hidden_influence(drawn.rewards[..., 0] > 0, **_given(drawn))


def _step(world: HiddenLM, policy: Policy, drawn: Rollouts, weights: Array, lr: float) -> float:
    """Change of the correct responses' mean log-probabilities, added up, by one step of the unembedding."""
    from simulators.records import Policy

    moved = Policy(policy.parameters + lr * world.gradient(policy, drawn, weights), policy.seeds)
    gain = (world.log_prob(moved, drawn) - drawn.logp).mean(axis=-1)
    return float((gain * drawn.rewards[..., 0]).sum())


@claim(
    "thr.1",
    sentence="THR is exact to first order: Σ |w| THR predicts how a small step of the unembedding changes the "
    "likelihood of the correct responses.",
    criterion="relative error below 1e-4 in every mixed group (60 worlds, G = 16, lr 1e-4)",
    note="The value is the largest relative error. Seeds 0 to 4: 6e-7 to 1.3e-6.",
)
def first_order(seed: int) -> Measurement:
    """Largest relative error of the predicted change."""
    errors = []
    for world, policy, drawn in _groups(seed):
        a = lab.advantages.compute("grpo", drawn.rewards[..., :1])
        weights = lab.objectives.weights("gpg", drawn.logp, a)
        predicted = 1e-4 * float((weights * _influence(drawn)).sum())
        errors.append(abs(_step(world, policy, drawn, weights, 1e-4) / predicted - 1))
    rows = [{"groups": len(errors), "median": float(np.median(errors)), "largest": max(errors)}]
    return Measurement(max(errors), max(errors) < 1e-4, detail=rows)


@claim(
    "thr.2",
    sentence="p steers: the larger p, the more one step raises the correct responses.",
    criterion="the change increases strictly over p = −0.5, −0.1, 0, 0.1, 0.5 in every mixed group (no threshold, lr "
    "1e-4)",
    note="The value is the share of groups; the detail has the mean change in units of that at p = 0. Seeds 0 to 4: "
    "every group, 31 to 42 of them.",
)
def steering(seed: int) -> Measurement:
    """Share of mixed groups in which the change increases with p."""
    strengths, changes = (-0.5, -0.1, 0.0, 0.1, 0.5), []
    for world, policy, drawn in _groups(seed):
        row = []
        for p in strengths:
            a = lab.advantages.compute("thr", drawn.rewards[..., :1], p=p, beta=0.0, **_given(drawn))
            row.append(_step(world, policy, drawn, lab.objectives.weights("gpg", drawn.logp, a), 1e-4))
        changes.append(row)
    table = np.array(changes)
    value = float((np.diff(table, axis=1) > 0).all(axis=1).mean())
    mean = table.mean(axis=0) / table[:, 2].mean()
    rows = [{"p": p, "change": float(c), "groups": len(table)} for p, c in zip(strengths, mean, strict=True)]
    return Measurement(value, value == 1.0, detail=rows)


@claim(
    "thr.3",
    sentence="Influence is concentrated: a fifth of the tokens carries most of it.",
    criterion="the top 20% of a group's tokens carry more than 60% of Σ |A||THR|, on average and at the lower end of "
    "the 95% interval",
    note="The detail has the share of tokens above the threshold (β = 1), about a tenth as reported. Seeds 0 to 4: "
    "0.85 to 0.86.",
)
def concentration(seed: int) -> Measurement:
    """Share of Σ |A||THR| in the top 20% of a group's tokens."""
    from lab.advantages.thr import threshold

    shares, above = [], []
    for _, _, drawn in _groups(seed):
        r, s = drawn.rewards[..., 0], _influence(drawn)
        sizes = np.sort(np.abs(lab.advantages.compute("grpo", drawn.rewards[..., :1])[..., None] * s).ravel())[::-1]
        shares.append(sizes[: round(0.2 * sizes.size)].sum() / sizes.sum())
        above.append((np.abs(s) > threshold(s, r > 0, drawn.mask)[..., None]).mean())
    value, bounds = interval(np.array(shares))
    rows = [{"groups": len(shares), "share of top 20%": value, "tokens above threshold": float(np.mean(above))}]
    return Measurement(value, bounds[0] > 0.6, bounds, rows)


_PLACES, _RUNS = 6, 4


def _trained(seed: int, variants: dict[str, Any], steps: int = 120) -> dict[str, dict[str, Array]]:
    """Entropy per token, accuracy, pass@16 and distinct right responses among 512 a prompt, per run, after training.

    Six worlds of four prompts and three secret words each, four runs in each.
    """
    from simulators.records import Policy

    found: dict[str, dict[str, list[Array]]] = {name: {} for name in variants}
    chosen = [lab.variant(given.pop("variant", "thr"), label=name, **given) for name, given in variants.items()]
    for place in runs(seed, _PLACES):
        world, seeds = _world(place, 4, 3), runs(place, _RUNS)
        trace = lab.train(world, chosen, steps=steps, seeds=seeds, group_size=_GROUP, lr=8.0, measure=None,
                          reward_weights=(1, 0, 0))  # fmt: skip
        for name, metrics in found.items():
            policy = Policy(trace.parameters(name), np.array(seeds, np.uint64))
            for metric, values in _looked(world, policy, steps).items():
                metrics.setdefault(metric, []).append(values)
    return {name: {m: np.concatenate(v) for m, v in metrics.items()} for name, metrics in found.items()}


def _looked(world: HiddenLM, policy: Policy, step: int) -> dict[str, Array]:
    drawn = world.rollout(policy, 512, step)
    right = world.truth(policy, drawn, gradient=False, weights=(1, 0, 0)).value
    words = (drawn.actions @ 9 ** np.arange(_LENGTH)) * (drawn.rewards[..., 0] > 0)
    distinct = [[np.unique(w[w > 0]).size for w in run] for run in words]
    return {
        "entropy": world.entropy(policy) / _LENGTH, "accuracy": right.mean(axis=1),
        "pass@16": (1 - (1 - right) ** 16).mean(axis=1), "distinct": np.mean(distinct, axis=1),
    }  # fmt: skip


def _rows(found: dict[str, dict[str, Array]]) -> list[dict[str, Any]]:
    return [{"variant": name} | {m: float(v.mean()) for m, v in metrics.items()} for name, metrics in found.items()]


@lru_cache(maxsize=1)
def _steered(seed: int) -> dict[str, dict[str, Array]]:
    """As `_trained` under three values of p; three claims look at the same runs."""
    return _trained(seed, {f"p = {p:g}": {"p": p, "beta": 0.0} for p in (-0.2, 0.0, 0.2)})


@claim(
    "thr.4",
    sentence="After training, p < 0 leaves more entropy and p > 0 more accuracy: exploration and exploitation.",
    criterion="entropy at p = −0.2 above p = 0 above p = 0.2 and accuracy the other way, every 95% interval of the "
    "paired differences above 0 (6 worlds, 4 runs each, G = 16, 120 steps, no threshold)",
    note="The value is the entropy per token at p = −0.2 minus that at p = 0.2. Entropy and accuracy are exact. Seeds "
    "0 to 4: 0.48 to 0.58; accuracy 0.45, 0.63, 0.78 at seed 0.",
    published="greedy accuracy 43.3 (p = 0) and 46.8% (p = 0.1), Qwen2.5-Math-7B",
)
def explore_exploit(seed: int) -> Measurement:
    """Entropy per token at p = −0.2 minus that at p = 0.2, nats."""
    found = _steered(seed)
    low, none, high = found.values()
    gaps = [low["entropy"] - none["entropy"], none["entropy"] - high["entropy"],
            none["accuracy"] - low["accuracy"], high["accuracy"] - none["accuracy"]]  # fmt: skip
    value, bounds = interval(low["entropy"] - high["entropy"])
    return Measurement(value, all(interval(g)[1][0] > 0 for g in gaps), bounds, _rows(found))


@claim(
    "thr.check-distinct",
    sentence="p < 0 finds more different right answers: distinct ones among 512 responses fall from p = −0.2 to 0.2.",
    criterion="difference between p = −0.2 and p = 0.2 above 0, 95% interval included",
    note="Stands for pass@k, which saturates here. Seeds 0 to 4: 28 to 46.",
)
def distinct(seed: int) -> Measurement:
    """Distinct correct responses among 512 at p = −0.2 minus those at p = 0.2."""
    found = _steered(seed)
    return above(found["p = -0.2"]["distinct"] - found["p = 0.2"]["distinct"], 0, rows=_rows(found))


@claim(
    "thr.limit-dominant",
    sentence="The dominant tokens alone do not match GRPO here: with β = 1 far fewer tokens are updated, and accuracy "
    "stays behind at equal steps.",
    criterion="accuracy under GRPO minus THR with p = 0, β = 1 at least 0.2, 95% interval above 0",
    note="As published, selection alone costs nothing. Seeds 0 to 4: 0.35 to 0.45.",
    published="34.8 and 34.8% (Qwen2.5-Math-1.5B), 42.7 and 43.3% (7B)",
)
def dominant(seed: int) -> Measurement:
    """Accuracy under GRPO minus that of its dominant tokens alone."""
    found = _trained(seed, {"GRPO": {"variant": "grpo"}, "dominant tokens": {"p": 0.0, "beta": 1.0}})
    return above(found["GRPO"]["accuracy"] - found["dominant tokens"]["accuracy"], 0, mean=0.2, rows=_rows(found))


@claim(
    "thr.limit-pass-at-k",
    sentence="p < 0 does not raise pass@k here: pass@16 is near 1 whatever p is.",
    criterion="pass@16 at p = −0.2 minus p = 0.2 below 0.02, and at least 0.95 for every p",
    note="The value is the difference. Seeds 0 to 4: −0.013 to −0.005.",
    published="pass@128 67.3 (GRPO) and 69.7% (p < 0)",
)
def saturated(seed: int) -> Measurement:
    """Pass@16 at p = −0.2 minus that at p = 0.2."""
    found = _steered(seed)
    value, bounds = interval(found["p = -0.2"]["pass@16"] - found["p = 0.2"]["pass@16"])
    lowest = min(float(f["pass@16"].mean()) for f in found.values())
    return Measurement(value, value < 0.02 and lowest >= 0.95, bounds, _rows(found))
