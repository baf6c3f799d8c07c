"""The first screen of every page holds its whole picture, in every question, at every size."""

from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page

from tests.browser.serving import Opener
from tests.browser.test_look import SIZES, STATES, path, ready

BOTTOM = """() => {
  const inside = [...document.querySelectorAll('.st-key-first *')];
  const live = inside.flatMap((each) => [...each.shadowRoot?.querySelectorAll('[data-live] > *') ?? []]);
  const pictures = [...inside.filter((each) => each.matches('.js-plotly-plot')), ...live];
  return pictures.length ? Math.max(...pictures.map((each) => each.getBoundingClientRect().bottom)) : Infinity;
}"""


def within(page: Page, size: tuple[int, int]) -> bool:
    """Whether the first picture ends above the window's bottom, and nothing sticks out to the right."""
    page.set_viewport_size({"width": size[0], "height": size[1]})
    main = page.get_by_test_id("stMain")
    for _ in range(20):  # a busy machine takes a moment to draw anew
        page.wait_for_timeout(300)
        if page.evaluate(BOTTOM) <= size[1] and main.evaluate("main => main.scrollWidth <= main.clientWidth"):
            return True
    return False


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", STATES)
def test_the_first_screen_holds_the_whole_picture_in_every_question(new_page: Opener, app_url: str, name: str) -> None:
    page, wrong = new_page(f"{app_url}/{STATES[name].path}"), []
    for question in STATES[name].questions:
        address = urlencode(STATES[name].written(STATES[name].question(question)), safe="~@_")
        page.goto(f"{app_url}/{STATES[name].path}?{address}")
        ready(page)
        wrong += [(question, size) for size, pixels in SIZES.items() if not within(page, pixels)]
    assert not wrong


@pytest.mark.timeout(600)
def test_nothing_is_cut_off_on_a_telephone(new_page: Opener, app_url: str) -> None:
    for name in STATES:
        page = new_page(f"{app_url}/{path(name)}", width=390, height=844)
        ready(page)
        main = page.get_by_test_id("stMain")
        assert main.evaluate("main => main.scrollWidth <= main.clientWidth"), name
