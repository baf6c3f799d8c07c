"""Reward distances: one reward edited by hand, a second made from it, how far apart they are and what that costs."""

from __future__ import annotations

from typing import Any

import polars as pl
import streamlit as st

from lab import distances, studies
from lab.figures.reward_pairs import regret_cloud
from lab.pages import bench
from lab.pages.shell import Page
from lab.pages.state import Choice, Choices, Number, Numbers, Whole, seed
from lab.pages.words import listed
from lab.studies.reward_pairs import CHANGES, between, distance_shares
from simulators.mdp import families
from simulators.mdp.mdp import MDP

REACH = (-2.0, 2.0, 0.1)
STEPS = 32
CLOUD = {"environments": 16, "pairs": 3, "steps": 8}


def cells(count: int, **rewards: float) -> list[float]:
    """One number per state, 0 but where said: `cells(4, s3=1)`."""
    return [float(rewards.get(f"s{state}", 0)) for state in range(count)]


#: Name -> words, how it is made, how it is drawn, the reward that it starts with, and the state that is chosen then.
WORLDS: dict[str, tuple[str, str, dict[str, Any], str, list[float]]] = {
    "grid": ("5 × 5", "grid", {"size": 5, "discount": 0.9, "goal": -1, "slip": 0.1}, "grid",
             cells(25, s24=1, s7=-1, s13=-1, s16=-1)),
    "small": ("3 × 3", "grid", {"size": 3, "discount": 0.9, "goal": -1, "slip": 0.1}, "grid",
              cells(9, s8=1, s4=-1)),
    "row": ("row", "chain", {"states": 7, "discount": 0.9}, "row", cells(7, s6=1, s2=-0.5)),
    "graph": ("graph", "sparse", {"states": 8, "actions": 2, "discount": 0.9, "source": 25}, "graph",
              cells(8, s0=1, s3=-1, s5=0.5)),
}  # fmt: skip
SHOWN = ["val-l2-l2", "minimal-l2-l2", "valpotential-l2-l2", "dard-l2-l2", "epic-l2-l2", "none-l2-l2"]
SIZELESS = {"flip", "learned", "opposite"}
BOUNDED = [name for name in distances.names() if distances.distance(name).maximum]

page = Page(
    "reward-distances",
    "How far apart are two rewards, and what does it cost?",
    [
        Choices(name="changes", label="Second reward, made from the first", options=list(CHANGES), names=CHANGES,
                default=["potential", "shortcut"], most=4, width=420),
        Number(name="amount", label="How much", low=-2, high=2, step=0.1, default=1.5,
               help="What a shortcut or a step pays; the size of a potential and of noise; scale: 10 to this power."),
        Choice(name="comparisons", label="Comparisons", options=[10, 50, 200, 1000], default=50,
               names={1000: "1 000"}),
        Number(name="noise", label="Noise of a comparison", low=0, high=5, step=0.25, default=1.0,
               help="In units of the return: the larger, the more often the worse episode is preferred. 0 is none."),
        Choice(name="world", label="World", options=list(WORLDS), names={n: w[0] for n, w in WORLDS.items()},
               default="grid"),
        Choices(name="distances", label="Distances", options=BOUNDED, default=SHOWN, most=8, width=640),
        Choice(name="over", label="Random pairs in", options=["random", "this"], default="random",
               names={"random": "random worlds", "this": "this world"}),
        seed(),
        Numbers(name="reward", low=REACH[0], high=REACH[1], default=WORLDS["grid"][4], most=25),
        Whole(name="state", low=0, high=24, default=10),
        Whole(name="at", low=0, high=STEPS, default=STEPS),
    ],
    {
        "A shortcut behind a potential: who sees through it?": {},
        "Reward a shortcut: what is lost?": {"changes": ["shortcut"]},
        "Add a potential: who is fooled?": {"changes": ["potential"], "amount": 1.0},
        "Scale it, pay for every step: is anything lost?": {"changes": ["scale", "offset"], "amount": 0.6},
        "Redistribute over next states: who sees it?": {"changes": ["redistribution"], "amount": 1.0},
        "Flip one state: how far is that?": {"changes": ["flip"], "state": 16},
        "Learned from 50 noisy comparisons: how near?": {"changes": ["learned"]},
        "Opposite, but alike where nothing happens?": {"changes": ["opposite", "shared"], "amount": 1.0},
        "On a graph: when does it turn?": {
            "changes": ["shortcut"], "world": "graph", "reward": WORLDS["graph"][4], "state": 7, "at": 20},
    },
)  # fmt: skip


@st.cache_resource(max_entries=8, show_spinner=False)
def world(name: str) -> MDP:
    """The world of that name."""
    _, family, sizes, *_ = WORLDS[name]
    return getattr(families, family)(**sizes)


