"""ToolRL on texts that its golden file does not have, as a rule, and on the tool-call task."""

import itertools
import json

import numpy as np
import pytest

import lab
from lab.errors import UnknownNameError
from lab.rewards import toolrl
from lab.training.loop import Walk
from lab.training.settings import Settings
from simulators import HiddenLM, Rollouts, ToyLM
from simulators.toy_lm.tasks import tool_call

CALL = {"name": "search", "parameters": {"q": 1, "n": [1, 2]}}


def text(*calls: object, think: str = "w", response: str = "") -> str:
    lines = "\n".join(json.dumps(c) for c in calls)
    block = f"\n<tool_call>\n{lines}\n</tool_call>" if calls else ""
    return f"<think>{think}</think>{block}" + (f"\n<response>{response}</response>" if response else "")


def call(name: str, **parameters: object) -> dict[str, object]:
    return {"name": name, "parameters": parameters}


def test_a_right_call_in_its_frame() -> None:
    assert toolrl.score(text(CALL), text(CALL)) == (4, 1, 3, 0)
    assert toolrl.score(text(call("search", n=[1, 2], q=1.0)), text(CALL)).correctness == 3


def test_points_by_hand() -> None:
    """One of two keys, its value right: names 1, keys 1/2, values 1 of 1 + 1 + 2."""
    assert toolrl.matched([CALL], [call("search", q=1)]) == pytest.approx(2.5 / 4)
    assert toolrl.matched([CALL], [call("search", q=2, n=2)]) == pytest.approx(2 / 4)
    assert toolrl.matched([CALL], [call("other", q=1, n=[1, 2])]) == 0
    assert toolrl.matched([CALL], []) == 0


def test_calls_are_served_in_order_and_not_optimally() -> None:
    """The first true call takes the candidate that the second one needs."""
    truth = [call("f", a=1, b=2), call("f", a=1)]
    given = [call("f", a=1), call("f", c=0)]
    # names 1; {a, b} takes {a: 1}: 1/2 + 1; {a} is left with {c: 0}: nothing; of 1 + 3 + 2
    assert toolrl.matched(truth, given) == pytest.approx(2.5 / 6)


def test_an_extra_call_lowers_the_names_alone() -> None:
    assert toolrl.matched([CALL], [CALL, call("other")]) == pytest.approx((0.5 + 3) / 4)


@pytest.mark.parametrize(
    "block", ["", "[1]", '{"name": "search"}', '{"name": "search", "parameters": 3}', '{"parameters": {}}', "nothing"]
)
def test_what_is_no_call_gets_the_lowest_reward(block: str) -> None:
    response = f"<think>w</think>\n<tool_call>\n{block}\n</tool_call>"
    assert toolrl.score(response, text(CALL)).correctness == -3
    assert toolrl.score("<think>w</think>", text(CALL), schedule="equal").correctness == -1


def test_without_a_call_in_the_truth_only_the_frame_counts() -> None:
    assert toolrl.score(text(CALL), text(response="done")) == (0, 0, 0, 0)
    assert toolrl.score(text(response="a\nb"), text(response="done")) == (1, 1, 0, 0)


def test_length_counts_words_of_thinking() -> None:
    long = text(CALL, think="w " * 256)
    assert toolrl.thinking_length(long) == 0.5
    assert toolrl.thinking_length(text(CALL, think="w " * 4000)) == 1.0
    assert toolrl.thinking_length(long, step=105) == 0.4
    assert toolrl.score(long, text(CALL), length="fixed").total == 4.5


def test_names_are_checked() -> None:
    for given, said in (
        ({"granularity": "fin"}, "nearest: 'fine'"),
        ({"schedule": "fixd"}, "nearest: 'fixed'"),
        ({"length": "fixd"}, "nearest: 'fixed'"),
    ):
        with pytest.raises(UnknownNameError, match=said):
            toolrl.score(text(CALL), text(CALL), **given)


def test_the_rule_scales_the_share_and_the_format_bit() -> None:
    rewards = np.array([[[1.0, 1.0, 9.0], [0.5, 0.0, 9.0]]])
    assert lab.rewards.apply("toolrl", rewards).tolist() == [[[3, 1], [0, 0]]]
    assert lab.rewards.apply("toolrl", rewards[..., :1], schedule="equal").tolist() == [[[1], [0]]]
    assert lab.rewards.apply("toolrl", rewards, schedule="two-stage", step=29).tolist() == [[[1, 1], [0, 0]]]
    assert lab.rewards.apply("toolrl", rewards, schedule="two-stage", step=30).tolist() == [[[3, 0.5], [0, 0]]]
    smooth = lab.rewards.apply("toolrl", rewards, schedule="smooth", step=75)
    assert smooth == pytest.approx(np.array([[[2.5, 1.5], [0, -1]]]))


@pytest.mark.parametrize(("given", "step", "most"), [({}, 29, 1), ({}, 30, 3), ({"step": 30}, 0, 3)])
def test_training_tells_the_schedule_its_step_unless_it_is_given(given: dict, step: int, most: float) -> None:
    world = ToyLM(tool_call(2, 4, 5, 3, granularity="fine"))
    walk = Walk(world, lab.variant("toolrl", schedule="two-stage", **given), [0], Settings(group_size=8))
    walk.step = step
    moment = walk.look(gradient=False)
    share = moment.rollouts.rewards[..., 0]
    assert moment.rewards[..., 0] == pytest.approx(most * (2 * share - 1))


@pytest.mark.parametrize("granularity", toolrl.GRANULARITIES)
def test_the_task_pays_what_the_matching_gives(granularity: str) -> None:
    """Every tool and every choice of three values, written out as calls."""
    world = ToyLM(tool_call(2, 4, 5, 3, granularity=granularity))
    words = np.array(list(itertools.product(range(1, 4), repeat=4)))
    actions = np.concatenate([np.full((len(words), 1), 2), words], axis=1)
    actions = np.tile(actions, (1, 2, 1, 1))
    zeros = np.zeros(actions.shape)
    paid = world.pay(world.init([0]), Rollouts(np.zeros((1, 2, len(words), 3)), actions, zeros))[0]
    for p, question in enumerate(world.questions):
        name, x, y, z = (question.replace(",", " ").split()[i] for i in (1, 3, 4, 5))
        truth = [call(name, **dict(v.split("=") for v in (x, y, z)))]
        for word, reward in zip(words, paid[p], strict=True):
            letters = ["abc"[v - 1] for v in word]
            given = {k: v for k, v in zip("xyz", letters[1:], strict=True) if v != "a"}
            assert reward[0] == pytest.approx(toolrl.matched(truth, [call(letters[0], **given)], granularity))
            assert reward[1] == 0  # "b" is no frame


def test_the_variant_learns_calls() -> None:
    world = HiddenLM(tool_call(4, 5, 5, 0), features=np.eye(20).reshape(4, 5, 1, 20), spread=0.0,
                     logits=np.append(-1000.0, np.zeros(4)))  # fmt: skip
    trace = lab.train(world, "toolrl", steps=150, seeds=2, lr=10.0, measure=["value"])
    value = trace.frame.sort("step")["value"].to_numpy()
    assert value[:2].mean() < 1
    assert value[-2:].mean() > 1.9  # a share of 1 and the format bit
