"""A served dashboard and a real Chromium for the tests in this folder."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.serving import Opener, serve_lab

HERE = Path(__file__).parent
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder is a slow one."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser of this machine, headless. Without one the tests are skipped; in CI they fail."""
    path = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    if path is None:
        reason = "no Chromium found: install the package chromium of your system"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def app_url(root: Path) -> Iterator[str]:
    """The address of the lab's own dashboard, served for the whole session on a free port."""
    with serve_lab(root) as url:
        yield url


@pytest.fixture
def new_page(chromium: Browser, root: Path) -> Iterator[Opener]:
    """Opens pages, `new_page(url, width=1440, scheme="light")`, each in its own browser profile.

    At the end of the test no page may have thrown, nor asked for anything beyond this machine.
    """
    with ExitStack() as stack:
        opener = Opener(chromium, stack, root / "build" / "screenshots")
        yield opener
    assert opener.thrown == []
    assert opener.foreign == []


@pytest.fixture
def page(new_page: Opener, app_url: str) -> Page:
    """The dashboard's first page, 1440 wide and light."""
    return new_page(app_url)
