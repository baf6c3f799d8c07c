"""One moment of a run: computed again, beside what others make of it, or of rollouts that were recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import lab
from lab.errors import InputError, UnknownNameError, check_whole
from lab.measures.gradient import norm
from lab.measures.rollouts import recorded, rollout_table
from lab.methods import Variant, names, variant
from lab.store import Run
from lab.training.jobs import job_of, seeds_of
from lab.training.loop import Moment, Walk
from lab.training.settings import Settings, settings_of
from lab.training.train import train, variants_of
from simulators.records import Truth

if TYPE_CHECKING:
    import polars as pl

    from simulators.records import World

__all__ = ["Replay", "by_group_size", "prompt_norms", "replay", "review", "side_by_side", "truth_of"]

Array = NDArray[Any]


def truth_of(walk: Walk, moment: Moment, *, gradient: bool = True) -> Truth | None:
    """What the world knows about the moment, None where it can't know."""
    if not walk.world.exact:
        return None
    return walk.world.truth(walk.policy, moment.rollouts, gradient=gradient, weights=walk.reward_weights)


@dataclass(frozen=True, eq=False, repr=False)
class Replay:
    """One step of one run, with everything that made its gradient.

    Attributes:
        moment: Rollouts, rewards, advantages, weights and gradient of the step, with S = 1.
        truth: What the world knows about it, the exact gradient included; None where it can't know.
        prompt_norm: Norm of each prompt's share of the gradient [P]; the shares add up to the gradient.
        frame: One row per rollout: slot (place among the step's prompts), prompt, rollout, action, reward, advantage,
            true_advantage, keep.
    """

    moment: Moment
    truth: Truth | None
    prompt_norm: Array
    frame: pl.DataFrame

    def __repr__(self) -> str:
        return f"Replay of one run: {self.moment!r}; .frame has its {self.frame.height} rollouts"


