"""What an explorer is: a question, its typed properties, questions in detail, and a pure function that draws them.

An explorer knows neither Streamlit nor Jupyter: both are homes that draw the same panels, sentence and controls. How
to write one (`lab/explorers/name.py`; it is found by being there):

    def explorer() -> Explorer:
        return Explorer(
            name="collapse", room=LOOK, label="Collapse", title="When does a group teach nothing?",
            properties=[Choices(name="sizes", label="Group sizes", options=[2, 4, 8, 16], default=[4, 8]), seed()],
            questions={"What if groups are tiny?": {"sizes": [2]}},
            draw=picture,
        )

    def picture(state):
        shares = signal(state["sizes"], state["seed"])           # a door of the lab, kept by `kept`
        return Picture(
            sentence="Groups of 2 teach nothing half of the time.",   # read off the data
            panels=[Panel(silence, shares, "Groups that teach nothing")],
            code="...",                                               # lines that make this picture
            frame=shares,
        )
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from lab.errors import LabError, UnknownNameError
from lab.explorers.panels import AnyPanel, Card, Cards, Live, Panel, State, Table, Texts, Words
from lab.explorers.properties import Property, Scenes, parse, written

__all__ = [
    "COMPARE",
    "LOOK",
    "MY_RUN",
    "PAPERS",
    "REWARDS",
    "ROOMS",
    "Action",
    "AnyPanel",
    "Card",
    "Cards",
    "Explorer",
    "LeftOut",
    "Live",
    "Offer",
    "Panel",
    "Picture",
    "Questions",
    "State",
    "Table",
    "Texts",
    "Topic",
    "Words",
]

Questions = Mapping[str, Mapping[str, Any]]

LOOK, COMPARE, REWARDS = "Look at a group", "Train and compare", "Where rewards come from"
MY_RUN, PAPERS = "My run", "Papers"
#: What visitors come for, in the order of the menu, with a sentence on each.
ROOMS = {
    LOOK: "What a handful of rewards teaches, rollout by rollout.",
    COMPARE: "Who learns on the same draws, at what price, and why a gradient leaps.",
    REWARDS: "Which reward is really climbed, how far two rewards are apart, when a proxy parts from what is meant.",
    MY_RUN: "The log of a real training run: what went wrong, and in which step.",
    PAPERS: "What each paper promises, measured again, with and without its method.",
}


@dataclass(frozen=True)
class LeftOut:
    """Something chosen that cannot be drawn here: its name, the reason, and the worlds where it can be."""

    name: str
    why: str
    homes: Sequence[str] = ()


@dataclass(frozen=True)
class Action:
    """Something that a reader may do to the state at a click."""

    label: str
    changes: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What an explorer shows in a state.

    Attributes:
        sentence: What is to be seen, read off the data, as Markdown.
        panels: The most telling one first.
        code: Lines of the public doors that make these pictures.
        frame: The tidy data behind them.
        of: Which of the pictures `frame` is drawn in.
        notes: Captions below: what is not shown, and why.
        left_out: What was chosen and cannot be drawn.
        actions: What may be done to the state at a click.
        beside: What stands beside the first panel, and below it where the window is narrow.
    """

    sentence: str
    panels: Sequence[AnyPanel] = ()
    code: str = ""
    frame: pl.DataFrame = field(default_factory=pl.DataFrame)
    of: str = "this picture"
    notes: Sequence[str] = ()
    left_out: Sequence[LeftOut] = ()
    actions: Sequence[Action] = ()
    beside: AnyPanel | None = None


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What can be chosen in a state.

    Attributes:
        options: Name of a property -> the options that are possible, those chosen among them.
        about: What the place is, in a sentence.
        others: What is not possible and why, as Markdown; empty where all is.
        number: How many `others` there are.
        bounds: Name of a property that is a whole number -> the smallest and the largest one that are possible.
    """

    options: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    about: str = ""
    others: str = ""
    number: int = 0
    bounds: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def _nothing(state: State) -> Offer:
    return Offer()


@dataclass(frozen=True, kw_only=True)
class Topic:
    """A question, the state in which it is asked, and questions in detail.

    Attributes:
        name: Short name, in addresses and in `lab.explore(name)`.
        label: Name in the menu.
        room: Where it stands in the menu, one of `ROOMS`.
        title: The question.
        properties: The whole state.
        questions: Questions in detail, each with the values that differ from the defaults.
        first: The properties that matter most: their controls stand on top, the others under their group's heading.
        scenes: Values that suit a value of another property; they stand in for the defaults in a question or an
            address, and are set when a reader chooses that value.
        views: Name of the property that says which side of the matter is looked at: a choice above the picture.
    """

    name: str
    label: str
    room: str
    title: str
    properties: Sequence[Property]
    questions: Questions = field(default_factory=dict)
    first: Sequence[str] = ()
    scenes: Scenes = field(default_factory=dict)
    views: str = ""

    @property
    def path(self) -> str:
        """Its name in addresses; the first page, which is in no room, has the bare one."""
        return self.name.replace("-", "_") if self.room else ""

    @property
    def defaults(self) -> dict[str, Any]:
        """The state of the first look."""
        return self.whole({})

    def whole(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """A state from what differs from the defaults, with what suits those values."""
        values = {each.name: each.default for each in self.properties}
        for name, scene in self.scenes.items():
            values |= scene.get(changes.get(name, values[name]), {})
        return {**values, **changes}

    def question(self, words: str) -> dict[str, Any]:
        """The state of a question in detail.

        Raises:
            UnknownNameError: There is no such question. InputError: It is no state of the topic.
        """
        if words not in self.questions:
            raise UnknownNameError("question", words, self.questions)
        return self.state(**self.questions[words])

    def state(self, **changes: Any) -> dict[str, Any]:
        """A whole state, each value checked.

        Raises:
            UnknownNameError: There is no such property. InputError: A value is not one of the property's.
        """
        known = {each.name: each for each in self.properties}
        for name in changes:
            if name not in known:
                raise UnknownNameError(f"setting of {self.name}", name, known)
        return self.whole({name: known[name].checked(value) for name, value in changes.items()})

    def asked(self, changes: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """A whole state, the defaults in place of what is no value of it, and a sentence for each of those."""
        known, notes = dict(changes), []
        for name, value in changes.items():
            try:
                self.state(**{name: value})
            except LabError as error:
                notes.append(str(error))
                del known[name]
        return self.state(**known), notes

    def read(self, query: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
        """The state of an address, and a sentence for each part of it that could not be read."""
        return parse(self.properties, query, self.scenes)

    def written(self, state: State) -> dict[str, str]:
        """The whole state as names and texts of an address."""
        return written(self.properties, state)

    def call(self, state: State) -> str:
        """The line that opens the same state in a notebook."""
        chosen = {name: state[name] for name in self.scenes}
        usual, first = self.whole(chosen), self.whole({})
        known = {each.name: each for each in self.properties if each.matters(state)}
        told = {name: state[name] for name in known}
        other = {name: (first if name in chosen else usual)[name] for name in known}
        differs = [name for name, each in known.items() if each.write(told[name]) != each.write(other[name])]
        return f"lab.explore({self.name!r}{''.join(f', {name}={told[name]!r}' for name in differs)})"


@dataclass(frozen=True, kw_only=True)
class Explorer(Topic):
    """A question that is answered by a picture.

    Attributes:
        draw: Whole state -> picture.
        offer: What can be chosen in a state.
        settle: Whole state -> the same where its values fit one another.
        edition: Whole state -> what tells an older picture of the same state apart, the time of a file, say.
        follows: Whole state -> whether the dashboard asks for the edition again and again.
    """

    draw: Callable[[State], Picture]
    offer: Callable[[State], Offer] = _nothing
    settle: Callable[[State], State] = lambda state: state
    edition: Callable[[State], object] = lambda state: None
    follows: Callable[[State], bool] = lambda state: False

    def picture(self, state: State) -> Picture:
        """What is to be seen in a whole state.

        Raises:
            LabError: A door refuses these values; its words say why.
        """
        return self.draw(self.settle(state))
