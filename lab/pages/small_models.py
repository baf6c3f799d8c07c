"""Small models: a transformer that writes text is trained; what it writes, and what each variant pushes in it."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import streamlit as st

from lab import experiment
from lab.config import Config
from lab.explorers.contract import COMPARE, Topic
from lab.explorers.live import tokens
from lab.explorers.places import setter
from lab.explorers.properties import Choice, Choices, Whole, seed
from lab.explorers.tokens import GUIDE
from lab.explorers.words import in_words
from lab.figures.group_matrix import group_matrix
from lab.figures.training import training
from lab.logs import bundled_run
from lab.measures.alike import answer_rows
from lab.measures.gains import half_gains
from lab.measures.rollouts import recorded
from lab.measures.tokens import token_weights
from lab.methods import names
from lab.pages import live
from lab.pages.background import Job
from lab.pages.home import stop_button
from lab.pages.shell import Page
from lab.store import Run
from lab.text import plain
from lab.world_registry import declaration
from simulators.small_lm.tasks import TASKS

RECORDED = "sorting"
COMPONENTS = {"reward_1": "right answer", "reward_2": "format", "reward_3": "length"}
CURVES = (*COMPONENTS, "greedy", "pass_at_8", "entropy")
WHEN = {"before": 0, "halfway": 0.5, "after": 1}
SMALL_LM = declaration("small-lm")
SETTINGS = ("task", "variants", "steps", "runs", "group_size", "lr", "accuracy", "seed")
PROMPTS = 16  # of a step
AT_ONCE = 1.0  # seconds that the page waits before it shows how far the training is

page = Page(Topic(
    name="small-models",
    label="Small models",
    room=COMPARE,
    title="What does training do to what a model writes?",
    properties=[
        Choice(name="source", label="Run", options=["recorded", "here"], default="recorded",
               names={"recorded": "a recorded one", "here": "train here"}),
        replace(setter(SMALL_LM.settings["task"], "task"), default="sorting"),
        Choices(name="variants", label="Train by", options=names(presets=False), default=["grpo", "gdpo"], most=3),
        Choice(name="steps", label="Steps", options=[50, 100, 200, 400], default=100),
        Whole(name="runs", label="Seeds", low=1, high=8, default=4,
              help="Independent runs; the bands are 95% intervals over them."),
        Choice(name="group_size", label="Group size", options=[4, 8, 16], default=8),
        Choice(name="lr", label="Learning rate", options=[0.0001, 0.0003, 0.001], default=0.0003,
               names={0.0001: "1e-4", 0.0003: "3e-4", 0.001: "1e-3"}),
        Choice(name="accuracy", label="Right at the start", options=[0.1, 0.2, 0.4], default=0.4,
               names={0.1: "10%", 0.2: "20%", 0.4: "40%"}, help="Accuracy at which imitating worked solutions stops."),
        seed(),
        Choice(name="view", options=["text", "learning", "variants"], default="text"),
        Choice(name="policy", label="Model trained by", options=names(presets=False), default="grpo"),
        Choices(name="when", label="Answers from", options=list(WHEN), default=["before", "after"]),
        Choices(name="by", label="Coloured by", options=names(presets=False), default=["grpo"], most=3),
        Whole(name="prompt", label="Prompt", low=1, high=PROMPTS, default=2, typed=True),
    ],
    questions={
        "What does the model write before and after?": {},
        "Does the format come before the answer?": {"view": "learning"},
        "Where GRPO is silent, what does a KL penalty push?": {
            "when": ["after"], "by": ["grpo", "grpo-kl"], "prompt": 14},
        "What would every other variant have given?": {"view": "variants"},
        "Is an answer that is always right still pushed?": {
            "when": ["after"], "by": ["grpo", "psr", "ngrpo"], "prompt": 14},
    },
))  # fmt: skip


def configured(state: Mapping[str, Any]) -> Config:
    """The configuration of a run with the page's settings."""
    return Config(
        world={"name": SMALL_LM.name,
               "options": {"task": state["task"], "accuracy": state["accuracy"], "prompts": PROMPTS}},
        variants=state["variants"], steps=state["steps"], seeds=[*range(state["seed"], state["seed"] + state["runs"])],
        group_size=state["group_size"], lr=state["lr"], optimizer="adam", measure="full", every=5, evaluate=25,
        chunk=10,
    )  # fmt: skip


