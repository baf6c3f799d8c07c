"""Compare: several variants on the same draws, side by side in everything that the lab measures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

import lab
from lab import studies
from lab.explorers.contract import COMPARE, Explorer, Panel, Picture, Questions, State, Words
from lab.explorers.kept import kept
from lab.explorers.places import given, group_size, place, scenes
from lab.explorers.runs import (
    FIRST,
    absent,
    code,
    fitting,
    goal,
    measured,
    of_possible,
    offer,
    or_fair,
    settings,
    trained,
    tuned,
)
from lab.explorers.train import lengths
from lab.figures.implied_reward import implied_distances
from lab.figures.lines import curves
from lab.figures.training import training
from lab.figures.tuning import tuning
from lab.trace import leads, standing

MEASURE = ("value", "sign_flip", "no_signal", "grad_norm", "advantage_max", "entropy", "levels")
SHOWN = ("grad_norm", "sign_flip", "levels", "no_signal", "advantage_max")
PAIRED = (
    "Each seed's difference on the same draws, averaged, with its 95% interval over seeds: where the band leaves out "
    "0, the two are told apart, even if their own bands overlap."
)
DECLARED = "As declared by the advantage rule; each yes is tested, and each no has a counterexample."
SHORT = {
    "shift": "blind to a shift of all rewards", "scale": "blind to their scale", "permutation": "order is no matter",
    "zero_sum": "sums to zero in a group", "bounded": "bounded", "silent": "equal rewards teach nothing",
    "groupwise": "sees one group at a time",
}  # fmt: skip

QUESTIONS: Questions = {
    "Does dividing by the spread help?": {},
    "Mean or median, under outliers?": {
        "variants": ["grpo", "mc-grpo", "mc-grpo-control"], "law": "contaminated_normal"},
    "Statistics of the group or of the batch?": {"variants": ["grpo", "bnpo", "reinforce_pp"]},
    "What do the trainers' presets change?": {
        "variants": ["grpo@trl", "grpo@verl", "grpo@openrlhf", "grpo@nemo-rl"], "law": "normal"},
    "What can be done with four rollouts?": {
        "variants": ["grpo", "ngrpo", "dapo", "mc-grpo"], "group_size": 4},
    "Several turns: all at once, by turns, or both?": {
        "world": "turns", "variants": ["grpo", "mapo@batch", "mapo@turn", "mapo"]},
    "Several agents: what does one mean for all cost?": {
        "world": "agents", "variants": ["dr-mas-global", "dr-mas", "grpo"]},
    "Several rewards: added first, or normalised first?": {
        "world": "captions", "variants": ["grpo", "gdpo", "gdpo@no-batch-norm", "balcaprl"]},
    "A judge with moods: which tournament?": {
        "world": "judged", "variants": ["grpo", "arenarl", "arenarl@swiss", "arenarl@anchor"], "steps": 50},
}  # fmt: skip


def explorer() -> Explorer:
    """Which variant is better on the same draws."""
    properties = or_fair(settings(["grpo", "dr_grpo", "rloo"], steps=150))
    return Explorer(
        name="compare", label="Compare", room=COMPARE,
        title="On the same draws, which variant is better, and what does it cost?",
        properties=properties, first=FIRST, questions=QUESTIONS, scenes=scenes(properties), offer=offer, draw=picture,
    )  # fmt: skip


@of_possible(fitting)
def picture(state: State) -> Picture:
    """Where the variants end beside the first of them, what they climb, and where the difference comes from."""
    measure = measured(state, MEASURE)
    trace = trained(state, measure)
    metric, words = goal(trace.frame)
    summary, base, label = trace.summary(), trace.variants[0].name, words.split(" ", 1)[1]
    gaps = leads(trace.frame, metric, base)
    distances = implied_of(state)
    shared = [name for name in (*SHOWN, "gold") if name in trace.frame.columns]
    ends = gaps.filter(pl.col("step") == pl.col("step").max())
    panels = [
        Panel(curves, summary, label[:1].upper() + label[1:], {"metric": metric, "label": label}, key="value"),
        ahead(gaps, label, base),
        *rate_curve(state),
        *([] if distances is None else [Panel(implied_distances, distances, "The reward that it climbs")]),
        Words(promises(state["variants"]), "What its advantages promise", DECLARED),
        Panel(training, summary, "Where the difference comes from", {"metrics": shared, "columns": 2}, wide=True),
    ]
    return Picture(
        sentence=reading(trace.frame, ends, distances, base, fair=lengths(state, trace.frame)),
        panels=panels,
        code=lines(state, measure, (metric, label, base), shared, gaps=gaps, distances=distances),
        frame=summary,
        of="all curves but the lead",
        notes=absent(state, MEASURE, trace.frame),
    )


def ahead(gaps: pl.DataFrame, label: str, base: str) -> Panel | Words:
    """The lead of each variant over the first, seed by seed."""
    heading = f"The same, less that of {base}, seed by seed"
    if gaps.is_empty():
        return Words("Choose a second variant, and its lead over the first is drawn here.", heading)
    return Panel(curves, gaps, heading, {"metric": "lead", "label": f"{label} above {base}"}, PAIRED, key="lead")


def rate_curve(state: State) -> list[Panel]:
    """Where each variant ends over the learning rate, where each has its own."""
    if not state["fair"]:
        return []
    return [Panel(tuning, tuned(state), "Where each ends, over the learning rate")]


def implied_of(state: State) -> pl.DataFrame | None:
    """Distances of the implied rewards at the first policy; None in a world whose responses cannot be listed."""
    if not place(state["world"]).here.listed:
        return None
    return implied(state["world"], given(state), state["variants"], group_size(state), state["seed"])


@kept(64)
def implied(name: str, settings: dict[str, Any], variants: list[str], group_size: int, seed: int) -> pl.DataFrame:
    """Distances of the implied rewards at the first policy."""
    world = lab.world(name, **settings)
    return studies.implied_distance(world, variants, group_size=group_size, groups=1024, seed=seed)


def lines(
    state: State, measure: tuple[str, ...], shown: tuple[str, str, str], shared: Sequence[str], *,
    gaps: pl.DataFrame, distances: pl.DataFrame | None,
) -> str:  # fmt: skip
    """The code; `shown` is the metric, its label and the variant that the others are compared with."""
    metric, label, base = shown
    found = [
        *code(state, measure),
        "summary = trace.summary()",
        f"lab.figures.curves(summary, metric={metric!r}, label={label!r})",
        f"lab.figures.training(summary, metrics={shared}, columns=2)",
    ]
    if state["fair"]:
        found.append("lab.figures.tuning(tuned)")
    if gaps.height:
        found += [
            "",
            "from lab.trace import leads",
            f"ahead = leads(trace.frame, {metric!r}, {base!r})",
            f'lab.figures.curves(ahead, metric="lead", label="{label} above {base}")',
        ]
    if distances is not None:
        found += [
            "",
            f"distances = lab.studies.implied_distance(world, {state['variants']!r},",
            f"                                         group_size={group_size(state)}, groups=1024, "
            f"seed={state['seed']})",
            "lab.figures.implied_distances(distances)",
        ]
    return "\n".join(found)


def promises(variants: list[str]) -> str:
    """A table of what each variant's advantage rule declares, as Markdown."""
    rows = [["", *variants], ["---", *[":---:"] * len(variants)]]
    for name, words in SHORT.items():
        badges = [":green-badge[yes]" if name in declared(v) else ":gray-badge[no]" for v in variants]
        rows.append([f":small[{words}]", *badges])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def declared(variant: str) -> frozenset[str]:
    """Properties of a variant's advantage rule."""
    return lab.advantages.rule(lab.variant(variant).advantage).properties


