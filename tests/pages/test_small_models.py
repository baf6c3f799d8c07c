"""Small models: the recorded run needs no torch, a model's text stays text, and a run that is trained here is shown."""

import subprocess
import sys
from dataclasses import replace
from functools import wraps

import polars as pl
import pytest

from lab import world_registry
from lab.experiment import review
from lab.logs import bundled_run
from lab.measures import half_gains, recorded, token_weights
from lab.store import Run
from simulators import rooms
from simulators.small_lm.tasks import TASKS
from tests.pages.looking import look
from tests.pages.test_pages import ROOT, opened, problems, sentence

PAGE = "small_models"


def test_the_recorded_run_is_shown_without_torch():
    script = """
import sys
sys.modules["torch"] = None
from streamlit.testing.v1 import AppTest
test = AppTest.from_file("lab/pages/small_models.py", default_timeout=90).run()
assert not test.exception and not test.error, [*test.exception, *test.error]
assert len(test.get("plotly_chart")) == 2
test.query_params["source"] = "here"
test = AppTest.from_file("lab/pages/small_models.py", default_timeout=90)
test.query_params["source"] = "here"
test.run()
assert not test.exception and not test.error, [*test.exception, *test.error]
print(test.info[0].value)
assert len(test.get("plotly_chart")) == 2
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "needs torch, which is not installed" in done.stdout.replace("\\", "")
    assert "advantage-lab[torch]" in done.stdout.replace("\\", "")


def test_the_recorded_run_is_whole_and_small():
    run = Run(bundled_run("sorting"))
    assert run.complete
    assert sum(p.stat().st_size for p in run.path.iterdir()) < 500_000
    rows = run.rollouts.filter(variant=run.rollouts["variant"][0], step=0, seed=0)
    assert recorded(rows).prompts == 16
    assert rows["text"].str.contains("<think>").any(), "tags are kept as text"
    moments, _ = review(rows)
    assert len(moments) > 30


def test_what_is_looked_at_can_be_chosen():
    test = opened(PAGE, policy="gdpo", when="halfway", by="grpo-s~gdpo", prompt="3", view="variants")
    assert problems(test) == [] and "gdpo" in sentence(test)
    charts = [each.proto.id for each in test.get("plotly_chart")]
    assert len(charts) == 2, "the curves, every variant; the text is no chart"


def test_a_variant_that_cannot_be_computed_is_left_out_in_words():
    test = opened(PAGE, by="grpo~remax")
    assert problems(test) == []
    assert any("remax is left out" in each.value.replace("\\", "") for each in test.caption)


def test_the_tasks_are_those_of_the_world():
    seen = look(PAGE, {"task": "tools"})
    assert not seen.test.warning and seen.properties["task"].options == list(TASKS)
    assert "The world small\\-lm, its task: Sort the digits" in seen.sentence, "that of the run that is shown"


def test_the_recorded_run_teaches_something():
    said = look(PAGE).sentence
    assert (
        "right in 68% before and 82% after training by **grpo** (gain +12% to +17%, a 95% interval over 8 runs)" in said
    )
    assert "from the same start dr_grpo at 75% (+5% to +9%)" in said.replace("\\", "")
    assert "The format comes first: the format makes half of its gain (from 85% to 94%) by step 94" in said
    run = Run(bundled_run("sorting"))
    gains = half_gains(run.frame, ["greedy", "pass_at_1"], share=0.0).filter(variant="grpo")
    assert gains["gain_low"].min() > 0.1 and gains["runs"].to_list() == [8, 8]
    same = run.rollouts.filter(variant="grpo", seed=0).group_by("slot", "step").agg(pl.col("question").unique())
    assert same.group_by("slot").agg(pl.col("question").n_unique())["question"].to_list() == [1] * 16, "asked again"


def test_the_questions_are_about_what_was_recorded():
    run = Run(bundled_run("sorting"))
    rows = run.rollouts.filter(variant="grpo", seed=0)
    first, last = (rows.filter(step=step) for step in (0, rows["step"].max()))
    right = [frame.filter(slot=1)["reward_1"].sum() for frame in (first, last)]
    assert right == [0, 7], "the prompt that is looked at first: no answer right before, seven of eight after"
    silent = last.filter(slot=13)
    assert silent["reward_1"].sum() == 8 and silent["reward"].n_unique() == 1 and not silent["advantage"].abs().max()
    moments, _ = review(last, ["grpo", "grpo-kl", "psr", "ngrpo"])
    pushed = {
        name: abs(token_weights(moment, recorded(last), variant=name, prompt=13)["weight"]).sum()
        for name, moment in moments.items()
    }
    assert pushed["grpo"] == pushed["ngrpo"] == 0 and pushed["grpo-kl"] > 0 and pushed["psr"] > 0


@pytest.mark.slow
def test_a_run_that_is_trained_here_is_shown(monkeypatch, tmp_path):
    small_lm = pytest.importorskip("simulators.small_lm.world", exc_type=ImportError).SmallLM
    monkeypatch.setenv("ADVLAB_CACHE", str(tmp_path))

    def tiny(**given):
        return small_lm(**given | {"layers": 1, "width": 8, "heads": 1, "accuracy": 0.0, "device": "cpu"})

    there = world_registry.declaration("small-lm")
    quick = replace(there, maker=wraps(there.maker)(lambda **given: tiny(task=given["task"])))
    monkeypatch.setitem(rooms._rooms(), "simulators.small_lm", quick)
    test = opened(PAGE, source="here", variants="gdpo", steps="50", runs="1", task="brackets")
    assert problems(test) == [] and not test.info
    assert "**gdpo**" in sentence(test)
    assert isinstance(test.session_state["small-models:run"], str)
    assert pl.Series([each.proto.id for each in test.get("plotly_chart")]).n_unique() == 2
