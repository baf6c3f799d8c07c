"""Reward models: what is measured of them, and what the sentence makes of it."""

import numpy as np
import polars as pl
import pytest

import lab
from lab.errors import InputError, UnknownNameError
from lab.explorers import explorer
from lab.explorers.reward_models import trust
from lab.figures.reward_models import reward_model_checks
from simulators.learned_reward import fitters
from simulators.learned_reward.gold import gold


@pytest.fixture
def known(monkeypatch):
    """Two reward models without any network: the gold reward in three sizes of its scale, and its opposite."""
    meant = gold("bowl", 0)

    def right(comparisons, seeds):
        return lambda x: np.stack([(1.8 + 0.2 * i) * meant(x[0]) for i in range(len(seeds))])

    def wrong(comparisons, seeds):
        return lambda x: -np.stack([2 * meant(x[0]) for _ in seeds])

    monkeypatch.setattr(fitters, "FITTERS", {"right": right, "wrong": wrong})


def test_the_gold_reward_itself_is_right_everywhere_and_as_often_as_it_says(known):
    study = lab.studies.reward_model_study(["right", "wrong"], seeds=3, comparisons=50)
    rows = {(r["model"], r["measure"]): r["mean"] for r in study.agreement.iter_rows(named=True)}
    assert rows["right", "accuracy"] == 1 and rows["right", "rank agreement"] == pytest.approx(1)
    assert rows["wrong", "accuracy"] == 0 and rows["wrong", "rank agreement"] == pytest.approx(-1)
    assert rows["right", "calibration error"] < 0.02
    assert rows["wrong", "calibration error"] > 0.6
    assert rows["right", "wrong labels"] == rows["wrong", "wrong labels"]
    assert (study.by_distance.filter(model="right")["right"] == 1).all()
    assert trust(study.reliability.filter(model="right")) == "is about as often right as it says"
    assert "less often than it says" in trust(study.reliability.filter(model="wrong"))
    drawn = reward_model_checks(study.reliability, by_distance=study.by_distance)
    assert [t.name for t in drawn.data if t.showlegend] == ["right", "wrong"]


def test_who_asks_for_what_is_not_there_is_told():
    with pytest.raises(UnknownNameError, match="unknown reward model 'bradley-tery'; nearest: 'bradley-terry'"):
        lab.studies.reward_model_study(["bradley-tery"], seeds=2)
    with pytest.raises(InputError, match="at least two runs, got 1"):
        lab.studies.reward_model_study(seeds=1)
    with pytest.raises(ValueError, match="flips"):
        lab.studies.reward_model_study(seeds=2, flips=1.5)


def test_the_picture_goes_on_to_what_grpo_makes_of_it():
    page = explorer("reward-models")
    state = page.state(comparisons=100, steps=0, runs=2)
    alone = page.picture(state)
    assert "In " in alone.sentence and "**bradley-terry** ranks" in alone.sentence and len(alone.panels) == 2
    assert set(alone.panels[1].frame.columns) == {
        "model", "accuracy", "rank agreement", "calibration error", "wrong labels"}  # fmt: skip
    assert isinstance(alone.frame, pl.DataFrame) and alone.frame["right"].is_between(0, 1).all()


def test_annotators_who_want_the_opposite_make_its_confidence_too_small():
    given = {"gold": "linear", "comparisons": 2000, "seeds": 3}
    one, two = (
        lab.studies.reward_model_study(personas=personas, disagreement=2.0 * (personas > 1), **given)
        for personas in (1, 2)
    )
    assert trust(one.reliability).startswith("is about") or "less" in trust(one.reliability)
    assert "more often than it says" in trust(two.reliability)
    labels, right = (dict(two.agreement.select("measure", "mean").iter_rows())[m] for m in ("wrong labels", "accuracy"))
    assert labels > 0.3 and right > 0.75  # what two opposite wishes have in common is still learned
