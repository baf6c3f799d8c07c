"""Z-Reward: a judge's distribution of marks, trained directly (GDSO), then taught to a judge that does not think."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import lab
from lab.papers.measure import Array, Rows, above, below, fair, interval, promised, runs
from lab.papers.places import elsewhere, final
from lab.papers.record import Measurement, Paper, Table, add_paper, claim
from lab.stand_ins import cached

if TYPE_CHECKING:
    from lab.methods import Variant

add_paper(
    Paper(
        slug="gdso",
        title="Z-Reward: Beyond Scalar Rewards by Internalizing Reasoning into Score Distributions",
        short="Z-Reward",
        date="June 2026",
        arxiv={"Z-Reward": "2606.09076"},
        code="",
        problem=(
            "What people think of an image is a distribution over the marks of a rubric. Reward models of one number "
            "squeeze it; judges that reason are slow. A judge that reasons learns the distribution (GDSO), and a small "
            "one that does not learns it from that (RISD)."
        ),
        equations=(
            ("expected mark", "μ = Σ_s s q(s | x, trace)"),
            ("pointwise reward", "1 − |μ − s|/4"),
            ("pairwise reward", "1 − mean_k |(μ − μ'_k) − (s − s')|/4 against the outputs of the other side"),
            ("GDSO", "L = L_GRPO(A) + α_pt CE(s, q) + α_pw mean |(μ − μ') − (s − s')|/4"),
            ("RISD", "L = KL(q_teacher(· | x, trace) ‖ q(· | x))"),
        ),
        kept=(
            "Both rewards, the direct losses on the distribution beside the policy gradient, distillation without the "
            "trace, and the paper's baselines: fine-tuning on the marks, GRPO on the parsed mark and on the expected "
            "one, and Bradley and Terry's loss in the place of the pairwise one."
        ),
        left_out="Images and text: a sample is eight numbers. On-policy distillation, and the score as a reward "
        "that an image model is trained through. A trace is one of four, and tells nothing that the sample does not.",
        published=(
            Table(
                "Agreement with annotators, Qwen3.5",
                ("model", "method", "PLCC", "SRCC", "HPA", "margin HPA"),
                (
                    ("27B", "SFT", 0.6458, 0.5914, 0.8135, 0.9644),
                    ("27B", "GRPO", 0.7200, 0.6832, 0.8604, 0.9827),
                    ("27B", "GDSO", 0.7620, 0.7132, 0.8956, 0.9885),
                    ("9B", "SFT", 0.5296, 0.4942, 0.7459, 0.8401),
                    ("9B", "GRPO", 0.5340, 0.5072, 0.7703, 0.9076),
                    ("9B", "GDSO", 0.6341, 0.5665, 0.8395, 0.9599),
                    ("9B", "RISD", 0.7391, 0.6882, 0.8864, 0.9801),
                ),
                "the paper, tables 2 and 3",
            ),
        ),
        unknown="The factors λ and α (here 1), the group size, the strength of the KL penalty.",
    )
)

_STEPS, _LR, _BATCH = 120, 1e-2, 16


def _rules(name: str) -> Variant:
    """GDSO, and what it is compared with."""
    from lab.methods import Variant

    return {
        "gdso": lab.variant("gdso"),
        "sft": lab.variant("gdso", "sft", policy=0.0, pairwise=0.0),
        "grpo": lab.variant("grpo"),
        "grpo on μ": Variant("grpo on μ", reward="gdso", advantage="grpo", objective="ppo_clip"),
        "gdso on parsed marks": Variant("gdso on parsed marks", advantage="grpo", objective="gdso"),
    }[name]


@cached
def _judged(name: str, seed: int) -> dict[str, Array]:
    """How four judges agree with gold after 120 steps; see `Rubric.agreement`."""
    world, seeds = lab.world("rubric", batch=_BATCH), runs(seed, 4)
    return world.agreement(_trained(world, _rules(name), seeds, _STEPS))  # type: ignore[attr-defined]


def _trained(world: Any, variant: Variant, seeds: Sequence[int], steps: int, size: int = 8) -> Any:
    """The policies after training."""
    trace = lab.train(world, variant, seeds=seeds, steps=steps, group_size=size, lr=_LR, measure=None)
    policy = world.init(seeds)
    policy.parameters[...] = trace.parameters(variant.name)
    return policy


def _rows(names: Sequence[str], seed: int) -> Rows:
    return [{"arm": n, **{k: float(v.mean()) for k, v in _judged(n, seed).items()}} for n in names]


@claim(
    "gdso.headline",
    sentence="GDSO's judge puts more pairs in the right order than GRPO on the parsed mark does. But plain fine-tuning "
    "on the annotated marks is level with it: traces that tell nothing new leave nothing for the policy gradient.",
    criterion="lead of at least 0.01 in the share of pairs in the right order over the better of GRPO and fine-tuning, "
    "each at its own best learning rate (512 annotated pairs, 120 steps of 16 pairs)",
    note="Learning rates are chosen on two other runs each, and judged on four; in other places each keeps its rate, "
    "on two. Judges mark 8192 samples apart, which are held against gold marks. Seeds 0 to 4: −0.006 to 0.007.",
    published="HPA 0.8956 against 0.8604 (GRPO) and 0.8135 (SFT)",
)
def headline(seed: int) -> Measurement:
    """Lead of GDSO over the better of GRPO and fine-tuning."""
    names = ("gdso", "grpo", "sft")
    given: dict[str, Any] = {"steps": _STEPS, "metric": "gold"}
    first = fair(lab.world("rubric", batch=_BATCH), [_rules(n) for n in names], seed, number=4, tuned=2,
                 lrs=(4e-3, 1.6e-2, 6.4e-2), **given)  # fmt: skip
    places = {"G = 4": (512, 4), "128 pairs": (128, 8)}
    found = {"512 pairs, G = 8": first} | {
        where: elsewhere(first, lambda name, lr, pairs=pairs, size=size: final(  # type: ignore[misc]
            lab.world("rubric", batch=_BATCH, pairs=pairs), _rules(name), lr, seeds=runs(seed, 2), group_size=size,
            **given,
        )) for where, (pairs, size) in places.items()
    }  # fmt: skip
    return promised(found, *names, least=0.01)


@claim(
    "gdso.1",
    sentence="The direct losses do the work: with the policy gradient alone, on the reward of the expected mark, the "
    "judge learns to order hardly any pair; and the error of GDSO's marks is smaller than GRPO's on parsed marks.",
    criterion="share of pairs in the right order more than 0.2 above GRPO's on μ, its 95% interval above 0, and mean "
    "error at most 0.85 of GRPO's on parsed marks (four runs)",
    note="The value is the first difference. Reported after 300 steps: 0.903 against 0.545, and errors of 0.270 and "
    "0.374. Seeds 0 to 4: 0.33 to 0.34.",
    without={"objective:gdso": {"pointwise": 0.0, "pairwise": 0.0}},
)
def direct(seed: int) -> Measurement:
    """Lead of GDSO over GRPO on the expected mark."""
    ours, theirs, parsed = (_judged(n, seed) for n in ("gdso", "grpo on μ", "grpo"))
    errors = float(ours["error"].mean()), 0.85 * float(parsed["error"].mean())
    rows = _rows(("gdso", "grpo on μ", "grpo"), seed)
    return above(ours["pairs"] - theirs["pairs"], mean=0.2, rows=rows, also=errors[0] <= errors[1])


@cached
def _student(name: str, seed: int) -> Array:
    """Share of pairs in the right order of four judges that do not think, taught on 32 pairs [4]."""
    from simulators import Rubric

    seeds, learned = runs(seed, 4), Rubric(2048, batch=_BATCH)
    teacher = _teacher(learned, seed)
    if name == "teacher":
        return learned.gold(teacher)
    world = Rubric(32, batch=_BATCH, traces=1, width=16, teacher=(learned, teacher))
    variant = {"risd": lab.variant("risd"), "argmax": lab.variant("risd", "argmax", hard=True), "sft": _rules("sft")}
    return world.gold(_trained(world, variant[name], seeds, _STEPS, size=2))


@cached
def _teacher(learned: Any, seed: int) -> Any:
    """Four judges that think, trained on 2048 pairs."""
    return _trained(learned, _rules("gdso"), runs(seed, 4), _STEPS)


@claim(
    "gdso.2",
    sentence="A teacher's whole distribution is worth more than labels: a judge that does not think, taught on 32 "
    "pairs, orders more pairs than one that is fine-tuned on their annotated marks or on the teacher's likeliest ones.",
    criterion="share of pairs in the right order at least 0.03 above fine-tuning's and above that of the teacher's "
    "likeliest marks, the 95% intervals of both above 0 (four runs, teachers trained on 2048 pairs)",
    note="The value is the lead over fine-tuning. Reported 0.893 against 0.816 and 0.848, after 600 steps; here 120. "
    "Seeds 0 to 4: 0.04 to 0.06.",
    published="HPA 0.8864 against SFT's 0.7459 (9B)",
    without=lambda seed: _taught(seed, "argmax"),
)
def soft(seed: int) -> Measurement:
    """Lead of RISD over fine-tuning."""
    return _taught(seed, "risd")


def _taught(seed: int, ours: str) -> Measurement:
    found = {name: _student(name, seed) for name in (ours, "sft", "argmax", "teacher")}
    rows: Rows = [{"arm": name, "pairs": float(share.mean())} for name, share in found.items()]
    _, (low, _) = interval(found[ours] - found["argmax"])
    return above(found[ours] - found["sft"], mean=0.03, rows=rows, also=low > 0)


@claim(
    "gdso.3",
    sentence="The pairwise loss comes to rest where leads are the annotated ones; Bradley and Terry's never does, and "
    "lets them grow.",
    criterion="mean distance of the leads from the annotated ones at most 0.05, after 600 steps of Adam on 200 pairs "
    "with distributions of their own",
    note="Annotated leads are 0.5 to 2. Reported 0.001, with Bradley and Terry 2.7. Seeds 0 to 4: 0.002.",
    without={"objective:gdso": {"pairs": "bradley-terry"}},
)
def margins(seed: int) -> Measurement:
    """Mean distance of leads from the annotated ones."""
    from lab.training.optimizers import Optimizer
    from simulators.rubric.marks import MARKS

    gap = np.random.default_rng(seed).choice([0.5, 1.0, 1.5, 2.0], 200)
    annotated = _sides(gap)
    logits, adam = np.zeros((1, 400, 1, len(MARKS))), Optimizer("adam", 0.05)
    for _ in range(600):
        log_q = _log_softmax(logits)
        w = _on_marks(log_q, annotated, policy=0.0, pointwise=0.0)
        adam.step(logits, w - w.sum(axis=-1, keepdims=True) * np.exp(log_q))
    mu = (np.exp(_log_softmax(logits)) @ MARKS).reshape(200, 2)
    lead = mu[:, 0] - mu[:, 1]
    rows: Rows = [{"annotated": float(g), "lead": float(lead[gap == g].mean())} for g in np.unique(gap)]
    value = float(np.abs(lead - gap).mean())
    return Measurement(value, value <= 0.05, detail=rows, border=0.05)


def _sides(gap: Array) -> Array:
    """Marks of both sides [2n] of pairs that lie so far apart [n], around the middle of the rubric."""
    low = 3 - np.floor(gap) / 2
    return np.stack((low + gap, low), axis=-1).ravel()


def _log_softmax(x: Array) -> Array:
    return np.asarray(x - np.logaddexp.reduce(x, axis=-1, keepdims=True))


def _on_marks(log_q: Array, annotated: Array, **options: Any) -> Array:
    """Weights of the registered objective on the log-probabilities of the marks [1, P, G, marks]."""
    nothing = np.zeros((*log_q.shape[:-1], 1))
    found = lab.objectives.weights("gdso", nothing, nothing[..., 0], logp=nothing, scores={"log_marks": log_q},
                                   annotated=annotated[None], **options)  # fmt: skip
    return np.asarray(found["log_marks"])


@claim(
    "gdso.check-silent",
    sentence="Where all outputs of a side have one reward the policy gradient is silent; the direct losses are not.",
    criterion="all annotated marks have a weight above 0 where all advantages are 0 (100 pairs, four outputs)",
    note="The value is the least weight on an annotated mark.",
    without={"objective:gdso": {"pointwise": 0.0, "pairwise": 0.0}},
)
def silent(seed: int) -> Measurement:
    """Least weight on the annotated mark where all advantages are 0."""
    from simulators.rubric.marks import MARKS

    rng = np.random.default_rng(seed)
    log_q, annotated = _log_softmax(rng.normal(size=(1, 200, 4, len(MARKS)))), rng.choice(MARKS, 200)
    w = _on_marks(log_q, annotated, pairwise=0.0)
    least = float(w[0, np.arange(200), :, np.searchsorted(MARKS, annotated)].min())
    return Measurement(least, least > 0, detail=[{"least weight": least}])


@claim(
    "gdso.limit-expected",
    sentence="For GRPO alone the reward of the expected mark is worse than that of the parsed one: it depends on the "
    "trace only, so the head that gives the mark gets no credit and stays as it was.",
    criterion="share of pairs in the right order with the expected mark minus that with the parsed one below −0.05, "
    "its 95% interval included (four runs)",
    note="In the paper the head is pretrained. Control: with GDSO's direct losses both rewards are level. "
    "Seeds 0 to 4: −0.34 to −0.32.",
    without=lambda seed: _credit(seed, "gdso", "gdso on parsed marks"),
)
def no_credit(seed: int) -> Measurement:
    """What the reward of the expected mark gains over the parsed one."""
    return _credit(seed, "grpo on μ", "grpo")


def _credit(seed: int, expected: str, parsed: str) -> Measurement:
    found = (_judged(name, seed)["pairs"] for name in (expected, parsed))
    return below(next(found) - next(found), -0.05, rows=_rows((expected, parsed), seed))


@claim(
    "gdso.limit-sft",
    sentence="Where a trace tells nothing new, GDSO is no better than fine-tuning on the annotated marks.",
    criterion="its lead in the share of pairs in the right order below 0.02, its 95% interval included (four runs)",
    note="Control: over GRPO on the expected mark the lead is far larger. Seeds 0 to 4: −0.001 to 0.002.",
    published="HPA 0.8956 against 0.8135 (27B), where traces are texts",
    without=lambda seed: _over(seed, "grpo on μ"),
)
def tuned(seed: int) -> Measurement:
    """Lead of GDSO over fine-tuning."""
    return _over(seed, "sft")


def _over(seed: int, other: str) -> Measurement:
    found = _judged("gdso", seed)["pairs"] - _judged(other, seed)["pairs"]
    return below(found, 0.02, rows=_rows(("gdso", other), seed))
