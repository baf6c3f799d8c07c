"""The policy and its updates: what the trainer's metrics say of entropy, gradients, divergence and clipping."""

from __future__ import annotations

import numpy as np
import polars as pl

from lab.logs.facts import Facts
from lab.logs.findings.contract import Evidence, Finding, check
from lab.logs.findings.trends import curve, progress, series
from lab.logs.tallies import LOGGED
from lab.text import counted, listed


@check(
    "policy.entropy",
    definition="the entropy falls to a small share of what it was at the start and stays there",
    threshold="below {share:.0%} of the largest of the first three of at least {least} values; an alarm if it happens "
    "within {early} updates or the reward does not rise by {errors:g} standard errors, a note if it does",
    advice="a lower learning rate, a higher clip for rising probabilities (DAPO), an entropy bonus or a KL penalty",
    source="The Entropy Mechanism of Reinforcement Learning for Reasoning Language Models, arXiv 2505.22617; DAPO, "
    "arXiv 2503.14476",
)
def entropy(run: Facts, *, share: float = 0.1, early: int = 10, errors: float = 4.0, least: int = 6) -> Finding | None:
    """A policy that has stopped to explore."""
    steps = series(run, "entropy")
    if steps.height < least:
        return None
    start = float(steps["value"].head(3).max())  # type: ignore[arg-type]
    low = steps.filter(pl.col("value") < share * start)
    end = float(steps["value"].tail(3).median())  # type: ignore[arg-type]
    if start <= 0 or low.is_empty() or end >= share * start:
        return None
    since = low["step"][0]
    updates = int((steps["step"] <= since).sum())
    paid = progress(run, "reward")
    soon, rises = updates <= early, paid is not None and paid.rises(errors)
    said = (
        f"The entropy falls from {start:.4g} to {end:.4g} nats, from step {since} on below {share:.0%} of what it was"
    )
    if soon:
        why = f", after {counted(updates, 'update')}: it collapses before anything is explored."
    elif rises:
        why = ", while the reward rises: the policy has settled, and little more can be learnt."
    else:
        why = ", and the reward does not rise with it: the policy has collapsed."
    severity = "note" if rises and not soon else "alarm"
    return Finding(severity, said + why, low, low.height / steps.height, curve(steps, "entropy in nats", log=True))


