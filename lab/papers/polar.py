"""POLAR: a reward model that is trained to tell policies apart, and rewards to be like a reference."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

import lab
from lab.papers.measure import Array, Rows, above, below, exact, fair, interval, promised, runs
from lab.papers.record import Measurement, Paper, Table, add_paper, claim
from lab.stand_ins import cached

if TYPE_CHECKING:
    from lab.reward_models import Score
    from lab.studies.fair import Comparison
    from simulators.bigrams.tables import Policies
    from simulators.records import World

add_paper(
    Paper(
        slug="polar",
        title="Pre-Trained Policy Discriminators are General Reward Models",
        short="POLAR",
        date="July 2025",
        arxiv={"POLAR": "2507.05197"},
        code="https://github.com/InternLM/POLAR",
        problem=(
            "Reward models trained on preferences learn what their annotators wanted and generalise badly. POLAR is "
            "trained without preferences to tell whether two trajectories come from one policy, refined by a few "
            "rankings, and rewards a rollout for being like a reference."
        ),
        equations=(
            ("motivation", "r = β log(π*/π₀) + const  ⇒  E_π*[r] = β KL(π* ‖ π₀) + const"),
            ("pre-training", "−log σ(r(A₁, A₂) − r(A₁, B₁)),  A₁, A₂ ~ A and B₁ ~ B ≠ A of a pool of policies"),
            ("fine-tuning", "−log σ(r(A, B) − r(A, C)),  A > B > C ranked trajectories of one policy"),
            ("use", "reward of a rollout = r(reference, rollout)"),
        ),
        kept="The reward of two trajectories, pre-training on fresh samples of a pool, fine-tuning on ranked "
        "trajectories, training a policy towards one of which only samples are seen; policies are tables of bigrams.",
        left_out="Language: prompts, thinking text, transformers and the laws of their scaling (0.9 N^−0.0425 in "
        "parameters, 2.4 C^−0.0342 in compute). PPO with a critic; here GRPO, with a KL term that POLAR does without.",
        published=(
            Table(
                "Preference accuracy in %, POLAR-7B beside the best baseline",
                ("task", "best baseline", "POLAR-7B"),
                (("STEM", 54.8, 81.0), ("creative writing", 57.9, 85.5)),
                "arXiv 2507.05197, table 1",
            ),
            Table(
                "Average of 20 benchmarks after reinforcement fine-tuning",
                ("policy", "before", "WorldPM-72B", "POLAR-1.8B", "POLAR-7B"),
                (("Llama-3.1-8B", 47.36, 49.64, 52.71, 56.33), ("Qwen2.5-32B", 64.49, 67.15, None, 70.47)),
                "arXiv 2507.05197, table 2",
            ),
            Table(
                "The same of InternLM3-8B, without parts of the method",
                ("reward", "average"),
                (("POLAR-7B", 63.18), ("without pre-training", 60.76), ("without pre-training and reference", 59.73),
                 ("supervised on the same references", 56.44), ("before", 56.49)),
                "arXiv 2507.05197, table 3",
            ),
        ),
        unknown="Which policies the pool of the released models has, beyond the appendix's summary.",
    )
)  # fmt: skip

_RUNS, _PAIRS, _MIXED, _EACH = 4, 3000, 16, 50


@cache
def _pool(own: tuple[int, ...], number: int, draw: int = 0) -> Policies:
    from simulators.bigrams.tables import pool

    return pool(number, seeds=own, draw=draw)


@cached
def _fit(own: tuple[int, ...], number: int = 200) -> Score:
    """POLAR trained on pools of so many policies, one for each run."""
    return lab.reward_models.fit("polar", _pool(own, number), own)


def _own(seed: int) -> tuple[int, ...]:
    return tuple(runs(seed, _RUNS))


@cache
def _triples(own: tuple[int, ...], number: int, draw: int) -> tuple[Array, Array, Array]:
    """Features of A₁, A₂ and B₁ [runs, N, 3, D] of unseen policies (draw 1) or the pool's (0), and which they are."""
    policies, rng = _pool(own, 200, draw), [np.random.default_rng([64, s, draw, number]) for s in own]
    first = np.stack([r.integers(len(policies), size=number) for r in rng])
    other = (first + np.stack([r.integers(1, len(policies), size=number) for r in rng])) % len(policies)
    return np.stack([policies.draw(who, rng) for who in (first, first, other)], axis=2), first, other


def _right(model: Any, ranked: Array) -> Array:
    """Whether r(first, second) > r(first, third) of trajectories [runs, N, 3, D] -> [runs, N]."""
    rewards = model(ranked[:, :, 1:], {"reference_response": ranked[:, :, 0]})
    return np.asarray(rewards[..., 0] > rewards[..., 1])


