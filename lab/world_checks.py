"""A battery for worlds, as `lab.advantages.check` is one for rules: what a world promises, tried on small draws."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lab.errors import InputError
from lab.world_registry import made
from lab.world_trial import SEEDS, STEPS, NotTried, Trial, copied, direction, moved, numbers
from simulators.records import FIELDS, Policy, Rollouts, World, adopted, check_fields

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Check", "WorldReport", "check_world"]

Array = NDArray[Any]
_FEW = 4
_SURE = 6.0  # standard errors beyond which a mean is not what it should be


@dataclass(frozen=True)
class Check:
    """One thing that a world promises.

    Attributes:
        name: What was tried.
        promise: What would be right.
        found: What was found where it does not hold, or why it was not tried; empty where it holds.
        holds: Whether it holds; None: it was not tried.
    """

    name: str
    promise: str
    found: str = ""
    holds: bool | None = True


@dataclass(frozen=True)
class WorldReport:
    """What `check_world` found.

    Attributes:
        world: The world in words.
        checks: One for each promise.
    """

    world: str
    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        """Whether every promise that was tried holds."""
        return all(check.holds is not False for check in self.checks)

    @property
    def table(self) -> pl.DataFrame:
        """One row per promise: name, holds (null: not tried), found, promise."""
        import polars as pl

        columns = {"name": pl.String, "holds": pl.Boolean, "found": pl.String, "promise": pl.String}
        return pl.DataFrame([{name: getattr(check, name) for name in columns} for check in self.checks], columns)

    def __repr__(self) -> str:
        marks = {True: "holds", False: "FAILS", None: "-"}
        lines = [f"{marks[c.holds]:<6} {c.name:<16} {_told(c)}" for c in self.checks]
        return "\n".join([f"{self.world}: {'all holds' if self.holds else 'not all holds'}", *lines])


def _told(check: Check) -> str:
    return f"{check.found}; {check.promise}" if check.holds is False else check.found or check.promise


def check_world(world: World | str, *, seed: int = 0) -> WorldReport:
    """Try on small draws what every world promises: shapes, seeds, threads, log-probabilities, gradients, truths.

    Args:
        world: A world, or its name.
        seed: Of the directions and weights that are tried, and of the runs.

    Returns:
        A report, one row per promise: `report.holds`, `report.table`.

    Raises:
        InputError: It is no world. UnknownNameError: No world has that name.
    """
    try:
        trial = Trial(adopted(made(world)), seed)
    except TypeError as refusal:
        raise InputError(str(refusal)) from None
    return WorldReport(repr(trial.world), tuple(_tried(name, check, trial) for name, check in _CHECKS.items()))


def _tried(name: str, check: Callable[[Trial], str | None], trial: Trial) -> Check:
    promise = (check.__doc__ or "").strip().rstrip(".")
    try:
        found = check(trial)
    except NotTried as reason:
        return Check(name, promise, str(reason), None)
    except Exception as error:  # a world of one's own may fail in any way, and every check is worth its row
        return Check(name, promise, f"{type(error).__name__}: {error}", False)
    return Check(name, promise, found or "", not found)


def shapes(trial: Trial) -> str | None:
    """Rewards are [S, P, G, K], actions and log-probabilities [S, P, G, T], gradients like the parameters."""
    world, r = trial.world, trial.rollouts
    size, number = (len(SEEDS), world.prompts, trial.group_size), len(world.components)
    if r.rewards.ndim != 4 or r.rewards.shape[:3] != size or (number and r.rewards.shape[3] != number):
        return f"rewards have shape {r.rewards.shape}, not [S, P, G, K] = {(*size, number or 'K')}"
    if not np.isfinite(r.rewards).all():
        return "some rewards are not finite"
    check_fields(r)
    policy = trial.start
    found = {
        "log_prob": (np.shape(world.log_prob(policy, r)), r.actions.shape),
        "gradient": (np.shape(world.gradient(policy, r, trial.real * 1.0)), np.shape(policy.parameters)),
    } | {
        name: (np.shape(getattr(world, name)(*given)), size[:1])
        for name, given in (("entropy", (policy,)), ("kl", (policy, policy))) if world.can(name)
    }  # fmt: skip
    wrong = [f"{name} has shape {was}, not {right}" for name, (was, right) in found.items() if was != tuple(right)]
    return "; ".join(wrong) or None


def provided(trial: Trial) -> str | None:
    """Every field that the world provides is filled when it is asked for, and asking changes nothing else."""
    empty = [name for name in trial.world.provides if trial.rollouts.get(name) is None]
    if empty:
        return f"{', '.join(empty)} is not filled"
    strange = [name for name in trial.world.provides if name not in FIELDS]
    if strange:
        return f"{', '.join(strange)} is no field of rollouts"
    return _apart(trial.draw(trial.start), trial.rollouts, ("rewards", "actions", "logp"), "with fields than without")


def seeds(trial: Trial) -> str | None:
    """The same seeds give the same rollouts whoever stands beside them, other seeds others, and -1 is refused."""
    first, again = trial.draw(trial.policy()), trial.draw(trial.policy())
    if found := _apart(first, again, tuple(first.held()), "when drawn again"):
        return found
    alone = trial.draw(trial.policy(SEEDS[1:2]))
    for name, array in alone.held().items():
        here = first.get(name)
        if np.ndim(here) == len(FIELDS[name].axes) and not np.array_equal(here[1:2], array, equal_nan=True):
            return f"{name} of a seed is not the same alone and beside others"
    if all(np.array_equal(array[0], array[1], equal_nan=True) for array in (first.actions, first.rewards)):
        return f"seeds {SEEDS[0]} and {SEEDS[1]} give the same rollouts"
    try:
        trial.world.init([-1])
    except Exception:  # each world has its own words
        return None
    return "seed -1 is taken"


def threads(trial: Trial) -> str | None:
    """Rollouts do not depend on what other threads do at the same time."""
    alone = [trial.draw(trial.policy(), step) for step in range(_FEW)]
    with ThreadPoolExecutor(_FEW) as pool:
        beside = list(pool.map(lambda step: trial.draw(trial.policy(), step), range(_FEW)))
    pairs = (_apart(a, b, ("rewards", "actions", "logp"), "in threads") for a, b in zip(alone, beside, strict=True))
    return next(filter(None, pairs), None)


def resumed(trial: Trial) -> str | None:
    """A policy with the same parameters and seeds goes the same way, whatever was drawn before."""
    first, walked = trial.policy(), []
    for step in range(_FEW):
        kept = copied(first.parameters)
        walked.append((kept, trial.draw(first, step)))
        first.parameters[...] = moved(first, direction(first, np.random.default_rng(step)), 0.1).parameters
    for step, (parameters, before) in reversed(list(enumerate(walked))):
        again = trial.draw(replace(first, parameters=parameters), step)
        if found := _apart(before, again, ("rewards", "actions", "logp"), f"when step {step} is taken up again"):
            return found
    return None


def log_probabilities(trial: Trial) -> str | None:
    """`log_prob` of the policy that sampled is the `logp` of the rollouts, and no probability above 1."""
    logp, now = trial.rollouts.logp, trial.world.log_prob(trial.start, trial.rollouts)
    gap = float(np.abs(logp - now)[trial.real].max())
    if not gap <= trial.close:
        return f"log_prob and logp differ by {gap:.3g}"
    largest = float(now[trial.real].max())
    above = largest > trial.close and trial.exchangeable
    return f"a log-probability is {largest:.3g}" if above else None


def sums(trial: Trial) -> str | None:
    """The probabilities of all first actions add up to one."""
    total = trial.first_actions.sum(axis=0)
    worst = float(total.flat[np.abs(total - 1).argmax()])
    return f"they add up to {worst:.6g}" if abs(worst - 1) > 100 * trial.close else None


def sampled(trial: Trial) -> str | None:
    """Actions are sampled as often as their probabilities say."""
    if trial.world.offline:
        raise NotTried("its rollouts are data, the policy draws none")
    if trial.world.fresh or trial.world.scores:
        raise NotTried("each step has prompts of its own")
    chance = trial.first_actions
    drawn = [trial.draw(trial.start, step).actions[..., 0] for step in range(STEPS)]
    for action, p in enumerate(chance):
        expected, spread = STEPS * p.sum(), np.sqrt(STEPS * (p * (1 - p)).sum())
        seen = sum(int((a == action).sum()) for a in drawn)
        if abs(seen - expected) > _SURE * spread + 1:
            return f"action {action} was drawn {seen} times, not about {expected:.0f}"
    return None


def gradient(trial: Trial) -> str | None:
    """`gradient` is that of the weighted sum of `log_prob`, by finite differences along a random direction."""
    weights = trial.rng.normal(size=trial.rollouts.actions.shape) * trial.real

    def total(policy: Policy) -> Array:
        return np.asarray((weights * trial.world.log_prob(policy, trial.rollouts)).sum(axis=(1, 2, 3)))

    return _slope(trial, total, trial.world.gradient(trial.start, trial.rollouts, weights))


def value(trial: Trial) -> str | None:
    """The truth's value is the mean reward, and value plus advantage that of each rollout, over many draws."""
    drawn, truths = trial.batches
    if trial.world.offline:
        raise NotTried("its rollouts are data, the policy draws none")
    rewards = np.concatenate([r.rewards.sum(axis=-1) for r in drawn], axis=2)
    values = np.concatenate([np.broadcast_to(t.value[..., None], t.advantage.shape) for t in truths], axis=2)
    expected = np.concatenate([t.value[..., None] + t.advantage for t in truths], axis=2)
    for words, gap in (("mean reward", rewards - values), ("reward of a rollout", rewards - expected)):
        off, error = gap.mean(axis=2), gap.std(axis=2) / np.sqrt(gap.shape[2])
        if (far := np.abs(off) - _SURE * error - 1e-9).max() > 0:
            s, p = np.unravel_index(far.argmax(), far.shape)
            return f"in prompt {p} the {words} lies {off[s, p]:.3g} beside the truth (standard error {error[s, p]:.2g})"
    return None