@st.cache_resource(show_spinner=False)
def folder() -> tempfile.TemporaryDirectory[str]:
    """Where the page's runs are kept while the dashboard is open."""
    return tempfile.TemporaryDirectory(prefix="small-models-")


def path_of(settled: str) -> Path:
    """Folder of the run with that configuration."""
    return Path(folder().name) / hashlib.sha256(settled.encode()).hexdigest()[:16]


@st.cache_resource(max_entries=8, show_spinner=False)
def start(settled: str) -> Job:
    """The training of a configuration (as JSON), started once; stopped, it goes on where it ended."""
    path, config = path_of(settled), Config.model_validate_json(settled)
    return Job(partial(experiment.run, config, path.name, runs=path.parent, resume=True))


def trained(state: Mapping[str, Any]) -> Run | None:
    """The run that the page trains itself, as far as it is; None where it cannot be trained here."""
    settled = configured(state).text()
    before = st.session_state.get(page.key("run"))
    if before and before != settled and start(before).left(page.reader):
        start.clear(before)
    st.session_state[page.key("run")] = settled
    job = start(settled)
    if not job.wait(AT_ONCE, page.reader):
        page.say("Training … the first time the model is made first, by imitating worked solutions.")
        watch(job, path_of(settled))
        st.stop()
    try:
        found: Run = job.answer()
    except Exception as error:
        start.clear(settled)
        st.info(f"{in_words(error)} What follows is a recorded run.")
        return None
    if not found.complete:
        st.info("Stopped before the end; this is what is there.")
        st.button("Go on", on_click=start.clear, args=(settled,), icon=":material/play_arrow:")
    return found


@st.fragment(run_every=2.0)
def watch(job: Job, path: Path) -> None:
    """How far the training is, what has been measured so far, and the button that stops it."""
    if job.wait(0, page.reader):
        st.rerun()
    st.progress(job.share, text=f"{job.done} of {job.total} steps, of all variants together")
    stop_button(job)
    if (path / "config.json").exists() and Run(path).frame.height:
        learning(Run(path))


def sampled(found: Run, policy: str) -> dict[str, int]:
    """Which steps of a variant's first run are kept as text: before, halfway, after."""
    steps = found.rollouts.filter(variant=policy)["step"].unique().sort()
    return {when: int(steps.quantile(place, "nearest") or 0) for when, place in WHEN.items()} if steps.len() else {}


def rows_of(found: Run, policy: str, step: int) -> pl.DataFrame:
    """The rollouts of one step of a variant's first run."""
    return found.rollouts.filter(variant=policy, step=step, seed=found.config.numbers[0])


@st.cache_data(max_entries=64, show_spinner=False)
def weights(path: str, done: int, policy: str, step: int, by: list[str], prompt: int) -> dict[str, pl.DataFrame]:
    """Token weights of each variant on one prompt's answers; those that cannot be computed are left out."""
    rows = rows_of(Run(path), policy, step)
    world, (moments, skipped) = recorded(rows), experiment.review(rows, by)
    for name, reason in skipped.items():
        st.caption(plain(f"{name} is left out: {reason}"))
    return {name: token_weights(m, world, variant=name, prompt=prompt - 1) for name, m in moments.items()}


@st.cache_data(max_entries=64, show_spinner=False)
def answers(path: str, done: int, policy: str, step: int, prompt: int) -> tuple[pl.DataFrame, dict[str, str]]:
    """Rewards and advantages of one prompt's answers under every variant, and why some are left out."""
    moments, skipped = experiment.review(rows_of(Run(path), policy, step))
    return answer_rows(moments, prompt - 1, list(COMPONENTS.values()), base=policy), skipped


