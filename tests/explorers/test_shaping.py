"""Shaping: three ways of making a dense reward, each with its sentence, its pictures and lines that repeat them."""

import polars as pl
import pytest

from lab.explorers import explorer, shaping_blend, shaping_chain, shaping_returns
from lab.explorers.kept import watched_by

ASKED = explorer("shaping")
SMALL = {
    "chain": {"constructions": ["sparse", "progress"], "episodes": 300, "runs": 4},
    "blend": {"heuristic": "reversed", "steps": 10},
    "returns": {"encoders": ["raw", "factors"], "collected": 8, "group_size": 4, "horizon": 5, "runs": 4},
}
FIRST = {"chain": "chain_policies", "blend": "curves", "returns": "step_rewards"}


@pytest.fixture(scope="module")
def pictures():
    return {method: ASKED.picture(ASKED.state(method=method, **SMALL[method])) for method in SMALL}


@pytest.mark.parametrize("method", SMALL)
def test_the_code_repeats_the_frame_and_draws_every_picture(pictures, method):
    picture, space = pictures[method], {}
    exec(compile(picture.code, "code", "exec"), space)
    assert any(value.equals(picture.frame) for value in space.values() if isinstance(value, pl.DataFrame))
    drawn = [panel for panel in picture.panels if hasattr(panel, "figure")]
    assert drawn[0].figure.__name__ == FIRST[method]
    for panel in drawn:
        assert f"lab.figures.{panel.figure.__name__}(" in picture.code
        assert len(panel.draw("dark").data)
    for label in (panel.options["label"] for panel in drawn if "label" in panel.options):
        assert f'label="{label}"' in picture.code


@pytest.mark.parametrize(("method", "parts"), [("chain", 2), ("returns", 4)])
def test_a_long_study_tells_how_far_it_is_and_stopped_shows_what_is_there(method, parts):
    told = []
    with watched_by(lambda *done: told.append(done), lambda: True):
        picture = ASKED.picture(ASKED.state(method=method, **SMALL[method], seed=5))
    assert told == [(0, parts), (1, parts)]
    assert len(picture.sentence) > 20 and picture.frame["runs"].max() == (1 if method == "returns" else 4)
    whole = ASKED.picture(ASKED.state(method=method, **SMALL[method], seed=5))
    assert whole.frame.height > picture.frame.height or whole.frame["runs"].max() == 4, "what was stopped is not kept"


def test_paid_for_progress_a_policy_hovers_where_planning_says_so(pictures):
    scores = pictures["chain"].panels[-1].frame
    assert scores["reward"].to_list() == ["sparse", "progress"] and scores["regret of its optimum"].to_list()[0] == 0.0
    assert "The best policy for **progress** is not the best for what is meant." in pictures["chain"].sentence
    policies = pictures["chain"].panels[0].frame
    best = policies.filter(variant="progress", position=11, optimal=True)["action"].to_list()
    assert best == ["search"], "before the last move the pay for progress is better than the goal"


def test_a_reward_that_cannot_be_planned_is_said_to_be_unknown():
    trace = pl.DataFrame(
        [(v, s, 0, gold, idle) for v, gold, idle in (("a", 0.5, 0.0), ("b", 0.1, 0.8)) for s in (0, 1)],
        schema=["variant", "seed", "step", "gold", "idle"], orient="row",
    )  # fmt: skip
    scores = pl.DataFrame({"variant": ["a", "b"], "alignment": [1.0, None]})
    assert shaping_chain.reading(trace, scores) == (
        "**a** ends with a true return of 0.500 (0.500 to 0.500), **b** with 0.100 (0.100 to 0.100): that policy waits "
        "on the spot in 80% of its steps. No best policy is known for **b**: their pay depends on what was said before."
    )
    assert shaping_chain.reading(trace, scores.fill_null(1.0)).endswith(
        "The best policy for each of them is also the best for what is meant."
    )
    assert shaping_chain.reading(trace.filter(variant="a"), scores).endswith("0.500 (0.500 to 0.500).")


def test_a_blend_turns_a_heuristic_round_that_points_the_wrong_way(pictures):
    last = pictures["blend"].frame.filter(variant="BARFI").sort("step").row(-1, named=True)
    assert last["phi3"] < 0 < last["phi2"] and 0.9 * last["optimum"] < last["value"] <= last["optimum"]
    assert shaping_blend.reading(pictures["blend"].frame) == pictures["blend"].sentence
    assert f"reaches **{last['value']:.3f}**" in pictures["blend"].sentence
    assert f"the heuristic −{abs(last['phi3']):.1f} times." in pictures["blend"].sentence


def test_the_learned_discount_is_drawn_where_it_is_learned():
    state = ASKED.state(method="blend", steps=10, learn_discount=True)
    assert "discount γᵥ" in ASKED.picture(state).panels[1].frame["variant"]
    assert "discount γᵥ" not in ASKED.picture(state | {"learn_discount": False}).panels[1].frame["variant"]


def test_steps_are_told_by_who_knows_the_factors(pictures):
    told = shaping_returns.told(["raw", "factors"], [0, 1, 2, 3]).filter(episodes=8)
    right = dict(told.select("encoder", "correlation").iter_rows())
    assert right["factors"] > 0.9 > right["raw"]
    assert (
        f"told with a correlation of {right['raw']:.2f} (**raw**), {right['factors']:.2f} (**factors**)"
        in pictures["returns"].sentence
    )
    assert "under **factors**" in pictures["returns"].sentence


@pytest.mark.parametrize("method", SMALL)
def test_only_what_matters_to_a_method_is_asked_for(method):
    own = {
        "chain": {"constructions", "success", "length", "discount", "bonus", "episodes", "runs", "seed"},
        "blend": {"heuristic", "entropy", "steps", "learn_discount"},
        "returns": {"encoders", "collected", "group_size", "horizon", "runs", "seed"},
    }
    assert ASKED.written(ASKED.state(method=method)).keys() == {"method"} | own[method]


@pytest.mark.parametrize("question", ASKED.questions)
def test_every_question_is_a_state_whose_address_is_read_back(question):
    state = ASKED.question(question)
    assert ASKED.state(**ASKED.questions[question]) == state
    assert ASKED.written(ASKED.read(ASKED.written(state))[0]) == ASKED.written(state)
