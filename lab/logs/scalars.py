"""A trainer's own metrics, one entry after the other as it logged them, as one row per step."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import polars as pl

from lab.text import listed

__all__ = ["integer", "number", "per_step", "scalar_name", "whole"]

#: What trainers call the metrics of `lab.logs.SCALARS`, where they call them otherwise.
_NAMES: Mapping[str, str] = {
    # TRL and ms-swift: GRPOTrainer._metrics
    "frac_reward_zero_std": "zero_std",
    "clip_ratio/region_mean": "clip_share",
    "completions/mean_length": "length",
    "completions/clipped_ratio": "truncated",
    "entropy/mean": "entropy",
    # verl: compute_data_metrics, ppo_loss and compute_policy_loss
    "critic/rewards/mean": "reward",
    "actor/grad_norm": "grad_norm",
    "actor/entropy": "entropy",
    "actor/kl_loss": "kl",
    "actor/pg_clipfrac": "clip_share",
    "actor/pg_loss": "loss",
    "actor/lr": "learning_rate",
    "response_length/mean": "length",
    "response_length/clip_ratio": "truncated",
    # NeMo-RL: grpo_train and ClippedPGLossFn
    "approx_entropy": "entropy",
    "kl_penalty": "kl",
    "mean_gen_tokens_per_sample": "length",
    "lr": "learning_rate",
    # OpenRLHF: ActorPPOTrainer.training_step and BasePPOTrainer._compute_rollout_stats
    "policy_loss": "loss",
    "actor_lr": "learning_rate",
    "actor_grad_norm": "grad_norm",
    "entropy_loss": "entropy",
    "ppo_clip_ratio": "clip_share",
    "response_length": "length",
    "rollout/reward_mean": "reward",
    "rollout/reward_std": "reward_std",
    "rollout/response_length_mean": "length",
    "rollout/truncated_rate": "truncated",
    # tinker-cookbook: compute_trajectory_metrics, compute_kl_sample_train and incorporate_kl_penalty
    "env/all/reward/total": "reward",
    "optim/entropy": "entropy",
    "optim/lr": "learning_rate",
    "kl_policy_base": "kl",
    # open-instruct: DataPreparationActor and PolicyTrainerRayProcess
    "scores": "reward",
    "loss/total_avg": "loss",
    "optim/grad_norm": "grad_norm",
    "policy/entropy_avg": "entropy",
    "policy/clipfrac_avg": "clip_share",
    "objective/kl2_avg": "kl",
    "val/sequence_lengths": "length",
}
_DIGITS = re.compile("[0-9]{1,18}")
_PART = re.compile(r"rewards/(.+)/(mean|std)", re.DOTALL)


@lru_cache(maxsize=4096)
def scalar_name(key: str) -> str:
    """A metric's name here, whichever trainer or tracker wrote it; one that is not known keeps its own.

    The mean of one reward is reward/<name>, its deviation reward_std/<name>. Trackers of the Hugging Face trainers put
    `train/` before every name.
    """
    key = key.removeprefix("train/")
    part = _PART.fullmatch(key)
    return f"reward{'_std' if part[2] == 'std' else ''}/{part[1]}" if part else _NAMES.get(key, key)


def per_step(
    entries: Iterable[Mapping[str, Any]], named: Callable[[str], str] = str, step: str = "step"
) -> tuple[pl.DataFrame, list[str]]:
    """One row per step: step (Int64) and one Float64 column per metric.

    A step's entries are merged, the last wins; entries without a whole step and what is no number is left out.

    Args:
        entries: What was logged, in the order of the log.
        named: The metric's name here (`lab.logs.contract.SCALARS`) from the trainer's.
        step: The key that holds the step.

    Returns:
        The table, and what was left out, in sentences.
    """
    steps: dict[int, dict[str, float]] = {}
    odd = []
    for entry in entries:
        at = number(entry.get(step))
        if at is None or not at.is_integer():
            continue
        if abs(at) >= 2**63:
            odd.append(at)
            continue
        numbers = {named(key): number(value) for key, value in entry.items() if key != step}
        steps.setdefault(int(at), {}).update({k: v for k, v in numbers.items() if v is not None and k != "step"})
    names = sorted({name for entry in steps.values() for name in entry})
    ordered = sorted(steps)
    columns = {name: pl.Series([steps[s].get(name) for s in ordered], dtype=pl.Float64) for name in names}
    said = [f"Metrics of steps that no run reaches are left out: {listed(odd)}."] if odd else []
    return pl.DataFrame({"step": pl.Series(ordered, dtype=pl.Int64), **columns}), said


def number(value: Any) -> float | None:
    """The value as a float; None where it is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def integer(value: Any) -> int | None:
    """The value as a whole number of 64 bits; None where it is none, such as NaN."""
    found = number(value)
    return int(found) if found is not None and found.is_integer() and abs(found) < 2**63 else None


def whole(value: Any) -> Any:
    """The number that a text of digits says; whatever else as it is."""
    return int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else value
