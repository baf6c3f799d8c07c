"""The microscope: what the strip is sent, what it reports, what the page says."""

import base64

import numpy as np
import pytest

import lab
from lab import advantages
from lab.errors import InputError
from lab.explorers.live.strip import payload
from lab.explorers.properties import Rewards
from lab.studies.field_samples import field_source, sample_fields
from lab.studies.what_if import advantage_summary, advantage_table, grid, read_by, what_if
from tests.pages.looking import app

RULES = ["grpo", "mc-grpo", "gdpo"]
REWARDS = Rewards(name="rewards", default=[])


def decoded(text, kind):
    return np.frombuffer(base64.b64decode(text), dtype=kind)


def sent(rewards, rules=RULES, **options):
    values = grid(0, 1, rewards)
    seen = what_if(rules, rewards, values, true_mean=0.4, **options)
    return seen, payload(seen, rewards, rules, values, true_mean=0.4, scale=3, selected=0, theme="light")


def test_every_scenario_is_what_the_door_says():
    rewards, values = np.random.default_rng(0).integers(0, 2, (2, 3, 2)).astype(float), np.linspace(0, 1, 5)
    seen = what_if(RULES, rewards, values, true_mean=0.4)
    assert seen.advantage.shape == (3, 1 + rewards.size * 5, 2, 3)
    for v, rule in enumerate(RULES):
        assert np.array_equal(seen.advantage[v, 0], advantages.compute(rule, rewards))
    for handle in range(rewards.size):
        for n, value in enumerate(values):
            moved = rewards.copy()
            moved.ravel()[handle] = value
            scenario = 1 + handle * 5 + n
            assert np.array_equal(seen.advantage[0, scenario], advantages.compute("grpo", moved))
            assert np.allclose(seen.total[scenario], moved.sum(-1))


def test_flips_and_dropped_rollouts_are_marked():
    table = advantage_table(["grpo", "mc-grpo"], [0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 2.0], true_mean=0.38)
    grpo, median = table.filter(variant="grpo"), table.filter(variant="mc-grpo")
    assert grpo["flipped"].to_list() == [False, False, False, True, True, True, True, False]
    assert grpo["used"].all() and not median["flipped"].any()
    assert median.filter(used=False)["rollout"].to_list() == [4]
    summary = advantage_summary(table)
    assert summary["flipped"].to_list() == [4, 0] and summary["silent"].to_list() == [False, False]


def test_equal_rewards_are_silent_in_float64_and_phantoms_in_float32():
    for precision, phantom in {"float64": False, "float32": True}.items():
        table = advantage_table(["grpo@verl"], [0.3] * 8, true_mean=0.3, precision=precision)
        row = advantage_summary(table).row(0, named=True)
        assert row["phantom"] is phantom and row["silent"] is not phantom


def test_what_if_wants_groups():
    with pytest.raises(InputError, match=r"\[P, G, K\]"):
        what_if(["grpo"], [1.0, 0.0], [0.5], true_mean=0.5)


def test_the_payload_holds_the_whole_table():
    rewards = [[[1.0], [0.0], [0.0]]]
    seen, data = sent(rewards)
    assert data["rewards"] == [1.0, 0.0, 0.0] and data["shape"] == (1, 3, 1)
    assert np.allclose(decoded(data["advantage"], np.float32), seen.advantage.ravel().astype(np.float32))
    assert len(decoded(data["mark"], np.uint8)) == seen.mark.size
    assert data["components"] == ["reward"] and [rule["name"] for rule in data["rules"]] == RULES
    assert 0 in data["ticks"] and data["ticks"][-1] == 1


def test_the_grid_holds_both_ends_and_is_coarser_for_many_rewards():
    assert grid(-1, 1, [0.0] * 8)[[0, -1]].tolist() == [-1, 1]
    assert len(grid(0, 1, [0.0] * 64)) < len(grid(0, 1, [0.0] * 8))


@pytest.fixture
def page():
    return app("microscope")


def shape(page):
    groups = page.session_state["microscope:rewards"]
    return len(groups), len(groups[0]), len(groups[0][0])


def test_why_shows_the_formula_with_the_numbers_of_the_chosen_rollout(page):
    page.query_params.update({"rewards": "1_0_0_0", "rules": "dr_grpo", "rollout": "1"})
    page.run()
    assert any("1 − 0.25 = 0.75" in each.value for each in page.markdown)


