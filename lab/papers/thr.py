"""THR: token hidden reward, exploration and exploitation steered by each token's influence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import lab
from lab.papers.measure import Array, Rows, above, below, fair, interval, promised, runs
from lab.papers.record import Measurement, Paper, Table, add_paper, claim
from lab.stand_ins import cached

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

_WORLDS, _GROUP = 60, 16

#: Every token counts alike, as in GRPO.
_GRPO = {"advantage:thr": "grpo"}


def _world(
    seed: int, prompts: int, words: int, letters: int = 8, length: int = 6, needed: int = 3, **more: Any
) -> HiddenLM:
    """Responses of fixed length: right where enough letters agree with one of the secret words."""
    from simulators import HiddenLM
    from simulators.toy_lm.tasks import targets

    task, no_end = targets(prompts, letters + 1, length, seed, words=words, needed=needed), np.zeros(letters + 1)
    no_end[0] = -1000.0
    return HiddenLM(task, width=16, logits=no_end, seed=seed, **more)


def _hard(seed: int) -> HiddenLM:
    """Eight prompts of which GRPO leaves some unsolved: three of four letters of one of two words, six letters."""
    return _world(seed, 8, 2, letters=6, length=4)


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


def _weights(drawn: Rollouts, rule: str, **options: Any) -> Array:
    """Weights [1, 1, G, T] under a rule."""
    if rule != "grpo":
        options |= {"hidden": drawn.hidden, "prediction_error": drawn.prediction_error}
    a = lab.advantages.compute(rule, drawn.rewards[..., :1], **options)
    return lab.objectives.weights("gpg", drawn.logp, a)


def _influence(drawn: Rollouts) -> Array:
    from lab.advantages.thr import hidden_influence

    assert drawn.hidden is not None and drawn.prediction_error is not None
    return hidden_influence(drawn.rewards[..., 0] > 0, drawn.hidden, drawn.prediction_error, drawn.mask)


def _step(world: HiddenLM, policy: Policy, drawn: Rollouts, weights: Array, lr: float = 1e-4) -> float:
    """Change of the correct responses' mean log-probabilities, added up, by one step of the unembedding."""
    from simulators.records import Policy

    moved = Policy(policy.parameters + lr * world.gradient(policy, drawn, weights), policy.seeds)
    gain = (world.log_prob(moved, drawn) - drawn.logp).mean(axis=-1)
    return float((gain * drawn.rewards[..., 0]).sum())


_PUBLISHED = "greedy accuracy 43.3 (p = 0) and 46.8% (p = 0.1), Qwen2.5-Math-7B"


@claim(
    "thr.headline",
    sentence="At its own best learning rate GRPO gets as far as THR with p > 0: where three of four letters are needed "
    "and some prompts stay unsolved, the steered advantage is not told apart in accuracy from the better of GRPO and "
    "the dominant tokens alone after 60 steps. At one small learning rate p > 0 is ahead, as a longer step is.",
    criterion="lead of THR (p = 0.2, no threshold) in exact accuracy over the better of GRPO and THR with p = 0 (β = "
    "1), G = 8, each at its own best learning rate (8 prompts, 48 runs)",
    note="Learning rates are chosen on 16 other runs. Better greedy accuracy of a language model that knows the task "
    "cannot be posed here: it would take prompts that are solved now and then from the start, and thousands of them. "
    "Seeds 0 to 3: −0.02 to 0.03.",
    published=_PUBLISHED,
)
def headline(seed: int) -> Measurement:
    """Lead of THR with p = 0.2 in accuracy over the better of GRPO and the dominant tokens."""
    ours = [lab.variant("thr", f"p = {p:g}", p=p, beta=0.0) for p in (0.2, -0.2)]
    all_of_them = [ours[0], "grpo", "thr@dominant", "thr", ours[1]]
    places: dict[str, dict[str, Any]] = {
        "G = 8": {"number": 48, "tuned": 16}, "G = 16": {"group_size": 16}, "G = 8, four steps per batch": {"epochs": 4}
    }  # fmt: skip
    found = {
        place: fair(_hard(seed), all_of_them[: 5 if place == "G = 8" else 3], seed,
                    **{**_HARD, "number": 16, "tuned": 8, "lrs": (16.0, 32.0, 64.0), **given})
        for place, given in places.items()
    }  # fmt: skip
    return promised(found, "p = 0.2", "grpo", "thr@dominant")


