"""What the live bench of two rewards draws: a map edited by hand, the way to the second reward, what distances say.

Python stays the only place with formulas: for every step of the way the module is sent what the doors say, so walking
only looks up; letting go of a cell reports the new reward.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lab import distances
from lab.figures.reward_pairs import distance_color, place_states
from lab.figures.theme import palette
from simulators.mdp.mdp import MDP

__all__ = ["heard", "payload"]

#: Changes that a distance may be blind to, as the columns of the table.
SEES = {"potential": "potential", "offset": "offset", "redistribution": "spread", "scale": "scale"}

#: Changes that are made at the chosen state.
PLACED = {"shortcut", "flip"}

#: Change -> the property of being blind to it, where it has another name.
SAME = {"potential": "shaping"}

#: Dashes of the distances, in their order: colour alone tells no line from another.
DASHES = (None, "8 3", "2 3", "8 3 2 3", "14 4")


def payload(
    mdp: MDP, walk: pl.DataFrame, maps: pl.DataFrame, names: Sequence[str], reward: Sequence[float], *,
    layout: str, state: int, changes: Sequence[str], at: int, reach: tuple[float, float, float], theme: str,
) -> dict[str, Any]:  # fmt: skip
    """What the module draws.

    Args:
        mdp: The world.
        walk: `lab.studies.reward_walk`.
        maps: `lab.studies.reward_map` of the reward at each step of the way.
        names: Distances, one row each.
        reward: The numbers that are edited, one per state.
        layout: "grid" or "graph", see `lab.figures.reward_pairs.place_states`.
        state: The chosen state.
        changes: What was done to the reward, see `lab.studies.reward_pairs.CHANGES`.
        at: Step that is shown first.
        reach: Lowest and highest number of a cell, and the step between numbers.
        theme: "light" or "dark".
    """
    colors, low, high, step = palette(theme), *reach
    x, y = place_states(layout, mdp.states)
    pays = maps["arriving"].to_numpy()
    best = np.array([[action in good for action in range(mdp.actions)] for good in maps["best"].to_list()])
    named = {name: getattr(colors, name) for name in ("paper", "panel", "text", "muted", "grid", "axis", "flip")}
    losses = {"optimising the other": ("regret", None), "at worst (dashed)": ("worst_case", "5 4")}
    return {
        "map": _map(mdp, layout, x, y), "reward": list(reward), "low": low, "high": high, "step": step,
        "place": state if PLACED.intersection(changes) else -1,
        "share": walk["share"].to_list(), "at": at, "pays": _packed(pays, np.float32),
        "best": _packed(best, np.uint8), "apart": _packed(~maps["shared"].to_numpy(), np.uint8),
        "limit": max(1.0, float(np.abs(pays).max())), "sees": list(SEES.values()),
        "made": [made in changes for made in SEES],
        "rows": [_row(name, walk[name], dash, theme) for name, dash in zip(names, cycle(DASHES), strict=False)],
        "losses": [{"name": n, "color": colors.flip, "dash": dash, "drawn": walk[column].to_list()}
                   for n, (column, dash) in losses.items()],
        "colors": named | {"focus": colors.hues[0], "over": colors.hues[0], "under": colors.hues[1]},
        "words": WORDS,
    }  # fmt: skip


WORDS = {
    "first": "R₁, which is meant",
    "second": "R₁ + t (R₂ − R₁), trained on",
    "edit": "drag a cell up or down; double click: 0",
    "place": "red: no best action in common; click: a state",
    "red": "red: no best action in common",
    "distance": "distance from R₁, as a share of the largest",
    "drag": "drag the line to walk from R₁ to R₂",
    "lost": "lost of R₁:",
    "start": "R₁",
    "end": "R₂",
    "walk": "share of the way from the first reward to the second",
    "table": "distance from R₁",
    "starc": "STARC",
    "legend": [
        "bar: distance as a share of the largest possible, that of a reward and its negative",
        "● does not see such a change · ○ sees it · shaded: made here · STARC: bounds worst-case regret both ways",
    ],
}


def heard(change: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the properties reward, state or at: whatever was let go or chosen on the bench."""
    names = {"place": "state"}
    return {
        names.get(name, name): [float(number) for number in value] if name == "reward" else int(value)
        for name, value in change.items()
    }


def _map(mdp: MDP, layout: str, x: NDArray[Any], y: NDArray[Any]) -> dict[str, Any]:
    """Places of the states and what connects them."""
    shown: dict[str, Any] = {"kind": "graph" if layout == "graph" else "grid", "x": x.tolist(), "y": y.tolist()}
    if layout != "graph":
        ways = [[0, -1], [1, 0], [0, 1], [-1, 0]] if mdp.actions == 4 else [[-1, 0], [1, 0]]
        return shown | {"columns": int(x.max()) + 1, "rows": int(y.max()) + 1, "ways": ways}
    likely = mdp.transition.max(axis=1)
    edges = [[int(s), int(t), float(likely[s, t])] for s, t in np.argwhere(likely > 0)]
    successor = mdp.transition.argmax(axis=-1).tolist()
    return shown | {"columns": 1, "rows": 1, "successor": successor, "edges": edges}


def _row(name: str, values: pl.Series, dash: str | None, theme: str) -> dict[str, Any]:
    known = distances.distance(name)
    blind = [SAME.get(change, change) in known.properties for change in SEES]
    return {
        "name": name, "color": distance_color(name, theme), "dash": dash, "values": values.to_list(),
        "drawn": (values / (known.maximum or 1.0)).to_list(), "blind": blind, "starc": "starc" in known.properties,
    }  # fmt: skip


def _packed(array: NDArray[Any], kind: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype=kind).tobytes()).decode("ascii")
