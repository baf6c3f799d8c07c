"""The lab's measurements of a training step, in the order of a trace's columns.

Each is declared beside the function that computes it; `lab.measures.metric.measurement` says what such a function can
read. Those that are level "basic" are measured by one kernel on the fast lane, see `simulators.stride`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lab import objectives
from lab.measures import advantage as a
from lab.measures import gradient as g
from lab.measures.metric import LEVELS, METRICS, Metric, columns, known, measurement, metric
from lab.registry import Rule
from simulators.records import Policy, Truth, World

if TYPE_CHECKING:
    import polars as pl

    from lab.training.moment import Moment

__all__ = [
    "HELD_OUT", "LEVELS", "METRICS", "REFERENCE", "Metric", "columns", "known", "measurement", "metric", "metrics",
]  # fmt: skip

Array = NDArray[Any]
Named = dict[str, Array]

#: What a sign can be wrong against. A rollout's own reward above the expected reward deserves a positive advantage; an
#: action that earns more than the policy on average deserves one, whatever it was paid this time.
AGAINST_DRAWN, AGAINST_EXPECTED = "against the drawn reward", "against the action's expected reward"


def metrics() -> pl.DataFrame:
    """All measurements as a table: name, label, unit, better, level, definition, needs."""
    import polars as pl

    told = ("name", "label", "unit", "better", "level", "definition")
    rows = [{key: getattr(m, key) for key in told} | {"needs": ", ".join(m.needs)} for m in METRICS.values()]
    return pl.DataFrame(rows)


# ------------------------------------------------------------------------------------------ basic


@measurement(label="mean reward", unit="reward", better="higher", level="basic")
def reward(basic: Named) -> Array:
    """Mean over the sampled rollouts, components added."""
    return basic["reward"]


@measurement(label="expected reward", unit="reward", better="higher", level="basic")
def value(truth: Truth, world: World) -> Array:
    """Exact expectation under the policy, mean over prompts."""
    return np.asarray(truth.value[:, : world.prompts].mean(axis=-1))


@measurement(
    label=f"wrong sign {AGAINST_EXPECTED}", unit="share of rollouts", better="lower", level="basic", needs="truth"
)
def sign_flip(basic: Named) -> Array:
    """Rollouts whose advantage has the other sign than their true advantage, among those where neither is zero."""
    return basic["sign_flip"]


@measurement(label="groups without signal", unit="share of groups", better="lower", level="basic")
def no_signal(basic: Named) -> Array:
    """Groups all of whose advantages are zero (below 1e-9), or that a filter dropped."""
    return basic["no_signal"]


@measurement(label="gradient norm", unit="reward per nat", level="basic", size=True)
def grad_norm(gradient: Any) -> Array:
    """Euclidean norm of the estimate, before clipping."""
    return g.norm(gradient)


@measurement(label="largest advantage", unit="advantage", level="basic", size=True)
def advantage_max(basic: Named) -> Array:
    """Largest magnitude in the batch."""
    return basic["advantage_max"]


@measurement(unit="nats", level="basic", needs="entropy", size=True)
def entropy(world: World, policy: Policy) -> Array:
    """Of the policy's responses, mean over prompts."""
    return world.entropy(policy)


# ------------------------------------------------------------------------------------------ full


@measurement(label="cosine to the exact gradient", better="higher", level="full")
def cosine(gradient: Array, exact_gradient: Array) -> Array:
    """Between the estimate and the exact gradient."""
    return g.cosine(gradient, exact_gradient)


@measurement(label="relative gradient error", better="lower", level="full", size=True)
def grad_error(gradient: Array, exact_gradient: Array) -> Array:
    """Distance from the nearest multiple of the exact gradient, over that multiple (tangent of the angle)."""
    return g.relative_error(gradient, exact_gradient)


@measurement(label="advantage spread", unit="advantage", level="full", size=True)
def advantage_std(used: Array) -> Array:
    """Deviation over the batch."""
    return a.advantage_spread(used)


@measurement(label="advantage levels per group", unit="levels", level="full", size=True)
def levels(advantage: Array) -> Array:
    """Distinct advantages in a group, mean over groups."""
    return np.asarray(a.distinct_levels(advantage).mean(axis=-1))


@measurement(unit="rollouts", better="higher", level="full", size=True)
def effective_rollouts(used: Array) -> Array:
    """(Σ|A|)² / ΣA² over the batch."""
    return a.effective_rollouts(used)


@measurement(label="KL to the start", unit="nats", level="full", needs="kl", size=True)
def kl_start(world: World, policy: Policy, start: Policy) -> Array:
    """KL(policy ‖ initial policy), mean over prompts."""
    return world.kl(policy, start)


