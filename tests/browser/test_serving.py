"""The fixtures of this folder, proven on the smallest page there is, and the dashboard as a server."""

from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.serving import HOST, Opener, serve, serve_lab, settle

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


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (820, "dark")])
def test_views_differ_in_width_and_colour(new_page: Opener, small_url: str, width: int, scheme: Any) -> None:
    page = new_page(small_url, width=width, scheme=scheme)
    assert page.evaluate("innerWidth") == width
    assert _is_dark(page) == (scheme == "dark")
    path = new_page.shot(page, "small")
    assert path.name == f"small-{width}-{scheme}.png"
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


SOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def status(url: str, path: str = "/", **headers: str) -> int:
    """What the server answers to a request with these headers."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=30)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize(("path", "headers", "let_in"), [("/", {}, 200), ("/_stcore/stream", SOCKET, 101)])
def test_pages_under_another_name_are_kept_out(app_url: str, path: str, headers: dict[str, str], let_in: int) -> None:
    port = urlsplit(app_url).port
    for host in (f"{HOST}:{port}", f"localhost:{port}"):
        assert status(app_url, path, **headers, Host=host, Origin=f"http://{host}") == let_in
    evil = f"evil.example:{port}"
    assert status(app_url, path, **headers, Host=evil, Origin=f"http://{evil}") == 403
    for origin in ("http://localhost:9999", f"http://{evil}", "null"):
        assert status(app_url, path, **headers, Origin=origin) == 403


def test_a_clone_serves_the_same_behind_the_same_gate(root: Path) -> None:
    with serve(root / "app.py") as url:
        assert status(url) == 200 and status(url, Host="evil.example") == 403
        assert status(url, "/_stcore/stream", **SOCKET, Origin="http://localhost:9999") == 403


def test_a_browser_is_opened_and_nothing_is_advertised(new_page: Opener, tmp_path: Path) -> None:
    (tmp_path / ".claude").mkdir()  # a coding agent is installed: what makes the framework advertise to it
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{tmp_path}/opened"\n')
    browser.chmod(0o755)
    own = {"HOME": str(tmp_path), "BROWSER": str(browser), "DISPLAY": ":0"}
    with (tmp_path / "said").open("wb") as log, serve_lab(tmp_path, log=log, **own) as url:
        page = new_page(url)
        assert "streamlit" not in page.locator("body").inner_text().lower()
        assert "deploy" not in page.locator("body").inner_text().lower()
    assert (tmp_path / "said").read_text() == f"Advantage Lab: {url} (it answers this computer alone; Ctrl-C ends it)\n"
    assert (tmp_path / "opened").read_text().strip() == url
