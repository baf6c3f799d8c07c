"""Reward distances: one reward edited by hand, a second made from it, how far apart they are and what that costs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import polars as pl

from lab import distances, studies
from lab.explorers.contract import REWARDS, Explorer, Live, Panel, Picture, Questions, State
from lab.explorers.kept import kept
from lab.explorers.live.bench import heard, payload
from lab.explorers.properties import Among, Choice, Choices, Number, Numbers, Property, Whole, seed
from lab.explorers.words import listed
from lab.figures.reward_pairs import regret_cloud, reward_way
from lab.studies.reward_pairs import CHANGES, between, distance_shares
from simulators.mdp import families
from simulators.mdp.mdp import MDP

REACH = (-2.0, 2.0, 0.1)
STEPS = 32
CLOUD = {"environments": 16, "pairs": 3, "steps": 8}
GUIDE = (
    "Drag a cell of the first map, or the line along the way to the second reward. A distance is good where it rises "
    "with what is lost, and stays at 0 where nothing is lost."
)


@dataclass(frozen=True)
class Place:
    """A world of this page.

    Attributes:
        words: What the list of worlds calls it.
        family: Name of the function of `simulators.mdp.families` that makes it.
        sizes: Its arguments.
        layout: How states are placed, see `lab.figures.reward_pairs.place_states`.
        states: How many there are.
        reward: What the first reward pays for arriving in some of them, at the start.
        state: The state that is chosen at the start.
    """

    words: str
    family: str
    sizes: dict[str, Any]
    layout: str
    states: int
    reward: dict[int, float]
    state: int

    @property
    def cells(self) -> list[float]:
        """The first reward at the start, one number per state."""
        return [float(self.reward.get(state, 0)) for state in range(self.states)]


GRID = {"discount": 0.9, "goal": -1, "slip": 0.1}
PLACES = {
    "grid": Place("5 × 5", "grid", {"size": 5, **GRID}, "grid", 25, {24: 1, 7: -1, 13: -1, 16: -1}, 10),
    "small": Place("3 × 3", "grid", {"size": 3, **GRID}, "grid", 9, {8: 1, 4: -1}, 6),
    "row": Place("row", "chain", {"states": 7, "discount": 0.9}, "row", 7, {6: 1, 2: -0.5}, 0),
    "graph": Place("graph", "sparse", {"states": 8, "actions": 2, "discount": 0.9, "source": 25}, "graph", 8,
                   {0: 1, 3: -1, 5: 0.5}, 7),
}  # fmt: skip
SHOWN = ["val-l2-l2", "minimal-l2-l2", "valpotential-l2-l2", "dard-l2-l2", "epic-l2-l2", "none-l2-l2"]
SIZELESS = {"flip", "learned", "opposite"}
LEARNED = {"changes": Among(["learned"])}

QUESTIONS: Questions = {
    "A shortcut behind a potential: who sees through it?": {},
    "Reward a shortcut: what is lost?": {"changes": ["shortcut"]},
    "Add a potential: who is fooled?": {"changes": ["potential"], "amount": 1.0},
    "Scale it, pay for every step: is anything lost?": {"changes": ["scale", "offset"], "amount": 0.6},
    "Redistribute over next states: who sees it?": {"changes": ["redistribution"], "amount": 1.0},
    "Flip one state: how far is that?": {"changes": ["flip"], "state": 16},
    "Learned from 50 noisy comparisons: how near?": {"changes": ["learned"]},
    "Opposite, but alike where nothing happens?": {"changes": ["opposite", "shared"], "amount": 1.0},
    "On a graph: when does it turn?": {"changes": ["shortcut"], "world": "graph", "at": 20},
}


def explorer() -> Explorer:
    """How far apart two rewards are."""
    return Explorer(
        name="reward-distances", label="Reward distances", room=REWARDS,
        title="How far apart are two rewards, and what does it cost?",
        properties=properties(), questions=QUESTIONS, first=("changes", "amount", "comparisons", "noise", "world"),
        scenes={"world": {name: {"reward": at.cells, "state": at.state} for name, at in PLACES.items()}},
        settle=settle, draw=picture,
    )  # fmt: skip


def properties() -> list[Property]:
    """How the second reward is made, where, what is measured, and what is edited in the picture."""
    bounded = [name for name in distances.names() if distances.distance(name).maximum]
    sized = {"changes": Among(set(CHANGES) - SIZELESS)}
    return [
        Choices(name="changes", label="Second reward, made from the first", options=list(CHANGES), names=CHANGES,
                default=["potential", "shortcut"], most=4),
        Number(name="amount", label="How much", low=-2, high=2, step=0.1, default=1.5, when=sized,
               help="What a shortcut or a step pays; the size of a potential and of noise; scale: 10 to this power."),
        Choice(name="comparisons", label="Comparisons", options=[10, 50, 200, 1000], default=50,
               names={1000: "1 000"}, when=LEARNED),
        Number(name="noise", label="Noise of a comparison", low=0, high=5, step=0.25, default=1.0, when=LEARNED,
               help="In units of the return: the larger, the more often the worse episode is preferred. 0 is none."),
        Choice(name="world", label="World", options=list(PLACES), names={n: at.words for n, at in PLACES.items()},
               default="grid"),
        Choices(name="distances", label="Distances", options=bounded, default=SHOWN, most=8, group="Measured"),
        Choice(name="over", label="Random pairs in", options=["random", "this"], default="random", group="Measured",
               names={"random": "random worlds", "this": "this world"}),
        seed(),
        Numbers(name="reward", low=REACH[0], high=REACH[1], default=PLACES["grid"].cells, most=25),
        Whole(name="state", low=0, high=24, default=PLACES["grid"].state, drawn=False),
        Whole(name="at", low=0, high=STEPS, default=STEPS, drawn=False),
    ]  # fmt: skip


def settle(state: State) -> State:
    """The same with a state that the world has, and its own reward where the number of cells is another."""
    at = PLACES[state["world"]]
    reward = state["reward"] if len(state["reward"]) == at.states else at.cells
    return {**state, "reward": reward, "state": min(state["state"], at.states - 1)}


def picture(state: State) -> Picture:
    """The bench of both rewards, and the cloud of random pairs."""
    names, at = state["distances"], PLACES[state["world"]]
    way, maps = walked(state["world"], state["reward"], names, making(state))
    here = way.row(state["at"], named=True)
    pairs, known = cloud(names, state["world"] if state["over"] == "this" else None, state["seed"])
    return Picture(
        sentence=reading(here, distance_shares(here, names)),
        panels=[
            Live(
                "bench",
                lambda theme: payload(
                    world(state["world"]), way, maps, names, state["reward"], layout=at.layout, state=state["state"],
                    changes=state["changes"], at=state["at"], reach=REACH, theme=theme,
                ),
                lambda state, change: heard(change),
                Panel(reward_way, way, options={"maximum": largest(names)}, guide=GUIDE),
            ),
            Panel(regret_cloud, pairs, "Does distance tell of regret? Random pairs of rewards",
                  {"correlations": known, "here": {**here, "regret": here["mean_regret"]}}, wide=True),
        ],
        code=lines(state),
        frame=way,
        of="the way from the first reward to the second",
    )  # fmt: skip


def making(state: State) -> dict[str, Any]:
    """How the second reward is made: arguments of `lab.studies.reward_pair`."""
    made = {name: state[name] for name in ("changes", "state", "amount", "comparisons", "seed")}
    return made | {"temperature": state["noise"]}


def largest(names: list[str]) -> dict[str, float]:
    """The largest value of each distance."""
    return {name: distances.distance(name).maximum or 1.0 for name in names}


@cache
def world(name: str) -> MDP:
    """The world of that name."""
    made: MDP = getattr(families, PLACES[name].family)(**PLACES[name].sizes)
    return made


@kept(64)
def walked(
    name: str, reward: list[float], shown: list[str], making: dict[str, Any]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The walk from the first reward to the second, and the maps on the way."""
    mdp = world(name)
    first, last = studies.reward_pair(mdp, reward, **making)
    maps = studies.reward_map(mdp, {str(step): each for step, each in enumerate(between(mdp, first, last, STEPS))})
    return studies.reward_walk(mdp, first, last, shown, steps=STEPS), maps


