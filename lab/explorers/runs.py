"""What the explorers that train have in common: the settings of a run, the run, its code, who cannot train where."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache, reduce, wraps
from typing import Any

import polars as pl

import lab
from lab.errors import LabError, worlds_with
from lab.explorers import places
from lab.explorers.contract import LeftOut, Offer, Picture, State
from lab.explorers.kept import in_parts, kept, watched
from lab.explorers.places import closed, given, group_size, made, place, setter
from lab.explorers.properties import RUN, Choice, Choices, Flag, Property, Whole, seed
from lab.measures.metrics import metric
from lab.methods import names
from lab.text import plain
from lab.training.settings import declared
from lab.training.train import Refusal
from lab.world_registry import fixed, suited
from simulators import providers

MEASURED = 75  # points of a curve that needs the exact gradient

Measure = str | tuple[str, ...]

#: The controls on top, where a run is what is looked at.
FIRST = ("world", "variants", "lr", "fair")


def settings(variants: Sequence[str], **defaults: Any) -> list[Property]:
    """The properties of a run: its world, these variants, and the rest with these defaults."""
    start = {"group_size": 8, "lr": 2.0, "runs": 16, "steps": 150, "epochs": 1} | defaults
    free = [name for name in places.places() if "group_size" not in fixed(name)]
    suited_steps = {at.suits["steps"] for at in places.places().values() if "steps" in at.suits}
    known = [
        *places.properties(),
        Choices(name="variants", label="Variants", options=names(), default=[lab.variant(v).name for v in variants]),
        replace(of_run("group_size"), when={"world": free}),
        replace(of_run("lr"), typed=True, format="%g"),
        Choice(
            name="steps",
            label=declared()["steps"].label,
            options=sorted({50, 150, 500, 2000} | suited_steps),
            default=150,
            group=RUN,
        ),
        runs_of(),
        of_run("epochs"),
        seed(),
    ]
    return [replace(each, default=start[each.name]) if each.name in start else each for each in known]


def or_fair(properties: Sequence[Property]) -> list[Property]:
    """The properties of a run, and whether each variant is to have its own best learning rate."""
    words = "Chosen on other runs, from several; takes as many times as long."
    fair = Flag(name="fair", label="Each at its own best learning rate", default=False, help=words)
    one = [replace(each, when={**each.when, "fair": [False]}) if each.name == "lr" else each for each in properties]
    return [*one, fair]


def runs_of(default: int = 16, low: int = 2, words: str = "the bands are 95% intervals over them.") -> Whole:
    """The number of independent runs."""
    label = declared()["seeds"].label
    return Whole(
        name="runs", label=label, low=low, high=64, default=default, help=f"Independent runs; {words}", group=RUN
    )


def of_run(name: str) -> Any:
    """The property that sets a setting of a run, as it is declared: its label, the part that a slider offers, help."""
    return setter(declared()[name], name, RUN)


@cache
def _own() -> frozenset[str]:
    """Names of the properties that decide a run and are no setting of a world."""
    return frozenset(each.name for each in settings(["grpo"]) if each.group == RUN or each.name in FIRST)


def usual(name: str) -> dict[str, Any]:
    """The state of a run in a world where nothing else is chosen."""
    return {**{each.name: each.default for each in settings(["grpo"])}, **place(name).suits, "world": name}


@kept(64)
def closed_by_default(name: str) -> dict[str, Refusal]:
    """Variants that cannot train in a world as the explorers have it by default."""
    return closed(name, given(usual(name)), None, group_size(usual(name)))


def offer(state: State) -> Offer:
    """The variants that can train in the state's world."""
    return narrowed(state, closed_by_default(state["world"]), places.about(state["world"]))


def narrowed(state: State, away: Mapping[str, Refusal], about: str, prop: str = "variants") -> Offer:
    """The variants that are possible, what the place is, and why the others are not."""
    number = len(names())
    groups: dict[str, list[str]] = {}
    for name, refusal in away.items():
        groups.setdefault(reason(refusal), []).append(f"**{name}**")
    return Offer(
        options={prop: [v for v in names() if v not in away or v in state[prop]]},
        about=f"{about} {number - len(away)} of {number} variants are possible here.",
        others="\n\n".join(f"{', '.join(found)}  \n{plain(why)}" for why, found in groups.items()),
        number=len(away),
    )


