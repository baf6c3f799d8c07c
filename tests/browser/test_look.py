"""Every page at both widths, light and dark: drawn, within the window, photographed; colours follow the reader."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.serving import Opener, settle

PAGES = [
    "sign_flips",
    "collapse",
    "tokens",
    "small_models",
    "compare",
    "implied_reward",
    "reward_distances",
    "reward_hacking",
    "shaping",
]


def drawn(page: Page) -> None:
    """Waits until every picture of the page has its axes."""
    expect(
        page.get_by_test_id("stPlotlyChart").first.locator(".xaxislayer-above, .xaxislayer-below").first
    ).to_be_attached()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_its_window(new_page: Opener, app_url: str, view: dict[str, object], name: str) -> None:
    page = new_page(f"{app_url}/{name}", **view)
    drawn(page)
    main = page.get_by_test_id("stMain")
    assert main.evaluate("main => main.scrollWidth <= main.clientWidth"), "nothing sticks out to the right"
    new_page.shot(page, name)


def test_pictures_follow_a_change_between_light_and_dark(new_page: Opener, app_url: str) -> None:
    page = new_page(f"{app_url}/sign_flips")
    drawn(page)
    paper = page.locator(".js-plotly-plot .main-svg").first
    expect(paper).to_have_css("background-color", "rgb(255, 255, 255)")
    page.emulate_media(color_scheme="dark")
    expect(paper).to_have_css("background-color", "rgb(18, 21, 28)", timeout=10_000)


def test_pages_keep_their_state_when_one_comes_back(new_page: Opener, app_url: str) -> None:
    page = new_page(f"{app_url}/sign_flips")
    page.get_by_text("Right or wrong: can a sign be wrong at all?").click()
    page.wait_for_url("**law=bernoulli**")
    settle(page)
    page.get_by_role("link", name="Collapse").click()
    page.wait_for_url("**/collapse?**")
    settle(page)
    page.get_by_role("link", name="Sign flips").click()
    page.wait_for_url("**/sign_flips?**law=bernoulli**")


def test_the_data_of_a_picture_come_as_a_file(new_page: Opener, app_url: str) -> None:
    page = new_page(f"{app_url}/collapse")
    drawn(page)
    page.get_by_role("button", name="Data").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    assert download.value.suggested_filename == "collapse.csv"
    assert download.value.path().read_text().startswith("success,group_size,kind,share,low,high")


def test_the_first_page_has_an_address_of_its_own(new_page: Opener, app_url: str) -> None:
    direct = new_page(f"{app_url}/microscope?truth=0.5")
    expect(direct.get_by_role("heading", name="What do these rewards teach?")).to_be_visible()
    bare = new_page(f"{app_url}/?truth=0.5")
    bare.wait_for_url("**/microscope?**truth=0.5**")
