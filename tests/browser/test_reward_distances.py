"""The bench of two rewards in a real browser: cells are dragged, the way is walked, the address keeps up."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.serving import SETTLE_SECONDS, Opener, settle

SMALL = "world=small&changes=shortcut&state=6&reward=0_0_0_0_-1_0_0_0_1&distances=val-l2-l2~epic-l2-l2"


def cell(page: Page, state: int) -> Locator:
    return page.locator(f".bench [data-cell='{state}']")


@pytest.fixture
def bench(new_page: Opener, app_url: str) -> Page:
    page = new_page(f"{app_url}/reward_distances?{SMALL}")
    expect(page.get_by_text("Working …")).to_have_count(0, timeout=1000 * SETTLE_SECONDS)
    expect(cell(page, 8)).to_be_visible()
    return page


def test_a_cell_is_dragged(bench: Page) -> None:
    box = cell(bench, 2).bounding_box()
    assert box is not None
    x, y, address = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, bench.url
    bench.mouse.move(x, y)
    bench.mouse.down()
    bench.mouse.move(x, y - 30, steps=4)
    expect(cell(bench, 2)).to_have_attribute("aria-valuetext", "0.5")
    assert bench.url == address, "Python has not been asked yet"
    bench.mouse.up()
    bench.wait_for_url(re.compile(r"reward=0_0_0\.5_0_-1"))


def test_arrow_keys_change_a_cell_and_walk(bench: Page) -> None:
    cell(bench, 4).focus()
    bench.keyboard.press("ArrowUp")
    bench.wait_for_url(re.compile(r"reward=0_0_0_0_-0\.9_"))
    settle(bench)
    expect(cell(bench, 4)).to_be_focused()
    bench.keyboard.press("Delete")
    bench.wait_for_url(re.compile(r"reward=0_0_0_0_0_"))
    settle(bench)
    bench.locator(".bench .walk").focus()
    bench.keyboard.press("Home")
    bench.wait_for_url(re.compile(r"at=0$"))


def test_walking_answers_before_letting_go(bench: Page) -> None:
    loss = bench.locator(".bench text", has_text="lost of R₁")
    before, knob = loss.text_content(), bench.locator(".bench .walk .knob").bounding_box()
    assert knob is not None
    bench.mouse.move(knob["x"] + knob["width"] / 2, knob["y"] + knob["height"] / 2)
    bench.mouse.down()
    bench.mouse.move(knob["x"] - 5000, knob["y"], steps=3)
    expect(loss).to_have_text("lost of R₁: optimising the other 0% · at worst (dashed) 0%")
    assert before != loss.text_content()
    bench.mouse.up()
    bench.wait_for_url(re.compile(r"at=0$"))


def test_a_click_on_the_second_map_moves_the_shortcut(bench: Page) -> None:
    bench.locator(".bench [data-place='0']").click()
    bench.wait_for_url(re.compile(r"state=0&"))
    settle(bench)
    expect(bench.locator(".bench [data-place='0'] text")).to_have_text("1.5")


def test_another_world_and_back(bench: Page) -> None:
    bench.get_by_role("combobox", name="World").click()
    bench.get_by_role("option", name="graph").click()
    bench.wait_for_url(re.compile(r"world=graph.*reward=1_0_0_-1_0_0\.5_0_0"))
    settle(bench)
    assert bench.locator(".bench circle.chosen").count() == 1