def reason(refusal: Refusal) -> str:
    """Why a variant cannot train here: the fields that are lacking, with the worlds that have them; else its words."""
    if not refusal.fields:
        return refusal.words
    return f"Reads {', '.join(refusal.fields)}, which this world does not have ({worlds_with(refusal.fields)})."


def fitting(state: State) -> tuple[dict[str, Any], list[LeftOut]]:
    """The state with the variants that can train in its world, and the others with the reason."""
    return without(state, closed(state["world"], given(state), state["variants"], group_size(state)))


def without(
    state: State, away: Mapping[str, Refusal], prop: str = "variants", among: Collection[str] = ()
) -> tuple[dict[str, Any], list[LeftOut]]:
    """The state with those of the variants under `prop` that are not away, and the others with the reason.

    Args:
        state: A whole state.
        away: Variants that are not possible.
        prop: Name of the property with the variants.
        among: Worlds that the explorer offers; all by default.
    """
    left = [LeftOut(name, reason(away[name]), _homes(away[name], among)) for name in state[prop] if name in away]
    return {**state, prop: [name for name in state[prop] if name not in away]}, left


def _homes(refusal: Refusal, among: Collection[str]) -> list[str]:
    """Worlds that provide all the fields that are lacking."""
    found = [set(providers(f)) for f in refusal.fields]
    offered = among or places.places()
    return [name for name in offered if found and all(name in each for each in found)]


def of_possible(
    fit: Callable[[State], tuple[dict[str, Any], list[LeftOut]]], prop: str = "variants"
) -> Callable[[Callable[[State], Picture]], Callable[[State], Picture]]:
    """Decorator: a picture of the variants under `prop` that `fit` leaves, the others named with the reason."""

    def decorate(draw: Callable[[State], Picture]) -> Callable[[State], Picture]:
        @wraps(draw)
        def picture(state: State) -> Picture:
            fitted, left = fit(state)
            if not fitted[prop]:
                return Picture(sentence="None of these variants is possible in this world.", left_out=left)
            return replace(draw(fitted), left_out=left)

        return picture

    return decorate


def asked(state: State) -> dict[str, Any]:
    """The options of `lab.train` for this state."""
    own = {k: v for k, v in suited(state["world"]).items() if k == "optimizer"}
    return {
        "steps": state["steps"], "seeds": range(state["seed"], state["seed"] + state["runs"]),
        "group_size": group_size(state), "lr": state["lr"], "epochs": state["epochs"], **own,
    }  # fmt: skip


def follows_gradient(state: State) -> bool:
    """Whether a step's length follows the gradient's, so that first steps can be compared; under Adam it does not."""
    return bool(asked(state).get("optimizer", "sgd") == "sgd")


def measured(state: State, wanted: Sequence[str]) -> tuple[str, ...]:
    """The measurements among those wanted that the state's world knows and that are not too dear."""
    world = made(state)
    more = (*(("gold",) if world.can("gold") else ()), *(() if world.exact else ("reward",)))
    return tuple(name for name in (*more, *wanted) if name not in place(state["world"]).here.dear)


def absent(state: State, wanted: Sequence[str], frame: pl.DataFrame) -> list[str]:
    """Which of the measurements wanted are not there, and why, in sentences."""
    away = [name for name in wanted if name not in frame.columns]
    dear = [metric(name).label for name in away if name in place(state["world"]).here.dear]
    unknown = [metric(name).label for name in away if name not in place(state["world"]).here.dear]
    said = []
    if dear:
        said.append(f"Not shown: {', '.join(dear)}, which takes longer here than all the rest; "
                    'lab.train(..., measure="full") has it.')  # fmt: skip
    if unknown:
        said.append(f"Not shown: {', '.join(unknown)}, which this world cannot know; nothing is guessed in its place.")
    return said


def goal(frame: pl.DataFrame) -> tuple[str, str]:
    """What a trace is judged by: the expected reward, or the rollouts' own where the world does not know it."""
    return ("value", "an expected reward") if "value" in frame.columns else ("reward", "a mean reward")


