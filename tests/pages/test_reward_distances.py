"""The page of reward distances: what the bench is sent, what it reports, what the page says."""

import base64
from pathlib import Path

import numpy as np
import pytest
from lab.pages.bench import payload
from lab.pages.state import Numbers
from streamlit.testing.v1 import AppTest

from lab import distances, studies
from lab.studies.reward_pairs import between
from simulators.mdp import families

PAGE = Path(__file__).resolve().parents[2] / "lab" / "pages" / "reward_distances.py"
NUMBERS = Numbers(name="reward", default=[], low=-2, high=2, most=4)
NAMES = ["val-l2-l2", "epic"]


@pytest.fixture
def page():
    test = AppTest.from_file(str(PAGE), default_timeout=60)
    test.query_params.update({"world": "small", "distances": "val-l2-l2~none-l2-l2"})
    return test


def sent(mdp, reward, layout, **changes):
    first, last = studies.reward_pair(mdp, reward, **changes)
    maps = studies.reward_map(mdp, {str(k): r for k, r in enumerate(between(mdp, first, last, 4))})
    walk = studies.reward_walk(mdp, first, last, NAMES, steps=4)
    look = {"layout": layout, "state": 1, "at": 2, "reach": (-2, 2, 0.1), "theme": "dark"}
    return first, last, payload(mdp, walk, maps, NAMES, reward, changes=changes["changes"], **look)


def written(test, name):
    value = test.query_params[name]
    return value if isinstance(value, str) else value[-1]


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


def test_what_is_let_go_is_taken_over(page):
    page.run()
    page.session_state["reward-distances:reward"] = [0.0] * 8 + [0.5]
    page.session_state["reward-distances:at"] = 5
    page.run()
    assert not page.exception and not page.error
    assert written(page, "reward").endswith("_0.5") and written(page, "at") == "5"


def test_another_world_brings_its_own_reward(page):
    page.run()
    assert written(page, "reward") == "0_0_0_0_-1_0_0_0_1"
    page.query_params["world"] = "row"
    page.run()
    assert not page.exception and len(written(page, "reward").split("_")) == 7


def test_the_sentence_says_that_nothing_is_lost_and_who_is_fooled(page):
    page.query_params["changes"] = "potential"
    page.run()
    assert "nothing can be lost" in page.markdown[0].value
    assert "**val-l2-l2** says so; **none-l2-l2** sees" in page.markdown[0].value


def test_the_sentence_when_every_distance_is_right(page):
    page.query_params["changes"] = "scale"
    page.run()
    assert page.markdown[0].value.endswith("All distances here say 0.")


@pytest.mark.parametrize(("change", "said"), [("flip", "All distances here say 0"), ("learned", "no policies apart")])
def test_a_reward_of_nothing_is_no_error(page, change, said):
    page.query_params.update({"reward": "_".join("0" * 9), "changes": change, "over": "this"})
    page.run()
    assert not page.exception and not page.error
    assert said in page.markdown[0].value


def test_numbers_are_written_and_read():
    assert NUMBERS.read(NUMBERS.write([1.0, -0.5, 2])) == [1.0, -0.5, 2.0]
    for wrong in ("1_x", "", "3", "0_0_0_0_0", "nan"):
        with pytest.raises(ValueError, match=r"numbers from -2 to 2, such as 1_0_0\.5, were expected"):
            NUMBERS.read(wrong)