def replay(
    world: World | Run,
    wanted: str | Variant | None = None,
    *,
    seed: int,
    step: int,
    settings: Settings | None = None,
    options: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Replay:
    """The state of one run at one step, computed again: random numbers are counters, so it is the same to the last bit.

    Args:
        world: The world; or a run on disk, whose world and settings are then taken.
        wanted: Name of the variant, or a `Variant`; of a run on disk the name that its trace has, the first by default.
        seed: Seed of the run.
        step: Index of the step.
        settings: As in `lab.train`; the replay is that of the run that these settings had made there.
        options: Options of the variant's rules.
        **changes: Settings by name, as in `lab.train`.

    Returns:
        What stood before the parameters moved at that step.

    Raises:
        InputError: A seed or step below 0, or what `lab.train` refuses.
        UnknownNameError: The run on disk has no such variant.
    """
    step = check_whole("step", step, 0)
    if isinstance(world, Run):
        world, wanted, settings = _on_disk(world, wanted, settings)
    chosen = variant(wanted or "grpo", **(options or {}))
    job = job_of(world, chosen, seeds_of([seed]), _silent(settings_of(world, changes, settings)), steps=step)
    walk = job.run(lambda: False).walk
    moment = walk.look()
    truth = truth_of(walk, moment)
    return Replay(moment, truth, prompt_norms(walk, moment), rollout_table(moment, truth, world))


def _on_disk(run: Run, wanted: Any, settings: Settings | None) -> tuple[World, Variant, Settings]:
    """World, variant and settings of a run on disk."""
    known = {v.label or v.name: v for v in run.config.variants}
    if wanted is not None and wanted not in known:
        raise UnknownNameError("variant of this run", str(wanted), known)
    chosen = known[wanted] if wanted else run.config.variants[0]
    place = lab.world(run.config.world.name, **run.config.world.options)
    return place, variant(chosen.name, chosen.label, **chosen.options), settings or run.config


def _silent(settings: Settings) -> Settings:
    """The same settings, with nothing measured on the way."""
    return replace(settings, measure=None, evaluate=0, reference_rollouts=0)


def by_group_size(
    world: World,
    variants: Sequence[str | Variant],
    group_sizes: Sequence[int],
    metric: str = "sign_flip",
    *,
    seeds: int | Sequence[int] = 64,
) -> pl.DataFrame:
    """A share that is measured on the first batch of a run, at the first policy, for several group sizes.

    Args:
        world: The world.
        variants: Names or variants.
        group_sizes: Rollouts per prompt G.
        metric: A measurement that is a share, "sign_flip" or "no_signal".
        seeds: Number of batches, or their seeds.

    Returns:
        Table variant, group_size, kind ("simulated"), rate, low, high: mean over batches with its 95% interval, null
        where it is undefined.
    """
    import polars as pl

    if len(group_sizes) == 0:
        raise InputError(f"group_sizes={group_sizes!r}; it must be a list of group sizes, such as [4, 8]")
    known: dict[str, Any] = {"steps": 1, "seeds": seeds, "lr": 0.0, "measure": (metric,)}
    tables = [(size, train(world, variants, group_size=size, **known).summary()) for size in group_sizes]
    table = pl.concat(t.with_columns(group_size=pl.lit(n, pl.Int64), kind=pl.lit("simulated")) for n, t in tables)
    bounds = [pl.col(name).clip(0.0, 1.0) for name in ("low", "high")]
    return table.select("variant", "group_size", "kind", pl.col("mean").alias("rate"), *bounds)


def side_by_side(
    world: World,
    variants: Sequence[str | Variant],
    *,
    seed: int,
    step: int = 0,
    settings: Settings | None = None,
    options: Mapping[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Moment]:
    """What several variants make of the same rollouts: those of the first one's policy after `step` steps.

    Args:
        world: The world.
        variants: Names, or `Variant`s; the first one trains.
        seed: Seed of the run.
        step: Steps that it trains before all look.
        settings: As in `lab.train`; a variant with extra rollouts sees those too.
        options: Options of the variants' rules.
        **changes: Settings by name, as in `lab.train`.

    Returns:
        The moment of each variant by name, with S = 1.

    Raises:
        InputError, UnknownNameError, MissingFieldError: As `lab.train`.
    """
    step = check_whole("step", step, 0)
    chosen, asked = variants_of(variants, options), _silent(settings_of(world, changes, settings))
    first = job_of(world, chosen[0], seeds_of([seed]), asked, steps=step).run(lambda: False).walk
    moments = {}
    for v in chosen:
        walk = Walk(world, v, seeds_of([seed]), asked)
        walk.follow(first)
        moments[v.name] = walk.look()
    return moments


def review(frame: pl.DataFrame, variants: Sequence[str] | None = None) -> tuple[dict[str, Moment], dict[str, str]]:
    """What variants make of recorded rollouts, without the model that gave them.

    Args:
        frame: One step of one run from `Run.rollouts`, of a world of language; the run's first steps' questions.
        variants: Names; all but the presets by default. Extra rollouts cannot be drawn any more, nor prompts again.

    Returns:
        The moment of each variant by name, with S = 1 and without a gradient; and why the others were left out.

    Raises:
        InputError: The frame is not one step of one run, or has no tokens.
    """
    world = recorded(frame)
    moments: dict[str, Moment] = {}
    skipped: dict[str, str] = {}
    for name in names(presets=False) if variants is None else variants:
        try:
            moments[name] = Walk(world, variant(name, refill=0), seeds_of([0]), Settings()).look()
        except Exception as reason:  # a user's own rule may fail in any way, the others are still worth seeing
            skipped[name] = str(reason) or type(reason).__name__
    return moments, skipped


def prompt_norms(walk: Walk, moment: Moment) -> Array:
    """Norm of what each prompt adds to the gradient of the first run [P], from one gradient per prompt."""
    return np.array([norm(share)[0] for share in walk.shares(moment)])
