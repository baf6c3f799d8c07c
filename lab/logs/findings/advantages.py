"""The advantages as the trainer logged them: whose rule they follow, and what is wrong with them."""

from __future__ import annotations

import polars as pl

from lab.logs.columns import by_pieces
from lab.logs.facts import Facts
from lab.logs.findings.contract import Evidence, Finding, check
from lab.logs.frames import recomputed
from lab.logs.tallies import per_group
from lab.logs.texts import key
from lab.logs.texts import letters as letters_of
from lab.text import counted, listed

_ROLLOUT = ("step", "group", "rollout")


def _agreement(run: Facts) -> Evidence | None:
    frame = recomputed(run)
    return Evidence("agreement", frame) if frame.height else None


@check(
    "advantages.not_finite",
    definition="an advantage is NaN or infinite",
    threshold="from one rollout on",
    advice="look at the rewards of the first group concerned: a NaN among them, or a division by a spread of zero",
    source="IEEE 754: whatever is computed from NaN is NaN, the gradient included",
)
def not_finite(run: Facts) -> Finding | None:
    """Advantages that are no numbers."""
    found = run.table.broken.filter(pl.col("column") == "advantage")
    if found.is_empty():
        return None
    kinds = listed({"nan": "NaN", "inf": "infinite", "-inf": "infinite"}[v] for v in sorted(found["value"].unique()))
    total = run.table.frame.height
    said = f"{found.height} of {total} advantages are {kinds}, from step {found['step'][0]} on: nothing that is learnt "
    return Finding("alarm", said + "from them can be trusted.", found, found.height / total)


@check(
    "advantages.inverted",
    definition="the logged advantages are minus those of a rule",
    threshold="a rule reproduces them with the opposite sign, to 1e-5 of the largest, and none with its own",
    advice="the sign of the reward, or of the loss: it is minus advantage times log-probability",
    source="policy gradient theorem; Williams 1992, REINFORCE",
)
def inverted(run: Facts) -> Finding | None:
    """Signs that are the wrong way round."""
    by = run.estimator
    if by is None or by.sign > 0:
        return None
    name = "the rewards" if by.rule == "reward" else f"the advantages of {by.rule}"
    said = (
        f"The logged advantages have inverted signs: they are minus {name} ({by.precision}), so that rollouts with a "
    )
    return Finding("alarm", said + "high reward are made rarer.", run.by_rollout, by.share, _agreement(run))


@check(
    "advantages.raw",
    definition="the logged advantages are the rewards themselves",
    threshold="to 1e-5 of the largest, where no rule of a group reproduces them",
    advice="a baseline: the mean of the group (GRPO, RLOO)",
    source="RLOO, arXiv 2402.14740: what a baseline does to the variance",
)
def raw(run: Facts) -> Finding | None:
    """Rewards without a baseline."""
    by = run.estimator
    if by is None or by.rule != "reward":
        return None
    said = "The logged advantages are the raw rewards: without a baseline every rollout is pushed by its own reward."
    return Finding("warning", said, run.by_rollout, by.share, _agreement(run))


@check(
    "advantages.mixed",
    definition="a rule reproduces the logged advantages over consecutive rows, which are rollouts of different prompts",
    threshold="to 1e-5 of the largest, where no rule of a group reproduces them",
    advice="keep the rollouts of a prompt together, each prompt repeated in place, or group by its identity",
    source="GRPO, arXiv 2402.03300: the baseline is the mean of the rollouts of one question",
)
def mixed(run: Facts) -> Finding | None:
    """Advantages that are relative to rollouts of other prompts."""
    by = run.estimator
    if by is None or by.over != "consecutive":
        return None
    said = (
        f"Advantages are normalised over {by.size} consecutive rows, which are rows of different prompts ({by.rule}, "
        f"{by.precision}); the log has {run.groups.height} groups of one prompt each that should have been used."
    )
    return Finding("alarm", said, run.by_rollout, by.share, _agreement(run))


@check(
    "advantages.batch",
    definition="a rule reproduces the logged advantages over all rollouts of a step, though it has groups",
    threshold="to 1e-5 of the largest, where no rule of a group reproduces them",
    advice="the mean of the group as baseline: that of the batch rewards easy prompts and punishes hard ones",
    source="GRPO, arXiv 2402.03300: the baseline is the mean of the rollouts of one question",
)
def batch(run: Facts) -> Finding | None:
    """Advantages that are relative to the whole step."""
    by = run.estimator
    if by is None or by.over != "batch" or run.table.group_size == 1:
        return None
    rows = run.groups.filter(pl.col("no_signal") & ((pl.col("advantage_low") != 0) | (pl.col("advantage_high") != 0)))
    also = f" That way {counted(rows.height, 'group')} of equal rewards got an advantage." if rows.height else ""
    said = f"The mean is over all rollouts of a step and not over the group ({by.rule} over the batch).{also}"
    shown = rows.select("step", "group", "reward", "advantage_low", "advantage_high")
    return Finding("warning", said, shown, by.share, _agreement(run))


