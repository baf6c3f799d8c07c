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
from lab.measures import recorded
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
assert len(test.get("plotly_chart")) >= 4
test.query_params["source"] = "here"
test = AppTest.from_file("lab/pages/small_models.py", default_timeout=90)
test.query_params["source"] = "here"
test.run()
assert not test.exception and not test.error, [*test.exception, *test.error]
print(test.info[0].value)
assert len(test.get("plotly_chart")) >= 4
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
    assert recorded(rows).prompts == 8
    assert rows["text"].str.contains("<think>").any(), "tags are kept as text"
    moments, _ = review(rows)
    assert len(moments) > 30


def test_what_is_looked_at_can_be_chosen():
    test = opened(PAGE, policy="gdpo", when="halfway", by="grpo-s~gdpo", prompt="3", view="variants")
    assert problems(test) == [] and "gdpo" in sentence(test)
    charts = [each.proto.id for each in test.get("plotly_chart")]
    assert len(charts) == 4, "two texts, the curves, every variant"


def test_a_variant_that_cannot_be_computed_is_left_out_in_words():
    test = opened(PAGE, by="grpo~remax")
    assert problems(test) == []
    assert any("remax is left out" in each.value.replace("\\", "") for each in test.caption)


def test_the_tasks_are_those_of_the_world():
    seen = look(PAGE, {"task": "tools"})
    assert not seen.test.warning and seen.properties["task"].options == list(TASKS)
    assert "The task: Sort the digits" in seen.sentence, "that of the run that is shown"
    assert "right in 42% before and 35% after (gain −11% to −3%)." in seen.sentence, "a loss that 4 runs tell"


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
    assert pl.Series([each.proto.id for each in test.get("plotly_chart")]).n_unique() == 4
