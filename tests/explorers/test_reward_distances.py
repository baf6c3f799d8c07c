"""Reward distances: what the live bench is sent and reports, what the sentence says, lines that repeat the data."""

import base64

import numpy as np
import pytest

from lab import distances, studies
from lab.explorers import explorer
from lab.explorers.contract import Live
from lab.explorers.live.bench import payload
from lab.explorers.properties import Numbers
from lab.explorers.reward_distances import PLACES, world
from lab.studies.reward_pairs import between
from simulators.mdp import families

ASKED = explorer("reward-distances")
NUMBERS = Numbers(name="reward", default=[], low=-2, high=2, most=4)
NAMES = ["val-l2-l2", "epic"]


def small(**changes):
    return ASKED.state(world="small", distances=["val-l2-l2", "none-l2-l2"], over="this", **changes)


def sent(mdp, reward, layout, **changes):
    first, last = studies.reward_pair(mdp, reward, **changes)
    maps = studies.reward_map(mdp, {str(k): r for k, r in enumerate(between(mdp, first, last, 4))})
    walk = studies.reward_walk(mdp, first, last, NAMES, steps=4)
    look = {"layout": layout, "state": 1, "at": 2, "reach": (-2, 2, 0.1), "theme": "dark"}
    return first, last, payload(mdp, walk, maps, NAMES, reward, changes=changes["changes"], **look)


def decoded(text, kind):
    return np.frombuffer(base64.b64decode(text), dtype=kind)


def test_every_step_of_the_way_is_what_the_doors_say():
    mdp = families.grid(2, 0.9, goal=-1, slip=0.1)
    first, last, data = sent(mdp, [0.0, 0.5, 0.0, 1.0], "grid", changes=["shortcut"], state=1, amount=1.0)
    pays, best = decoded(data["pays"], np.float32).reshape(5, 4), decoded(data["best"], np.uint8).reshape(5, 4, 4)
    for step in range(5):
        here = first + step / 4 * (last - first)
        assert pays[step] == pytest.approx([0, 0.5 + step / 4, 0, 1.0])
        assert np.array_equal(best[step], mdp.best_actions(here))
        row = data["rows"][0]
        assert row["values"][step] == pytest.approx(distances.compute("starc", mdp, first, here), abs=1e-12)
        assert row["drawn"][step] == row["values"][step] / 2
        assert data["losses"][1]["drawn"][step] == pytest.approx(mdp.worst_case_regret(first, here), abs=1e-12)
    assert data["map"]["columns"] == data["map"]["rows"] == 2 and data["place"] == 1
    assert data["rows"][1]["blind"] == [True, True, False, True] and not data["rows"][1]["starc"]
    assert decoded(data["apart"], np.uint8)[:4].sum() == 0, "the first reward agrees with itself"


def test_a_graph_is_sent_with_its_edges():
    mdp = families.sparse(5, 2, 0.9, source=0)
    _, _, data = sent(mdp, [0.0, 0, 0, 0, 1], "graph", changes=["potential", "offset"])
    edges = {(s, t) for s, t, _ in data["map"]["edges"]}
    assert edges == {(s, t) for s, a, t in np.argwhere(mdp.transition > 0).tolist()}
    assert np.array_equal(data["map"]["successor"], mdp.transition.argmax(-1))
    assert np.hypot(data["map"]["x"], data["map"]["y"]) == pytest.approx(1)
    assert data["made"] == [True, True, False, False]


def test_what_is_let_go_becomes_the_state():
    bench = ASKED.picture(small()).panels[0]
    assert isinstance(bench, Live) and bench.module == "bench"
    told = bench.heard({}, {"reward": [0, 0.5]}) | bench.heard({}, {"at": 5}) | bench.heard({}, {"place": 3})
    assert told == {"reward": [0.0, 0.5], "at": 5, "state": 3} and type(told["reward"][0]) is float
    state = {**small(), "reward": [0.0] * 8 + [0.5], "at": 5}
    again = ASKED.picture(state).panels[0].data("light")
    assert again["reward"] == state["reward"] and again["at"] == 5


