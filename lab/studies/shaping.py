"""Dense rewards side by side in a small chain: what each teaches, where its greedy policy goes, how far off it is.

A *construction* makes the reward that is trained on out of the reward that is meant
(`lab.reward_models.constructions`). `CONSTRUCTIONS` holds those known by name; a paper adds its own with
`add_construction`, and a `Construction` of one's own is taken wherever a name is.

>>> from lab import studies
>>> study = studies.shaping_study(["sparse", "bonus"], seeds=2, episodes=100, buckets=2)
>>> study.columns
['variant', 'seed', 'step', 'value', 'gold', 'reached', 'lured', 'idle']

Three functions, the same first arguments: `shaping_study` trains (a trace, fit for `lab.trace.summarise`,
`lab.measures.parting` and `lab.figures.curves`), `shaping_policies` says what is done at each position (action 2,
"search", stays there: a policy that hovers), `shaping_scores` says exactly how good the best policy of each reward is.
`CHAIN` is the world unless another is given: thirteen positions, the last move succeeds one time in two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lab import distances
from lab.errors import check_number, check_whole
from lab.reward_models import learned_rewards  # noqa: F401  (their constructions)
from lab.reward_models.constructions import CHAIN, CONSTRUCTIONS, Construction, add_construction, chosen, meant
from lab.rewards import shaping
from lab.sizes import sized
from lab.studies import messages  # noqa: F401  (their constructions)
from lab.training.jobs import seeds_of
from simulators.mdp.chains import ACTIONS, Chain

if TYPE_CHECKING:
    import polars as pl

    from simulators.mdp.mdp import MDP
    from simulators.mdp.q_learning import Learned

__all__ = [
    "CHAIN", "CONSTRUCTIONS", "SCORES", "Construction", "add_construction", "episodes_until", "learned", "meant",
    "shaping_policies", "shaping_scores", "shaping_study",
]  # fmt: skip

Array = NDArray[Any]

#: What `shaping_scores` measures.
SCORES = ("distance", "alignment", "regret", "worst_case_regret")

_MOST = 6


@sized(24.0, "seeds", "episodes")
def shaping_study(
    constructions: Iterable[str | Construction] | None = None, *, chain: Chain = CHAIN, seeds: int | Sequence[int] = 16,
    episodes: int = 1000, buckets: int = 50, bonus: float = 0.1, alpha: float = 0.1, explore: float = 0.1,
) -> pl.DataFrame:  # fmt: skip
    """Q-learning on each construction, with the reward that is meant beside the one that is trained on.

    Args:
        constructions: Names (see `CONSTRUCTIONS`) or constructions; None: all that are known by name.
        chain: The world.
        seeds: Number of runs (seeds 0 to n - 1), or their seeds. The same seed is the same draws for each construction.
        episodes: Of training.
        buckets: Rows per run; each is the mean over episodes / buckets episodes.
        bonus: Pay of an event, where a construction pays for events.
        alpha: Step size of Q-learning.
        explore: Share of random actions.

    Returns:
        A trace: variant (the construction), seed, step (the bucket's first episode), value (discounted return of the
        reward that is trained on), gold (of the reward that is meant), reached (share of episodes that reach the
        goal), lured (share of steps that search at the lure) and idle (share of steps that stay in place).

    Raises:
        UnknownNameError: No such construction. InputError, ValueError: a number outside its range.

    Source: dense-rewards in the catalogue; the design of the bench is the lab's.
    """
    import polars as pl

    width = check_whole("episodes", episodes, 1) // min(check_whole("buckets", buckets, 1), episodes)
    starts = np.arange(0, episodes, width)
    runs, frames = seeds_of(seeds), []
    for one in chosen(constructions):
        run = learned(one, chain, seeds=runs, episodes=episodes, bonus=bonus, alpha=alpha, explore=explore)
        steps = _sums(run.steps, starts)
        count = np.diff(np.append(starts, episodes))
        columns = {
            "value": _sums(run.trained, starts) / count, "gold": _sums(run.meant, starts) / count,
            "reached": _sums(run.reached, starts) / count, "lured": _sums(run.events[..., 0], starts) / steps,
            "idle": _sums(run.idle, starts) / steps,
        }  # fmt: skip
        place = {"seed": np.repeat(runs, starts.size), "step": np.tile(starts, runs.size)}
        frames.append(pl.DataFrame({"variant": one.name, **place, **{k: v.ravel() for k, v in columns.items()}}))
    return pl.concat(frames)


@sized(24.0, "seeds", "episodes")
def shaping_policies(
    constructions: Iterable[str | Construction] | None = None, *, chain: Chain = CHAIN, seeds: int | Sequence[int] = 16,
    episodes: int = 1000, bonus: float = 0.1, alpha: float = 0.1, explore: float = 0.1,
) -> pl.DataFrame:  # fmt: skip
    """What is done at each position before the goal: by the runs that have learned, and by the exact optimum.

    Args:
        constructions: See `shaping_study`, as all others.
        chain: The world.
        seeds: Runs.
        episodes: Of training.
        bonus: Pay of an event.
        alpha: Step size.
        explore: Share of random actions.

    Returns:
        Table variant, position, action ("back", "forward", "search"), share (of the runs whose greedy policy takes it)
        and optimal (whether the optimal policy of the dense reward takes it; null where it can't be planned). Where pay
        depends on the past, both are as before the first event.

    Raises:
        As `shaping_study`.
    """
    import polars as pl

    runs, frames = seeds_of(seeds), []
    here = np.arange(chain.goal)
    for one in chosen(constructions):
        run = learned(one, chain, seeds=runs, episodes=episodes, bonus=bonus, alpha=alpha, explore=explore)
        taken = run.policy[:, 0, : chain.goal, None] == np.arange(len(ACTIONS))
        best = _optimum(one, chain, bonus).ravel()
        frames.append(pl.DataFrame({
            "variant": one.name, "position": np.repeat(here, len(ACTIONS)), "action": list(ACTIONS) * here.size,
            "share": taken.mean(axis=0).ravel(), "optimal": pl.Series(best).fill_nan(None) > 0,
        }))  # fmt: skip
    return pl.concat(frames)


def shaping_scores(
    constructions: Iterable[str | Construction] | None = None, *, chain: Chain = CHAIN, bonus: float = 0.1,
    distance: str = "val-l2-l2",
) -> pl.DataFrame:  # fmt: skip
    """How far each dense reward is from the one that is meant, and what its optimal policy earns; exact.

    Args:
        constructions: See `shaping_study`.
        chain: The world.
        bonus: Pay of an event.
        distance: A distance of `lab.distances`.

    Returns:
        Table variant, words, distance (to the reward that is meant), alignment (meant return of the dense reward's
        optimal policy over the best meant return), regret and worst_case_regret (shares of the span). A fading pay for
        the lure is scored in the chain whose states count the searches, up to 6 of them; one for further events is not
        scored (null).

    Raises:
        As `shaping_study`.

    Source: dense-rewards, starc and mdp-substrate in the catalogue.
    """
    import polars as pl

    name, rows = distances.distance(distance).name, []
    for one in chosen(constructions):
        found = _scores(name, *tables) if (tables := _tables(one, chain, bonus)) else dict.fromkeys(SCORES)
        rows.append({"variant": one.name, "words": one.words, **found})
    schema = {"variant": pl.String, "words": pl.String, **dict.fromkeys(SCORES, pl.Float64)}
    return pl.DataFrame(rows, schema=schema)


def episodes_until(reached: Array, share: float = 0.9, window: int = 20) -> Array:
    """Episodes before the first window in which that share of the episodes reaches the goal.

    Args:
        reached: Whether each episode reached it [S, E].
        share: In (0, 1].
        window: Episodes looked at together.

    Returns:
        [S]; E where no window does.

    Source: dense-rewards in the catalogue, speed.
    """
    totals = np.cumsum(np.pad(reached, ((0, 0), (1, 0))), axis=1, dtype=np.int64)
    enough = totals[:, window:] - totals[:, :-window] >= share * window
    return np.where(enough.any(axis=1), enough.argmax(axis=1), reached.shape[1])


def learned(construction: str | Construction, chain: Chain = CHAIN, *, bonus: float = 0.1, **settings: Any) -> Learned:
    """Q-learning on one construction; `settings` as in `simulators.mdp.q_learning.learn`."""
    from simulators.mdp.q_learning import learn

    one = chosen([construction])[0]
    check_number("bonus", bonus, np.isfinite, "a finite number")
    if one.pay is not None:
        settings = {"pay": one.pay(chain, bonus), "beta": one.beta, "remember": one.pay(chain, bonus) != 0} | settings
    return learn(chain, one.reward(chain, bonus), **settings)


def _scores(distance: str, mdp: MDP, true: Array, dense: Array) -> dict[str, float]:
    reached = mdp.returns(true, mdp.optimal(dense))
    found = (
        distances.compute(distance, mdp, true, dense), reached / mdp.returns(true, mdp.optimal(true)),
        mdp.regret(true, dense), mdp.worst_case_regret(true, dense),
    )  # fmt: skip
    return dict(zip(SCORES, found, strict=True))


def _tables(one: Construction, chain: Chain, bonus: float) -> tuple[MDP, Array, Array] | None:
    """The MDP in which the dense reward is one, the reward that is meant and the dense one; None if there is none."""
    dense = chain.mdp.rewards(one.reward(chain, bonus))
    pay = np.zeros(chain.events) if one.pay is None else one.pay(chain, bonus)
    if not np.any(pay):
        return chain.mdp, chain.reward, dense
    if np.any(pay[1:]):
        return None
    mdp, true, occurrence = chain.counting(_MOST)
    size = len(dense), _MOST + 1
    spread = np.broadcast_to(dense[:, None, :, :, None], (*size, dense.shape[1], *size)).reshape(true.shape)
    return mdp, true, shaping.fading(spread, occurrence, size=pay[0], beta=one.beta)


def _optimum(one: Construction, chain: Chain, bonus: float) -> Array:
    """The optimal policy's share of each action at each position before the goal, before any search [L, 3]."""
    tables = _tables(one, chain, bonus)
    if tables is None:
        return np.full((chain.goal, len(ACTIONS)), np.nan)
    best = tables[0].optimal(tables[2]).reshape(chain.goal + 1, -1)[: chain.goal, 0]
    return np.eye(len(ACTIONS))[best]


def _sums(table: Array, starts: Array) -> Array:
    """Sums over the buckets of episodes [S, B]."""
    return np.add.reduceat(table, starts, axis=1, dtype=np.float64)
