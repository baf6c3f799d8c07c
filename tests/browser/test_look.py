"""Every page at both widths, light and dark: drawn, within the window, open to all; colours follow the reader."""

from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from lab.explorers import explorer, names
from tests.browser.axe import serious
from tests.browser.serving import SETTLE_SECONDS, Opener, settle

PICTURE = ".js-plotly-plot, [data-live] :is(svg, table), [data-testid=stDataFrame]"

#: What is measured and photographed: every page in its default state and in every question's.
STATES = {name.replace("-", "_"): explorer(name) for name in names()}
OWN = ["small_models", "papers"]

SIZES = {"desk": (1440, 900), "tablet": (820, 1180)}
GROUNDS: dict[Literal["light", "dark"], str] = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 21, 28)"}


def drawn(page: Page) -> None:
    """Waits until every picture of the page has its axes."""
    expect(
        page.get_by_test_id("stPlotlyChart").first.locator(".xaxislayer-above, .xaxislayer-below").first
    ).to_be_attached()


def path(name: str) -> str:
    """Where a page is: the first one has the bare address."""
    return STATES[name].path if name in STATES else name


def ready(page: Page) -> None:
    """Waits until the picture is there: a busy machine shows first how far it is."""
    expect(page.get_by_text("Working …")).to_have_count(0, timeout=1000 * SETTLE_SECONDS)
    settle(page)
    expect(page.locator(PICTURE).first).to_be_visible(timeout=1000 * SETTLE_SECONDS)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", [*STATES, *OWN])
def test_a_page_fits_its_window_and_keeps_nobody_out(new_page: Opener, app_url: str, name: str) -> None:
    page = new_page(f"{app_url}/{path(name)}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_text("Page not found")).to_have_count(0)  # it works before any other page was opened
    main = page.get_by_test_id("stMain")
    for scheme, ground in GROUNDS.items():
        page.emulate_media(color_scheme=scheme)
        expect(page.get_by_test_id("stApp")).to_have_css("background-color", ground)
        for size in SIZES.values():
            page.set_viewport_size({"width": size[0], "height": size[1]})
            ready(page)
            assert main.evaluate("main => main.scrollWidth <= main.clientWidth"), "nothing sticks out to the right"
            page.screenshot(path=new_page.screenshots / f"first-{name}-{size[0]}-{scheme}.png")
        assert serious(page) == []


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
    for name, url in {"Collapse": "**/collapse?**", "Sign flips": "**/sign_flips?**"}.items():
        page.get_by_text("Look at a group").click()
        page.get_by_text(name, exact=True).last.click()
        page.wait_for_url(url)
        settle(page)
    page.wait_for_url("**/sign_flips?**law=bernoulli**")


def test_the_data_of_a_picture_come_as_a_file(new_page: Opener, app_url: str) -> None:
    page = new_page(f"{app_url}/collapse")
    drawn(page)
    page.get_by_role("button", name="Data").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    assert download.value.suggested_filename == "collapse.csv"
    assert download.value.path().read_text().startswith("success,group_size,kind,share,low,high")


def test_the_bare_address_says_what_an_advantage_is_and_leads_to_the_rooms(new_page: Opener, app_url: str) -> None:
    page = new_page(f"{app_url}/?right=0")
    expect(page.get_by_role("heading", name="What is an advantage?")).to_be_visible()
    expect(page.locator(".st-key-reading")).to_contain_text("every advantage is 0")
    page.locator(".st-key-rooms").get_by_role("link", name="Microscope").click()
    page.wait_for_url("**/microscope?**")


def test_the_sentence_is_announced_when_it_changes(new_page: Opener, app_url: str) -> None:
    page = new_page(f"{app_url}/collapse")
    expect(page.locator(".st-key-reading")).to_have_attribute("aria-live", "polite")
    page.get_by_text("Look at a group").first.click()
    page.get_by_text("Sign flips", exact=True).last.click()
    page.wait_for_url("**/sign_flips?**")
    expect(page.locator(".st-key-reading")).to_have_attribute("aria-live", "polite")
