"""My run: findings with their evidence, groups and rollouts to browse, other rules on the same rewards."""

import shutil

import polars as pl
import pytest

import lab
from lab.errors import InputError
from lab.explorers import explorer
from lab.explorers.my_run_log import _HELD, HELD, hold
from lab.explorers.panels import Cards, Panel, Table, Texts, Words

ASKED = explorer("my-run")


def picture(**changes):
    return ASKED.picture(ASKED.state(**changes))


def panels(shown, kind):
    return [each for each in [*shown.panels, shown.beside] if isinstance(each, kind)]


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(lab.logs.bundled()["two_rewards"], tmp_path / "run")


def test_the_worst_finding_is_told_and_shown_first():
    shown = picture(log="equal_rewards")
    found = lab.diagnose(lab.logs.bundled()["equal_rewards"])
    cards = panels(shown, Cards)[0].cards
    assert [card.changes["finding"] for card in cards] == [each.kind for each in found.findings]
    assert cards[0].label.startswith("■ Alarm") and cards[0].chosen and not cards[1].chosen
    assert shown.sentence.endswith("**1 alarm, 1 warning, 1 note**.")
    assert isinstance(shown.panels[0], Panel) and shown.frame.equals(found.findings[0].evidence.frame)


def test_a_card_shows_its_finding_and_a_row_leads_to_its_group():
    cards = panels(picture(log="equal_rewards"), Cards)[0].cards
    phantom = next(card for card in cards if "phantom" in card.label)
    shown = picture(log="equal_rewards", **phantom.changes)
    rows = panels(shown, Table)[0]
    assert rows.heading == "Its rows: 64" and not rows.folded
    to = rows.picks(rows.frame.row(9, named=True))
    assert to == {"view": "browse", "scope": "step", "step": 2, "group": 1, "rollout": 0}
    assert "group 1 of step 2" in picture(log="equal_rewards", **to).sentence


def test_a_healthy_run_is_calm_and_shows_its_curves():
    shown = picture()
    assert shown.sentence.startswith("Nothing in this log looks wrong") and "alarm" not in shown.sentence
    assert [each.name for each in panels(shown, Panel)] == ["log_steps", "log_metrics"]


def test_how_a_log_was_read_is_folded():
    (read,) = panels(picture(), Words)
    assert read.folded and "digit\\_fraction × 1" in read.text and "starts\\_with\\_digit × 0.5" in read.text


def test_a_log_of_metrics_alone_has_curves_on_every_side():
    for view, words in {"findings": "no rollouts", "browse": "no groups to look into", "what-if": "no rule"}.items():
        shown = picture(log="openrlhf", view=view)
        assert words in shown.sentence
        assert [each.name for each in panels(shown, Panel)] == ["log_metrics"]


def test_what_was_evaluated_stands_apart():
    table = next(each for each in panels(picture(log="verl"), Table) if each.heading == "What was evaluated")
    assert table.frame["step"].to_list() == [2, 4] and table.frame["rollouts"].min() > 0


def test_what_was_evaluated_can_be_browsed():
    evaluated = lab.load(lab.logs.bundled()["verl"]).evaluation
    table = next(each for each in panels(picture(log="verl"), Table) if each.heading == "What was evaluated")
    to = table.picks(table.frame.row(1, named=True))
    assert to == {"view": "browse", "scope": "evaluation", "step": 4, "group": 0, "rollout": 0}
    shown = picture(log="verl", **to)
    assert f"**{evaluated.height} rollouts were evaluated** with a mean reward of" in shown.sentence
    assert shown.sentence.endswith("below, group 0 of step 4.")
    groups = shown.beside
    assert groups.frame.height == evaluated.select("step", "group").n_unique()
    assert not {"learnt", "advantage"} & set(groups.frame.columns)
    here = evaluated.filter((pl.col("step") == 4) & (pl.col("group") == 0))
    assert panels(shown, Texts)[0].texts[1][1] == here["completion"][0]
    local = {}
    exec(shown.code, local)
    assert local["groups"].equals(shown.frame) and local["rollouts"].height == here.height


def test_a_log_without_evaluations_offers_none_to_look_at():
    state = ASKED.state(view="browse", scope="evaluation")
    assert ASKED.settle(state)["scope"] == "step"
    assert list(ASKED.offer(ASKED.settle(state)).options["scope"]) == ["step", "log"]
    assert "evaluation" in ASKED.offer(ASKED.state(log="verl", view="browse")).options["scope"]


def test_a_step_is_the_nearest_one_and_at_first_the_loudest():
    known = lab.diagnose(lab.logs.bundled()["two_rewards"]).steps
    assert ASKED.settle(ASKED.state(view="browse", step=400))["step"] == 12
    loudest = known.sort("advantage_max", descending=True)["step"][0]
    assert ASKED.settle(ASKED.state(view="browse"))["step"] == loudest
    assert ASKED.offer(ASKED.state(view="browse")).bounds == {"step": (1, 12)}