@measurement(label="clipped tokens", unit="share of tokens", level="full", needs="clip test")
def clip_share(moment: Moment, logp_new: Array | None, objective: Rule, options: dict[str, Any]) -> Array:
    """Tokens that the clip acts on, last epoch; the mean over the gradients of a step that has several."""
    if logp_new is None:
        return np.zeros(len(moment.rewards))
    return np.asarray(np.mean([_clipped(m, logp_new, objective, options) for m in moment.parts or (moment,)], axis=0))


def _clipped(moment: Moment, logp_new: Array, objective: Rule, options: dict[str, Any]) -> Array:
    given = {k: v for k, v in options.items() if k in objective.options}
    here = {"mask": moment.mask, "clip_scale": moment.credit.clip_scale, "rewards": moment.rewards}
    read = [f for f in objective.fields if f != "logp_ref"]
    given |= {f: here[f] if f in here else moment.rollouts.get(f) for f in read}
    share = objectives.clip_share(objective.name, logp_new, moment.credit.advantage, **given)
    assert share is not None  # an objective that has no clip test has no such measurement
    return share


@measurement(label="gold reward", unit="reward", better="higher", level="full", needs="gold")
def gold(world: World, policy: Policy) -> Array:
    """Exact expected gold reward under the policy, in a world whose rollouts are scored by a proxy."""
    return world.gold(policy)


@measurement(label="rollouts used", unit="share of rollouts", level="full")
def kept(advantage: Array, keep: Array | None) -> Array:
    """Rollouts that take part in the update."""
    return np.ones(len(advantage)) if keep is None else keep.mean(axis=(-2, -1))


@measurement(
    "grad_norm_agent_{n}", label="gradient norm of agent {n}", unit="reward per nat", level="full", size=True,
    each="agents",
)  # fmt: skip
def grad_norm_agent(agent_norms: Array, n: int) -> Array:
    """Euclidean norm of the part of the estimate that moves agent {n}, before clipping, in worlds of agents."""
    return agent_norms[:, n]


@measurement(
    "reward_{n}", label="reward component {n}", unit="reward", better="higher", level="full", each="components"
)
def reward_component(moment: Moment, n: int) -> Array:
    """Mean over the sampled rollouts of component {n}, before any reward rule, in worlds that name several."""
    return np.asarray(moment.rollouts.rewards[..., n - 1].mean((1, 2)))


# ------------------------------------------------------------------------------------------ held-out problems


@measurement(label="greedy accuracy", unit="share of problems", better="higher")
def greedy(held_out: Named) -> Array:
    """Held-out problems, likeliest response."""
    return held_out["greedy"]


@measurement(label="pass@1", unit="share of problems", better="higher")
def pass_at_1(held_out: Named) -> Array:
    """Held-out problems right when sampled once."""
    return held_out["sampled"]


@measurement(label="pass@8", unit="share of problems", better="higher")
def pass_at_8(held_out: Named) -> Array:
    """Held-out problems right in any of 8 samples."""
    return held_out["pass"]


# ------------------------------------------------------------------------------------------ against a reference


@measurement(label="cosine to the reference gradient", better="higher")
def cosine_reference(against_reference: Named) -> Array:
    """Between the estimate and the gradient of the expected reward of the step's prompts from many more rollouts."""
    return against_reference["cosine_reference"]


@measurement(label="standard error of that cosine", size=True)
def cosine_reference_se(against_reference: Named) -> Array:
    """Jackknife over the batches of the reference's rollouts."""
    return against_reference["cosine_reference_se"]


@measurement(label="relative error to the reference gradient", better="lower", size=True)
def grad_error_reference(against_reference: Named) -> Array:
    """Distance from the nearest multiple of the reference gradient, over that multiple (tangent of the angle)."""
    return against_reference["grad_error_reference"]


@measurement(label="standard error of that relative error", size=True)
def grad_error_reference_se(against_reference: Named) -> Array:
    """Jackknife over the batches of the reference's rollouts."""
    return against_reference["grad_error_reference_se"]


@measurement(label="relative standard error of the reference", better="lower", size=True)
def reference_se(against_reference: Named) -> Array:
    """Standard error of the reference gradient over its norm, from the spread of its batches."""
    return against_reference["reference_se"]


#: Measured on held-out problems; and against the gradient from many rollouts.
HELD_OUT = tuple(name for name, m in METRICS.items() if "held_out" in m.reads)
REFERENCE = tuple(name for name, m in METRICS.items() if "against_reference" in m.reads)