@check(
    "policy.gradient_spike",
    definition="the gradient norm of a step is many times that of the steps around it",
    threshold="at least {times:g} times the median of the {window} steps around, and that of all that are not 0, at "
    "least {least} steps; an alarm from {alarms:g} times on",
    advice="look at the group with the largest reward or advantage of that step; clip the norm, clip the rewards",
    source="TRL, https://github.com/huggingface/trl/issues/2980 (the norm spikes higher and higher)",
)
def gradient_spike(
    run: Facts, *, times: float = 10.0, alarms: float = 1000.0, window: int = 21, least: int = 6
) -> Finding | None:
    """Updates that are out of all proportion, with the rollout behind each where it was logged."""
    steps = series(run, "grad_norm")
    usual = steps.filter(pl.col("value") > 1e-8)["value"].median()
    if steps.height < least or not isinstance(usual, float):
        return None
    around = pl.col("value").rolling_median(window, center=True, min_samples=least // 2)
    base = pl.max_horizontal(around, pl.lit(usual))
    steps = steps.with_columns((pl.col("value") / base).alias("times"), base.alias("usual"))
    found = steps.filter(pl.col("times") >= times)
    if found.is_empty():
        return None
    worst = found.row(int(found["times"].arg_max() or 0), named=True)
    said = (
        f"The gradient norm spikes in {found.height} of {steps.height} steps ({listed(found['step'].to_list(), 8)}), "
        f"most in step {worst['step']}: {worst['value']:.4g}, where {worst['usual']:.4g} is usual. "
    )
    rows = _behind(run, found)
    severity = "alarm" if worst["times"] >= alarms else "warning"
    return Finding(severity, said + _blamed(run, rows), rows, found.height / steps.height, _norms(steps, times))


def _behind(run: Facts, found: pl.DataFrame) -> pl.DataFrame:
    """The spikes with the rollout of the largest advantage, without advantages of the reward farthest from its group's.

    Columns step, value, usual, times, group, rollout, reward and advantage, the last four null where the log has no
    rollouts of that step.
    """
    frame = run.table.frame.select("step", "group", "rollout", "reward", "advantage").drop_nulls("reward")
    away = (pl.col("reward") - pl.col("reward").median().over("step", "group")).abs()
    size = pl.col("advantage").abs() if run.table.has_advantages else away
    largest = frame.with_columns(size.fill_null(0.0).alias("size")).sort("size", descending=True, maintain_order=True)
    largest = largest.unique("step", keep="first", maintain_order=True).drop("size")
    return found.select("step", "value", "usual", "times").join(largest, on="step", how="left", maintain_order="left")


def _blamed(run: Facts, rows: pl.DataFrame) -> str:
    """What stands behind the spikes."""
    known = rows.drop_nulls("group").sort("times", descending=True)
    if known.is_empty():
        return f"The log has no rollouts of these steps{_spread(run, rows)}."
    one = known.row(0, named=True)
    shown = f", its advantage {one['advantage']:.4g}" if one["advantage"] is not None else ""
    behind = f"Behind that of step {one['step']} stands rollout {one['rollout']} of group {one['group']}"
    rest = f" {rows.height - known.height} of the spikes are known by step alone." if known.height < rows.height else ""
    return f"{behind}: its reward is {one['reward']:.4g}{shown}.{rest}"


def _spread(run: Facts, rows: pl.DataFrame) -> str:
    """What the trainer says of the rewards there, where it is more than elsewhere."""
    steps = series(run, "reward_std")
    there = steps.filter(pl.col("step").is_in(rows["step"].implode()))["value"].mean()
    usual = steps["value"].median()
    if not isinstance(there, float) or not isinstance(usual, float) or there < 2 * usual:
        return ""
    return f", but rewards deviate by {there:.3g} in them, where {usual:.3g} is usual"


def _norms(steps: pl.DataFrame, times: float) -> Evidence:
    shown = steps.select(
        pl.lit(LOGGED).alias("variant"),
        pl.lit(0).alias("seed"),
        "step",
        pl.col("value").alias("grad_norm"),
        pl.col("times").alias("score"),
        (pl.col("times") >= times).alias("spike"),
    )
    return Evidence("gradient_norms", shown)


_WHOLE = {"grad_norm": "gradient norm", "loss": "loss", "entropy": "entropy", "kl": "KL divergence"}


@check(
    "policy.not_finite",
    definition="the gradient norm, the loss, the entropy or the KL divergence is NaN or infinite",
    threshold="from one step on",
    advice="the step before the first one holds the cause: a reward or an advantage that is NaN, a batch whose every "
    "token is masked, a learning rate that is too high; bfloat16 rather than float16",
    source="verl, https://github.com/volcengine/verl/issues/1197; ms-swift, "
    "https://github.com/modelscope/ms-swift/issues/3136",
)
def not_finite(run: Facts) -> Finding | None:
    """Updates that are no numbers."""
    metrics = run.table.metrics
    names = [name for name in _WHOLE if name in metrics.columns]
    bad = {name: metrics.filter(~pl.col(name).is_finite()) for name in names}
    bad = {name: rows for name, rows in bad.items() if rows.height}
    if not bad:
        return None
    parts = [
        f"the {_WHOLE[name]} is {'NaN' if rows[name].is_nan().any() else 'infinite'} in {rows.height} of "
        f"{metrics[name].count()} steps, first in step {rows['step'][0]}"
        for name, rows in bad.items()
    ]
    rows = metrics.select("step", *bad).filter(pl.any_horizontal(~pl.col(list(bad)).is_finite()))
    said = f"{'; '.join(parts)}: an update like that destroys the policy, or is skipped."
    return Finding("alarm", said[0].upper() + said[1:], rows, rows.height / metrics.height)


@check(
    "policy.kl",
    definition="the policy moves far away from its reference",
    threshold="more than {warns:g} nats in the middle of the last third of at least {least} steps; an alarm from one "
    "step with more than {alarms:g} on",
    advice="a lower learning rate, a larger KL coefficient, or a reference that is renewed; look for what the reward "
    "pays at that point",
    source="TRL's documentation, Training FAQ: between 0 and 10 nats; open-r1, "
    "https://github.com/huggingface/open-r1/issues/257",
)
def kl(run: Facts, *, warns: float = 5.0, alarms: float = 10.0, least: int = 6) -> Finding | None:
    """A policy that has lost its reference."""
    steps = series(run, "kl")
    if steps.is_empty():
        return None
    most = steps.row(int(steps["value"].arg_max() or 0), named=True)
    end = float(steps["value"].tail(max(steps.height // 3, 1)).median())  # type: ignore[arg-type]
    if most["value"] <= alarms and (end <= warns or steps.height < least):
        return None
    rows = steps.filter(pl.col("value") > warns)
    said = (
        f"The KL divergence from the reference goes from {steps['value'][0]:.3g} to {most['value']:.3g} nats (step "
        f"{most['step']}), first above {warns:g} in step {rows['step'][0]}: the policy has left it."
    )
    severity = "alarm" if most["value"] > alarms else "warning"
    return Finding(severity, said, rows, rows.height / steps.height, curve(steps, "KL in nats", log=True))


@check(
    "policy.clip",
    definition="the clip takes away a large share of the tokens of an update",
    threshold="more than {share:.0%} of the tokens in at least {often:.0%} of at least {least} steps",
    advice="fewer updates per batch, a lower learning rate, a wider clip; measure again what the old policy's "
    "probabilities are computed with",
    source="TRL's documentation of its GRPO trainer, clip_ratio/region_mean; DAPO, arXiv 2503.14476, on the upper clip",
)
def clip(run: Facts, *, share: float = 0.3, often: float = 0.1, least: int = 6) -> Finding | None:
    """Updates of which little is left."""
    steps = series(run, "clip_share")
    rows = steps.filter(pl.col("value") > share)
    if steps.height < least or rows.height < often * steps.height:
        return None
    said = (
        f"The clip acts on more than {share:.0%} of the tokens in {rows.height} of {steps.height} steps, on "
        f"{rows['value'].to_numpy().max():.0%} at most: the policy moves too far for one batch."
    )
    return Finding("warning", said, rows, rows.height / steps.height, curve(steps, "share of tokens clipped"))


#: How far the policy that sampled is from the one that is trained, as trainers log it: a mean difference of
#: log-probabilities or probabilities, or a divergence, per token.
GAPS = (
    "sampling/sampling_logp_difference/mean",  # TRL
    "training/rollout_probs_diff_mean", "rollout_corr/kl", "rollout_corr/k3_kl",  # verl
    "rollout_correction/kl", "rollout_correction/k3_kl",  # ms-swift
    "gen_kl_error", "policy_kl_error",  # NeMo-RL
    "vllm_kl",  # OpenRLHF
    "optim/kl_sample_train_v1", "optim/kl_sample_train_v2",  # tinker-cookbook
)  # fmt: skip

#: Mean importance ratios between the two, which are 1 where they agree.
RATIOS = (
    "sampling/importance_sampling_ratio/mean", "rollout_corr/rollout_is_mean", "token_mult_prob_error",
    "sampling_importance_ratio",
)  # fmt: skip


@check(
    "policy.off_policy",
    definition="the engine that samples and the one that trains give the same tokens different probabilities",
    threshold="a median gap per token of {warns:g} over the steps (an alarm from {alarms:g} on), or a mean importance "
    "ratio that is off by a factor of {factor:g}",
    advice="the same precision in both (no quantised sampling, a float32 head), weights that are brought over before "
    "sampling, truncated importance sampling for the rest",
    source="NeMo-RL's documentation, Add New Models, on the error of probabilities; TRL, "
    "https://github.com/huggingface/trl/pull/3867",
)
def off_policy(run: Facts, *, warns: float = 0.05, alarms: float = 0.5, factor: float = 3.0) -> Finding | None:
    """Samples of another policy."""
    steps = {name: series(run, name) for name in (*GAPS, *RATIOS) if name in run.table.metrics.columns}
    median = {name: float(one["value"].median()) for name, one in steps.items() if one.height}  # type: ignore[arg-type]
    wide = {n: abs(v) for n, v in median.items() if n in GAPS and abs(v) >= warns}
    off = {n: v for n, v in median.items() if n in RATIOS and abs(np.log(max(v, 1e-12))) >= np.log(factor)}
    if not wide and not off:
        return None
    name = max(wide, key=lambda n: wide[n]) if wide else next(iter(off))
    words = [f"{n} is {v:.3g}" for n, v in (*wide.items(), *off.items())]
    said = (
        f"The policy that samples is not the one that is trained: in the middle of the steps {listed(words)}, where "
        f"{'nearly 0' if wide else 'nearly 1'} is usual."
    )
    severity = "alarm" if max(wide.values(), default=0.0) >= alarms else "warning"
    return Finding(severity, said, steps[name], None, curve(steps[name], name))
