"""What several methods make of a pretrained flow: the paths of its samples, and their reward beside their variety."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.errors import check_whole
from lab.methods import Variant, variant
from lab.training.jobs import seeds_of
from lab.training.loop import Moment, Walk
from lab.training.settings import settings_of
from simulators.flow.mixture import energy_distance

if TYPE_CHECKING:
    import polars as pl

    from simulators import Flow

__all__ = ["denoising_study", "reward_landscape"]

_LOOKS, _SAMPLES, _COMPARED = 8, 256, 256


def denoising_study(
    world: Flow,
    wanted: str | Variant,
    *,
    steps: int = 40,
    seed: int = 0,
    prompt: int = 0,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
    **changes: Any,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """One run from the pretrained weights; the same seed gives every method the same noise.

    Args:
        world: The flow world.
        wanted: Name of the method, or a `Variant`.
        steps: Training steps.
        seed: Of the run.
        prompt: Whose paths are shown.
        progress: Called with the training steps that are done and the steps in all.
        stop: Asked before each step; when it says True the run ends there.
        **changes: Settings of the run by name, as in `lab.train`.

    Returns:
        The paths of the last step's rollouts: variant, rollout, position (denoising steps that are done), x, y,
        advantage (of the step that led there, null at the noise), reward (of the rollout). And the quality of 256
        samples per prompt of the deterministic sampler at 9 times of the run: variant, step, reward, modes (that a
        prompt's samples use: exp of the entropy of their shares), within (share near a mode), energy (distance to the
        data, averaged over prompts).

    Raises:
        InputError, UnknownNameError, MissingFieldError: As `lab.train`.
    """
    import polars as pl

    steps = check_whole("steps", steps, 0)
    chosen = variant(wanted) if isinstance(wanted, str) else wanted
    walk = Walk(world, chosen, seeds_of([seed]), settings_of(world, changes))
    looks = {round(steps * i / _LOOKS) for i in range(_LOOKS + 1)}
    rows = list[dict[str, Any]]()
    for step in range(steps + 1):
        last = step == steps or (stop is not None and stop())
        if step in looks or last:
            rows.append({"variant": chosen.name, "step": step, **_quality(world, walk)})
        moment = walk.look(gradient=not last)
        if last:
            break
        walk.advance(moment)
        if progress is not None:
            progress(step + 1, steps)
    return _paths(moment, prompt, chosen.name), pl.DataFrame(rows)


def reward_landscape(world: Flow, prompt: int = 0, *, half: float = 3.6, points: int = 49) -> pl.DataFrame:
    """The reward of a prompt on a square grid around 0: x, y, reward."""
    import polars as pl

    along = np.linspace(-half, half, points)
    x, y = (each.ravel() for each in np.meshgrid(along, along))
    grid = np.broadcast_to(np.stack((x, y), axis=-1), (world.prompts, x.size, 2))
    return pl.DataFrame({"x": x, "y": y, "reward": world.reward(grid)[prompt]})


def _quality(world: Flow, walk: Walk) -> dict[str, float]:
    """Reward and variety of the deterministic sampler's samples."""
    samples = world.samples(walk.policy, _SAMPLES)[0]
    mixture = world.mixture
    data = mixture.sample(_COMPARED, np.random.default_rng(0))
    return {
        "reward": float(world.reward(samples).mean()), "modes": float(mixture.spread(samples).mean()),
        "within": float(mixture.within(samples).mean()),
        "energy": float(np.mean([energy_distance(each, data) for each in samples])),
    }  # fmt: skip


def _paths(moment: Moment, prompt: int, name: str) -> pl.DataFrame:
    """The paths of a prompt's rollouts, a row for each place that they pass."""
    import polars as pl

    latent, reached = (moment.rollouts.extra[part][0, prompt] for part in ("latent", "reached"))
    places = np.concatenate((latent[:, :1], reached), axis=1)
    groups, count = places.shape[:2]
    advantage = np.asarray(moment.used)[0, prompt].reshape(groups, -1)
    after = np.broadcast_to(advantage, (groups, count - 1))
    led = np.concatenate((np.full((groups, 1), np.nan), after), axis=1)
    return pl.DataFrame({
        "variant": [name] * (groups * count), "rollout": np.repeat(np.arange(groups), count),
        "position": np.tile(np.arange(count), groups), "x": places[..., 0].ravel(), "y": places[..., 1].ravel(),
        "advantage": led.ravel(), "reward": np.repeat(moment.rewards[0, prompt].sum(-1), count),
    }).with_columns(pl.col("advantage").fill_nan(None))  # fmt: skip