_HARD: dict[str, Any] = {"steps": 60, "group_size": 8, "reward_weights": (1, 0, 0)}


@claim(
    "thr.1",
    sentence="THR is exact to first order: Σ |w| THR predicts how a small step of the unembedding changes the "
    "likelihood of the correct responses, and with p = 1 the rule keeps exactly those tokens whose own step raises it.",
    criterion="relative error below 1e-4, and a step of the kept tokens alone raises the correct responses by as much "
    "as all tokens with THR > 0 are predicted to, to 1e-3, in every mixed group (60 worlds, G = 16, lr 1e-4)",
    note="The value is the largest relative error. Seeds 0 to 4: 6e-7 to 1.3e-6.",
    without=_GRPO,
)
def first_order(seed: int) -> Measurement:
    """Largest relative error of the predicted change."""
    errors, raised = [], []
    for world, policy, drawn in _groups(seed):
        weights, kept = _weights(drawn, "grpo"), _weights(drawn, "thr", p=1.0, beta=0.0)
        each = 1e-4 * weights * _influence(drawn)
        errors.append(abs(_step(world, policy, drawn, weights) / each.sum() - 1))
        raised.append(abs(_step(world, policy, drawn, kept) / (2 * each[each > 0].sum()) - 1))
    rows = [{"groups": len(errors), "median": float(np.median(errors)), "largest": max(errors), "kept": max(raised)}]
    return Measurement(max(errors), max(errors) < 1e-4 and max(raised) < 1e-3, detail=rows)


@claim(
    "thr.2",
    sentence="p steers: the larger p, the more one step raises the correct responses.",
    criterion="the change increases strictly over p = −0.5, −0.1, 0, 0.1, 0.5 in every mixed group (no threshold, lr "
    "1e-4)",
    note="The value is the share of groups; the detail has the mean change in units of that at p = 0. Seeds 0 to 4: "
    "every group, 31 to 42 of them.",
    without=_GRPO,
)
def steering(seed: int) -> Measurement:
    """Share of mixed groups in which the change increases with p."""
    strengths = (-0.5, -0.1, 0.0, 0.1, 0.5)
    table = np.array([
        [_step(world, policy, drawn, _weights(drawn, "thr", p=p, beta=0.0)) for p in strengths]
        for world, policy, drawn in _groups(seed)
    ])  # fmt: skip
    value = float((np.diff(table, axis=1) > 0).all(axis=1).mean())
    mean = table.mean(axis=0) / table[:, 2].mean()
    rows = [{"p": p, "change": float(c), "groups": len(table)} for p, c in zip(strengths, mean, strict=True)]
    return Measurement(value, value == 1.0, detail=rows)


@claim(
    "thr.3",
    sentence="Influence is concentrated: a fifth of the tokens carries most of it, and the tenth that THR keeps (β = "
    "1) more than half.",
    criterion="the top 20% of a group's tokens carry more than 60% of Σ |A||THR|, and the kept tokens, fewer than 20%, "
    "more than 40%, both on average and at the lower end of the 95% interval",
    note="The value is the share of the top 20%. Seeds 0 to 4: 0.85 to 0.86; those kept carry 0.57 to 0.61.",
    without=_GRPO,
)
def concentration(seed: int) -> Measurement:
    """Share of Σ |A||THR| in the top 20% of a group's tokens."""
    found = []
    for _, _, drawn in _groups(seed):
        sizes = np.abs(_weights(drawn, "grpo") * _influence(drawn)).ravel()
        kept = _weights(drawn, "thr", p=0.0, beta=1.0).ravel() != 0
        top = np.sort(sizes)[::-1][: round(0.2 * sizes.size)]
        found.append((top.sum() / sizes.sum(), sizes[kept].sum() / sizes.sum(), kept.mean()))
    top_share, kept_share, tokens = np.array(found).T
    (value, bounds), (carried, least), few = interval(top_share), interval(kept_share), float(tokens.mean())
    rows = [{"groups": len(found), "share of top 20%": value, "share of those kept": carried, "tokens kept": few}]
    return Measurement(value, bounds[0] > 0.6 and least[0] > 0.4 and few < 0.2, bounds, rows)


