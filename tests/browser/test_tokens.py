"""Coloured tokens in a browser: a token pointed at, or walked to, tells its weight under every method."""

import re

from playwright.sync_api import expect

from tests.browser.serving import Opener


def test_tokens_tell_their_weights_to_pointer_and_keyboard(new_page: Opener, app_url: str) -> None:
    page = new_page(f"{app_url}/tokens?world=hidden-lm&variants=grpo~thr&group_size=4")
    cells, told = page.locator(".tokens [role='gridcell']"), page.locator(".tokens .told")
    expect(told).to_have_text(re.compile("^Point at a token, or walk"))
    cells.first.hover()
    expect(told).to_have_text(re.compile(r"^rollout 1  R = .*, token 1, .+: grpo .+ · thr .+"))
    expect(page.locator(".tokens .same")).to_have_count(2)
    assert page.locator(".tokens [tabindex='0']").count() == 1, "one stop of the Tab key"
    cells.first.focus()
    page.keyboard.press("ArrowRight")
    here = page.locator(".tokens :focus")
    expect(here).to_have_attribute("aria-label", re.compile(r"^rollout 1  R = .*, token 2, .+: grpo [^·]+$"))
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    expect(here).to_have_attribute("aria-label", re.compile(r"^rollout 1 .*: thr "))  # of the other method's table
    page.keyboard.press("Home")
    expect(here).to_have_attribute("aria-label", re.compile(r"^rollout 1 .*, token 1, .*: thr "))
