"""The advantages as the trainer logged them: whose rule they follow, and what is wrong with them."""

from __future__ import annotations

from lab.logs.facts import Facts
from lab.logs.findings.contract import Evidence, Finding, check
from lab.logs.frames import recomputed


@check(
    "advantages.phantom",
    definition="all rewards of a group are equal, each part for itself, and its rollouts have advantages all the same",
    threshold="from one group on",
    advice="compute advantages in float64, or set them to zero where a group has no spread",
    source="TRL issues on advantages of equal rewards; Dr. GRPO, arXiv 2503.20783, on dividing by the spread",
)
def phantom(run: Facts) -> Finding | None:
    """Advantages that rounding makes of equal rewards."""
    if not run.phantoms:
        return None
    sign = "of either sign" if run.phantom_sign == "mixed" else f"all {run.phantom_sign}"
    said = (
        f"{run.phantoms} groups with equal rewards have advantages all the same (phantom advantages), {sign}, up to "
        f"{run.phantom_size:.2e}: rounding in the trainer, not signal."
    )
    reported = run.steps["zero_std"].mean() if "zero_std" in run.steps.columns else None
    if isinstance(reported, float) and reported < run.no_signal - 1e-9:
        said += f" The trainer itself reported {reported:.1%} of groups without spread (zero_std)."
    rows = run.groups.filter("phantom").select("step", "group", "reward", "advantage_low", "advantage_high")
    return Finding("warning", said, rows, run.phantoms / run.groups.height)


@check(
    "advantages.rule",
    definition="a rule or preset of the lab reproduces the logged advantages",
    threshold="to 1e-5 of the largest of them",
    source="the papers of the rules; `lab.advantages.names()`",
)
def rule(run: Facts) -> Finding | None:
    """Which estimator wrote the log."""
    best = run.best
    if best is None:
        return None
    if run.table.frame["advantage"].abs().max() == 0:
        return Finding("note", "All logged advantages are zero, which does not tell the trainer's rule.")
    off = f"largest difference {best['max_error']:.1e}"
    if not best["reproduces"]:
        return Finding("note", f"No rule reproduces the logged advantages; the nearest is {best['rule']} ({off}).")
    same = run.rules.filter("reproduces")["rule"].unique(maintain_order=True).to_list()
    others = [name for name in same if name.partition("@")[0] != best["rule"].partition("@")[0]]
    also = f" {', '.join(others[:3])} would have given the same here." if others else ""
    said = f"The logged advantages are those of {best['rule']} in {best['precision']} ({off}).{also}"
    return Finding("note", said, run.groups.select("step").unique(maintain_order=True), evidence=_agreement(run))


def _agreement(run: Facts) -> Evidence:
    return Evidence("agreement", recomputed(run))
