"""A world is declared once, and what is declared is so."""

import subprocess
import sys
from typing import Annotated

import pytest

import lab
from lab.errors import InputError, UnknownNameError
from lab.world_registry import declaration, names, settings
from simulators import Bandit, rooms
from simulators.declared import Declared, OneOf, Range

LIGHT = [name for name in names() if not declaration(name).heavy]


@pytest.mark.parametrize("name", names())
def test_what_is_declared_of_a_world_is_what_its_class_says(name):
    here = declaration(name)
    if here.heavy:
        room = pytest.importorskip(f"simulators.{name.replace('-', '_')}.world", exc_type=ImportError)
        world = getattr(room, room.__all__[0])
    else:
        world = lab.world(name)
    assert (world.name, world.provides, world.components) == (name, here.provides, here.components)
    assert world.scores == here.scores
    assert set(here.shown) <= set(here.settings) and set(here.fixed) <= set(here.suits())
    assert all(here.settings[key].shows for key in here.shown)


ENDS = [
    (name, key, end)
    for name in LIGHT
    for key, setting in declaration(name).settings.items()
    if isinstance(setting.domain, Range)
    for end in setting.domain.ends
]


@pytest.mark.parametrize(("name", "key", "end"), ENDS)
def test_every_range_takes_both_its_ends_and_nothing_beyond(name, key, end):
    setting = declaration(name).settings[key]
    lab.world(name, **{key: end})
    beyond = end - 1 if end == setting.domain.low else end + 1
    with pytest.raises(InputError, match=rf"{key}=.*; it must be a"):
        lab.world(name, **{key: beyond})
    assert setting.takes(setting.default) or setting.default is None


@pytest.mark.parametrize("name", LIGHT)
def test_every_choice_can_be_made(name):
    for key, setting in declaration(name).settings.items():
        if isinstance(setting.domain, OneOf):
            assert set(setting.domain.words) <= set(setting.domain.options)
            for option in setting.domain.options:
                assert lab.world(name, **{key: option}).name == name
            with pytest.raises(InputError, match="it must be one of"):
                lab.world(name, **{key: "nothing of the kind"})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"prompts": 2.5}, "prompts=2.5; it must be a whole number from 1 to"),
        ({"prompts": True}, "prompts=True; it must be a whole number"),
        ({"prompts": 10**30}, "from 1 to 65536"),
        ({"noise": float("nan")}, "noise=nan; it must be a number from 0 to 1000"),
        ({"noise": "much"}, "noise='much'"),
        ({"law": 3}, "law=3; it must be one of bernoulli"),
        ({"arms": None}, "arms=None"),
    ],
)
def test_a_value_that_a_setting_cannot_have_is_named_with_what_it_must_be(given, said):
    with pytest.raises(InputError) as error:
        lab.world("bandit", **given)
    assert said in str(error.value) and "world 'bandit'" in str(error.value)


@pytest.fixture
def own():
    before = dict(rooms._OWN)
    yield rooms._OWN
    rooms._OWN.clear()
    rooms._OWN.update(before)


def test_a_maker_of_ones_own_is_a_world_by_name(own):
    @lab.world(label="a coin", run={"lr": 3.0})
    def coin(chance: Annotated[float, Range(0, 1), "Chance of heads"] = 0.5, sides: int = 2) -> Bandit:
        """One prompt with two sides."""
        return Bandit(success=[[1 - chance] + [chance] * (sides - 1)])

    assert coin(0.25).means.tolist() == [[[0.75, 0.25]]]
    assert lab.world("coin", chance=0.25).means.tolist() == [[[0.75, 0.25]]]
    assert settings("coin") == {"chance": 0.5, "sides": 2}
    assert declaration("coin").shown == ("chance",) and declaration("coin").about == "One prompt with two sides."
    assert "coin" in lab.worlds()["name"].to_list()
    assert lab.train("coin", steps=2, seeds=2).frame.equals(lab.train(coin(), steps=2, seeds=2, lr=3.0).frame), (
        "a world that is made knows by which name"
    )
    with pytest.raises(InputError, match="chance=2; it must be a number from 0 to 1"):
        lab.world("coin", chance=2)
    with pytest.raises(InputError, match="sides='x'; it must be a whole number"):
        lab.world("coin", sides="x")


def test_a_class_of_ones_own_is_a_world_by_name_and_trains_as_it_suits(own):
    @lab.world
    class Lever(Bandit):
        """A lever that is pulled or not."""

        name, provides = "lever", ("greedy_rewards",)
        suits = {"lr": 5.0}  # noqa: RUF012

        def __init__(self, pulls: int = 3) -> None:
            super().__init__(success=[[0.2, 0.8]] * pulls)

    assert lab.world("lever", pulls=2).prompts == 2
    assert declaration("lever").provides == ("greedy_rewards",)
    alike = lab.train("lever", "grpo", steps=2, seeds=2).frame
    assert alike.equals(lab.train(Bandit(success=[[0.2, 0.8]] * 3), "grpo", steps=2, seeds=2, lr=5.0).frame)
    assert lab.experiment.Config(world="lever", variants=["grpo"]).lr == 5.0
    assert "lever" in lab.errors.worlds_with(["greedy_rewards"])


def test_what_is_no_table_of_settings_is_refused(own):
    with pytest.raises(InputError, match="'prompts' has no default"):
        lab.world(lambda prompts: None)

    def open_ended(**settings: int) -> None: ...

    with pytest.raises(InputError, match="each setting of a world must have a name of its own"):
        lab.world(open_ended)

    def bandit() -> None: ...

    with pytest.raises(InputError, match="'bandit' is a world of the lab; give yours another name"):
        lab.world(bandit)
    with pytest.raises(UnknownNameError, match="lever"):
        lab.world("lever")


def test_text_annotations_and_missing_ones_are_read():
    def plain(number=3, ratio: "float" = 0.5, anything: "Nowhere" = None):  # noqa: F821
        """Plain."""

    kinds = {name: setting.kind for name, setting in Declared(plain).settings.items()}
    assert kinds == {"number": int, "ratio": float, "anything": None}


def test_looking_into_the_rooms_loads_no_numbers():
    code = (
        "import sys; from simulators.rooms import declared; print(len(declared()), {'numpy', 'numba'} & {*sys.modules})"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.split() == [str(len(names())), "set()"]