@check(
    "advantages.split",
    definition="a rule reproduces the logged advantages over all rollouts of a prompt, not over a group",
    threshold="to 1e-5 of the largest, where no rule of a group reproduces them",
    advice="nothing, if that is what was meant; group_size= reads the log that way",
    source="GRPO, arXiv 2402.03300",
)
def split(run: Facts) -> Finding | None:
    """A prompt whose rollouts stand in several groups, or several groups that were read as one."""
    by = run.estimator
    if by is not None and by.over == "block":
        said = f"Advantages are relative to {by.size} consecutive rows of a prompt ({by.rule}, {by.precision})"
        return Finding("note", f"{said}: group_size={by.size} reads the log that way.", evidence=_agreement(run))
    if by is None or by.over != "prompt":
        return None
    said = f"Advantages are relative to all rollouts of a prompt, which the groups of the log split ({by.rule})."
    return Finding("warning", said, run.by_rollout, by.share, _agreement(run))


@check(
    "advantages.several_prompts",
    definition="the rows that the log names as one group have different prompts",
    threshold="from one group on",
    advice="the identity by which groups are told apart: it must be that of the prompt",
    source="GRPO, arXiv 2402.03300: the baseline is the mean of the rollouts of one question",
)
def several_prompts(run: Facts) -> Finding | None:
    """Groups of rollouts of different prompts."""
    rows = per_group(run.table.frame, [key(run.table.frame, "prompt").n_unique().alias("prompts")])
    found = rows.filter(pl.col("prompts") > 1)
    if found.is_empty():
        return None
    said = f"{found.height} of {rows.height} groups hold rollouts of different prompts, which are compared."
    return Finding("alarm", said, found, found.height / rows.height)


@check(
    "advantages.out_of_scale",
    definition="one advantage is far larger than the others, and than the reward behind it explains",
    threshold="{times:g} times the 90% quantile of all that are not zero, and {times:g} times the usual ratio of an "
    "advantage to what its reward differs from the mean of its group",
    advice="the deviation that was divided by: a floor for it, or none; a clip of the advantages",
    source="MC-GRPO, arXiv 2601.22582, on small groups; Dr. GRPO, arXiv 2503.20783, on dividing by the deviation",
)
def out_of_scale(run: Facts, *, times: float = 20.0) -> Finding | None:
    """A rollout that outweighs the rest."""
    size, apart = pl.col("advantage").abs(), (pl.col("reward") - pl.col("reward").mean().over("step", "group")).abs()
    asked = [size.alias("size"), apart.alias("apart"), (size / apart).alias("ratio")]
    loud = by_pieces(run.table.frame, lambda rows: rows.select(asked).filter(pl.col("size") > 0))
    usual, ratio = loud["size"].quantile(0.9), loud["ratio"].median()
    if usual is None or not isinstance(ratio, float):
        return None
    far = (pl.col("size") >= times * usual) & (pl.col("ratio") >= times * ratio) & (pl.col("size") > 0)
    wanted = [*_ROLLOUT, "reward", "advantage", *asked]
    found = by_pieces(run.table.frame, lambda rows: rows.select(wanted).filter(far))
    if found.is_empty():
        return None
    worst = found.sort("size", descending=True).row(0, named=True)
    said = (
        f"The advantage of rollout {worst['rollout']} in group {worst['group']} of step {worst['step']} is "
        f"{worst['advantage']:.4g}, where nine of ten are at most {usual:.2g}; its reward is only {worst['apart']:.2g} "
        "from the mean of its group."
    )
    more = f" Out of scale, too: {counted(found.height - 1, 'other rollout')}." if found.height > 1 else ""
    return Finding("alarm", said + more, found.select(*_ROLLOUT, "reward", "advantage"),
                   found.height / run.table.frame.height)  # fmt: skip


@check(
    "advantages.phantom",
    definition="all rewards of a group are equal, each part for itself, and its rollouts have advantages all the same",
    threshold="from one group on, where a rule of the group reproduces them, or none and they are below "
    "{small:.0%} of the largest advantage",
    advice="compute advantages in float64, or set them to zero where a group has no spread",
    source="rounding in float32: the mean of equal numbers is not that number",
)
def phantom(run: Facts, *, small: float = 0.01) -> Finding | None:
    """Advantages that rounding makes of equal rewards."""
    if not run.phantoms or not _by_rounding(run, small):
        return None
    sign = "of either sign" if run.phantom_sign == "mixed" else f"all {run.phantom_sign}"
    said = (
        f"{counted(run.phantoms, 'group')} of equal rewards got advantages all the same (phantom advantages), {sign}, "
        f"up to {run.phantom_size:.2e}: rounding in the trainer, not signal."
    )
    reported = run.steps["zero_std"].mean() if "zero_std" in run.steps.columns else None
    if isinstance(reported, float) and reported < run.no_signal - 1e-9:
        said += f" The trainer itself reported {reported:.1%} of groups without spread (zero_std)."
    rows = run.groups.filter("phantom").select("step", "group", "reward", "advantage_low", "advantage_high")
    return Finding("warning", said, rows, run.phantoms / run.groups.height)


