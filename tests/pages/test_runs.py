"""The pages that train: a long run can be stopped, a refused one is said, spikes have a cause."""

import time

import pytest
from streamlit.testing.v1 import AppTest

SECONDS = 60


@pytest.fixture
def opened(root):
    def opened(name, **address):
        test = AppTest.from_file(str(root / "lab" / "pages" / f"{name}.py"), default_timeout=SECONDS)
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
    assert "steps" in test.get("progress")[0].proto.text
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
    before = test.session_state["train:run"]
    assert test.get("progress")
    test.slider(key="train:group_size").set_value(2)
    test.slider(key="train:prompts").set_value(1)
    test.slider(key="train:runs").set_value(2).run()
    settled(test)
    assert not test.exception and not test.info
    assert test.session_state["train:run"] != before


def test_the_noise_is_asked_for_where_there_is_some(opened):
    labels = [each.label for each in opened("train", steps="50", law="bernoulli").slider]
    assert "Noise" not in labels
    assert "Noise" in [each.label for each in settled(opened("train", steps="50", law="normal")).slider]


def test_spikes_can_be_taken_apart_one_by_one(opened):
    test = settled(opened("gradient_spikes"))
    first = test.markdown[0].value
    assert "spikes in 8 runs" in first and "became an advantage of" in first
    test.number_input(key="gradient-spikes:rank").set_value(2).run()
    assert settled(test).markdown[0].value != first


def test_where_nothing_leaps_the_page_says_so(opened):
    test = settled(opened("gradient_spikes", law="normal", noise="0", variants="dr_grpo", steps="50", threshold="50"))
    assert not test.exception and not test.error
    assert test.markdown[0].value == "**dr_grpo** has 0 spikes in 8 runs. Nothing leaps here."


AGENTS = {"world": "agents", "variants": "dr-mas-global~dr-mas", "steps": "50", "runs": "4"}


def test_agents_have_a_row_each_and_their_spikes_a_cause(opened):
    test = settled(opened("gradient_spikes", **AGENTS))
    assert not test.exception and not test.error
    said = test.markdown[0].value
    assert said.startswith("The gradient of the **") and "under **dr-mas-global**" in said and "from prompt" in said
    assert [each.value for each in test.subheader][1].startswith("What each agent got in prompt")
    labels = [each.label for each in test.selectbox] + [each.label for each in test.slider]
    assert "Reward law" not in labels and "Noise" not in labels
    assert any("agent_spikes(trace.frame, world.agents)" in each.value for each in test.code)


def test_where_no_agent_leaps_the_page_says_so(opened):
    test = settled(opened("gradient_spikes", **AGENTS, threshold="50"))
    assert not test.exception and not test.error
    assert test.markdown[0].value.startswith("No agent's gradient leaps here; the ")


def test_a_rule_of_agents_in_a_bandit_is_refused_with_words(opened):
    test = opened("gradient_spikes", variants="dr-mas", steps="50")
    assert not test.exception
    assert "reads agent" in test.error[0].value


def test_spikes_of_several_turns(opened):
    test = settled(opened("gradient_spikes", world="turns", variants="grpo~mapo", steps="50", runs="4"))
    assert not test.exception and not test.error
    assert "runs" in test.markdown[0].value
