"""A real training log in a real browser: bundled, from a folder, uploaded."""

import shutil
from pathlib import Path

import polars as pl
from playwright.sync_api import Page, expect

import lab
from tests.browser.serving import SETTLE_SECONDS, Opener, settle

TWO, EQUAL = (lab.logs.bundled()[name] for name in ("two_rewards", "equal_rewards"))


def choose(page: Page, log: str) -> None:
    """Picks a log from the list in the side panel."""
    page.get_by_role("combobox", name="Training log").click()
    page.get_by_role("option", name=log).click()


def reading(page: Page) -> str:
    return page.locator(".st-key-reading").inner_text()


def test_a_bundled_log_opens(new_page: Opener, app_url: str) -> None:
    page = new_page(f"{app_url}/your_run")
    assert "96 groups" in reading(page)
    expect(page.locator(".js-plotly-plot")).to_have_count(5)
    new_page.shot(page, "your-run")


def test_the_other_bundled_logs_open(new_page: Opener, app_url: str) -> None:
    page = new_page(f"{app_url}/your_run")
    for log, words in {"equal rewards": "phantom", "reused batches": "32 groups"}.items():
        choose(page, log)
        expect(page.locator(".st-key-reading")).to_contain_text(words)
        settle(page)
        new_page.shot(page, f"your-run-{log.replace(' ', '-')}")


def test_a_folder_is_typed_and_stays_in_the_link(new_page: Opener, app_url: str, tmp_path: Path) -> None:
    folder = shutil.copytree(EQUAL, tmp_path / "my run")
    page = new_page(f"{app_url}/your_run")
    choose(page, "a folder of mine")
    box = page.get_by_role("textbox", name="Folder or file")
    box.fill(str(folder))
    box.press("Enter")
    expect(page.locator(".st-key-reading")).to_contain_text("64 of 64 groups")
    settle(page)
    again = new_page(page.url)
    assert reading(again) == reading(page)


def test_an_upload_is_read_and_a_foreign_file_is_named(new_page: Opener, app_url: str, tmp_path: Path) -> None:
    page = new_page(f"{app_url}/your_run?log=upload")
    page.locator("input[type=file]").set_input_files(sorted((TWO / "completions").iterdir())[:2])
    expect(page.locator(".st-key-reading")).to_contain_text("16 groups", timeout=1000 * SETTLE_SECONDS)
    settle(page)
    fake = tmp_path / "completions_00009.parquet"
    fake.write_text("step,prompt,completion\n9,a,b\n")
    page.locator("input[type=file]").set_input_files(fake)
    expect(page.get_by_test_id("stAlert")).to_contain_text("completions_00009.parquet is not a Parquet file")


def test_a_completion_with_markup_does_nothing(new_page: Opener, app_url: str, tmp_path: Path) -> None:
    folder = shutil.copytree(TWO, tmp_path / "run")
    attack = "<img src=x onerror=\"document.title='broken into'\">"
    for file in (folder / "completions").iterdir():
        frame = pl.read_parquet(file)
        frame.with_columns(
            pl.lit(attack).alias("completion"), pl.lit(attack).alias("prompt") + pl.col("prompt")
        ).write_parquet(file)
    page = new_page(f"{app_url}/your_run?log=folder&path={folder}")
    assert "96 groups" in reading(page)
    expect(page.get_by_text(f"Prompt: {attack}")).to_be_visible()
    expect(page.get_by_test_id("glide-cell-1-0").filter(has_text=attack)).to_be_attached()
    assert "broken into" not in page.title()


def test_a_correction_is_taken_over(new_page: Opener, app_url: str) -> None:
    page = new_page(f"{app_url}/your_run")
    box = page.get_by_label("Group size (0: as inferred)")
    box.fill("4")
    box.press("Enter")
    expect(page.locator(".st-key-reading")).to_contain_text("192 groups")
    assert "group_size=4" in page.url


def test_an_address_from_a_log_or_a_link_is_no_link(new_page: Opener, app_url: str, tmp_path: Path) -> None:
    folder = shutil.copytree(TWO, tmp_path / "run")
    (folder / "trainer_state.json").unlink()
    (folder / "run_info.json").unlink()
    for file in (folder / "completions").iterdir():
        frame = pl.read_parquet(file).rename({"digit_fraction": "www.evil.example/a"})
        frame.with_columns(pl.lit(0.5).alias("https://evil.example me@evil.example")).write_parquet(file)
    page = new_page(f"{app_url}/your_run?log=folder&path={folder}")
    assert "evil.example" in page.locator("[data-testid=stCaptionContainer]").first.inner_text()
    assert page.locator("a[href*=evil]").count() == 0
    page = new_page(f"{app_url}/your_run?rules=https://evil.example+me@evil.example+www.evil.example")
    expect(page.get_by_test_id("stAlert").first).to_contain_text("evil.example")
    assert page.locator("a[href*=evil]").count() == 0
