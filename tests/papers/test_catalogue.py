"""The catalogue: facts, identifiers, what the doors accept and refuse."""

import json
import math
import re
import subprocess
import sys

import pytest

import lab
from lab import distances, papers, reward_models
from lab.errors import InputError, UnknownNameError
from lab.papers.record import CLAIMS, Measurement, Result, Table, claim

CARDS = {
    "baselines": {
        "headline",
        "1",
        "2",
        "3",
        "4",
        "5",
        "6",
        "check-learn",
        "limit-cost",
        "check-rloo",
        "check-signal",
        "check-offset",
    },
    "gdpo": {"headline", "1", "2", "3", "4", "limit-cancel", "limit-single-prompt", "limit-token-offset"},
    "mc-grpo": {"headline", "1", "2", "3", "4", "check-bound", "limit-skewed", "limit-binary", "limit-outliers"},
    "ngrpo": {"headline", "1", "2", "3", "4", "check-mean", "limit-clip", "limit-on-policy"},
    "bnpo": {"headline", "1", "2", "3", "check-concentrated", "limit-noise"},
}
KEYS = ["id", "paper", "kind", "sentence", "value", "interval", "criterion", "verdict", "seconds", "without"]


@pytest.mark.parametrize("slug", CARDS)
def test_every_claim_of_a_card_is_there(slug: str) -> None:
    assert {c.id for c in papers.paper(slug).claims} == {f"{slug}.{part}" for part in CARDS[slug]}


@pytest.mark.parametrize("paper", papers.catalogue(), ids=lambda p: p.slug)
def test_every_paper_has_facts_rules_and_claims(paper: papers.Paper) -> None:
    for fact in (paper.title, paper.short, paper.date, paper.problem, paper.kept, paper.left_out):
        assert len(fact) > 2
    assert paper.arxiv
    assert all(re.fullmatch(r"\d{4}\.\d{4,5}", number) for number in paper.arxiv.values())
    assert all(address.startswith("https://") for address in paper.links.values())
    assert paper.equations and all(name and equation for name, equation in paper.equations)
    assert any(c.kind == "claim" for c in paper.claims)
    about_rewards = {d.paper for d in map(distances.distance, distances.names())}
    models = {reward_models.find(name).paper for name in reward_models.names()}
    assert paper.slug in paper.variants or paper.slug in {
        "baselines",
        "school-of-reward-hacks",
        "mdp-substrate",
        "barfi",
        "dense-rewards",
        "flow-substrate",
        "gndm",
        "oni",
        "polar",
        "robo-dopamine",
        "oprm",
        "rm-ensembles-herding",
        "rm-ensembles-wco-uwo",
        "tree-rm",
        *about_rewards,
        *models,
    }
    for table in paper.published:
        assert table.frame.height == len(table.rows) > 0
        assert table.caption and table.source


@pytest.mark.parametrize("c", papers.select(), ids=lambda c: c.id)
def test_every_claim_says_what_it_says(c: papers.Claim) -> None:
    assert c.paper in {p.slug for p in papers.catalogue()}
    assert c.kind == next((k for k in ("limit", "headline") if f".{k}" in c.id), "claim")
    assert c.sentence.endswith(".") and not c.criterion.endswith(".")
    assert "def " in c.code


def test_papers_come_oldest_first_and_their_claims_in_order() -> None:
    slugs = [p.slug for p in papers.catalogue()]
    assert [s for s in slugs if s in CARDS] == ["baselines", "bnpo", "ngrpo", "gdpo", "mc-grpo"]
    assert [c.id for c in papers.paper("ngrpo").claims] == [
        "ngrpo.headline", "ngrpo.1", "ngrpo.2", "ngrpo.3", "ngrpo.4", "ngrpo.check-mean", "ngrpo.limit-clip",
        "ngrpo.limit-on-policy",
    ]  # fmt: skip
    assert [c.id for c in papers.select()] == [c.id for p in papers.catalogue() for c in p.claims]


def test_names_are_slugs_or_identifiers_in_any_spelling() -> None:
    assert papers.paper("MC_GRPO").slug == "mc-grpo"
    assert [c.id for c in papers.select("ngrpo.2", "bnpo.1", "ngrpo.2")] == ["bnpo.1", "ngrpo.2"]
    assert papers.select("gdpo") == list(papers.paper("gdpo").claims)
    assert lab.claims is papers.claims


