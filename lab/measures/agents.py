"""Who leaps among several agents, and what made it leap: norms, prompts and advantages of each agent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lab.advantages.statistics import NO_SIGNAL
from lab.errors import InputError
from lab.measures.advantage import NO_TRUTH
from lab.measures.gradient import agent_norms, spikes

if TYPE_CHECKING:
    from lab.training.loop import Moment

_NOTHING = 1e-12  # a smaller norm is what rounding left of zero

__all__ = ["agent_prompts", "agent_rows", "agent_spikes", "agent_tails", "highest_spikes"]


def agent_spikes(
    frame: pl.DataFrame, agents: Sequence[str], *, window: int = 20, threshold: float = 6.0
) -> pl.DataFrame:
    """The gradient norm of every agent over training, with its spikes marked.

    Args:
        frame: A trace of a world of agents: variant, seed, step, grad_norm_agent_0, ...
        agents: Their names; those without a column are left out.
        window: As in `lab.measures.spikes`.
        threshold: As in `lab.measures.spikes`.

    Returns:
        Columns variant, seed, step, agent, grad_norm, score, spike.

    Raises:
        InputError: The trace has no norm of an agent.
    """
    held = {f"grad_norm_agent_{n}": name for n, name in enumerate(agents) if f"grad_norm_agent_{n}" in frame.columns}
    if not held:
        raise InputError("the trace has no gradient norm per agent: train in a world of agents with measure='full'")
    parts = []
    for column, agent in held.items():
        own = frame.select("variant", "seed", "step", pl.lit(agent).alias("agent"), pl.col(column).alias("grad_norm"))
        parts.append(spikes(own, window=window, threshold=threshold))
    return pl.concat(parts)


def highest_spikes(marked: pl.DataFrame) -> pl.DataFrame:
    """The spikes of all agents, the largest gradient norm first: agents stand on one scale, scores do not."""
    return marked.filter("spike").sort("grad_norm", descending=True)


def agent_tails(marked: pl.DataFrame) -> pl.DataFrame:
    """How far each agent's gradient norm leaps: variant, agent, spikes, median, tail.

    Args:
        marked: `agent_spikes` of a trace.

    Returns:
        One row per variant and agent; `tail` is the 99th percentile of the norm over its median along a run, averaged
        over runs (null where that is nothing in every run), `spikes` is counted over all runs.
    """
    norm = pl.col("grad_norm")
    runs = marked.group_by("variant", "agent", "seed", maintain_order=True).agg(
        norm.median().alias("median"), pl.col("spike").sum().alias("spikes"),
        pl.when(norm.median() > _NOTHING).then(norm.quantile(0.99, "linear") / norm.median()).alias("tail"),
    )  # fmt: skip
    return runs.group_by("variant", "agent", maintain_order=True).agg(
        pl.col("spikes").sum(), pl.col("median").mean(), pl.col("tail").mean()
    )


def agent_prompts(gradient: NDArray[Any], axis: int, agent: int) -> NDArray[Any]:
    """Norm of what each prompt adds to one agent's gradient, for the first run.

    Args:
        gradient: [S, P, ...] with the agents along `axis`; every prompt has parameters of its own.
        axis: As in `lab.measures.gradient.agent_norms`.
        agent: Index of the agent.

    Returns:
        Norms [P].
    """
    return agent_norms(gradient[0], axis - 1)[:, agent]


def agent_rows(moment: Moment, true_advantage: NDArray[Any], prompt: int, agents: Sequence[str]) -> pl.DataFrame:
    """One prompt's trajectories row by row, as `lab.figures.group_matrix` draws them, for the first run.

    Args:
        moment: A step in a world of agents.
        true_advantage: What each trajectory deserved [S, P, G].
        prompt: Index of the prompt.
        agents: Names of the agents.

    Returns:
        Columns row, kind, rollout, value, wrong: reward (components added), the advantage that was deserved, and for
        every agent the mean advantage of its calls (null where it was not called; wrong where its sign is not the
        deserved one).
    """
    rollouts, a = moment.rollouts, moment.credit.advantage[0, prompt]
    assert rollouts.agent is not None and rollouts.mask is not None
    who, real, deserved = rollouts.agent[0, prompt], rollouts.mask[0, prompt], true_advantage[0, prompt]
    credit = a if a.ndim == 2 else np.broadcast_to(a[:, None], who.shape)
    parts = [_row("reward", "reward", moment.rewards[0, prompt].sum(axis=-1)),
             _row("true advantage", "advantage", deserved)]  # fmt: skip
    for n, name in enumerate(agents):
        own = real & (who == n)
        mean = (credit * own).sum(axis=-1) / np.maximum(own.sum(axis=-1), 1)
        loud = own.any(axis=-1) & (np.abs(mean) > NO_SIGNAL) & (np.abs(deserved) > NO_TRUTH)
        wrong = loud & ((mean > 0) != (deserved > 0))
        parts.append(_row(f"{name}'s", "advantage", np.where(own.any(axis=-1), mean, np.nan), wrong))
    return pl.concat(parts)


def _row(row: str, kind: str, values: NDArray[Any], wrong: NDArray[Any] | None = None) -> pl.DataFrame:
    columns = {"rollout": np.arange(len(values)), "value": values.astype(np.float64)}
    framed = np.zeros(len(values), dtype=bool) if wrong is None else wrong
    return pl.DataFrame({**columns, "wrong": framed}).select(
        pl.lit(row).alias("row"), pl.lit(kind).alias("kind"), "rollout", pl.col("value").fill_nan(None), "wrong"
    )
