"""Papers: a claim is measured at a click, every paper and every view opens."""

import time

import pytest
from streamlit.testing.v1 import AppTest

from lab import papers


@pytest.fixture
def opened(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def opened(**address):
        test = AppTest.from_file(str(root / "lab" / "pages" / "papers.py"), default_timeout=60)
        for key, text in address.items():
            test.query_params[key] = text
        return settled(test.run())

    return opened


def settled(test):
    end = time.monotonic() + 60
    while test.get("progress") and time.monotonic() < end:
        time.sleep(0.1)
        test.run()
    return test


def table(test):
    return next(each.value for each in reversed(test.dataframe) if "criterion" in each.value.columns)


@pytest.mark.parametrize("slug", [each.slug for each in papers.catalogue()])
def test_every_paper_opens_in_every_view(opened, slug, monkeypatch):
    monkeypatch.setattr(papers, "select", lambda *names: [])  # no checks on the first view
    for view in ("claims", "rules", "figures"):
        test = opened(paper=slug, view=view)
        assert not test.exception and not test.error
        assert test.subheader[0].value == papers.paper(slug).title


def test_the_checks_are_measured_on_the_first_view(opened):
    first = table(opened(seed="3"))
    checks = first[first["id"].str.contains("check-")].set_index("id")["verdict"]
    assert {checks[c.id] for c in papers.select("gdpo", "ngrpo") if ".check-" in c.id} == {"holds"}
    assert "not measured yet" in set(checks), "those of the other papers wait until they are opened"
    assert "**0 hold**" not in opened(paper="dno", seed="3").markdown[0].value


def test_the_filters_leave_what_they_say(opened):
    limits = table(opened(seed="3", kind="limit"))
    assert limits["id"].str.contains("limit-").all() and len(limits)
    found = table(opened(seed="3", search="MEDIAN"))
    assert 0 < len(found) < len(table(opened(seed="3")))
    assert table(opened(seed="3", search="no such words")).empty


def test_what_a_claim_compared_is_drawn(opened):
    test = opened(paper="gdpo", seed="5")
    assert "claim-detail" not in str(test.get("plotly_chart"))
    test.button(key="papers:run gdpo.limit-token-offset").click().run()
    settled(test)
    assert test.selectbox(key="papers:drawn").options
    assert len(test.get("plotly_chart")) == 1


def test_a_claim_is_measured_at_a_click(opened):
    test = opened(paper="ngrpo", seed="4")
    before = test.markdown[0].value
    assert "not measured yet" in [each.proto.body for each in test.get("badge")] or "not measured" in before
    test.button(key="papers:run ngrpo.1").click().run()
    settled(test)
    assert not test.exception and not test.error
    assert test.markdown[0].value != before
    assert any("0\\.3333" in each.value for each in test.markdown)


def test_a_claim_that_needs_a_missing_package_says_which(opened, monkeypatch):
    from lab.reward_models import minilm

    monkeypatch.setattr(minilm, "find_spec", lambda name: None)
    monkeypatch.setattr(papers, "select", lambda *names: [])  # no checks on the first view
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
