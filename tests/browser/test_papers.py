"""The catalogue in a real browser: a claim is measured at a click."""

import time

import pytest
from playwright.sync_api import Locator, Page, expect

from lab import papers
from tests.browser.serving import SETTLE_SECONDS, Opener, settle


def card(page: Page, claim: str) -> Locator:
    return page.locator(f".st-key-claim-{claim.replace('.', '-')}")


def unused() -> int:
    """A seed that no earlier run has remembered verdicts of."""
    return time.time_ns() % 2**31


def test_a_claim_runs_from_the_page(new_page: Opener, app_url: str) -> None:
    seed = unused()
    page = new_page(f"{app_url}/papers?paper=ngrpo&seed={seed}")
    claim = card(page, "ngrpo.1")
    claim.get_by_role("button", name="Measure").click()
    expect(claim).to_contain_text(f"here, seed {seed}: -0.3333, holds", timeout=1000 * SETTLE_SECONDS)
    settle(page)
    new_page.shot(page, "papers-measured")


def test_all_claims_of_a_paper_are_measured(new_page: Opener, app_url: str) -> None:
    seed = unused()
    page = new_page(f"{app_url}/papers?paper=gdpo&seed={seed}")
    page.get_by_role("button", name="Measure all").click()
    expect(page.locator("[class*='st-key-claim-']").filter(has_text=f"here, seed {seed}")).to_have_count(
        len(papers.paper("gdpo").claims),
        timeout=5000 * SETTLE_SECONDS,  # a headline is trained anew
    )


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (820, 1180)])
def test_the_whole_picture_is_in_sight(new_page: Opener, app_url: str, width: int, height: int) -> None:
    page = new_page(f"{app_url}/papers", width=width)
    page.set_viewport_size({"width": width, "height": height})
    picture = page.get_by_test_id("stPlotlyChart").first
    expect(picture.get_by_text("headline: shown")).to_be_visible()
    settle(page)
    box = picture.bounding_box()
    assert box is not None and box["y"] + box["height"] <= height
    new_page.shot(page, "papers-first")


def test_how_a_claim_is_measured_is_shown(new_page: Opener, app_url: str) -> None:
    page = new_page(f"{app_url}/papers?paper=mc-grpo")
    card(page, "mc-grpo.check-bound").get_by_role("button", name="How").click()
    expect(page.get_by_text("Measurement(").first).to_be_visible()


def test_a_paper_opens_with_its_headline(new_page: Opener, app_url: str) -> None:
    page = new_page(f"{app_url}/papers?paper=mc-grpo", width=820, height=1180, scheme="dark")
    expect(page.locator(".st-key-reading")).to_contain_text("What the abstract promises")
    new_page.shot(page, "papers")


def test_rules_and_published_figures(new_page: Opener, app_url: str) -> None:
    page = new_page(f"{app_url}/papers?paper=mc-grpo")
    for shown, words in {"rules": "def mc_grpo", "published figures": "Qwen3-1.7B"}.items():
        page.get_by_role("combobox", name="Show").click()
        page.get_by_role("option", name=shown).click()
        expect(page.get_by_text(words).first).to_be_attached()
        settle(page)
        new_page.shot(page, f"papers-{shown.replace(' ', '-')}")


def test_a_row_of_the_ledger_opens_its_paper(new_page: Opener, app_url: str) -> None:
    page = new_page(f"{app_url}/papers?search=mc-grpo.2")
    settle(page)
    new_page.shot(page, "papers-all")
    grid = page.get_by_test_id("stDataFrame").last
    grid.scroll_into_view_if_needed()
    grid.click(position={"x": 12, "y": 52})
    expect(card(page, "mc-grpo.2")).to_be_visible(timeout=1000 * SETTLE_SECONDS)
    assert "paper=mc-grpo" in page.url
