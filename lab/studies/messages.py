"""Three reward models of event messages, tried on messages alone and as dense rewards in the chain (ONI)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lab.errors import UnknownNameError, check_number, check_whole
from lab.reward_models import bradley_terry
from lab.reward_models.constructions import Construction, add_construction, meant
from lab.rewards import oni, shaping
from lab.sizes import sized
from lab.stand_ins import cached
from lab.studies.walks import Pay, Walk
from lab.training.jobs import seeds_of
from simulators.mdp.chains import Chain
from simulators.mdp.messages import Messages, messages

if TYPE_CHECKING:
    import polars as pl

__all__ = ["MODELS", "Opinions", "message_study", "online", "opinions"]

Array = NDArray[Any]

#: The reward models by name.
MODELS = ("retrieval", "classification", "ranking")

_RIDGE, _PAIRS = 1e-2, 4


@dataclass(frozen=True, eq=False)
class Opinions:
    """What is known of M messages once some of them have been labelled.

    Attributes:
        seen: The messages labelled.
        labels: 1, 0 or NaN [M].
        probability: The classifier's [M].
        score: The ranker's [M].
    """

    seen: Array
    labels: Array
    probability: Array
    score: Array

    def reward(self, model: str, batch: Array | None = None, *, threshold: float = -0.5) -> Array:
        """Intrinsic reward of each message [M]; the ranker's scores are normalised over the messages of a `batch`."""
        if model == "retrieval":
            return oni.retrieval(self.labels)
        if model == "classification":
            return oni.classification(self.probability)
        _, moments = oni.ranking(self.score if batch is None else self.score[batch])
        z = (self.score - moments.mean) / np.sqrt(moments.variance)
        return np.where(z > threshold, z, 0.0)


def opinions(
    pool: Messages, collected: int, noise: float, rng: np.random.Generator, *, ridge: float = _RIDGE
) -> Opinions:
    """Label the distinct messages among `collected` draws, compare four pairs for each, and fit both linear models.

    Args:
        pool: The messages.
        collected: Draws by frequency, at least 1.
        noise: Share of labels and comparisons that are wrong, in [0, 1].
        rng: Where the numbers come from.
        ridge: Of both models.

    Raises:
        InputError: A number outside its range.
    """
    check_number("noise", noise, lambda x: 0 <= x <= 1, "a share in [0, 1]")
    seen = np.unique(pool.draws(check_whole("collected", collected, 1), rng))
    labels = pool.labels(seen, noise, rng)
    pairs, better = pool.comparisons(seen, _PAIRS * len(seen), noise, rng)
    biased = np.hstack([pool.features, np.ones((len(pool.features), 1))])
    logit = biased @ bradley_terry(biased[seen], labels[seen], ridge=ridge)
    score = pool.features @ bradley_terry(pool.features[pairs[:, 0]] - pool.features[pairs[:, 1]], better, ridge=ridge)
    return Opinions(seen, labels, 0.5 * (1 + np.tanh(0.5 * logit)), score)


@sized(8.0, "collected")
@sized(8.0, "tests")
def message_study(
    noise: Iterable[float] = (0.0, 0.2), collected: Iterable[int] = (100, 1000), *, seeds: int | Sequence[int] = 16,
    tests: int = 5000, threshold: float = 0.5,
) -> pl.DataFrame:  # fmt: skip
    """How well each reward model tells helpful messages, by noise of the labeller and number of messages collected.

    Args:
        noise: Shares of wrong labels.
        collected: Numbers of draws whose distinct messages are labelled.
        seeds: Number of worlds of 600 messages (seeds 0 to n - 1), or their seeds.
        tests: Draws that test.
        threshold: On the ranker's normalised score; 0.5 has three in ten above it, as many as are helpful.

    Returns:
        Table model, noise, collected, seed, accuracy (share of test draws told rightly) and unseen (share of the
        helpful messages never labelled that are told so).

    Raises:
        InputError: A number outside its range.

    Source: arXiv 2410.23022; the world is the lab's own.
    """
    import polars as pl

    runs = seeds_of(seeds).tolist()
    rows = []
    for share in noise:
        for number in collected:
            for seed in runs:
                rng = np.random.default_rng([seed, number])
                pool = messages(rng=rng)
                known, drawn = opinions(pool, number, share, rng), pool.draws(tests, rng)
                unseen = np.setdiff1d(np.flatnonzero(pool.helpful), known.seen)
                for model in MODELS:
                    told = known.reward(model, drawn, threshold=threshold) > 0
                    rows.append({
                        "model": model, "noise": float(share), "collected": number, "seed": seed,
                        "accuracy": float((told == pool.helpful)[drawn].mean()),
                        "unseen": float(told[unseen].mean()) if unseen.size else None,
                    })  # fmt: skip
    return pl.DataFrame(rows)


