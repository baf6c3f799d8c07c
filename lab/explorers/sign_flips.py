"""Sign flips: how often an advantage points the wrong way, against group size and reward law."""

from __future__ import annotations

import polars as pl

from lab import studies
from lab.explorers.contract import LOOK, Explorer, Offer, Panel, Picture, Questions, State
from lab.explorers.groups import LAW, by_size, closed_to, homes, short_code, short_run, words_of
from lab.explorers.kept import kept
from lab.explorers.properties import RUN, Choice, Choices, seed
from lab.explorers.runs import narrowed, of_possible, without
from lab.figures.lines import curves
from lab.figures.rates import flips_by_law, flips_by_size
from lab.measures.metrics import AGAINST_DRAWN, AGAINST_EXPECTED
from lab.methods import names
from simulators import reward_laws

SIZES = [2, 4, 8, 16, 32, 64]
FEWER = SIZES[:-1]
AXIS = f"rollouts of the wrong sign<br>{AGAINST_EXPECTED}"
LAWS = {law.name: law.name.replace("_", " ") for law in reward_laws.named()} | {"bernoulli": "right or wrong"}

QUESTIONS: Questions = {
    "Outliers: does the mean or the median err less?": {},
    "Well-behaved rewards: how much does a larger group help?": {"law": "normal", "group_size": 32},
    "Skewed rewards: is the median still better?": {"law": "log_normal"},
    "Right or wrong: can a sign be wrong at all?": {"law": "bernoulli"},
    "Three levels: do draws and formula agree?": {"law": "three_level", "prompts": 20000},
    "Several turns: does a step's own reward mislead?": {
        "world": "turns", "variants": ["grpo", "mapo", "a2tgpo", "igpo"]},
    "Several agents: is a mean of one's own safer?": {
        "world": "agents", "variants": ["dr-mas-global", "dr-mas", "grpo"]},
    "Token influence: does it turn signs?": {"world": "hidden-lm", "variants": ["grpo", "thr", "thr@explore"]},
    "A judge with moods: scores, or tournaments?": {
        "world": "judged", "variants": ["grpo", "arenarl", "arenarl@swiss"]},
}  # fmt: skip


def explorer() -> Explorer:
    """How often an advantage has the wrong sign."""
    return Explorer(
        name="sign-flips", label="Sign flips", room=LOOK, title="How often does an advantage have the wrong sign?",
        properties=[
            Choice(name="world", label="Groups from", options=list(homes()), names=homes(), default=LAW),
            Choices(name="variants", label="Variants", options=names(), default=["grpo", "mc-grpo", "ngrpo"]),
            Choice(name="law", label="Reward law", options=list(LAWS), names=LAWS, default="contaminated_normal",
                   when={"world": [LAW]}),
            Choice(name="group_size", label="Group size", options=SIZES, default=8),
            Choice(name="prompts", label="Groups drawn", options=[1000, 4000, 20000], default=4000,
                   names={1000: "1 000", 4000: "4 000", 20000: "20 000"}, when={"world": [LAW]}, group=RUN),
            seed(),
        ],
        questions=QUESTIONS, offer=offer, draw=picture, first=("world", "variants", "law", "group_size"),
    )  # fmt: skip


def offer(state: State) -> Offer:
    """The variants that are possible where groups come from."""
    about = words_of(state["world"], "Rewards of a law, and nothing else.")
    return narrowed(state, closed_to(state["world"]), about)


@of_possible(lambda state: without(state, closed_to(state["world"]), among=homes()))
def picture(state: State) -> Picture:
    """Wrong signs by group size, and by law or while training."""
    return of_a_law(state) if state["world"] == LAW else of_a_world(state)


@kept(64)
def study(variants: list[str], laws: list[str], sizes: list[int], prompts: int, seed: int) -> pl.DataFrame:
    """Sign-flip rates."""
    return studies.sign_flip_study(variants, laws, sizes, prompts=prompts, seed=seed)


def of_a_law(state: State) -> Picture:
    """The pictures where groups are drawn from a law of the rewards."""
    variants, law, size = state["variants"], state["law"], state["group_size"]
    drawn = {"prompts": state["prompts"], "seed": state["seed"]}
    sizes, laws = study(variants, [law], SIZES, **drawn), study(variants, list(LAWS), [size], **drawn)
    here = sizes.filter(pl.col("group_size") == size)
    return Picture(
        sentence=reading(here, f"With {LAWS[law]} rewards and groups of {size}", AGAINST_DRAWN),
        panels=[
            Panel(flips_by_size, sizes, f"By group size, {LAWS[law]} rewards"),
            Panel(flips_by_law, laws, f"By reward law, groups of {size}", wide=True),
        ],
        code=f"""
import polars as pl

import lab

variants = {variants}
drawn = dict(prompts={state["prompts"]}, seed={state["seed"]})
by_size = lab.studies.sign_flip_study(variants, ["{law}"], {SIZES}, **drawn)
lab.figures.flips_by_size(by_size)

by_law = lab.studies.sign_flip_study(variants, {list(LAWS)}, [{size}], **drawn)
lab.figures.flips_by_law(by_law)
both = pl.concat([by_size, by_law]).unique(maintain_order=True)
""",
        frame=pl.concat([sizes, laws]).unique(maintain_order=True),
        of="both pictures",
    )


def of_a_world(state: State) -> Picture:
    """The pictures where groups are drawn in a world."""
    world, variants, size = state["world"], state["variants"], state["group_size"]
    rates = by_size(world, variants, FEWER, "sign_flip", state["seed"])
    summary = short_run(world, variants, size, ("sign_flip",), state["seed"])
    here = rates.filter(pl.col("group_size") == min(size, FEWER[-1]))
    place = f"At the first policy of the world {world}, with groups of {min(size, FEWER[-1])},"
    told = {"metric": "sign_flip", "label": AXIS, "percent": True}
    return Picture(
        sentence=reading(here, place, AGAINST_EXPECTED),
        panels=[
            Panel(flips_by_size, rates, "By group size, at the first policy"),
            Panel(curves, summary, f"While training, groups of {size}", told, wide=True),
        ],
        code=short_code(world, variants, FEWER, size, ["sign_flip"], state["seed"])
        + "\nlab.figures.flips_by_size(rates)\n"
        f'lab.figures.curves(summary, metric="sign_flip", label={AXIS!r}, percent=True)',
        frame=rates,
        of="the picture by group size",
    )


def reading(here: pl.DataFrame, place: str, against: str) -> str:
    """The sentence: who errs most and who least in this place, and whether they can be told apart."""
    known = here.drop_nulls("rate").unique("variant", keep="first", maintain_order=True).sort("rate")
    if known.is_empty():
        return f"{place} no rollout has a sign to get wrong."
    least, most = known.row(0, named=True), known.row(-1, named=True)
    if most["high"] == 0:
        why = ": the baseline always lies between right and wrong" if against == AGAINST_DRAWN else ""
        return f"{place} no sign is ever wrong {against}{why}."
    if known.height == 1:
        return f"{place} **{most['variant']}** gives {most['rate']:.1%} of the rollouts the wrong sign {against}."
    apart = "" if least["high"] < most["low"] else "; their intervals overlap, so more draws may turn this round"
    return (
        f"{place} **{most['variant']}** gives {most['rate']:.1%} of the rollouts the wrong sign {against}, "
        f"**{least['variant']}** {least['rate']:.1%}{apart}."
    )
