"""Access: axe-core finds nothing serious on any page, light or dark, and the sentence is announced when it changes."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.serving import SETTLE_SECONDS, Opener, settle

AXE = Path(__file__).parent / "axe" / "axe.min.js"
ADDRESSES = [
    "",
    "microscope",
    "train",
    "compare",
    "sign_flips",
    "collapse",
    "implied_reward",
    "reward_distances",
    "tokens",
    "small_models",
    "gradient_spikes",
    "shaping",
    "reward_hacking",
    "your_run",
    "papers",
]


def serious(page: Page) -> list[str]:
    """What axe-core finds that is serious or critical: the rule, where, and what would be right."""
    expect(page.get_by_role("progressbar")).to_have_count(0, timeout=1000 * SETTLE_SECONDS)
    settle(page)
    page.add_script_tag(path=AXE)
    results = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert len(results["passes"]) > 10, "it has looked"
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in results["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_nothing_keeps_a_reader_out(new_page: Opener, app_url: str, address: str, scheme: str) -> None:
    page = new_page(f"{app_url}/{address}", scheme=scheme)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_text("Page not found")).to_have_count(0)  # each address works before any other page was opened
    assert serious(page) == []


def test_the_sentence_is_announced_when_it_changes(new_page: Opener, app_url: str) -> None:
    page = new_page(f"{app_url}/collapse")
    expect(page.locator(".st-key-reading")).to_have_attribute("aria-live", "polite")
    page.get_by_text("Look at a group").first.click()
    page.get_by_text("Sign flips", exact=True).last.click()
    page.wait_for_url("**/sign_flips?**")
    expect(page.locator(".st-key-reading")).to_have_attribute("aria-live", "polite")