@st.cache_data(max_entries=64, show_spinner=False)
def scene(name: str, reward: list[float], shown: list[str], **making: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The walk from the first reward to the second, and the maps on the way."""
    mdp = world(name)
    first, last = studies.reward_pair(mdp, reward, **making)
    way = between(mdp, first, last, STEPS)
    maps = studies.reward_map(mdp, {str(step): each for step, each in enumerate(way)})
    return studies.reward_walk(mdp, first, last, shown, steps=STEPS), maps


@st.cache_data(max_entries=16, show_spinner="Drawing random pairs of rewards …")
def cloud(shown: list[str], name: str | None, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The cloud of random pairs and its correlations; it does not depend on the pair of the page."""
    frame = studies.distance_study(shown, mdp=world(name) if name else None, seed=seed, **CLOUD)
    return frame, studies.regret_correlations(frame, shown)


def changed(**news: Any) -> None:
    """Takes over what was dragged or chosen on the bench."""
    page.set(**{name: [float(r) for r in value] if name == "reward" else int(value) for name, value in news.items()})


def reading(row: dict[str, Any], far: pl.DataFrame) -> str:
    """The sentence: what is lost by taking one reward for the other, and which distances say so."""
    near, most = far.row(0, named=True), far.row(-1, named=True)
    if row["worst_case"] < 1e-6 < row["back"]:
        return "The first reward tells no policies apart: **nothing can be lost** of it, whatever is trained on."
    if row["worst_case"] < 1e-6:
        said = "Both rewards order all policies alike, so **nothing can be lost** by training on the second."
        calm = far.filter(~pl.col("apart"))["distance"].to_list()
        if not most["apart"]:
            return f"{said} All distances here say 0."
        right = f"{listed(calm)} say{'s' * (len(calm) == 1)} so;" if calm else "No distance here says so:"
        return f"{said} {right} **{most['distance']}** sees {most['value']:.2f} of {most['maximum']:g} possible."
    share = row["share"]
    what = "the second reward" if share == 1 else f"what lies {share:.0%} of the way to the second reward"
    lost = "nothing" if row["regret"] < 0.0005 else f"**{row['regret']:.{0 if row['regret'] > 0.0995 else 1}%}**"
    return (
        f"Who optimises {what} loses {lost} of what the first has to give, and **{row['worst_case']:.0%}** "
        f"at worst, by a change that it approves of. **{near['distance']}** calls them nearest "
        f"({near['value']:.2f} of {near['maximum']:g}), **{most['distance']}** furthest "
        f"({most['value']:.2f} of {most['maximum']:g})."
    )


def lines(state: dict[str, Any], making: dict[str, Any]) -> str:
    """The code of the page."""
    _, family, sizes, layout, _ = WORLDS[state["world"]]
    given = ", ".join(f"{name}={value!r}" for name, value in sizes.items())
    pair = ", ".join(f"{name}={value!r}" for name, value in making.items() if name != "changes")
    maps = (
        ""
        if layout == "graph"
        else f"""
lab.figures.reward_maps(lab.studies.reward_map(mdp, {{"meant": first, "trained on": second}}), layout="{layout}")
"""
    )
    place = "mdp=mdp, " if state["over"] == "this" else ""
    counts = ", ".join(f"{name}={value}" for name, value in CLOUD.items())
    return f"""
import lab
from simulators.mdp import families

mdp = families.{family}({given})
reward = {[float(r) for r in state["reward"]]}
first, second = lab.studies.reward_pair(mdp, reward, {state["changes"]}, {pair})
names = {state["distances"]}
print(lab.distances.compare(mdp, first, second, names))
print(mdp.regret(first, second), mdp.worst_case_regret(first, second))
{maps}
way = lab.studies.reward_walk(mdp, first, second, names, steps={STEPS})
lab.figures.reward_way(way)

cloud = lab.studies.distance_study(names, {place}{counts}, seed={state["seed"]})
known = lab.studies.regret_correlations(cloud)
here = way.row({state["at"]}, named=True)
lab.figures.regret_cloud(cloud, correlations=known, here={{**here, "regret": here["mean_regret"]}})
"""


state = page.open()
mdp, layout = world(state["world"]), WORLDS[state["world"]][3]
if len(state["reward"]) != mdp.states:  # another world: the reward that it starts with
    changed(reward=WORLDS[state["world"]][4])
    st.rerun()
state["state"] = min(state["state"], mdp.states - 1)
with page.controls():
    page.control("changes")
    if not SIZELESS.issuperset(state["changes"]):
        page.control("amount")
    if "learned" in state["changes"]:
        page.control("comparisons")
        page.control("noise")
    page.control("world")
    page.control("seed")
    with st.popover("Distances", icon=":material/straighten:"):
        page.control("distances")
making = {name: state[name] for name in ("changes", "state", "amount", "comparisons", "seed")}
making["temperature"] = state["noise"]
way, maps = page.ask(scene, state["world"], state["reward"], state["distances"], **making)
here = way.row(state["at"], named=True)
page.say(reading(here, page.ask(distance_shares, here, state["distances"])))
data = page.ask(
    bench.payload, mdp, way, maps, state["distances"], state["reward"], layout=layout, state=state["state"],
    changes=state["changes"], at=state["at"], reach=REACH, theme=page.theme,
)  # fmt: skip
bench.draw(data, changed)
st.subheader("Does distance tell of regret? Random pairs of rewards", anchor=False)
page.control("over")
drawn = page.ask(cloud, state["distances"], state["world"] if state["over"] == "this" else None, state["seed"])
page.show(regret_cloud, drawn[0], correlations=drawn[1], here={**here, "regret": here["mean_regret"]})
page.finish(lines(state, making), way, "the way from the first reward to the second")