@kept(16)
def cloud(shown: list[str], name: str | None, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The cloud of random pairs and its correlations; it does not depend on the pair of the picture."""
    frame = studies.distance_study(shown, mdp=world(name) if name else None, seed=seed, **CLOUD)
    return frame, studies.regret_correlations(frame, shown)


def reading(row: dict[str, Any], far: pl.DataFrame) -> str:
    """The sentence: what is lost by taking one reward for the other, and which distances say so."""
    near, most = far.row(0, named=True), far.row(-1, named=True)
    if row["worst_case"] < 1e-6 < row["back"]:
        return "The first reward tells no policies apart: **nothing can be lost** of it, whatever is trained on."
    share = row["share"]
    what = "the second reward" if share == 1 else f"what lies {share:.0%} of the way to the second reward"
    if row["worst_case"] < 1e-6:
        said = f"The first reward and {what} order all policies alike, so **nothing can be lost** by training on it."
        calm = far.filter(~pl.col("apart"))["distance"].to_list()
        if not most["apart"]:
            return f"{said} All distances here say 0."
        right = f"{listed(calm)} say{'s' * (len(calm) == 1)} so;" if calm else "No distance here says so:"
        return f"{said} {right} **{most['distance']}** sees {most['value']:.2f} of {most['maximum']:g} possible."
    lost = "nothing" if row["regret"] < 0.0005 else f"**{row['regret']:.{0 if row['regret'] > 0.0995 else 1}%}**"
    return (
        f"Who optimises {what} loses {lost} of what the first has to give, and **{row['worst_case']:.0%}** "
        f"at worst, by a change that it approves of. **{near['distance']}** calls them nearest "
        f"({near['value']:.2f} of {near['maximum']:g}), **{most['distance']}** furthest "
        f"({most['value']:.2f} of {most['maximum']:g})."
    )


def lines(state: State) -> str:
    """The code of the page."""
    at, names = PLACES[state["world"]], state["distances"]
    given = ", ".join(f"{name}={value!r}" for name, value in at.sizes.items())
    pair = ", ".join(f"{name}={value!r}" for name, value in making(state).items() if name != "changes")
    maps = (
        ""
        if at.layout == "graph"
        else f"""
lab.figures.reward_maps(lab.studies.reward_map(mdp, {{"meant": first, "trained on": second}}), layout="{at.layout}")
"""
    )
    place = "mdp=mdp, " if state["over"] == "this" else ""
    counts = ", ".join(f"{name}={value}" for name, value in CLOUD.items())
    return f"""
import lab
from simulators.mdp import families

mdp = families.{at.family}({given})
reward = {[float(r) for r in state["reward"]]}
first, second = lab.studies.reward_pair(mdp, reward, {state["changes"]}, {pair})
names = {names}
print(lab.distances.compare(mdp, first, second, names))
print(mdp.regret(first, second), mdp.worst_case_regret(first, second))
{maps}
way = lab.studies.reward_walk(mdp, first, second, names, steps={STEPS})
lab.figures.reward_way(way, maximum={largest(names)})

cloud = lab.studies.distance_study(names, {place}{counts}, seed={state["seed"]})
known = lab.studies.regret_correlations(cloud)
here = way.row({state["at"]}, named=True)
lab.figures.regret_cloud(cloud, correlations=known, here={{**here, "regret": here["mean_regret"]}})
"""