def _by_rounding(run: Facts, small: float) -> bool:
    """Whether rounding can be what gives equal rewards an advantage."""
    by, largest = run.estimator, run.table.frame["advantage"].abs().max()
    if by is None or by.over != "group" or by.rule == "reward":
        return False
    return by.exact or (isinstance(largest, float) and run.phantom_size < small * largest)


@check(
    "advantages.other_baseline",
    definition="groups of equal rewards have advantages that are too large for rounding, and no rule reproduces them",
    threshold="from {small:.0%} of the largest advantage on",
    advice="nothing, if the baseline is meant to be another one: a critic, a mean over the batch or over earlier steps",
    source="GRPO, arXiv 2402.03300: the baseline is the mean of the rollouts of one question",
)
def other_baseline(run: Facts, *, small: float = 0.01) -> Finding | None:
    """Advantages that are relative to something else than the group."""
    by = run.estimator
    if not run.phantoms or by is None or by.exact or _by_rounding(run, small):
        return None
    said = f"{counted(run.phantoms, 'group')} of equal rewards got advantages of up to {run.phantom_size:.2g}: the "
    rows = run.groups.filter("phantom").select("step", "group", "reward", "advantage_low", "advantage_high")
    return Finding("note", said + "baseline is not the mean of the group.", rows, run.phantoms / run.groups.height)


@check(
    "advantages.group_size",
    definition="the groups of one step are all of one size, those of another step of another",
    threshold="from one step on",
    advice="compare steps of one group size: how large advantages are, how many groups are silent depends on it",
    source="GRPO, arXiv 2402.03300: one group size G throughout",
)
def group_size(run: Facts) -> Finding | None:
    """A size that changes during the run."""
    sizes = run.groups.group_by("step", maintain_order=True).agg(
        pl.col("rollouts").min().alias("low"), pl.col("rollouts").max().alias("high")
    )
    sizes = sizes.filter(pl.col("low") == pl.col("high"))
    changed = sizes.filter(pl.col("low") != pl.col("low").shift(1))
    if changed.is_empty():
        return None
    step, size = changed.select("step", "low").row(0)
    before = sizes.filter(pl.col("step") < step)["low"][-1]
    again = f" and {counted(changed.height - 1, 'time')} more" if changed.height > 1 else ""
    said = (
        f"The group size changes from {before} to {size} at step {step}{again}: two runs in one log, or other settings."
    )
    return Finding("warning", said, changed.select("step", rollouts="low"), changed.height / sizes.height)


@check(
    "advantages.duplicates",
    definition="rollouts of one group have the same long answer, letter by letter",
    threshold="a warning from {warns:.0%} of at least {least} groups on, of answers of at least {letters} letters",
    advice="a seed for each rollout, a temperature above zero; where the policy has collapsed, see the entropy",
    source="GRPO, arXiv 2402.03300: the rollouts of a group are independent samples",
)
def duplicates(run: Facts, *, warns: float = 0.5, least: int = 8, letters: int = 32) -> Finding | None:
    """Samples that are no samples."""
    frame, long = run.table.frame, letters_of(run.table.frame, "completion") >= letters
    text = pl.when(long).then(key(frame, "completion"))
    counts = per_group(frame, [(text.count() - text.drop_nulls().n_unique()).cast(pl.Int64).alias("copies")])
    found = counts.filter(pl.col("copies") > 0)
    if found.is_empty():
        return None
    share = found.height / counts.height
    severity = "warning" if counts.height >= least and share >= warns else "note"
    said = f"In {found.height} of {counts.height} groups rollouts repeat the answer of another one, letter by letter."
    return Finding(severity, said, found, share)


@check(
    "advantages.rule",
    definition="a rule or preset of the lab reproduces the logged advantages",
    threshold="to 1e-5 of the largest of them (1/128 in bfloat16), on a few hundred groups",
    source="the papers of the rules; `lab.advantages.names()`",
)
def rule(run: Facts) -> Finding | None:
    """Which estimator wrote the log."""
    by = run.estimator
    if by is None or by.rule == "reward" or by.over != "group" or by.sign < 0:
        return None
    off = f"largest difference {by.error:.1e}"
    if not by.rule:
        zero = "All logged advantages are zero, which does not tell the trainer's rule."
        return Finding("note", zero if by.exact else "No rule reproduces the logged advantages.")
    if not by.exact:
        most = f", for {by.share:.1%} of the rollouts" if by.share else ""
        but = f"those of {by.rule} come nearest{most} ({off})"
        return Finding("note", f"No rule reproduces all logged advantages; {but}.", evidence=_agreement(run))
    also = f" {', '.join(by.others[:3])} would have given the same here." if by.others else ""
    part = "" if by.share > 1 - 1e-9 else f", for {by.share:.1%} of the rollouts"
    said = f"The logged advantages are those of {by.rule} in {by.precision} ({off}){part}.{also}"
    return Finding("note", said, share=by.share, evidence=_agreement(run))
