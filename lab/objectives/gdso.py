"""GDSO and RISD: a judge's distribution of marks is trained directly, beside the policy gradient of its traces."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from lab.composites import method
from lab.errors import InputError, UnknownNameError
from lab.objectives.formula import Formula, Terms, formula
from lab.objectives.tokens import Array
from lab.rewards.gdso import leads
from simulators.rubric.marks import MARKS

__all__ = ["PAIRS", "gdso", "risd"]

_WIDE = float(MARKS[-1] - MARKS[0])


def _gap(lead: Array, right: Array) -> tuple[Array, Array]:
    """|lead − right|/4: rests where the lead is the annotated one."""
    return np.abs(lead - right) / _WIDE, np.sign(lead - right) / _WIDE


def _bradley_terry(lead: Array, right: Array) -> tuple[Array, Array]:
    """−log σ(lead of the better side): never rests, so leads grow without bound."""
    better = np.sign(right)
    return np.where(better, np.logaddexp(0, -better * lead), 0.0), -better / (1 + np.exp(better * lead))


#: Losses of a lead and the annotated lead, with their slope in the lead, by name.
PAIRS: Mapping[str, Callable[[Array, Array], tuple[Array, Array]]] = {"gap": _gap, "bradley-terry": _bradley_terry}


def _right(annotated: Array, marks: Array) -> Array:
    """Annotated marks [...] as distributions over the rubric's [..., marks]; one between two of them is shared by both.

    Raises:
        InputError: One is beyond the rubric.
    """
    given, step = np.asarray(annotated, dtype=np.float64), marks[1] - marks[0]
    beyond = ~((given >= marks[0]) & (given <= marks[-1]))
    if beyond.any():
        raise InputError(f"annotated has {given[beyond][0]}; marks go from {marks[0]:g} to {marks[-1]:g}")
    return np.maximum(1 - np.abs(given[..., None] - marks) / step, 0.0)


@formula(
    "gdso",
    paper="gdso",
    equation="L = −(1/PG) Σ A ρ + α_pt CE(s, q) + α_pw mean |(μ − μ') − (s − s')|/4,  μ = Σ_s s q(s)",
    aggregation="seq-mean-token-sum",
    scores=("log_marks",),
    coupled=True,
)
def gdso(
    t: Terms, *, scores: Mapping[str, Array], annotated: Array, policy: float = 1.0, pointwise: float = 1.0,
    pairwise: float = 1.0, pairs: str = "gap",
) -> Formula:  # fmt: skip
    """GDSO: the policy gradient of trace and mark, and two losses on the distribution of the mark itself.

    The direct losses do not weigh log π of what was sampled: cross-entropy to the annotated mark, and the distance of
    the two sides' lead to the annotated lead. They train where all rewards of a side are equal, too.

    Args:
        t: Terms of the batch; slots 2i and 2i + 1 are the two sides of a pair.
        scores: "log_marks", log-probabilities of the marks after the trace [..., P, G, marks].
        annotated: Annotated marks [..., P].
        policy: Factor of the policy gradient; 0: supervised fine-tuning.
        pointwise: α_pt, of the cross-entropy.
        pairwise: α_pw, of the leads.
        pairs: Loss of a lead, see `PAIRS`.

    Returns:
        Weights on log π [..., P, G, T] and on the log-probability of each mark [..., P, G, marks].

    Raises:
        InputError: An annotated mark beyond the rubric, or an odd number of slots.
        UnknownNameError: No such loss of a lead.

    Source: arXiv 2606.09076, equations 7 to 10; the α are not printed.
    """
    log_q, batch = scores["log_marks"], t.new.shape[-3] * t.new.shape[-2]
    marks = np.linspace(MARKS[0], MARKS[-1], log_q.shape[-1])
    q, right = np.exp(log_q), _right(annotated, marks)[..., None, :]
    if pairs not in PAIRS:
        raise UnknownNameError("pairs of gdso", pairs, PAIRS)
    led, slope = PAIRS[pairs](leads(q @ marks), leads(np.asarray(annotated)[..., None]))

    def weights() -> dict[str, Array]:
        lead = 2 * slope.mean(axis=-1)[..., None]  # each counts for both of its sides
        on_marks = (pointwise * right - pairwise * lead * marks * q) / batch
        return {"logp": policy * t.c * t.a * t.ratio()[1], "log_marks": on_marks}

    def loss() -> Array:
        direct = (pairwise * led.mean(axis=-1) - pointwise * (right * log_q).sum(axis=-1)).mean(axis=(-2, -1))
        return np.asarray(policy * t.total(-t.a * t.ratio()[0]) + direct)

    return Formula(weights, loss)


@formula("risd", paper="gdso", equation="w = q_teacher(s)/(PG) on ∇log q(s), from min KL(q_teacher ‖ q)", reads=(),
         scores=("log_marks",))  # fmt: skip
def risd(t: Terms, *, scores: Mapping[str, Array], teacher_marks: Array, hard: bool = False) -> Formula:
    """RISD: a judge learns the teacher's whole distribution of marks; what the teacher thought is not asked for.

    Args:
        t: Terms of the batch; advantages do not count.
        scores: "log_marks", log-probabilities of the marks [..., P, G, marks].
        teacher_marks: The teacher's probabilities [..., P, G, marks].
        hard: Only its most probable mark counts, as a label.

    Returns:
        Weights on the log-probability of each mark [..., P, G, marks].

    Source: arXiv 2606.09076, equation 12.
    """
    top = np.arange(teacher_marks.shape[-1]) == teacher_marks.argmax(axis=-1)[..., None]
    aim = top.astype(np.float64) if hard else teacher_marks
    batch = aim.shape[-3] * aim.shape[-2]

    def loss() -> Array:
        known = aim * np.log(np.where(aim > 0, aim, 1.0))
        return np.asarray((known - aim * scores["log_marks"]).sum(axis=(-3, -2, -1)) / batch)

    return Formula(lambda: {"log_marks": aim / batch}, loss)


method("gdso", reward="gdso", advantage=("grpo", {"ddof": 0}), objective="gdso", paper="gdso",
       note="the distribution of marks is trained directly, beside the policy gradient")  # fmt: skip
method("risd", advantage="grpo", objective="risd", paper="gdso",
       note="a judge that does not think learns the distribution of marks of one that does")  # fmt: skip