_PLACES, _RUNS = 6, 4


def _trained(worlds: list[HiddenLM], seeds: list[range], variants: list[Any], **settings: Any) -> dict[str, Any]:
    """Entropy per token, accuracy, pass@16 and distinct right responses among 512 a prompt, per run, by variant."""
    from simulators.records import Policy

    found: dict[str, list[dict[str, Array]]] = {}
    for world, chosen in zip(worlds, seeds, strict=True):
        trace = lab.train(world, variants, seeds=chosen, measure=None, reward_weights=(1, 0, 0), **settings)
        for v in trace.variants:
            policy = Policy(trace.parameters(v.name), np.array(chosen, np.uint64))
            found.setdefault(v.name, []).append(_looked(world, policy, settings["steps"]))
    return {name: {m: np.concatenate([one[m] for one in parts]) for m in parts[0]} for name, parts in found.items()}


def _looked(world: HiddenLM, policy: Policy, step: int) -> dict[str, Array]:
    drawn = world.rollout(policy, 512, step)
    right = world.truth(policy, drawn, gradient=False, weights=(1, 0, 0)).value
    words = (drawn.actions @ world.vocabulary ** np.arange(world.length)) * (drawn.rewards[..., 0] > 0)
    distinct = [[np.unique(w[w > 0]).size for w in run] for run in words]
    return {
        "entropy": world.entropy(policy) / world.length, "accuracy": right.mean(axis=1),
        "pass@16": (1 - (1 - right) ** 16).mean(axis=1), "distinct": np.mean(distinct, axis=1),
    }  # fmt: skip


def _rows(found: dict[str, dict[str, Array]]) -> Rows:
    return [{"variant": name} | {m: float(v.mean()) for m, v in metrics.items()} for name, metrics in found.items()]


def _in_six_worlds(seed: int, variants: list[Any], lr: float = 8.0, words: int = 3, needed: int = 3) -> dict[str, Any]:
    """Worlds of four prompts with three secret words each, nearly every prompt solvable; four runs in each."""
    places = runs(seed, _PLACES)
    worlds = [_world(place, 4, words, needed=needed) for place in places]
    seeds = [runs(place, _RUNS) for place in places]
    return _trained(worlds, seeds, variants, steps=120, group_size=_GROUP, lr=lr)


def _by_p() -> list[Any]:
    return [lab.variant("thr", f"p = {p:g}", p=p, beta=0.0) for p in (-0.2, 0.0, 0.2)]


@cached
def _steered(seed: int) -> dict[str, Any]:
    """The six worlds under three values of p; two claims look at the same runs."""
    return _in_six_worlds(seed, _by_p())


@cached
def _steered_hard(seed: int, lr: float) -> dict[str, Any]:
    return _trained([_hard(seed)], [runs(seed, 48)], _by_p(), steps=60, group_size=8, lr=lr)


@claim(
    "thr.4",
    sentence="After training at one learning rate, p < 0 leaves more entropy and p > 0 more accuracy: exploration and "
    "exploitation.",
    criterion="entropy at p = −0.2 above p = 0 above p = 0.2 and accuracy the other way, every 95% interval of the "
    "paired differences above 0 (6 worlds, 4 runs each, G = 16, 120 steps, no threshold)",
    note="The value is the entropy per token at p = −0.2 minus that at p = 0.2. Entropy and accuracy are exact. Seeds "
    "0 to 4: 0.48 to 0.58; accuracy 0.45, 0.63, 0.78 at seed 0. At four times the learning rate all reach 0.99.",
    published=_PUBLISHED,
    without=_GRPO,
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
    "thr.5",
    sentence="The predecessor NTHR raises the correct responses more than GRPO does in one step: it spares those "
    "tokens of wrong responses that hold the correct ones up.",
    criterion="change over GRPO's above 1 on average over the mixed groups, its 95% interval included (60 worlds, G = "
    "16, β = 1, lr 1e-4)",
    note="The value is the mean ratio. Seeds 0 to 3: 1.011 to 1.016.",
    without={"advantage:nthr": "grpo"},
)
def predecessor(seed: int) -> Measurement:
    """Change of the correct responses under NTHR over that under GRPO."""
    ratios = [_step(*group, _weights(group[2], "nthr")) / _step(*group, _weights(group[2], "grpo"))
              for group in _groups(seed)]  # fmt: skip
    rows = [{"groups": len(ratios), "least": min(ratios), "largest": max(ratios)}]
    return above(np.array(ratios), 1.0, rows=rows)


