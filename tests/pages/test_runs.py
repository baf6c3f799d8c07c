"""The pages that train: a long run can be stopped, a refused one is said, spikes have a cause."""

import re
import time

import pytest

from lab.explorers import runs
from lab.pages import home
from lab.training.settings import declared
from tests.pages.looking import app

SECONDS = 60


@pytest.fixture
def opened():
    def opened(name, **address):
        test = app(name)
        for key, text in address.items():
            test.query_params[key] = text
        return test.run()

    return opened


def settled(test):
    end = time.monotonic() + SECONDS
    while test.get("progress") and time.monotonic() < end:
        time.sleep(0.1)
        test.run()
    return test


def button(test, words):
    return next(each for each in test.button if words in each.label)


LONG = {"variants": "grpo~rloo", "steps": "2000", "runs": "64", "prompts": "32", "group_size": "32"}


def test_a_long_run_shows_progress_and_can_be_stopped_and_taken_up_again(opened):
    test = opened("train", **LONG)
    assert test.get("progress")[0].proto.text.endswith("% done")
    time.sleep(0.5)
    button(test, "Stop").click().run()
    settled(test)
    assert not test.exception and not test.error
    assert test.info[0].value.startswith("Stopped after")
    button(test, "to the end").click().run()
    assert test.get("progress")
    button(test, "Stop").click().run()
    settled(test)


def test_another_setting_ends_the_run_before(opened):
    test = opened("train", **LONG, seed="5")
    before = test.session_state["train:job"]
    assert test.get("progress")
    test.slider(key="train:group_size").set_value(2)
    test.slider(key="train:prompts").set_value(1)
    test.slider(key="train:runs").set_value(2).run()
    settled(test)
    assert not test.exception and not test.info
    assert test.session_state["train:job"] != before


def test_a_reader_who_moves_on_leaves_the_run_to_the_other(opened):
    one, other = opened("train", **LONG, seed="7"), opened("train", **LONG, seed="7")
    assert one.get("progress") and other.get("progress")
    assert not [each for each in other.button if "Stop" in each.label]
    assert any("Another window" in each.value for each in other.caption)
    job = other.session_state["train:job"][1]
    one.number_input(key="train:seed").set_value(8)
    one.slider(key="train:runs").set_value(2).run()
    assert not job.wait(0, other.session_state["reader"]) and not job.stopped
    assert other.run().get("progress"), "it is still the same run"
    assert home.started(*other.session_state["train:job"][0]) is job
    button(other, "Stop").click().run()
    settled(other)
    assert job.stopped
    settled(one)


def test_the_noise_is_asked_for_where_there_is_some(opened):
    labels = [each.label for each in opened("train", steps="50", law="bernoulli").slider]
    assert "Noise" not in labels
    assert "Noise" in [each.label for each in settled(opened("train", steps="50", law="normal")).slider]


def test_spikes_can_be_taken_apart_one_by_one(opened):
    test = settled(opened("gradient_spikes"))
    first = test.markdown[0].value
    assert " in 8 runs" in first and "usual deviations above" in first and "became an advantage of" in first
    test.number_input(key="gradient-spikes:rank").set_value(2).run()
    assert settled(test).markdown[0].value != first


def test_where_nothing_leaps_the_page_says_so(opened):
    test = settled(opened("gradient_spikes", law="normal", noise="0", variants="dr_grpo", steps="50", threshold="50"))
    assert not test.exception and not test.error
    assert test.markdown[0].value == "The gradient of **dr_grpo** has 0 spikes in 8 runs. Nothing leaps here."


AGENTS = {"world": "agents", "variants": "dr-mas-global~dr-mas", "steps": "50", "runs": "4"}


def test_agents_have_a_row_each_and_their_spikes_a_cause(opened):
    test = settled(opened("gradient_spikes", **AGENTS))
    assert not test.exception and not test.error
    said = test.markdown[0].value
    assert said.startswith("The gradient of the **") and "under **dr-mas-global**" in said and "from prompt" in said
    assert [each.value for each in test.subheader][-1].startswith("What each agent got in prompt")
    labels = [each.label for each in test.selectbox] + [each.label for each in test.slider]
    assert "Reward law" not in labels and "Noise" not in labels
    assert any("agent_spikes(trace.frame, world.agents)" in each.value for each in test.code)


def test_where_no_agent_leaps_the_page_says_so(opened):
    test = settled(opened("gradient_spikes", **AGENTS, threshold="50"))
    assert not test.exception and not test.error
    assert test.markdown[0].value.startswith("No agent's gradient leaps here; the ")


