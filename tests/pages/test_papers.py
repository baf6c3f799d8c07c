"""Papers: a claim is measured at a click, every paper and every view opens."""

import time

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from lab import papers
from lab.errors import InputError
from lab.papers import recorded
from lab.papers.recorded import Entry, Run

NAMES = ("ngrpo.headline", "ngrpo.1", "ngrpo.check-mean", "bnpo.1")


def entry(name):
    """A claim in a record: all seeds alike, with something to draw."""
    verdict = "shown" if name.endswith("headline") else "fails" if name == "bnpo.1" else "holds"
    runs = tuple(Run(seed, 0.5, (0.25, 0.75), 0.0, verdict, 0.125, True, 1.5) for seed in range(5))
    rows = ({"variant": "grpo", "value": 0.5}, {"variant": "ngrpo", "value": 1.0})
    return Entry(name, papers.find_claim(name).criterion, "", "2026-01-02", {"python": "3"}, runs, rows, {})


@pytest.fixture
def opened(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(recorded, "read", lambda: {name: entry(name) for name in NAMES})
    st.cache_resource.clear()

    def opened(**address):
        test = AppTest.from_file(str(root / "lab" / "pages" / "papers.py"), default_timeout=60)
        for key, text in address.items():
            test.query_params[key] = text
        return settled(test.run())

    yield opened
    st.cache_resource.clear()


def settled(test):
    end = time.monotonic() + 60
    while test.get("progress") and time.monotonic() < end:
        time.sleep(0.1)
        test.run()
    return test


def table(test):
    return next(each.value for each in reversed(test.dataframe) if "criterion" in each.value.columns)


@pytest.mark.parametrize("slug", [each.slug for each in papers.catalogue()])
def test_every_paper_opens_in_every_view(opened, slug):
    for view in ("claims", "rules", "figures"):
        test = opened(paper=slug, view=view)
        assert not test.exception and not test.error
        assert test.subheader[0].value == papers.paper(slug).title


def test_the_record_is_there_at_once_and_nothing_is_measured(opened):
    test = opened(seed="3")
    first = table(test).set_index("id")
    assert [first["verdict"][name] for name in NAMES] == ["shown", "holds", "holds", "fails"]
    assert first["ours"]["ngrpo.1"] == "0.5 (0.25 to 0.75)" and first["here"].isna().all()
    said = test.markdown[0].value
    assert "**1** shown, **0** not shown here, **0** reversed here" in said
    assert "Of 3 claims, checks and limits **2 hold** and **1 do not** (bnpo.1)" in said
    assert f"{len(first) - 4} are not in the record" in said and len(test.get("plotly_chart")) == 1
    assert any("2026\\-01\\-02 over 5 seeds" in each.value for each in test.caption)


def test_a_paper_shows_its_headline_first(opened):
    test = opened(paper="ngrpo")
    assert "What the abstract promises is **shown**: 0.5 (0.25 to 0.75)" in test.markdown[0].value
    assert test.selectbox(key="papers:drawn").value == "ngrpo.headline" and len(test.get("plotly_chart")) == 1
    assert [each.value for each in test.subheader[1:]] == ["Mechanism", "Claims, with and without it", "Limits"]
    assert any("without it 0\\.125" in each.value for each in test.caption)


def test_a_damaged_record_is_said_and_survived(opened, monkeypatch):
    def damaged():
        raise InputError("ngrpo.json is damaged")

    monkeypatch.setattr(recorded, "read", damaged)
    test = opened()
    assert not test.exception and "damaged" in test.warning[0].value


def test_the_filters_leave_what_they_say(opened):
    checks = table(opened(seed="3", kind="check"))
    assert checks["id"].str.contains(".check-", regex=False).all() and len(checks)
    limits = table(opened(seed="3", kind="limit"))
    assert limits["id"].str.contains("limit-").all() and len(limits)
    found = table(opened(seed="3", search="MEDIAN"))
    assert 0 < len(found) < len(table(opened(seed="3")))
    assert table(opened(seed="3", search="no such words")).empty


def test_what_a_claim_compared_is_drawn(opened):
    test = opened(paper="gdpo", seed="5")
    assert not test.get("plotly_chart")
    test.button(key="papers:run gdpo.limit-token-offset").click().run()
    settled(test)
    assert test.selectbox(key="papers:drawn").options
    assert len(test.get("plotly_chart")) == 1


def test_a_claim_is_measured_at_a_click(opened):
    test = opened(paper="ngrpo", seed="4")
    before = test.markdown[0].value
    assert "Measured again" not in before
    test.button(key="papers:run ngrpo.1").click().run()
    settled(test)
    assert not test.exception and not test.error
    assert test.markdown[0].value != before
    assert "Measured again here with seed 4: 1; 1 differ from the record: ngrpo.1" in test.markdown[0].value
    assert any("0\\.3333, holds; differs from the record" in each.value for each in test.caption)


def test_a_claim_that_needs_a_missing_package_says_which(opened, monkeypatch):
    from lab.reward_models import minilm

    monkeypatch.setattr(minilm, "find_spec", lambda name: None)
    test = opened(paper="semantic-reward", seed="4")
    settled(test.button(key="papers:run semantic-reward.1").click().run())
    assert not test.exception and not test.error
    assert any("pip install" in each.value for each in test.caption)
    assert "1 cannot be, for want of a package" in test.markdown[0].value
    assert any("not measurable here" in each.value for each in test.markdown[1:])


def test_a_rule_is_shown_as_it_is_written(opened):
    test = opened(paper="mc-grpo", view="rules")
    assert any("def mc_grpo(" in each.value for each in test.code)
    wanted = "mc-grpo-control (advantage)"
    test.selectbox(key="papers:rule").set_value(wanted).run()
    assert test.query_params["rule"] in (wanted, [wanted])
    again = opened(paper="mc-grpo", view="rules", rule=wanted)
    assert again.selectbox(key="papers:rule").value == wanted