def text(found: Run, state: Mapping[str, Any]) -> pl.DataFrame:
    """What the model writes, as text coloured by token weight."""
    steps, done = sampled(found, state["policy"]), found.progress[0]
    first = rows_of(found, state["policy"], steps["before"])
    question, answer = first.filter(rollout=0).select("question", "answer").row(state["prompt"] - 1)
    st.subheader(f"Answers to {plain(question)} (a right one: {plain(answer)})", anchor=False)
    shown = [
        (when, variant, frame)
        for when in state["when"]
        for variant, frame in page.ask(
            weights, str(found.path), done, state["policy"], steps[when], state["by"], state["prompt"]
        ).items()
    ]
    whole = pl.concat([frame.with_columns(when=pl.lit(when)) for when, _, frame in shown])
    titles = {when: f"{when} (step {step}), coloured by " for when, step in steps.items()}
    titled = whole.with_columns(table=pl.col("when").replace_strict(titles) + pl.col("variant"))
    live.mount("tokens", tokens.payload(titled, unit="token", theme=page.theme, by="table", flow=True), lambda _: None)
    st.caption(GUIDE)
    return whole


def learning(found: Run) -> pl.DataFrame:
    """Rewards by component and other measurements over the steps."""
    summary = found.summary([m for m in CURVES if m in found.frame.columns]).drop_nulls("mean")
    st.subheader("What it learns, part by part", anchor=False)
    page.show(
        training, summary, metrics=CURVES, labels=COMPONENTS,
        guide="Lines are means over seeds, bands their 95% intervals. Held-out problems are tried now and then, "
        "and their points joined; they are the same in all runs, so that their bands say how far runs differ.",
    )  # fmt: skip
    return summary


def variants(found: Run, state: Mapping[str, Any]) -> pl.DataFrame:
    """The same answers under every variant."""
    when = state["when"][-1]
    step = sampled(found, state["policy"])[when]
    rows, skipped = page.ask(answers, str(found.path), found.progress[0], state["policy"], step, state["prompt"])
    st.subheader(f"The same answers ({when}) under every variant", anchor=False)
    page.show(group_matrix, rows, row_height=28)
    alike = rows.filter(pl.col("variants").str.contains(",")).unique("row", maintain_order=True)
    st.caption(plain("; ".join(f"{row}: {all_}" for row, all_ in alike.select("row", "variants").iter_rows())) + ".")
    st.caption(f"Left out, because they read what was not written down: {plain(', '.join(skipped))}.")
    return rows


def reading(gains: pl.DataFrame, kept: pl.DataFrame, policy: str, task: str) -> str:
    """The sentence: what is kept on held-out problems, by whom, and which gains first in training."""
    right, form = (gains.row(by_predicate=pl.col("metric") == m, named=True) for m in ("reward_1", "reward_2"))
    place = f"The world {plain(SMALL_LM.name)}, its task: {plain(TASKS[task].words)}"
    return " ".join(filter(None, [place, held_out_words(kept, policy), order(right, form)]))


def held_out_words(kept: pl.DataFrame, policy: str) -> str:
    """Greedy accuracy on problems that were not trained on: of the variant, and where the others end."""
    rows = {row["variant"]: row for row in kept.iter_rows(named=True)}
    if (row := rows.pop(policy, None)) is None:
        return ""
    unsure = row["gain_low"] is not None and row["gain_low"] <= 0 <= row["gain_high"]
    chance = f", which {row['runs']} runs do not tell from no change" if unsure else ""
    gain = interval(row, f"a 95% interval over {row['runs']} runs")
    said = (f"On held-out problems, which it is not trained on, the likeliest answer is right in {row['start']:.0%} "
            f"before and {row['end']:.0%} after training by **{policy}**{gain}{chance}")  # fmt: skip
    others = [f"{plain(name)} at {other['end']:.0%}{interval(other)}" for name, other in rows.items()]
    return f"{said}; from the same start {', '.join(others)}." if others else f"{said}."


def order(right: Mapping[str, Any], form: Mapping[str, Any]) -> str:
    """How far right answers and format come in training, and which of the two gains first, in words."""
    flat = [name for name, row in (("right answers", right), ("format", form)) if row["step"] is None]
    if flat:
        return (f"In training right answers go {way(right)}, well-formed ones {way(form)}; no gain is told apart from "
                f"chance in {' and '.join(flat)}.")  # fmt: skip
    halves = (f"half of its gain ({way(form)}) by step {form['step']:.0f}, the right answer half of its own "
              f"({way(right)}) by step {right['step']:.0f}")  # fmt: skip
    if form["high"] >= right["low"] and right["high"] >= form["low"]:
        return f"Which comes first is not told apart: the format makes {halves}."
    first = "The format comes first" if form["step"] < right["step"] else "The answer comes first"
    return f"{first}: the format makes {halves}."