def test_groups_grow_and_shrink(page):
    page.run()
    for name, value, expected in [
        ("Prompts", 2, (2, 8, 1)),
        ("Rewards each", 2, (2, 8, 2)),
        ("Rollouts", 5, (2, 5, 2)),
        ("Prompts", 1, (1, 5, 2)),
    ]:
        page.number_input(key=f"microscope:rewards {name}").set_value(value).run()
        assert shape(page) == expected and not page.exception


def test_groups_stay_within_what_a_link_can_hold(page):
    page.query_params["rewards"] = "__".join(["_".join(["0~0"] * 10)] * 3)
    page.run()
    page.number_input(key="microscope:rewards Rewards each").set_value(3).run()
    page.number_input(key="microscope:rewards Rollouts").set_value(16).run()
    assert not page.exception and not page.error
    assert shape(page) == (3, 7, 3)
    rewards = page.session_state["microscope:rewards"]
    assert REWARDS.read(REWARDS.write(rewards)) == rewards


def test_a_rollout_beyond_the_group_is_the_last_one(page):
    page.query_params.update({"rewards": "1_0", "rollout": "60"})
    page.run()
    assert not page.exception and not page.error
    assert page.subheader[0].value == "Why? grpo, rollout 2"


def test_a_group_of_one_shows_what_rules_say_of_it(page):
    page.query_params["rewards"] = "1"
    page.run()
    assert not page.exception


def test_every_rule_can_be_looked_at_with_fields_from_a_world(page):
    for name in advantages.names():
        needed = set(advantages.rule(name).required)
        world = field_source([name])
        assert (world is None) == (needed <= {"instant_rewards"}), "of a world that must be pretrained first"
        if needed and world is None:
            continue
        sample = sample_fields(lab.world(world), prompts=2, rollouts=4) if world else None
        table = advantage_table([name], [[0, 1, 0, 0], [1, 1, 0, 1]], true_mean=0.5, fields=sample and sample.fields)
        assert table["advantage"].null_count() == 0 and table["advantage"].abs().max() > 0


def test_a_rule_whose_fields_take_long_to_make_says_where_it_can_be_trained(page):
    page.query_params.update({"rules": "grpo~vgpo", "rewards": "1_0_0_1"})
    page.run()
    assert not page.exception and not page.error
    (said,) = [each.value for each in page.warning]
    assert "**vgpo**" in said and "world 'flow'" in said and "Take the fields from" not in said


def test_rules_of_several_worlds_are_left_out_with_words_where_fields_are_of_another(page):
    page.query_params.update({"rules": "grpo~mapo~thr~dr-mas", "rewards": "1_0_0_1", "source": "turns", "seed": "3"})
    page.run()
    assert not page.exception and not page.error
    assert [each.value.split("**")[1] for each in page.warning] == ["thr", "dr-mas"]
    assert any("turn_rewards" in each.value.columns for each in page.dataframe)
    assert any("world turns" in each.value for each in page.caption)
    lines = next(each.value for each in page.code if each.language == "python")
    exec(compile(lines, "microscope: code", "exec"), {})


def test_rewards_by_hand_count_where_rewards_of_calls_are_optional():
    fields = sample_fields(lab.world("agents"), prompts=1, rollouts=4).fields
    assert "turn_rewards" in fields and set(read_by("dr-mas", fields)) == {"agent", "mask"}
    assert "turn_rewards" in read_by("mapo", fields)


def test_the_worlds_own_rewards_can_be_taken_over(page):
    page.query_params.update({"rules": "dr-mas", "rewards": "1_0_0_1"})
    page.run()
    next(each for each in page.button if "own rewards" in each.label).click().run()
    assert not page.exception and not page.error
    assert shape(page) == (1, 4, 2)
    sample = sample_fields(lab.world("agents"), prompts=1, rollouts=4)
    assert page.session_state["microscope:rewards"] == sample.rewards.tolist()


def test_fields_come_only_from_a_world_that_has_some():
    with pytest.raises(InputError, match="reward-hacks"):
        sample_fields(lab.world("reward-hacks"), prompts=1, rollouts=2)
    with pytest.raises(InputError, match="prompts=9"):
        sample_fields(lab.world("turns"), prompts=9, rollouts=2)
