"""What a method puts on each token or turn of a group: its weight on the gradient of the token's log-probability."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lab.measures.rollouts import END

if TYPE_CHECKING:
    import polars as pl

    from lab.training.loop import Moment
    from simulators.records import World

__all__ = ["token_weights", "weight_spread"]


def token_weights(moment: Moment, world: World, *, variant: str = "", run: int = 0, prompt: int = 0) -> pl.DataFrame:
    """Weights of one group's tokens as a tidy table, one row for each valid token.

    Args:
        moment: One step of a training run, as `lab.training.loop.Walk.look` gives it.
        world: Where it was sampled; its `pieces` are the words of the actions.
        variant: Name of the method.
        run: Which run of the block S.
        prompt: Which slot of the P axis.

    Returns:
        variant, rollout, position (from 0), token (its word, or its number), weight, reward (of the rollout, components
        added), score ("logp", whose gradient the weight multiplies). The weight is in units of the mean magnitude over
        the valid tokens of the run's batch, so that methods of different scale can stand side by side; 0 throughout
        where there is no signal. An objective on other scores has a row for each of them, positions counted on, with
        the score's name for a token.
    """
    import polars as pl

    real = moment.rollouts.mask
    valid = {n: real if real is not None and real.shape == w.shape else w == w for n, w in moment.weights.items()}
    size = np.concatenate([np.abs(w[run])[valid[n][run]] for n, w in moment.weights.items()]).mean()
    actions, words = moment.rollouts.actions[run, prompt], _words(moment, world, run, prompt)
    tables, first = [], 0
    for score, w in moment.weights.items():
        rollout, position = np.nonzero(valid[score][run, prompt])
        told = [words[a] for a in actions[rollout, position].tolist()] if score == "logp" else [score] * len(rollout)
        tables.append(pl.DataFrame(
            {
                "variant": [variant] * len(rollout), "rollout": rollout, "position": first + position, "token": told,
                "weight": w[run, prompt, rollout, position] / (size if size > 0 else 1.0),
                "reward": moment.rewards[run, prompt].sum(axis=-1)[rollout], "score": [score] * len(rollout),
            }
        ))  # fmt: skip
        first += w.shape[-1]
    return pl.concat(tables).sort("rollout", "position", maintain_order=True)


def weight_spread(frame: pl.DataFrame) -> pl.DataFrame:
    """How unevenly each method treats the tokens of a rollout.

    Args:
        frame: `token_weights` of one or several methods.

    Returns:
        variant, zero (share of tokens without weight), uneven (share of the rollouts of two tokens or more whose tokens
        have different weights; null without such a rollout), in the order of the frame.
    """
    import polars as pl

    size = pl.col("weight").abs().max()
    spread = (pl.col("weight").max() - pl.col("weight").min()) > 1e-9 * pl.max_horizontal(size, 1e-300)
    rows = frame.group_by("variant", "rollout", maintain_order=True).agg(
        zero=(pl.col("weight") == 0).sum(), tokens=pl.len(), uneven=spread
    )
    longer = pl.col("uneven").filter(pl.col("tokens") > 1)
    return rows.group_by("variant", maintain_order=True).agg(
        zero=pl.col("zero").sum() / pl.col("tokens").sum(), uneven=longer.mean()
    )


def _words(moment: Moment, world: World, run: int, slot: int) -> dict[int, str]:
    """Words of the actions of the prompt in a slot."""
    stands = moment.rollouts.prompt
    here = slot if stands is None else int(np.atleast_2d(stands)[min(run, np.atleast_2d(stands).shape[0] - 1), slot])
    return {a: world.pieces([a], here)[0] or END for a in np.unique(moment.rollouts.actions[run, slot]).tolist()}