def way(row: Mapping[str, Any]) -> str:
    """From where to where."""
    return f"from {row['start']:.0%} to {row['end']:.0%}"


def interval(row: Mapping[str, Any], words: str = "") -> str:
    """The gain's interval, and words on it; of two runs it would reach beyond all that is possible."""
    if row["runs"] < 3:
        return ""
    low, high = (f"{row[name]:+.0%}".replace("-", "−") for name in ("gain_low", "gain_high"))
    return f" (gain {low} to {high}, {words})" if words else f" ({low} to {high})"


def held_out(found: Run) -> pl.DataFrame:
    """Greedy accuracy of each variant on held-out problems, first and last; no rows where it was not tried."""
    return half_gains(found.frame, [m for m in ("greedy",) if m in found.frame.columns], share=0.0)


def look(state: dict[str, Any], known: list[str]) -> None:
    """The widgets of what is looked at; a model that the run has not trained gives way to its first."""
    if state["policy"] not in known:
        page.set(policy=known[0])
        state["policy"] = known[0]
    st.segmented_control("Model trained by", known, key=page.key("policy"), required=True)
    for name in ("when", "by", "prompt"):
        page.control(name)


def code(state: Mapping[str, Any], steps: Mapping[str, int]) -> str:
    """Lines that make these pictures; `steps` are those of before, halfway and after."""
    made = [f"run = lab.store.Run(lab.logs.bundled_run({RECORDED!r}))"]
    if state["source"] == "here":
        config = configured(state).model_dump(exclude_defaults=True, exclude={"variants"})
        given = ",\n    ".join(f"{name}={value!r}" for name, value in config.items())
        made = [f"config = lab.experiment.Config(\n    variants={state['variants']!r},\n    {given},\n)",
                "run = lab.experiment.run(config, 'small-model', resume=True)"]  # fmt: skip
    return "\n".join([
        "import polars as pl",
        "",
        "import lab",
        "",
        *made,
        f"curves = run.summary([m for m in {CURVES!r} if m in run.frame.columns]).drop_nulls('mean')",
        f"lab.figures.training(curves, metrics={CURVES!r},",
        f"                     labels={COMPONENTS!r})",
        "",
        "def rows(step):",
        f"    return run.rollouts.filter(variant={state['policy']!r}, step=step, seed=run.config.numbers[0])",
        "",
        "shown = []",
        f"for when, step in {[(when, steps[when]) for when in state['when']]!r}:",
        f"    moments, skipped = lab.experiment.review(rows(step), {state['by']!r})",
        "    world = lab.measures.recorded(rows(step))",
        f"    shown += [lab.measures.token_weights(moment, world, variant=name, prompt={state['prompt'] - 1})",
        "              .with_columns(when=pl.lit(when)) for name, moment in moments.items()]",
        "text = pl.concat(shown)",
        "pictures = [lab.figures.coloured_text(frame.drop('when'), among=text) for frame in shown]",
        "",
        f"moments, skipped = lab.experiment.review(rows({steps[state['when'][-1]]}))",
        f"table = lab.measures.answer_rows(moments, {state['prompt'] - 1}, {list(COMPONENTS.values())!r},",
        f"                                 base={state['policy']!r})",
        "lab.figures.group_matrix(table)",
    ])  # fmt: skip


state = page.open()
with page.controls():
    page.control("source")
    for name in SETTINGS if state["source"] == "here" else ():
        page.control(name)
found = (trained(state) if state["source"] == "here" else None) or page.ask(lambda: Run(bundled_run(RECORDED)))
with page.controls():
    look(state, [v.label or v.name for v in found.config.variants])
gains = page.ask(half_gains, found.frame, list(COMPONENTS)).filter(variant=state["policy"])
task = str((state if state["source"] == "here" else found.config.world.options)["task"])
page.say(reading(gains, held_out(found), state["policy"], task))
sections = {"text": partial(text, found, state), "learning": partial(learning, found),
            "variants": partial(variants, found, state)}  # fmt: skip
frames = {name: sections[name]() for name in sorted(sections, key=lambda name: name != state["view"])}
of = {"text": "the coloured text", "learning": "the curves", "variants": "the answers under every variant"}
page.finish(code(state, sampled(found, state["policy"])), frames[state["view"]], of[state["view"]])