@pytest.mark.parametrize(
    ("call", "name", "offered"),
    [(papers.paper, "gdop", "gdpo"), (papers.run_claim, "gdpo.9", "gdpo."), (papers.claims, "ngpro", "ngrpo"),
     (papers.select, "mc-grpo.limit-outlier", "mc-grpo.limit-outliers")],
)  # fmt: skip
def test_unknown_names_offer_the_nearest(call: object, name: str, offered: str) -> None:
    with pytest.raises(UnknownNameError, match=f"{re.escape(name)}.*nearest.*{re.escape(offered)}"):
        call(name)  # type: ignore[operator]


def test_nothing_is_measured_when_a_later_name_is_unknown() -> None:
    seen: list[int] = []
    with pytest.raises(UnknownNameError):
        papers.claims("ngrpo.1", "nothing-like-it", progress=lambda done, total: seen.append(done))
    assert seen == []


def test_results_have_the_ten_fields_and_progress_counts() -> None:
    seen: list[tuple[int, int]] = []
    results = papers.claims("ngrpo.1", "ngrpo.check-mean", progress=lambda *at: seen.append(at))
    assert seen == [(0, 2), (1, 2), (2, 2)]
    stored = json.loads(json.dumps([r.asdict() for r in results], allow_nan=False))
    assert [list(row) for row in stored] == [KEYS, KEYS]
    assert stored[0]["id"] == "ngrpo.1" and stored[0]["paper"] == "ngrpo" and stored[0]["kind"] == "claim"
    assert stored[0]["verdict"] == "holds" and results[0].holds
    assert stored[0]["interval"] == [stored[0]["value"], stored[0]["value"]]


@pytest.mark.parametrize("identifier", ["nothing", "gdpo.x", "gdpo.limit", "Gdpo.1", "gdpo.1.2"])
def test_malformed_identifiers_are_refused(identifier: str) -> None:
    with pytest.raises(InputError, match="write <slug>"):
        claim(identifier, sentence="", criterion="")


def test_a_claim_takes_a_seed_and_nothing_else_and_an_identifier_is_taken_once() -> None:
    def with_more(seed: int, prompts: int = 3) -> Measurement:
        return Measurement(prompts, True)

    def other(seed: int) -> Measurement:
        return Measurement(1.0, True)

    with pytest.raises(InputError, match="`seed` and nothing else"):
        claim("gdpo.99", sentence="", criterion="")(with_more)
    with pytest.raises(InputError, match="exists already"):
        claim("gdpo.1", sentence="", criterion="")(other)
    assert "gdpo.99" not in CLAIMS


def test_measurements_are_finite_and_exact_ones_have_their_value_as_interval() -> None:
    assert Measurement(2.0, True).bounds == (2.0, 2.0)
    for value, interval in ((math.nan, None), (1.0, (0.0, math.inf))):
        with pytest.raises(InputError, match="must be finite"):
            Measurement(value, True, interval)


def test_tables_have_whole_rows() -> None:
    with pytest.raises(InputError, match="1 of 2 columns"):
        Table("t", ("a", "b"), ((1.0,),), "nowhere")


def test_fields_of_a_result_are_those_of_the_command_line() -> None:
    assert list(Result.__dataclass_fields__) == KEYS


def test_a_table_has_each_claim_with_and_without_what_it_is_about() -> None:
    rows = papers.table("ngrpo.1", "ngrpo.check-mean").rows(named=True)
    assert [row["id"] for row in rows] == ["ngrpo.1", "ngrpo.check-mean"]
    assert rows[0]["value"] == pytest.approx(-1 / 3, abs=1e-5) and rows[0]["without"] == 0
    assert rows[0]["low"] == rows[0]["high"] == rows[0]["value"]
    assert rows[1]["without"] == pytest.approx(3**-0.5, abs=1e-5)
    assert {row["verdict"] for row in rows} == {"holds"}


def test_the_catalogue_loads_light() -> None:
    code = "import lab.papers, sys; print([m for m in ('torch', 'streamlit', 'numba', 'polars') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