_KL = {"kl": "k3", "kl_beta": 0.05}
_LRS = {"POLAR": (4.0, 8.0), "token match": (4.0, 8.0), "untrained": (0.25, 0.5)}


@cached
def _world(seed: int, rewarded: str) -> World:
    from simulators.bigrams.world import Bigrams

    if rewarded == "untrained":
        return Bigrams(4, reward_model=_untrained, seed=seed)
    return lab.world("bigrams", prompts=4, reward_model=rewarded.lower().replace(" ", "-"), seed=seed)


def _untrained(policies: Policies, seeds: Any) -> Any:
    return lab.reward_models.fit("polar", policies, seeds, steps=0).model


@claim(
    "polar.headline",
    sentence="Trained towards a policy of which only samples are seen, GRPO on POLAR's reward ends nearer to it than "
    "GRPO on token matches, each at its own best learning rate; an untrained model leads away.",
    criterion="lead of GRPO on POLAR's reward over GRPO on token matches and on an untrained model's reward in gold, "
    "minus the distance from the target (total variation of pairs of neighbours), after 60 steps, P = 4, G = 8, KL "
    "coefficient 0.05, each at its own best learning rate; 95% interval over 32 runs above 0.01",
    note="Learning rates are chosen on 8 other runs. Starts and targets are random tables, other ones in each run; "
    "POLAR saw none of them. A lead below 0.01 counts as none. Sizes and runs were settled after a look at one seed "
    "with 12 runs, P = 8 and G = 16: 0.048 (0.003 to 0.093) there, which that border calls not shown.",
    published="RLHF with POLAR-7B ends above every baseline: 56.33 beside 49.64 for Llama-3.1-8B",
)
def headline(seed: int) -> Measurement:
    """Lead of POLAR in gold."""
    found: dict[str, Comparison] = {}
    for size in (8, 4):
        settings: dict[str, Any] = {"number": 32, "tuned": 8, "steps": 60, "metric": "gold", "group_size": size}
        each = [fair(_world(seed, name), [lab.variant("grpo", name, **_KL)], seed, lrs=lrs, **settings)
                for name, lrs in _LRS.items()]  # fmt: skip
        found[f"G = {size}"] = each[0].beside(each[1]).beside(each[2])
    return promised(found, "POLAR", "token match", "untrained", least=0.01)