def pace(state: State, measure: Measure) -> int:
    """Every how many steps to measure: what needs the exact gradient costs three times a step, so it is done rarely.

    A spike lasts one step, so where norms are asked for every step is measured.
    """
    every_step = measure == "basic" or ("grad_norm" in measure and "value" not in measure)
    return 1 if every_step else max(1, state["steps"] // MEASURED)


def trained(state: State, measure: Measure) -> lab.Trace:
    """The trace of a state; stopped before its end, it holds the steps that were done.

    Raises:
        LabError: It was stopped before the first step.
    """
    own = {*_own(), *place(state["world"]).settings.values()}
    settled = {name: state[name] for name in own if name in state}
    if state.get("fair"):
        each = [_trained({**settled, "variants": [name], "lr": lr}, measure) for name, lr in rates(state).items()]
        trace: lab.Trace = reduce(lab.Trace.beside, each)
    else:
        trace = _trained(settled, measure)
    if trace.frame.is_empty():
        raise LabError("Stopped before the first step, so there is nothing to see yet.")
    return trace


@kept(12)
def _trained(state: dict[str, Any], measure: Measure) -> lab.Trace:
    options = asked(state) | {"measure": measure, "every": pace(state, measure)}
    return lab.train(made(state), state["variants"], **options, **watched())


@kept(32)
def _tuned(state: dict[str, Any], metric: str) -> pl.DataFrame:
    options = {name: value for name, value in asked(state).items() if name not in ("lr", "seeds")}
    world = made(state)
    return in_parts(lambda name: lab.tune(world, name, metric=metric, **options), state["variants"])


def tuned(state: State) -> pl.DataFrame:
    """Where each variant ends over the learning rate, on runs that nothing else is judged on."""
    return _tuned({name: value for name, value in state.items() if name not in ("lr", "seed", "runs")}
                  | {"lr": 1.0, "seed": 0, "runs": 2}, judged_by(state))  # fmt: skip


def judged_by(state: State) -> str:
    """What a run is judged by at its end: what is meant, where it is another reward than the one trained on."""
    world = made(state)
    return "gold" if world.can("gold") else "value" if world.exact else "reward"


def rates(state: State) -> dict[str, float]:
    """The learning rate of each variant: its own best, or one for all."""
    if not state.get("fair"):
        return dict.fromkeys(state["variants"], float(state["lr"]))
    best = tuned(state).filter(pl.col("best"))
    return {row["variant"]: float(row["lr"]) for row in best.iter_rows(named=True)}


def fairness(state: State) -> str:
    """Which learning rates the variants had, in a sentence."""
    each = ", ".join(f"{name} {lr:g}" for name, lr in rates(state).items())
    return f" Each trained at its own best learning rate ({each}), chosen on other runs."


def code(state: State, measure: Measure) -> list[str]:
    """Lines that repeat the run."""
    if state.get("fair"):
        return _fair_code(state, measure)
    seeds = f"range({state['seed']}, {state['seed'] + state['runs']})" if state["seed"] else str(state["runs"])
    options = asked(state)
    more = "".join(f", {k}={v!r}" for k, v in options.items() if k == "optimizer")
    every = f", every={pace(state, measure)}" if pace(state, measure) > 1 else ""
    return [
        "import lab",
        "",
        f"world = {made_by(state)}",
        f"trace = lab.train(world, {state['variants']!r},",
        f"                  steps={state['steps']}, seeds={seeds}, group_size={options['group_size']},",
        f"                  lr={state['lr']:g}, epochs={state['epochs']}{more}, measure={measure!r}{every})",
    ]


def _fair_code(state: State, measure: Measure) -> list[str]:
    """Lines that choose a learning rate for each variant and repeat its run."""
    options = {name: value for name, value in asked(state).items() if name not in ("seeds", "lr")}
    seeds = f"range({state['seed']}, {state['seed'] + state['runs']})"
    every = f", every={pace(state, measure)}" if pace(state, measure) > 1 else ""
    return [
        "from functools import reduce",
        "",
        "import lab",
        "import polars as pl",
        "",
        f"world, variants = {made_by(state)}, {state['variants']!r}",
        f"options = {options!r}",
        f"tuned = pl.concat([lab.tune(world, name, metric={judged_by(state)!r}, **options) for name in variants])",
        "rates = dict(tuned.filter(pl.col('best')).select('variant', 'lr').iter_rows())",
        f"each = [lab.train(world, name, lr=lr, seeds={seeds}, measure={measure!r}{every}, **options)",
        "        for name, lr in rates.items()]",
        "trace = reduce(lab.Trace.beside, each)",
    ]


def made_by(state: State) -> str:
    """The call that makes the world of a state."""
    return f"lab.world({state['world']!r}{''.join(f', {k}={v!r}' for k, v in given(state).items())})"
