"""A real training log in a real browser: bundled, from a folder, uploaded; clicks lead from findings to rollouts."""

import shutil
from pathlib import Path

import polars as pl
from playwright.sync_api import Page, expect

import lab
from tests.browser.serving import SETTLE_SECONDS, Opener, settle

WAIT = 1000 * SETTLE_SECONDS
TWO, EQUAL = (lab.logs.bundled()[name] for name in ("two_rewards", "equal_rewards"))


def choose(page: Page, log: str) -> None:
    """Picks a log from the list in the side panel."""
    page.get_by_role("combobox", name="Training log").click()
    page.get_by_role("option", name=log).click()


def reading(page: Page) -> str:
    return page.locator(".st-key-reading").inner_text()


def test_a_finding_leads_to_its_rows_and_a_step_to_its_groups(new_page: Opener, app_url: str) -> None:
    page = new_page(f"{app_url}/my_run?log=equal_rewards")
    expect(page.locator(".st-key-reading")).to_contain_text("1 alarm", timeout=WAIT)
    settle(page)
    page.get_by_role("button", name="phantom").click()
    expect(page.get_by_role("heading", name="Its rows: 64")).to_be_visible(timeout=WAIT)
    settle(page)
    new_page.shot(page, "my-run-findings")
    page.get_by_role("radio", name="Browse").click()
    expect(page.get_by_role("heading", name="Groups of step 1")).to_be_visible(timeout=WAIT)
    settle(page)
    box = page.locator(".st-key-first .scatterlayer .point").nth(4).bounding_box()  # the fifth step on the first curve
    assert box
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.wait_for_timeout(500)  # a click counts where the point is hovered over
    page.mouse.click(*middle)
    expect(page.get_by_role("heading", name="Groups of step 5")).to_be_visible(timeout=WAIT)
    settle(page)
    new_page.shot(page, "my-run-browse")


def test_a_folder_is_typed_and_stays_in_the_link(new_page: Opener, app_url: str, tmp_path: Path) -> None:
    folder = shutil.copytree(EQUAL, tmp_path / "my run")
    page = new_page(f"{app_url}/my_run")
    choose(page, "a folder of mine")
    box = page.get_by_role("textbox", name="Folder or file")
    box.fill(str(folder))
    box.press("Enter")
    expect(page.locator(".st-key-reading")).to_contain_text("64 of 64 groups", timeout=WAIT)
    settle(page)
    again = new_page(page.url)
    assert reading(again) == reading(page)


def test_an_upload_is_read_and_a_foreign_file_is_named(new_page: Opener, app_url: str, tmp_path: Path) -> None:
    page = new_page(f"{app_url}/my_run?log=upload")
    page.locator("input[type=file]").set_input_files(sorted((TWO / "completions").iterdir())[:2])
    expect(page.locator(".st-key-reading")).to_contain_text("16 groups", timeout=WAIT)
    settle(page)
    fake = tmp_path / "completions_00009.parquet"
    fake.write_text("step,prompt,completion\n9,a,b\n")
    page.locator("input[type=file]").set_input_files(fake)
    expect(page.get_by_test_id("stAlert")).to_contain_text("completions_00009.parquet is not a Parquet file")


def test_what_a_log_says_does_nothing(new_page: Opener, app_url: str, tmp_path: Path) -> None:
    folder = shutil.copytree(TWO, tmp_path / "run")
    (folder / "trainer_state.json").unlink()
    (folder / "run_info.json").unlink()
    attack = "<img src=x onerror=\"document.title='broken into'\"> https://evil.example"
    for file in (folder / "completions").iterdir():
        frame = pl.read_parquet(file).rename({"digit_fraction": "www.evil.example/a"})
        text = {"completion": pl.lit(attack), "prompt": pl.lit(attack) + pl.col("prompt")}
        frame.with_columns(pl.lit(0.5).alias("https://evil.example me@evil.example"), **text).write_parquet(file)
    page = new_page(f"{app_url}/my_run?log=folder&path={folder}&view=browse&step=3&find=evil")
    assert "8 groups of step 3 that hold" in reading(page)
    expect(page.get_by_test_id("stCode").filter(has_text=attack).first).to_be_visible()
    assert "broken into" not in page.title()
    page.get_by_text("How the log was read").click()
    expect(page.get_by_text("www.\u2060evil.example/a").or_(page.get_by_text("evil.example/a")).first).to_be_visible()
    assert page.locator("a[href*=evil]").count() == 0
    page = new_page(f"{app_url}/my_run?rules=https://evil.example+me@evil.example+www.evil.example")
    expect(page.get_by_test_id("stAlert").first).to_contain_text("evil.example")
    assert page.locator("a[href*=evil]").count() == 0


def test_a_folder_that_grows_is_followed(new_page: Opener, app_url: str, tmp_path: Path) -> None:
    files = sorted((TWO / "completions").iterdir())
    folder = tmp_path / "run" / "completions"
    folder.mkdir(parents=True)
    for file in files[:2]:
        shutil.copy(file, folder)
    page = new_page(f"{app_url}/my_run")
    choose(page, "a folder of mine")
    box = page.get_by_role("textbox", name="Folder or file")
    box.fill(str(folder.parent))
    box.press("Enter")
    expect(page.locator(".st-key-reading")).to_contain_text("16 groups", timeout=WAIT)
    settle(page)
    page.get_by_text("Follow while it grows").click()
    settle(page)
    (folder / files[2].name).write_bytes(files[2].read_bytes()[:1000])  # half written
    shutil.copy(files[3], folder)
    expect(page.locator(".st-key-reading")).to_contain_text("24 groups", timeout=WAIT)
    shutil.copy(files[2], folder)
    expect(page.locator(".st-key-reading")).to_contain_text("32 groups", timeout=WAIT)
