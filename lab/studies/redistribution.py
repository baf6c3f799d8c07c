"""LaRe's redistribution: how well a reward of each step is learnt from returns, and what training on it leads to.

An *encoder* (`simulators.delayed.ENCODERS`) is what the decoder sees of a step: all of it ("raw"), or what somebody who
understood the task made of it ("factors", "factors and distractors", "one factor missing").

- `redistribution_study`: correlation of learnt and true step rewards over the number of training episodes; one row per
  encoder and number, with its interval over seeds. Milliseconds a fit.
- `redistributed_episode`: the rewards of one new episode, step by step: variant, step, reward.
- `redistribution_training`: a trace variant, seed, step, value (return in the reward that is trained on), gold (true
  return), optimum; fit for `lab.trace.summarise`, `lab.figures.curves` and `lab.measures.parting`.

>>> from lab.studies import redistribution_study
>>> redistribution_study(["raw", "factors"], [32], seeds=2)["correlation"].round(1).to_list()
[0.6, 1.0]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lab.errors import InputError, UnknownNameError, check_whole
from lab.measures.interval import mean_interval
from lab.methods import variant
from lab.sizes import sized
from lab.training.jobs import seeds_of
from lab.training.train import train
from simulators.delayed import world as delayed

if TYPE_CHECKING:
    import polars as pl

    from lab.reward_models.lare import Decoder

__all__ = [
    "BASELINES", "DECODERS", "decoder_of", "fitted", "one_fit", "redistributed_episode", "redistribution_study",
    "redistribution_training",
]  # fmt: skip

Array = NDArray[Any]

#: What needs no decoder: the return at the end, and the truth.
BASELINES = ("return only", "true step rewards")

#: From encoded steps and returns to a reward of each step.
DECODERS = {
    "ridge": "ridge regression on quadratic features",
    "rd": "a network, by the loss RD",
    "rrd": "a network, by RRD",
    "rrd-unbiased": "a network, by unbiased RRD",
    "vib": "a variational autoencoder's latent, then a network by RRD",
    "direct": "no decoder: the factors added up",
}

_HELD_OUT = 50


def fitted(decoder: str, inputs: Array, returns: Array, seed: int) -> Decoder:
    """A decoder by name, a member of `DECODERS`, fitted on encoded steps [N, T, F] and returns [N].

    Raises:
        UnknownNameError: No such decoder.
    """
    from lab.reward_models import lare, perceptrons

    if decoder not in DECODERS:
        raise UnknownNameError("decoder", decoder, DECODERS)
    if decoder in ("ridge", "direct"):
        return lare.ridge(inputs, returns) if decoder == "ridge" else lare.direct
    if decoder != "vib":
        return lare.network(inputs, returns, loss=decoder, seed=seed)
    encode = perceptrons.bottleneck(inputs, seed=seed)
    inner = lare.network(encode(inputs), returns, loss="rrd", seed=seed)
    return lambda given: inner(encode(given))


def _encoder(name: str) -> Callable[[Array], Array]:
    if name not in delayed.ENCODERS:
        raise UnknownNameError("encoder", name, delayed.ENCODERS)
    return delayed.ENCODERS[name]


def one_fit(encoder: str, episodes: int, steps: int, decoder: str, seed: int) -> tuple[Decoder, Array, Array]:
    """A decoder fitted on returns, then new episodes: encoded steps [50, T, F] and true rewards [50, T]."""
    encode, rng = _encoder(encoder), np.random.default_rng(seed)
    x, earned = delayed.draw(episodes, rng, steps=steps)
    new, true = delayed.draw(_HELD_OUT, rng, steps=steps)
    return fitted(decoder, encode(x), earned.sum(axis=1), seed), encode(new), true


@sized(8.0, "episodes", "steps")
@sized(32.0, "seeds")
def redistribution_study(
    encoders: Iterable[str] = tuple(delayed.ENCODERS), episodes: Iterable[int] = (8, 16, 32, 64, 128), *,
    decoder: str = "ridge", steps: int = 50, seeds: int | Sequence[int] = 8,
) -> pl.DataFrame:  # fmt: skip
    """How well the reward of a step is learnt from returns alone.

    Args:
        encoders: What the decoder sees.
        episodes: Numbers of training episodes N.
        decoder: A member of `DECODERS`; a network takes a second or more per fit, with torch.
        steps: Steps of an episode T.
        seeds: Number of runs, at least 2, or their seeds.

    Returns:
        Table encoder, episodes, correlation (of learnt and true rewards of the steps of 50 new episodes, mean over
        runs), low, high (its 95% interval), runs. What spreads the return evenly over an episode is at 0 within it.

    Raises:
        UnknownNameError: No such encoder or decoder. InputError: a number that is none, or a single run.

    Source: arXiv 2412.11120; the episodes are the lab's own.
    """
    import polars as pl

    from lab.reward_models.lare import agreement

    runs, rows = seeds_of(seeds).tolist(), []
    for encoder in encoders:
        for number in episodes:
            count = check_whole("episodes", number, 1)
            found = [
                agreement(*one_fit(encoder, count, check_whole("steps", steps, 1), decoder, seed)) for seed in runs
            ]
            mean, low, high = mean_interval(found)
            rows.append({"encoder": encoder, "episodes": count, "correlation": mean, "low": low, "high": min(high, 1.0),
                         "runs": len(runs)})  # fmt: skip
    return pl.DataFrame(rows)


@sized(8.0, "episodes", "steps")
def redistributed_episode(
    encoders: Iterable[str] = ("raw", "factors"), *, episodes: int = 32, decoder: str = "ridge", steps: int = 50,
    seed: int = 0,
) -> pl.DataFrame:  # fmt: skip
    """One new episode: the true reward of each step, the return spread evenly, and what each decoder says.

    Args:
        encoders: What the decoders see.
        episodes: Training episodes N.
        decoder: As in `redistribution_study`.
        steps: Steps of the episode T.
        seed: Draws the episodes and the decoder; the episode is the same for all encoders.

    Returns:
        Table variant ("true", "spread evenly", then the encoders), step (from 1), reward.

    Raises:
        As `redistribution_study`.
    """
    import polars as pl

    check_whole("episodes", episodes, 1)
    found: dict[str, Array] = {}
    for encoder in encoders:
        decode, new, true = one_fit(encoder, episodes, check_whole("steps", steps, 1), decoder, seed)
        found |= {"true": true[0], "spread evenly": np.full(steps, true[0].mean()), encoder: decode(new[0])}
    if not found:
        raise InputError("redistributed_episode: no encoder; name at least one")
    step = np.arange(1, steps + 1)
    return pl.concat([pl.DataFrame({"variant": k, "step": step, "reward": v}) for k, v in found.items()])


@sized(8.0, "prompts", "group_size", "horizon")
@sized(8.0, "episodes", "horizon")
@sized(32.0, "seeds")
def redistribution_training(
    variants: Iterable[str] = ("return only", "raw", "factors", "true step rewards"), *, episodes: int = 32,
    decoder: str = "ridge", prompts: int = 2, horizon: int = 20, choices: int = 4, steps: int = 60, every: int = 2,
    group_size: int = 8, lr: float = 1.0, form: str = "step", seeds: int | Sequence[int] = 8,
) -> pl.DataFrame:  # fmt: skip
    """Group-relative training in `simulators.delayed.Delayed`, on the return or on redistributed rewards.

    The decoder is fitted once, on the returns of rollouts of the first, uniform policy. A variant then ascends
    (1/(P G)) Σ A ∇log π, A being GRPO's advantage of the true return for "return only", and the rule `lare` of the
    decoder's step rewards for all others. Each seed has tasks of its own, the same for every variant.

    Args:
        variants: Members of `BASELINES` and names of encoders.
        episodes: Rollouts that the decoder is fitted on, in whole groups of each prompt.
        decoder: As in `redistribution_study`.
        prompts: P.
        horizon: Steps of an episode T.
        choices: A.
        steps: Training steps.
        every: Measure every so many steps, and at the end.
        group_size: G.
        lr: Learning rate.
        form: Of the advantage rule `lare`.
        seeds: Number of runs, or their seeds.

    Returns:
        A trace: variant, seed, step, value (expected return in the reward trained on), gold (expected true return),
        optimum (the best possible true return), chance (true return of the uniform policy).

    Raises:
        As `redistribution_study`.
    """
    import polars as pl

    rows: list[dict[str, Any]] = []
    counts = check_whole("steps", steps, 0), check_whole("every", every, 1), check_whole("group_size", group_size, 1)
    for name in variants:
        if name not in (*BASELINES, *delayed.ENCODERS):
            raise UnknownNameError("variant", name, (*BASELINES, *delayed.ENCODERS))
        for seed in seeds_of(seeds).tolist():
            sizes: dict[str, Any] = {"prompts": prompts, "steps": horizon, "choices": choices, "seed": seed}
            plain = delayed.Delayed(**sizes)
            world = plain
            if name not in BASELINES:
                world = delayed.Delayed(**sizes, decoder=decoder_of(plain, name, episodes, decoder, seed))
            known = {"optimum": plain.true.max(axis=-1).sum(axis=-1).mean(),
                     "chance": plain.true.mean(axis=-1).sum(axis=-1).mean()}  # fmt: skip
            rule = {"form": form} if name != "return only" else {}
            by = variant("lare" if rule else "grpo", aggregation="seq-mean-token-sum", **rule)
            frame = train(world, by, steps=counts[0] + 1, every=counts[1], group_size=counts[2], lr=lr, seeds=[seed],
                          measure=["value", "gold"], threads=1).frame  # fmt: skip
            rows += [{"variant": name, **row, **known} for row in frame.drop("variant").iter_rows(named=True)]
    return pl.DataFrame(rows)


def decoder_of(world: delayed.Delayed, name: str, episodes: int, decoder: str, seed: int) -> Callable[[Array], Array]:
    """Rewards of plain steps [..., 24] as learnt from the returns of about as many rollouts of the first policy."""
    encode, group = _encoder(name), max(1, check_whole("episodes", episodes, 1) // world.prompts)
    drawn = world.rollout(world.init([seed]), group, 0, attempt=1)
    x = world.at(world.vectors, drawn).reshape(-1, world.heads, delayed.DIMENSIONS)
    decode = fitted(decoder, encode(x), drawn.rewards.ravel(), seed)
    return lambda steps: decode(encode(steps))