def reading(frame: pl.DataFrame, ahead: pl.DataFrame, distances: pl.DataFrame | None, base: str, *, fair: str) -> str:
    """The sentence: who ends where, which differences are told apart, and who climbs another reward.

    `fair` says whether that is a fair comparison.
    """
    metric, words = goal(frame)
    first = standing(frame, metric, last=1).filter(pl.col("variant") == base).row(0, named=True)
    sentence = f"**{base}** ends at {words} of {first['mean']:.3f}"
    parts = [_beside(row) for row in ahead.iter_rows(named=True)]
    sentence += f"; on the same draws {', '.join(parts)}." if parts else "."
    sentence += f"{fair} "
    if distances is None:
        return sentence
    known = distances.drop_nulls("distance").sort("distance")
    if known.is_empty():
        return sentence + "None of them has an implied reward here."
    far = known.row(-1, named=True)
    if far["low"] < 0.0005:
        return sentence + "Averaged over draws, the true reward is climbed."
    most = "furthest, " if known.height > 1 else ""
    return (
        f"{sentence}Averaged over draws an update climbs the mean advantage of each response, not its reward; under "
        f"**{far['variant']}** the two lie {most}{far['distance']:.2f} apart (0: the true reward is climbed, 1: no "
        f"relation)."
    )


def _beside(row: dict[str, Any]) -> str:
    """Where a variant ends beside the base, if that can be told."""
    if row["low"] is None or row["low"] <= 0 <= row["high"]:
        return f"{row['variant']} is not told apart"
    return f"{row['variant']} lies {abs(row['mean']):.3f} {'above' if row['mean'] > 0 else 'below'}"
