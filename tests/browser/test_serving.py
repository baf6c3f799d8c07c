"""The fixtures of this folder, proven on the smallest page there is."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.serving import Opener, serve, settle

SCRIPT = """
import streamlit as st
st.title("Small page")
n = st.slider("n", 0, 10, 3, key="n", bind="query-params")
st.write(f"n is {n}")
"""


@pytest.fixture(scope="module")
def small_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    script = tmp_path_factory.mktemp("small") / "small.py"
    script.write_text(SCRIPT)
    with serve(script) as url:
        yield url


def test_page_settles_and_a_key_changes_state_and_address(new_page: Opener, small_url: str) -> None:
    page = new_page(small_url)
    expect(page.get_by_text("n is 3")).to_be_visible()
    page.get_by_role("slider").press("ArrowRight")
    expect(page.get_by_text("n is 4")).to_be_visible()
    settle(page)
    assert parse_qs(urlsplit(page.url).query) == {"n": ["4"]}


def test_views_differ_in_width_and_colour(new_page: Opener, small_url: str, view: dict) -> None:
    page = new_page(small_url, **view)
    assert page.evaluate("innerWidth") == view["width"]
    assert _is_dark(page) == (view["scheme"] == "dark")
    path = new_page.shot(page, "small")
    assert path.name == f"small-{view['width']}-{view['scheme']}.png"
    assert path.read_bytes().startswith(b"\x89PNG")


def test_profiles_are_separate_and_requests_elsewhere_are_noted(new_page: Opener, small_url: str) -> None:
    page = new_page(f"{small_url}/?n=7")
    expect(page.get_by_text("n is 7")).to_be_visible()
    page.evaluate("fetch('http://elsewhere.invalid/').catch(() => 0)")
    assert new_page.foreign == ["http://elsewhere.invalid/"]
    new_page.foreign.clear()


def _is_dark(page: Page) -> bool:
    colour = page.evaluate("getComputedStyle(document.querySelector('[data-testid=\"stApp\"]')).backgroundColor")
    return sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(","))) < 3 * 128
