"""The microscope in a real browser: it answers while a reward is dragged, and its link says everything."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.serving import Opener, settle

ONE_OF_EIGHT = "rewards=1_0_0_0_0_0_0_0&rules=grpo~dr_grpo&truth=0.2&range=unit&rollout=1"


def handle(page: Page, index: int) -> Locator:
    return page.locator(f".strip [data-handle='{index}']")


def bars(page: Page) -> list[str]:
    """Height of every bar, row by row."""
    return page.locator(".strip rect:not([class])").evaluate_all("bars => bars.map(bar => bar.getAttribute('height'))")


def grab(page: Page, index: int, up: float, steps: int = 6) -> None:
    """Presses on a handle and moves it up by some pixels, without letting go."""
    box = handle(page, index).locator(".knob").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - up, steps=steps)


def reading(page: Page) -> str:
    return page.locator(".st-key-reading").inner_text()


@pytest.fixture
def strip(new_page: Opener, app_url: str) -> Page:
    """One right of eight, under two rules."""
    page = new_page(f"{app_url}/microscope?{ONE_OF_EIGHT}")
    expect(handle(page, 0)).to_be_visible()
    return page


def test_dragging_answers_before_letting_go(strip: Page) -> None:
    before, address = bars(strip), strip.url
    grab(strip, 3, up=75)
    expect(handle(strip, 3)).to_have_attribute("aria-valuetext", "0.5")
    during = bars(strip)
    assert during != before and len(during) == 16
    assert strip.url == address, "Python has not been asked yet"
    strip.mouse.up()
    strip.wait_for_url(re.compile("rewards=1_0_0_0.5_"))
    settle(strip)
    assert bars(strip) == during, "Python says what the strip had looked up"
    assert "rollout=4" in strip.url and "rollout 4" in strip.locator("h3").first.inner_text()


def test_arrow_keys_move_the_focused_reward(strip: Page) -> None:
    handle(strip, 1).focus()
    for key in ("ArrowUp", "ArrowUp", "PageUp", "ArrowDown"):
        strip.keyboard.press(key)
    expect(handle(strip, 1)).to_have_attribute("aria-valuetext", "0.275")
    strip.wait_for_url(re.compile("rewards=1_0.275_0"))
    settle(strip)
    expect(handle(strip, 1)).to_be_focused()
    strip.keyboard.press("End")
    strip.wait_for_url(re.compile("rewards=1_1_0"))


def test_two_drags_in_a_row_are_both_kept(strip: Page) -> None:
    for index in (2, 5):
        grab(strip, index, up=150)
        strip.mouse.up()
    strip.wait_for_url(re.compile("rewards=1_0_1_0_0_1_0_0"))


def test_a_click_on_a_column_shows_its_formula(strip: Page) -> None:
    strip.locator(".strip [data-column='6']").click(position={"x": 8, "y": 8})
    strip.wait_for_url(re.compile("rollout=7"))
    settle(strip)
    expect(strip.get_by_text("0 − 0.125 = −0.125").first).to_be_visible()


def test_wrong_signs_are_marked(new_page: Opener, app_url: str) -> None:
    page = new_page(f"{app_url}/microscope")
    expect(page.locator(".strip text", has_text="4 of 8 wrong sign").first).to_be_visible()
    assert page.locator(".strip text", has_text=re.compile("^✕ −")).count() == 16


def test_a_control_changes_the_address(strip: Page) -> None:
    strip.get_by_role("spinbutton", name="True mean").fill("0.7")
    strip.keyboard.press("Enter")
    strip.wait_for_url(re.compile("truth=0.7"))
    strip.get_by_text("float32", exact=True).click()
    strip.wait_for_url(re.compile("precision=float32"))


def test_the_copied_link_opens_the_same_state_elsewhere(strip: Page, new_page: Opener) -> None:
    grab(strip, 4, up=40)
    strip.mouse.up()
    strip.wait_for_url(re.compile("rollout=5"))
    settle(strip)
    strip.get_by_role("button", name="Link").click()
    link = strip.get_by_test_id("stPopoverBody").locator("code").first.inner_text()
    other = new_page(link)
    expect(handle(other, 4)).to_have_attribute("aria-valuetext", str(handle(strip, 4).get_attribute("aria-valuetext")))
    assert bars(other) == bars(strip)
    assert reading(other) == reading(strip)


def test_the_back_button_goes_back(strip: Page) -> None:
    question = strip.get_by_text("All eight are wrong: what is learnt?")
    question.click()
    strip.wait_for_url(re.compile("rewards=0_0_0"))
    settle(strip)
    strip.go_back()
    expect(handle(strip, 0)).to_have_attribute("aria-valuetext", "1")
    expect(strip).to_have_url(re.compile("rewards=1_0_0"))


def test_text_of_an_address_is_shown_as_text(new_page: Opener, app_url: str) -> None:
    page = new_page(f"{app_url}/microscope?precision=<img src=x onerror=alert(1)>&truth=0.5")
    warning = page.get_by_test_id("stAlert")
    expect(warning).to_contain_text("precision=<img src=x onerror=alert(1)>")
    assert warning.locator("img").count() == 0
