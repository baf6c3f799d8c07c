"""Small models in a browser: text stays text, a question brings its picture up, training is watched and stopped."""

import re

from playwright.sync_api import Page, expect

from tests.browser.serving import SETTLE_SECONDS, Opener, settle

PICTURE, TOKEN = ".js-plotly-plot", ".tokens [role='gridcell']"
PATIENT = 5000 * SETTLE_SECONDS  # milliseconds: torch is loaded and the model made first


def first_heading(page: Page) -> str:
    return page.locator("h3").first.inner_text()


def test_what_a_model_wrote_is_text(new_page: Opener, app_url: str) -> None:
    page = new_page(f"{app_url}/small_models")
    expect(page.locator(TOKEN).first).to_have_text(re.compile("^<think>"))
    assert page.locator("think, answer").count() == 0
    assert first_heading(page).startswith("Answers to ")


def test_a_question_brings_its_picture_up(new_page: Opener, app_url: str) -> None:
    page = new_page(f"{app_url}/small_models")
    page.get_by_text("Does the format come before the answer?").click()
    page.wait_for_url("**view=learning**")
    settle(page)
    assert first_heading(page) == "What it learns, part by part"


def test_training_here_is_watched_stopped_and_shown(new_page: Opener, app_url: str) -> None:
    page = new_page(f"{app_url}/small_models?source=here&steps=400&runs=1&variants=grpo")
    expect(page.get_by_role("progressbar")).to_be_visible(timeout=PATIENT)
    expect(page.locator(PICTURE).first).to_be_visible(timeout=PATIENT)
    page.get_by_role("button", name="Stop and show").click()
    expect(page.get_by_text("Stopped before the end")).to_be_visible(timeout=PATIENT)
    expect(page.locator(TOKEN).first).to_be_visible(timeout=PATIENT)
    settle(page)
    new_page.shot(page, "small-models-stopped")
