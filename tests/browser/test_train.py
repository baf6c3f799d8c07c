"""Training in a real browser: a control that is let go changes picture and address; a long run can be stopped."""

import re

from playwright.sync_api import Page, expect

from tests.browser.serving import SETTLE_SECONDS, Opener, settle

PICTURE = ".js-plotly-plot"


def reading(page: Page) -> str:
    return page.locator(".st-key-reading").inner_text()


def test_a_control_changes_picture_and_address(new_page: Opener, app_url: str) -> None:
    page = new_page(f"{app_url}/train")
    expect(page.locator(PICTURE)).to_be_visible(timeout=1000 * SETTLE_SECONDS)
    before = reading(page)
    page.get_by_role("slider", name="Group size").press("ArrowRight")
    page.wait_for_url(re.compile("group_size=9"))
    settle(page)
    assert reading(page) != before
    again = new_page(page.url)
    expect(again.locator(PICTURE)).to_be_visible(timeout=1000 * SETTLE_SECONDS)
    assert reading(again) == reading(page)


def test_a_long_run_is_stopped_and_what_is_there_is_shown(new_page: Opener, app_url: str) -> None:
    page = new_page(f"{app_url}/train?steps=2000&runs=64&prompts=32&group_size=32&variants=grpo~rloo&seed=3")
    expect(page.get_by_role("progressbar")).to_be_visible()
    page.wait_for_timeout(2000)
    page.get_by_role("button", name="Stop and show").click()
    expect(page.get_by_text("Stopped after")).to_be_visible(timeout=1000 * SETTLE_SECONDS)
    expect(page.locator(PICTURE)).to_be_visible(timeout=1000 * SETTLE_SECONDS)
    new_page.shot(page, "train-stopped")
