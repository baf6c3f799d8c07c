"""The list of measurements of a training run: names, labels, units, which way is good, and their definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lab.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "HELD_OUT", "LEVELS", "METRICS", "MOST_AGENTS", "MOST_COMPONENTS", "OWN", "REFERENCE", "Metric", "columns",
    "measurement", "metrics",
]  # fmt: skip


@dataclass(frozen=True)
class Metric:
    """One measurement of a training step.

    Attributes:
        name: Column of a trace.
        label: Axis title.
        unit: Unit, "" for a pure number.
        better: "higher", "lower" or "" where neither is good in itself.
        level: "basic" or "full": from which level on it is measured; "asked": only where a setting or its name asks.
        definition: One sentence.
    """

    name: str
    label: str
    unit: str
    better: str
    level: str
    definition: str


#: Agents whose gradient norm is measured; further ones have none.
MOST_AGENTS = 4

#: Reward components whose mean is measured; further ones have none.
MOST_COMPONENTS = 4

#: What a sign can be wrong against. A rollout's own reward above the expected reward deserves a positive advantage; an
#: action that earns more than the policy on average deserves one, whatever it was paid this time.
AGAINST_DRAWN, AGAINST_EXPECTED = "against the drawn reward", "against the action's expected reward"

_ROWS = (
    ("reward", "mean reward", "reward", "higher", "basic", "mean over the sampled rollouts, components added"),
    ("value", "expected reward", "reward", "higher", "basic", "exact expectation under the policy, mean over prompts"),
    ("sign_flip", f"wrong sign {AGAINST_EXPECTED}", "share of rollouts", "lower", "basic",
     "rollouts whose advantage has the other sign than their true advantage, among those where neither is zero"),
    ("no_signal", "groups without signal", "share of groups", "lower", "basic",
     "groups all of whose advantages are zero (below 1e-9), or that a filter dropped"),
    ("grad_norm", "gradient norm", "reward per nat", "", "basic", "Euclidean norm of the estimate, before clipping"),
    ("advantage_max", "largest advantage", "advantage", "", "basic", "largest magnitude in the batch"),
    ("entropy", "entropy", "nats", "", "basic", "of the policy's responses, mean over prompts"),
    ("cosine", "cosine to the exact gradient", "", "higher", "full", "between the estimate and the exact gradient"),
    ("grad_error", "relative gradient error", "", "lower", "full",
     "distance from the nearest multiple of the exact gradient, over that multiple (tangent of the angle)"),
    ("advantage_std", "advantage spread", "advantage", "", "full", "deviation over the batch"),
    ("levels", "advantage levels per group", "levels", "", "full", "distinct advantages in a group, mean over groups"),
    ("effective_rollouts", "effective rollouts", "rollouts", "higher", "full", "(Σ|A|)² / ΣA² over the batch"),
    ("kl_start", "KL to the start", "nats", "", "full", "KL(policy ‖ initial policy), mean over prompts"),
    ("clip_share", "clipped tokens", "share of tokens", "", "full", "tokens that the clip acts on, last epoch"),
    ("gold", "gold reward", "reward", "higher", "full",
     "exact expected gold reward under the policy, in a world whose rollouts are scored by a proxy"),
    ("kept", "rollouts used", "share of rollouts", "", "full", "rollouts that take part in the update"),
    *((f"grad_norm_agent_{n}", f"gradient norm of agent {n}", "reward per nat", "", "full",
       f"Euclidean norm of the part of the estimate that moves agent {n}, before clipping, in worlds of agents")
      for n in range(MOST_AGENTS)),
    *((f"reward_{n}", f"reward component {n}", "reward", "higher", "full",
       f"mean over the sampled rollouts of component {n}, before any reward rule, in worlds that name several")
      for n in range(1, MOST_COMPONENTS + 1)),
    ("greedy", "greedy accuracy", "share of problems", "higher", "asked", "held-out problems, likeliest response"),
    ("pass_at_1", "pass@1", "share of problems", "higher", "asked", "held-out problems right when sampled once"),
    ("pass_at_8", "pass@8", "share of problems", "higher", "asked", "held-out problems right in any of 8 samples"),
    ("cosine_reference", "cosine to the reference gradient", "", "higher", "asked",
     "between the estimate and the gradient of the expected reward of the step's prompts from many more rollouts"),
    ("cosine_reference_se", "standard error of that cosine", "", "", "asked",
     "jackknife over the batches of the reference's rollouts"),
    ("grad_error_reference", "relative error to the reference gradient", "", "lower", "asked",
     "distance from the nearest multiple of the reference gradient, over that multiple (tangent of the angle)"),
    ("grad_error_reference_se", "standard error of that relative error", "", "", "asked",
     "jackknife over the batches of the reference's rollouts"),
    ("reference_se", "relative standard error of the reference", "", "lower", "asked",
     "standard error of the reference gradient over its norm, from the spread of its batches"),
)  # fmt: skip

METRICS: dict[str, Metric] = {row[0]: Metric(*row) for row in _ROWS}

LEVELS = ("basic", "full")

#: Measured on held-out problems; and against the gradient from many rollouts.
HELD_OUT = ("greedy", "pass_at_1", "pass_at_8")
REFERENCE = (
    "cosine_reference",
    "cosine_reference_se",
    "grad_error_reference",
    "grad_error_reference_se",
    "reference_se",
)


#: Functions of the measurements that `measurement` declared, by name.
OWN: dict[str, Callable[..., Any]] = {}


def measurement(
    name: str, *, label: str = "", unit: str = "", better: str = "", level: str = "asked"
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a measurement of one's own: `lab.train(..., measure=[name])` has it, and every list of measurements.

    The decorated function is called as `function(moment, policy, world)` at each measured step, before the parameters
    move, and returns one number for each run [S].

    Args:
        name: Column of a trace.
        label: Axis title; the name by default.
        unit: Unit, "" for a pure number.
        better: "higher", "lower" or "" where neither is good in itself.
        level: "basic" or "full": from which level on it is measured; "asked": only where it is named.

    Raises:
        InputError: The name is that of another measurement, or cannot be a column.
    """
    if not name.isidentifier() or name in (set(METRICS) - set(OWN)) | {"variant", "seed", "step"}:
        raise InputError(f"measurement {name!r}; it must be a name that is not taken: letters, digits and _")

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        about = (function.__doc__ or "").strip().split("\n")[0]
        METRICS[name], OWN[name] = Metric(name, label or name.replace("_", " "), unit, better, level, about), function
        return function

    return declare


def columns(measure: str | Sequence[str] | None) -> list[str]:
    """Names of what is measured at a level, or of the measurements named; none for None.

    Raises:
        UnknownNameError: The level is neither "basic" nor "full", or there is no such measurement.
    """
    if measure is None:
        return []
    if isinstance(measure, str):
        if measure not in LEVELS:
            raise UnknownNameError("measure", measure, LEVELS, "or give a list of names from lab.metrics()")
        return [m.name for m in METRICS.values() if m.level in ("basic", measure)]
    if not isinstance(measure, Iterable):
        raise InputError(f"measure={measure!r}; it must be 'basic', 'full', names from lab.metrics(), or None")
    for name in measure:
        if name not in METRICS:
            raise UnknownNameError("measurement", str(name), METRICS)
    return [name for name in METRICS if name in measure]


def metrics() -> pl.DataFrame:
    """All measurements as a table: name, label, unit, better, level, definition."""
    import polars as pl

    return pl.DataFrame([asdict(m) for m in METRICS.values()])


def metric(name: str) -> Metric:
    """The metric of that name.

    Raises:
        InputError: There is no such measurement.
    """
    if name not in METRICS:
        raise InputError(str(UnknownNameError("metric", name, METRICS)))
    return METRICS[name]