def test_a_variant_without_its_fields_is_left_out_with_words_and_led_to_its_world(opened):
    test = settled(opened("train", variants="dr-mas~grpo", steps="50", runs="2"))
    assert not test.exception and not test.error
    assert "dr-mas** is left out" in test.warning[0].value and "agents" in test.warning[0].value
    assert test.markdown[0].value.startswith("**grpo** ends highest")
    button(test, "Go to several agents").click().run()
    settled(test)
    assert not test.warning and test.session_state["train:world"] == "agents"
    assert "dr-mas" in test.markdown[0].value


def test_a_longer_first_step_is_named_beside_who_ends_highest(opened):
    test = settled(opened("train", variants="dr_grpo~mc-grpo", steps="50", runs="2"))
    assert not test.exception and not test.error
    said = re.search(r"mc-grpo's first step was ([\d.]+) times as long as dr_grpo's", test.markdown[0].value)
    space = {}
    exec(next(each.value for each in test.code if "lab.train" in each.value), space)
    first = space["trace"].frame.filter(step=0)
    norm = {name: first.filter(variant=name)["grad_norm"] for name in ("dr_grpo", "mc-grpo")}
    assert said and float(said[1]) == pytest.approx(
        norm["mc-grpo"].clip(0, 1).mean() / norm["dr_grpo"].mean(), rel=0.05
    )
    alike = settled(opened("train", variants="grpo~grpo@trl", steps="50", runs="2"))
    assert "first step" not in alike.markdown[0].value


def test_a_difference_that_longer_steps_may_make_is_not_given_to_the_variants_alone(opened):
    said = sentence(opened("compare", variants="grpo~dr_grpo"))
    assert re.search(r"grpo's first step was [\d.]+ times as long as dr_grpo's", said)
    assert "first step" not in sentence(opened("compare", variants="grpo~grpo@trl"))


def sentence(test):
    settled(test)
    assert not test.exception and not test.error
    return test.markdown[0].value


@pytest.mark.slow
def test_where_steps_do_not_follow_the_gradient_their_length_is_not_told(opened):
    test = opened("compare", world="small-lm", variants="grpo~dr_grpo", steps="50", runs="2", prompts="2")
    assert "mean reward" in sentence(test) and "first step" not in test.markdown[0].value


def test_wrong_signs_part_variants_only_where_their_difference_is_sure(opened):
    sure = settled(opened("train", variants="grpo~mc-grpo", law="contaminated_normal", steps="50")).markdown[0].value
    against = "against the action's expected reward"
    assert re.search(
        rf"\*\*\S+\*\* gave the most wrong signs {against} \([\d.]+%\), \S+ the fewest \([\d.]+%\)\.", sure
    )
    alike = settled(opened("train", variants="grpo~rloo", steps="50", runs="2")).markdown[0].value
    assert "not told apart by their wrong signs" in alike
    one = settled(opened("train", variants="grpo", steps="50")).markdown[0].value
    assert re.search(
        r"\*\*grpo\*\* gave \d+% of the rollouts the wrong sign against the action's expected reward\.", one
    )


def test_where_no_variant_can_train_the_page_says_so(opened):
    test = opened("compare", variants="dr-mas", steps="50")
    assert not test.exception and not test.error
    assert test.markdown[0].value == "None of these variants is possible in this world."


def test_a_world_brings_what_suits_it_and_the_address_what_matters_there(opened):
    test = settled(opened("train", steps="50", runs="2"))
    test.selectbox(key="train:world").set_value("preferences").run()
    settled(test)
    assert test.number_input(key="train:lr").value == 20 and "mc-grpo** is left out" in test.warning[0].value
    assert {"pairs", "signal"} <= set(test.query_params) and not {"law", "prompts", "task"} & set(test.query_params)
    test.selectbox(key="train:world").set_value("bandit").run()
    settled(test)
    assert test.number_input(key="train:lr").value == 2 and not test.warning
    again = settled(opened("train", world="graphs", steps="50", runs="2"))
    assert again.number_input(key="train:lr").value == 4, "a link that leaves it open gets what suits the world"


def test_what_is_too_dear_is_named(opened):
    test = settled(opened("train", world="turns", variants="mapo", steps="50", runs="2"))
    assert any("cosine" in each.value and "takes longer" in each.value for each in test.caption)


def test_spikes_of_several_turns(opened):
    test = settled(opened("gradient_spikes", world="turns", variants="grpo~mapo", steps="50", runs="4"))
    assert not test.exception and not test.error
    assert "runs" in test.markdown[0].value


def test_controls_of_a_run_are_those_of_its_declaration():
    known, page = declared(), {each.name: each for each in runs.settings(["grpo"])}
    for name in ("group_size", "lr", "epochs", "steps"):
        assert page[name].label == known[name].label
    for name in ("group_size", "lr", "epochs"):
        assert page[name].help == known[name].help
        assert (page[name].low, page[name].high) == known[name].domain.slider[:2]
    assert page["runs"].label == known["seeds"].label