def exact_gradient(trial: Trial) -> str | None:
    """The truth's gradient is that of the mean value, by finite differences along a random direction."""
    if not trial.world.exact:
        raise NotTried("the world claims no truth")

    def total(policy: Policy) -> Array:
        return np.asarray(trial.world.truth(policy, trial.rollouts, gradient=False).value.mean(axis=1))

    found = trial.world.truth(trial.start, trial.rollouts).gradient
    return "it is None" if found is None else _slope(trial, total, found)


def distances(trial: Trial) -> str | None:
    """KL of a policy to itself is 0, to another one at least 0, and so is the entropy."""
    if not trial.world.can("kl") or not trial.world.can("entropy"):
        raise NotTried("the world has no entropy or no KL")
    other = trial.policy()
    trial.draw(trial.start)
    same, apart = trial.world.kl(trial.start, trial.start), trial.world.kl(trial.start, other)
    found = {"KL to itself": np.abs(same).max(), "entropy": trial.world.entropy(trial.start).min()}
    if found["KL to itself"] > 100 * trial.close:
        return f"KL to itself is {found['KL to itself']:.3g}"
    least = min(float(np.min(apart)), float(found["entropy"]))
    return f"the least is {least:.3g}" if not least >= -100 * trial.close else None


_CHECKS: dict[str, Callable[[Trial], str | None]] = {
    "shapes": shapes, "fields": provided, "seeds": seeds, "threads": threads, "resume": resumed,
    "log-probability": log_probabilities, "sum to one": sums, "sampling": sampled, "gradient": gradient,
    "true value": value, "true gradient": exact_gradient, "entropy and KL": distances,
}  # fmt: skip


def _apart(first: Rollouts, second: Rollouts, names: tuple[str, ...], when: str) -> str | None:
    for name in names:
        if not np.array_equal(
            first.get(name), second.get(name), equal_nan=np.asarray(first.get(name)).dtype.kind == "f"
        ):
            return f"{name} is another one {when}"
    return None


def _slope(trial: Trial, total: Callable[[Policy], Array], found: Any) -> str | None:
    """What a gradient is, and what differences say, where they are apart in some run."""
    way, size = direction(trial.start, trial.rng), 1e-5 if trial.double else 1e-2
    up, down = total(moved(trial.start, way, size)), total(moved(trial.start, way, -size))
    slope = (up - down) / (2 * size)
    axes = tuple(range(1, np.ndim(found)))
    given = (numbers(found) * way).sum(axis=axes)
    scale = np.abs(numbers(found) * way).sum(axis=axes) + np.abs(slope) + 1e-6
    worst = int((np.abs(slope - given) / scale).argmax())
    if np.abs(slope - given)[worst] > (1e-4 if trial.double else 5e-2) * scale[worst]:
        return f"along a random direction it rises by {given[worst]:.6g}, differences say {slope[worst]:.6g}"
    return None