_NOISE, _COLLECTED = 0.2, 300


@cached
def _of_the_chain(events: int) -> dict[str, Array]:
    """Each model's reward of each event [K]: event 0 is an unhelpful message of the pool, the others helpful ones.

    The lure is the unhelpful message nearest to being helpful; labels are wrong one time in five.
    """
    rng = np.random.default_rng(0)
    pool = messages(rng=rng)
    known = opinions(pool, _COLLECTED, _NOISE, rng)
    lure = int(np.where(pool.helpful, -np.inf, pool.quality).argmax())
    way = rng.choice(np.flatnonzero(pool.helpful), size=events - 1, replace=False)
    return {model: known.reward(model)[[lure, *way]] for model in MODELS}


def _pay(model: str) -> Any:
    def pay(chain: Chain, bonus: float) -> Array:
        return bonus * _of_the_chain(chain.events)[model]

    return pay


for _model in MODELS:
    _words = f"goal + the bonus × ONI's reward by {_model}, over N³, for messages on the way and at the lure"
    add_construction(Construction(f"oni-{_model}", _words, meant, _pay(_model)))


def online(
    chain: Chain, model: str, *, noise: float = 0.2, labels: int = 30, size: float = 0.1, beta: float = 3.0
) -> Pay:
    """ONI's reward of each move of a walk, by a model that is fitted again at every step of the training.

    Each run has messages of its own: a helpful one for each event on the way, an unhelpful one for a search at the
    lure.

    Args:
        chain: The world.
        model: A member of `MODELS`.
        noise: Share of wrong labels and comparisons.
        labels: Messages that come, and are labelled, in a step; those of all steps so far are known.
        size: Pay of a message.
        beta: How fast it fades with its repeats in a walk.

    Raises:
        UnknownNameError: No such model.

    Source: arXiv 2410.23022, the online reward; the world is the lab's own.
    """
    if model not in MODELS:
        raise UnknownNameError("reward model of messages", model, MODELS)

    def pay(walk: Walk) -> Array:
        move = walk.positions[..., :-1], walk.actions, walk.positions[..., 1:]
        event = np.where(walk.alive, chain.event[move], -1)
        told = _by_now(tuple(walk.seeds.tolist()), labels * (walk.step + 1), float(noise), chain.events)[model]
        said = np.pad(told, ((0, 0), (0, 1)))[np.arange(len(told))[:, None, None, None], event]
        count = shaping.occurrences(event)
        return oni.total(chain.reward[move], said, count, a_ext=1.0, a_llm=size, beta=beta)

    return pay


@cached
def _by_now(seeds: tuple[int, ...], collected: int, noise: float, events: int) -> dict[str, Array]:
    """Each model's reward of each event of some runs [S, K], once so many messages came."""
    found = [_told(seed, collected, noise, events) for seed in seeds]
    return {model: np.stack([one[model] for one in found]) for model in MODELS}


def _told(seed: int, collected: int, noise: float, events: int) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    pool = messages(rng=rng)
    known = opinions(pool, collected, noise, np.random.default_rng([seed, 1]))
    lure = rng.choice(np.flatnonzero(~pool.helpful), size=1)
    way = rng.choice(np.flatnonzero(pool.helpful), size=events - 1, replace=False)
    return {model: known.reward(model)[[*lure, *way]] for model in MODELS}