@claim(
    "polar.1",
    sentence="It tells policies apart that it has never seen, the better the less alike they are, and the more "
    "policies it was trained on.",
    criterion="P(r(A₁, A₂) > r(A₁, B₁)) for unseen policies above 0.7; that of the most distant quarter of pairs above "
    "that of the nearest by 0.03; that after a pool of 200 policies above that after one of 5 by 0.03; 95% intervals "
    "included (4 runs)",
    note="Reported: 0.777; 0.827 and 0.714 for the quarters; 0.676, 0.722, 0.748, 0.744 after 5, 20, 80, 320 policies. "
    "Control: no step of training.",
    without={"reward_model:polar": {"steps": 0}},
)
def discriminates(seed: int) -> Measurement:
    """Share of pairs told apart rightly."""
    own = _own(seed)
    ranked, first, other = _triples(own, _PAIRS, 1)
    found = {number: _right(_fit(own, number), ranked) for number in (5, 200)}
    right, apart = found[200], _distances(_pool(own, 200, 1), first, other)
    order = np.argsort(apart, axis=1)
    quarters = order[:, : _PAIRS // 4], order[:, -_PAIRS // 4 :]
    near, far = (np.take_along_axis(right, part, 1).mean(1) for part in quarters)
    rows: Rows = [{"of": f"a pool of {n}", "told apart": float(each.mean())} for n, each in found.items()]
    rows += [{"of": "the nearest quarter", "told apart": float(near.mean())},
             {"of": "the most distant quarter", "told apart": float(far.mean())}]  # fmt: skip
    more = interval(right.mean(1) - found[5].mean(1))[1][0] > 0.03
    return above(right.mean(1), 0.7, rows=rows, also=more and interval(far - near)[1][0] > 0.03)


def _distances(policies: Policies, first: Array, other: Array) -> Array:
    """Mean difference of the two tables' probabilities [runs, N]."""
    from simulators.bigrams.tables import softmax

    chances, which = softmax(policies.logits), np.arange(len(first))[:, None]
    return np.asarray(np.abs(chances[which, first] - chances[which, other]).mean((-1, -2)))


@claim(
    "polar.2",
    sentence="Its reward is a graded distance: on the way from the reference's policy to another one it falls step "
    "by step.",
    criterion="rank correlation of the mean reward with −λ along (1 − λ) π* + λ π', λ = 0, 0.1, …, 1, unseen policies, "
    "above 0.9, 95% interval over 4 runs",
    note="The correlation is that of the mean over 16 pairs of policies and 50 references each. Reported: 0.993, "
    "untrained −0.265; rewards −0.05, −0.38, −0.89 at λ = 0, ½, 1. Control: no step of training.",
    without={"reward_model:polar": {"steps": 0}},
)
def graded(seed: int) -> Measurement:
    """Rank correlation of the mean reward with −λ."""
    shares, own = np.linspace(0, 1, 11), _own(seed)
    references, candidates = _mixtures(own, shares)
    rewards = _fit(own)(candidates, {"reference_response": references}).mean(1)
    ranks = np.argsort(np.argsort(rewards, axis=1), axis=1)
    alike = np.array([np.corrcoef(each, -np.arange(len(shares)))[0, 1] for each in ranks])
    rows: Rows = [{"λ": float(s), "reward": float(r)} for s, r in zip(shares, rewards.mean(0), strict=True)]
    return above(alike, 0.9, rows=rows)


def _mixtures(own: tuple[int, ...], shares: Array) -> tuple[Array, Array]:
    """References of unseen policies π* [runs, M, D], and candidates of (1 − λ) π* + λ π' [runs, M, λ, D]."""
    from simulators.bigrams.tables import features, sample, softmax

    policies = _pool(own, 200, 1)
    chances = softmax(policies.logits[:, : 2 * _MIXED])
    ours, theirs = chances[:, :_MIXED, None], chances[:, _MIXED:, None]
    way = np.append(0.0, shares)[:, None, None]
    logits = np.log((1 - way) * ours + way * theirs)[:, :, None]
    rng = np.random.default_rng([65, *own])
    u = rng.random((len(own), _MIXED, _EACH, len(way), policies.length))
    seen = features(sample(logits, u), chances.shape[-1]).reshape(len(own), _MIXED * _EACH, len(way), -1)
    return seen[:, :, 0], seen[:, :, 1:]


@claim(
    "polar.3",
    sentence="Trained on it a policy moves towards the target: it ends nearer than it began, and nearer than with "
    "token matches and with an untrained model.",
    criterion="distance from the target after 100 steps of GRPO (learning rate 8, P = 4, G = 8, KL coefficient 0.05) "
    "less than at the start and less than that of both others by 0.02 each, 95% intervals over 32 runs",
    note="The value is the gain on the start. Reported: 0.460 to 0.419 with POLAR, 0.539 with token matches, 0.916 "
    "untrained. Token matches do less harm here than reported: cause not found. Control: no step of training.",
    without={"reward_model:polar": {"steps": 0}},
)
def imitates(seed: int) -> Measurement:
    """Distance gained on the start with POLAR."""
    found = {name: _distance(seed, name) for name in ("POLAR", "token match", "untrained")}
    rows: Rows = [{"reward": name, "step": step, "distance": float(each.mean())}
                  for name, steps in found.items() for step, each in steps.items()]  # fmt: skip
    ends = {name: steps[max(steps)] for name, steps in found.items()}
    beaten = all(interval(ends[name] - ends["POLAR"])[1][0] > 0.02 for name in ("token match", "untrained"))
    return above(found["POLAR"][0] - ends["POLAR"], 0.02, rows=rows, also=beaten)


@cached
def _distance(
    seed: int, rewarded: str, kl: float = 0.05, steps: int = 100, lr: float = 8.0, number: int = 32
) -> dict[int, Array]:
    """Distance from the target of each run, by step."""
    method = lab.variant("grpo", kl="k3", kl_beta=kl)
    settings: dict[str, Any] = {"lr": lr, "group_size": 8, "measure": ["gold"], "every": steps // 4}
    frame = lab.train(_world(seed, rewarded), method, seeds=runs(seed, number), steps=steps + 1, **settings).frame
    return {int(step): -part.sort("seed")["gold"].to_numpy() for (step,), part in frame.group_by("step")}


@claim(
    "polar.check-optimum",
    sentence="Why a reward can be a distance: β log(π*/π₀) leads to π* at the price β of KL, and its mean there is β "
    "KL(π* ‖ π₀).",
    criterion="the policy π₀ exp(r/β)/Z is π* and E_π*[r] is β times the world's exact KL, over all 81 trajectories of "
    "4 symbols out of 3, to 1e-9 (8 pairs of policies)",
    note="The value is the largest difference. Control: paid at twice the price.",
    without=lambda seed: _optimum(seed, 2.0),
)
def optimum(seed: int) -> Measurement:
    """Largest difference from π* and from its KL."""
    return _optimum(seed, 1.0)


def _optimum(seed: int, price: float) -> Measurement:
    from simulators.bigrams.world import Bigrams
    from simulators.records import Policy, Rollouts

    world, beta, rows = Bigrams(vocabulary=3, length=4), 0.7, []
    every = np.stack(np.meshgrid(*[np.arange(3)] * 4), -1).reshape(1, 1, -1, 4)
    said = Rollouts(np.zeros((1, 1, 81, 1)), every, np.zeros(every.shape))
    for own in runs(seed, 8):
        start = world.init([own])
        target = Policy(world.target(start), start.seeds)
        best, first = (world.log_prob(policy, said).sum(-1).ravel() for policy in (target, start))
        reward = beta * (best - first)
        tilted = first + reward / (beta * price)
        tilted = np.exp(tilted - tilted.max())
        off = [np.abs(tilted / tilted.sum() - np.exp(best)).max(),
               np.exp(best) @ reward - beta * price * world.kl(target, start)[0]]  # fmt: skip
        rows.append({"policies": own, "difference": float(np.abs(off).max())})
    return exact(rows, 1e-9)


@claim(
    "polar.limit-collapse",
    sentence="Without a KL term what was gained is lost again: the policy first nears the target, then collapses onto "
    "what the reward likes best.",
    criterion="distance from the target after 200 steps without KL above its least on the way by 0.01 on average, 95% "
    "interval over 48 runs above 0",
    note="GRPO, learning rate 16, P = 4, G = 8. Seeds 0 to 4: 0.03 to 0.07. The least is that "
    "of the mean over runs at every 50th step. Reported: 0.424 at step 50, 0.482 at step 200. Control: with a KL "
    "coefficient of 0.05.",
    without=lambda seed: _collapse(seed, 0.05),
)
def collapse(seed: int) -> Measurement:
    """Distance lost again without a KL term."""
    return _collapse(seed, 0.0)


def _collapse(seed: int, kl: float) -> Measurement:
    found = _distance(seed, "POLAR", kl, 200, lr=16.0, number=48)
    rows: Rows = [{"step": step, "distance": float(each.mean())} for step, each in sorted(found.items())]
    least = min(found.values(), key=np.mean)
    return above(found[max(found)] - least, mean=0.01, rows=rows)


@claim(
    "polar.limit-finetuning",
    sentence="What it learned of policies is no better start for an unrelated taste: fine-tuned on trajectories that "
    "are ranked by random weights, it ranks fresh ones no better, rather worse, than a network from nothing.",
    criterion="accuracy after fine-tuning less that of an untrained network after the same, 100 triples, below 0.03, "
    "95% interval over 4 runs",
    note="Reported, pre-trained and from nothing: 0.610 and 0.623 with 25 triples, 0.656 and 0.725 with 100, 0.869 and "
    "0.938 with 400. Control: triples A₁, A₂, B₁ of two policies, for which it is the better start by far.",
    without=lambda seed: _finetuned(seed, of_policies=True),
)
def finetuning(seed: int) -> Measurement:
    """Accuracy of the pre-trained start less that of none, 100 triples."""
    return _finetuned(seed, of_policies=False)


def _finetuned(seed: int, of_policies: bool) -> Measurement:
    from lab.reward_models.polar import finetuned

    own, rows, leads = _own(seed), [], {}
    starts = {"pre-trained": _fit(own).model, "from nothing": _untrained(_pool(own, 200), own)}
    judged = _ranked(own, 2000, 1, of_policies)
    for number in (25, 100, 400):
        triples = _ranked(own, number, 0, of_policies)
        found = {name: _right(finetuned(model, triples, own, steps=100, lr=4e-3), judged).mean(1)
                 for name, model in starts.items()}  # fmt: skip
        rows += [{"triples": number, "start": name, "accuracy": float(each.mean())} for name, each in found.items()]
        leads[number] = found["pre-trained"] - found["from nothing"]
    return below(leads[100], 0.03, rows=rows)


@cache
def _ranked(own: tuple[int, ...], number: int, draw: int, of_policies: bool) -> Array:
    """Features of three trajectories each, best first: two of one policy and one of another, or by random weights."""
    if of_policies:
        return _triples(own, number, draw)[0]
    policies, rng = _pool(own, 200, draw), [np.random.default_rng([66, s, draw, number]) for s in own]
    who = np.stack([r.integers(len(policies), size=number) for r in rng])
    drawn = np.stack([policies.draw(who, rng) for _ in range(3)], axis=2)
    weights = np.stack([np.random.default_rng([67, s]).standard_normal(36) for s in own])
    order = np.argsort(-np.einsum("sntd,sd->snt", drawn[..., 6:], weights), axis=-1)
    return np.take_along_axis(drawn, order[..., None], 2)