@claim(
    "thr.check-distinct",
    sentence="Where nearly every prompt is solved, p < 0 finds more different right answers: distinct ones among 512 "
    "responses fall from p = −0.2 to 0.2.",
    criterion="difference between p = −0.2 and p = 0.2 above 0, 95% interval included",
    note="pass@16 is above 0.95 for every p here. Seeds 0 to 4: 28 to 46. Control: two words of which four letters are "
    "needed, where it is the other way round.",
    without=lambda seed: _more_distinct(_in_six_worlds(seed, _by_p(), words=2, needed=4)),
)
def distinct(seed: int) -> Measurement:
    """Distinct correct responses among 512 at p = −0.2 minus those at p = 0.2."""
    return _more_distinct(_steered(seed))


def _more_distinct(found: dict[str, Any]) -> Measurement:
    return above(found["p = -0.2"]["distinct"] - found["p = 0.2"]["distinct"], rows=_rows(found))


@claim(
    "thr.limit-dominant",
    sentence="At a small learning rate the dominant tokens alone do not match GRPO: with β = 1 far fewer tokens are "
    "updated, and accuracy stays behind at equal steps. At four times the learning rate they do.",
    criterion="accuracy under GRPO minus THR with p = 0, β = 1 at least 0.2, 95% interval above 0, at learning rate 8",
    note="As published, selection costs nothing once the step is long enough (control: learning rate 32, both 0.99). "
    "Seeds 0 to 4: 0.35 to 0.45.",
    published="34.8 and 34.8% (Qwen2.5-Math-1.5B), 42.7 and 43.3% (7B)",
    without=lambda seed: _dominant(seed, 32.0),
)
def dominant(seed: int) -> Measurement:
    """Accuracy under GRPO minus that of its dominant tokens alone."""
    return _dominant(seed, 8.0)


def _dominant(seed: int, lr: float) -> Measurement:
    found = _in_six_worlds(seed, ["grpo", "thr@dominant"], lr)
    return above(found["grpo"]["accuracy"] - found["thr@dominant"]["accuracy"], mean=0.2, rows=_rows(found))


@claim(
    "thr.limit-pass-at-k",
    sentence="Where prompts are hard and steps short, p < 0 does not raise pass@16 but lowers it: it learns more "
    "slowly. Where steps are too long (control) it is no longer behind.",
    criterion="pass@16 at p = −0.2 minus p = 0.2 below 0, 95% interval included, at learning rate 8 (8 prompts, G = 8, "
    "60 steps, 48 runs); at 256 it is above 0",
    note="The value is the difference; pass@16 is about 0.6 to 0.8. Where nearly every prompt is solved it is 1 "
    "whatever p is. Seeds 0 to 2: −0.11 to −0.10; control, seeds 0 to 3: 0.02 to 0.10, and the interval "
    "excludes 0 in one of the four.",
    published="pass@128 67.3 (GRPO) and 69.7% (p < 0)",
    without=lambda seed: _pass_at_16(seed, 256.0),
)
def pass_at_16(seed: int) -> Measurement:
    """Pass@16 at p = −0.2 minus that at p = 0.2."""
    return _pass_at_16(seed, 8.0)


def _pass_at_16(seed: int, lr: float) -> Measurement:
    found = _steered_hard(seed, lr)
    return below(found["p = -0.2"]["pass@16"] - found["p = 0.2"]["pass@16"], rows=_rows(found))