def test_without_a_module_the_way_stands_in_for_the_bench():
    still = ASKED.picture(small()).panels[0].still
    drawn = still.draw("light")
    assert {trace.name for trace in drawn.data} == {"val-l2-l2", "none-l2-l2", "regret", "at worst"}
    assert max(drawn.data[0].y) == pytest.approx(still.frame["val-l2-l2"].max() / 2)


def test_another_world_brings_its_own_reward():
    assert ASKED.read({"world": "row"})[0]["reward"] == [0, 0, -0.5, 0, 0, 0, 1]
    wrong = {**ASKED.state(), "world": "row", "reward": [1.0] * 25, "state": 24}
    settled = ASKED.settle(wrong)
    assert settled["reward"] == PLACES["row"].cells and settled["state"] == 6
    assert ASKED.settle(settled) == settled
    for name, place in PLACES.items():
        assert world(name).states == place.states == len(place.cells) > place.state


def test_the_sentence_says_that_nothing_is_lost_and_who_is_fooled():
    said = ASKED.picture(small(changes=["potential"])).sentence
    assert said.startswith("The first reward and the second reward order all policies alike, so")
    at_first = ASKED.picture(small(changes=["shortcut"], at=0)).sentence
    assert at_first.startswith("The first reward and what lies 0% of the way to the second reward order all policies")
    assert "**nothing can be lost**" in said and "**val-l2-l2** says so; **none-l2-l2** sees" in said


def test_the_sentence_when_every_distance_is_right():
    assert ASKED.picture(small(changes=["scale"])).sentence.endswith("All distances here say 0.")


def test_the_sentence_tells_what_is_lost():
    state = small(changes=["shortcut"], state=0, amount=2.0)
    place = PLACES["small"]
    first, second = studies.reward_pair(world("small"), place.cells, ["shortcut"], state=0, amount=2.0)
    regret, worst = world("small").regret(first, second), world("small").worst_case_regret(first, second)
    assert worst >= regret > 0.1
    start = f"Who optimises the second reward loses **{regret:.0%}** of what the first has to give, and **{worst:.0%}**"
    assert ASKED.picture(state).sentence.startswith(start)
    assert "what lies 25% of the way to the second" in ASKED.picture({**state, "at": 8}).sentence


@pytest.mark.parametrize(("change", "said"), [("flip", "All distances here say 0"), ("learned", "no policies apart")])
def test_a_reward_of_nothing_is_no_error(change, said):
    picture = ASKED.picture(small(changes=[change], reward=[0.0] * 9))
    assert said in picture.sentence and len(picture.panels[1].draw("light").data)


def test_the_code_repeats_the_way(capsys):
    picture, space = ASKED.picture(small(changes=["learned"], comparisons=10, noise=0.0, at=7)), {}
    exec(compile(picture.code, "code", "exec"), space)
    assert space["way"].equals(picture.frame) and space["cloud"].equals(picture.panels[1].frame)
    assert f"{space['mdp'].regret(space['first'], space['second'])}" in capsys.readouterr().out
    assert "reward_maps" in picture.code
    assert "reward_maps" not in ASKED.picture(ASKED.question("On a graph: when does it turn?")).code


def test_only_what_a_change_is_made_with_is_asked_for():
    for changes, asked in (
        (["shortcut"], {"amount"}), (["flip"], set()), (["learned"], {"comparisons", "noise"}),
        (["learned", "scale"], {"amount", "comparisons", "noise"}),
    ):  # fmt: skip
        written = ASKED.written(ASKED.state(changes=changes))
        assert {"amount", "comparisons", "noise"} & written.keys() == asked


@pytest.mark.parametrize("question", ASKED.questions)
def test_every_question_is_a_state_whose_address_is_read_back(question):
    state = ASKED.question(question)
    assert ASKED.state(**ASKED.questions[question]) == state == ASKED.settle(state)
    assert ASKED.written(ASKED.read(ASKED.written(state))[0]) == ASKED.written(state)


def test_numbers_are_written_and_read():
    assert NUMBERS.read(NUMBERS.write([1.0, -0.5, 2])) == [1.0, -0.5, 2.0]
    for wrong in ("1_x", "", "3", "0_0_0_0_0", "nan"):
        with pytest.raises(ValueError, match=r"numbers from -2 to 2, such as 1_0_0\.5, were expected"):
            NUMBERS.read(wrong)