def test_a_click_on_a_curve_a_group_and_a_rollout_go_there():
    shown = picture(view="browse", step=3)
    curve, groups, rollouts = shown.panels[0], shown.beside, panels(shown, Table)[0]
    assert curve.picks({"x": 7, "y": 0.5})["step"] == 7
    row = groups.frame.row(2, named=True)
    there = picture(view="browse", **groups.picks(row) | {"step": 3})
    assert f"group {row['group']} of step 3" in there.sentence
    assert there.beside.frame["▸"].to_list().index("▶") == 2
    assert rollouts.picks(rollouts.frame.row(5, named=True))["rollout"] == 5
    prompt, text = panels(picture(view="browse", step=3, group=2, rollout=5), Texts)[0].texts
    rows = lab.load(lab.logs.bundled()["two_rewards"]).frame.filter(step=3, group=2, rollout=5)
    assert (prompt[1], text) == (rows["prompt"][0], ("Rollout 5", rows["completion"][0]))


def test_what_nobody_wrote_is_said_not_to_be_found():
    shown = picture(view="browse", scope="log", find="<nowhere>")
    assert shown.sentence.startswith("**No group of the log** holds “\\<nowhere\\>”") and shown.frame.is_empty()


def test_silent_runs_have_no_what_if():
    shown = picture(log="equal_rewards", view="what-if")
    assert shown.sentence.startswith("**None of the 64 groups has different rewards**")
    assert "the reward is the same in every rollout of the log" in shown.sentence
    assert [each.name for each in panels(shown, Panel)] == ["group_map"]


def test_a_rule_that_cannot_be_tried_is_left_out_with_the_reason():
    shown = picture(view="what-if", rules=["dr_grpo", "mapo"])
    assert [each.name for each in shown.left_out] == ["mapo"] and "turn" in shown.left_out[0].why
    assert shown.frame["variant"].to_list() == ["logged", "dr_grpo"]


def test_every_rule_is_tried_and_those_that_change_most_are_drawn():
    shown = picture(view="what-if", every=True)
    changed = shown.frame["changed"].to_list()
    assert shown.frame.height == 17 and changed[1:] == sorted(changed[1:], reverse=True)
    assert panels(shown, Table)[-1].frame.height > 17


def test_rewards_pass_through_a_rule_of_the_lab():
    shown = picture(view="what-if", transform="harmonic-rpo")
    assert "passed through **harmonic\\-rpo**" in shown.sentence
    assert [each.name for each in panels(shown, Panel)] == ["what_if", "reward_transform"]


def test_a_new_log_is_looked_at_from_the_start():
    state = ASKED.state(log="verl")
    assert ASKED.scenes["log"]["verl"] == {name: ASKED.defaults[name] for name in ASKED.scenes["log"]["verl"]}
    assert {"group_size", "weights", "finding", "step"} <= set(ASKED.scenes["log"]["verl"])
    assert state["finding"] == "" and state["step"] == -1


def test_a_folder_that_grows_is_another_edition_and_half_a_file_is_left_out(copy):
    state = ASKED.state(log="folder", path=str(copy), follow=True)
    before = ASKED.edition(state)
    assert ASKED.follows(state) and not ASKED.follows(ASKED.state())
    half = copy / "completions" / "completions_00013.parquet"
    half.write_bytes((copy / "completions" / "completions_00012.parquet").read_bytes()[:-9])

    assert ASKED.edition(state) > before
    shown = ASKED.picture(state)
    assert "96 groups" in shown.sentence and "growing=True" in shown.code
    assert "completions_00013" in panels(shown, Words)[0].text.replace("\\", "")


def test_uploads_are_held_for_a_while_and_stand_in_no_address():
    files = {each.name: each.read_bytes() for each in (lab.logs.bundled()["two_rewards"] / "completions").iterdir()}
    token = hold(dict(list(files.items())[:2]))
    state = {**ASKED.state(log="upload"), "files": token}
    assert "16 groups" in ASKED.picture(state).sentence
    assert ASKED.written(state)["files"] == "" and token not in ASKED.call(state)
    for place in range(HELD):
        hold({"a.csv": bytes([place])})
    assert token not in _HELD and len(_HELD) == HELD
    with pytest.raises(InputError, match="no longer held"):
        ASKED.picture({**state, "lengths": "completion_chars"})


def test_long_texts_and_many_rows_are_cut():
    ((_, text),) = Texts([("Prompt", "x" * 7000)]).shown
    assert len(text) < 6100 and "1,000 characters are not shown" in text
    table = Table(pl.DataFrame({"a": range(500)}), "Rows")
    assert table.shown.height == 200 and table.reading == "The first 200 of 500 rows."
