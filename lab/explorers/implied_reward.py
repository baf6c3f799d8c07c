"""Implied reward: which reward an estimator really climbs, over group size and success probability."""

from __future__ import annotations

import polars as pl

from lab import studies
from lab.explorers.contract import REWARDS, Explorer, Panel, Picture, Questions, State
from lab.explorers.kept import in_parts, kept
from lab.explorers.properties import RUN, Choice, Choices, Number, seed
from lab.explorers.words import listed
from lab.figures.implied_reward import implied_lift, implied_over_success
from lab.methods import names

SIZES = [2, 4, 8, 16, 32, 64]
SUCCESS = [0.02, *(i / 20 for i in range(1, 20)), 0.98]
ROUNDING = 0.0005  # a distance that is written as 0.000

QUESTIONS: Questions = {
    "Does dividing by the spread change the goal?": {},
    "Why is a pair of rollouts harmless?": {"sizes": [2], "group_size": 2, "variants": ["grpo", "mc-grpo", "ngrpo"]},
    "What if the other prompt is nearly solved?": {"beside": 0.9},
    "Do trainers differ in what they climb?": {
        "variants": ["grpo@trl", "grpo@verl", "grpo@trl-none"], "sizes": [4, 16, 64], "group_size": 16},
    "What does a virtual success add?": {"variants": ["grpo", "ngrpo"], "sizes": [4, 8, 16]},
}  # fmt: skip


def explorer() -> Explorer:
    """Which reward is really climbed."""
    return Explorer(
        name="implied-reward", label="Implied reward", room=REWARDS,
        title="Which reward does an estimator really climb?",
        properties=[
            Choices(name="variants", label="Variants", options=names(), default=["grpo", "dr_grpo", "mc-grpo"], most=6),
            Choices(name="sizes", label="Group sizes", options=SIZES, default=[2, 4, 8, 16, 32], most=6),
            Choice(name="group_size", label="Group size looked at", options=SIZES, default=8),
            Number(name="beside", label="The other prompt succeeds with", low=0.05, high=0.95, step=0.05, default=0.5),
            Choice(name="groups", label="Groups drawn", options=[1024, 4096, 16384], default=1024,
                   names={1024: "1 024", 4096: "4 096", 16384: "16 384"}, group=RUN,
                   help="Only for rules whose groups can't be listed, because they look at the whole batch."),
            seed(),
        ],
        questions=QUESTIONS, first=("variants", "sizes", "group_size", "beside"), draw=picture,
    )  # fmt: skip


def picture(state: State) -> Picture:
    """Distances from the true reward by success and group size, and what one prompt weighs beside the other."""
    variants, sizes, size = state["variants"], sorted(state["sizes"]), state["group_size"]
    given = state["beside"], state["groups"], state["seed"]
    everywhere, here = study(variants, sizes, *given), study(variants, [size], *given)
    return Picture(
        sentence=reading(here, size, state["beside"]),
        panels=[
            Panel(implied_over_success, everywhere, "Distance from the true reward"),
            Panel(implied_lift, here, f"What is lifted and what is neglected, groups of {size}", wide=True),
        ],
        code=lines(state),
        frame=pl.concat([everywhere, here]).unique(maintain_order=True),
        of="both pictures",
    )


def study(variants: list[str], sizes: list[int], beside: float, groups: int, seed: int) -> pl.DataFrame:
    """Distances and weights at every success."""
    parts = [(variant, size) for variant in variants for size in sizes]
    return in_parts(lambda part: _study(*part, beside, groups, seed), parts)


@kept(512)
def _study(variant: str, size: int, beside: float, groups: int, seed: int) -> pl.DataFrame:
    return studies.implied_reward_study([variant], [size], SUCCESS, beside=beside, groups=groups, seed=seed)


def reading(here: pl.DataFrame, size: int, beside: float) -> str:
    """The sentence: who is furthest from the true reward at one success, who is nearest, and who is not away at all."""
    success = 0.1 if 0.2 <= beside <= 0.8 else 0.5
    there = here.filter(pl.col("success") == success).drop_nulls("distance").sort("distance", maintain_order=True)
    place = f"One prompt succeeds in {success:.0%}, another in {beside:.0%}, groups of {size}"
    if there.is_empty():
        return (
            f"{place}: these variants have no implied reward here; they refuse such rewards, or read what is lacking."
        )
    near, far = there.row(0, named=True), there.row(-1, named=True)
    true = there.filter(pl.col("low") < ROUNDING)["variant"].to_list()
    climbs = f"{listed(true)} climb{'s' if len(true) == 1 else ''} the true reward" if true else ""
    if far["low"] < ROUNDING:
        return f"{place}: {climbs}."
    lift = ""
    if far["lift"]:
        lift = f"; it counts a right answer to the first {far['lift']:.2g} times as much as one to the second, not once"
    if not climbs and there.height > 1:
        climbs = f"**{near['variant']}** climbs one {near['distance']:.2f} away"
    said = (
        f"{place}: on average **{far['variant']}** climbs a reward that lies {far['distance']:.2f} from the true one "
        f"(0: the same, 1: none at all, 1.41: no relation){lift}"
    )
    return f"{said}; {climbs}." if climbs else f"{said}."


def lines(state: State) -> str:
    """The code of both pictures."""
    variants, drawn = state["variants"], f"beside={state['beside']:g}, groups={state['groups']}, seed={state['seed']}"
    return f"""
import polars as pl

import lab

success = {SUCCESS}
drawn = dict({drawn})
study = lab.studies.implied_reward_study({variants}, {sorted(state["sizes"])}, success, **drawn)
lab.figures.implied_over_success(study)

here = lab.studies.implied_reward_study({variants}, [{state["group_size"]}], success, **drawn)
lab.figures.implied_lift(here)
both = pl.concat([study, here]).unique(maintain_order=True)
"""
