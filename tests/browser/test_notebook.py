"""Explorers in JupyterLab: controls, a dragged reward, the link to the dashboard and back, a saved notebook."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import nbformat
import pytest
from nbclient import NotebookClient
from playwright.sync_api import Locator, Page, expect

import lab
from lab.explorers import explorer
from tests.browser.serving import Opener, serve_notebooks

PATIENCE = 240_000  # milliseconds: a kernel starts, imports and compiles
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
IDLE = "window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
SAVED = "jupyterapp.shell.currentWidget.context.model.dirty === false"
FIGURE = "application/vnd.plotly.v1+json"
CELLS = ["import lab\nstart = lab.explore('start')\nstart", "lab.explore('microscope', rules=['grpo', 'dr_grpo'])"]


def written(path: Path, *cells: str) -> Path:
    """A new notebook with these cells."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata=KERNEL)
    nbformat.write(notebook, path)
    return path


def ready(page: Page) -> None:
    page.wait_for_function(IDLE, timeout=PATIENCE)


def sentence(explorer: Locator) -> Locator:
    return explorer.locator("[aria-live]")


def bars(shown: Page | Locator) -> Locator:
    """The bars of three right answers of eight under GRPO."""
    return shown.locator(".js-plotly-plot .bartext").filter(has_text="1.21").locator("visible=true")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a notebook with two explorers lies."""
    folder = tmp_path_factory.mktemp("notebooks")
    written(folder / "explorers.ipynb", *CELLS)
    return folder


@pytest.fixture(scope="module")
def jupyter(folder: Path, root: Path) -> Iterator[str]:
    """The address of the folder's notebooks in a JupyterLab of its own."""
    with serve_notebooks(folder, root) as url:
        yield f"{url}/doc/tree"


@pytest.fixture
def notebook(new_page: Opener, jupyter: str) -> Iterator[Page]:
    """The notebook after all its cells ran, its explorers in sight."""
    page = new_page(f"{jupyter}/explorers.ipynb", height=1900, ready=ready)
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
    expect(page.locator(".advlab")).to_have_count(2)
    yield page
    expect.set_options(timeout=5_000)
    # anywidget says so where its module took longer than two seconds; it is drawn when it comes.
    new_page.thrown[:] = [said for said in new_page.thrown if "[anywidget] Failed to initialize model" not in said]


@pytest.mark.timeout(600)
def test_explorers_answer_in_jupyterlab(
    notebook: Page, new_page: Opener, app_url: str, jupyter: str, folder: Path
) -> None:
    start, microscope = notebook.locator(".advlab").nth(0), notebook.locator(".advlab").nth(1)
    a_control_moves(start)
    stills = notebook.locator(".jp-OutputArea-child:not(:has(.advlab)) .js-plotly-plot")
    expect(stills.locator("visible=true")).to_have_count(0)
    a_reward_is_dragged(notebook, microscope)
    link = microscope.locator("a[href*='/microscope?']")
    expect(link).to_have_attribute("href", re.compile("rollout=4"))
    the_link_leads_to_the_dashboard_and_back(str(link.get_attribute("href")), new_page, app_url)
    notebook.evaluate("jupyterapp.commands.execute('docmanager:save')")
    notebook.wait_for_function(SAVED)
    without_a_kernel_the_last_picture_is_shown(folder, new_page, jupyter)


def a_control_moves(start: Locator) -> None:
    expect(start.locator(".js-plotly-plot .bars .point")).to_have_count(8)
    expect(sentence(start)).to_contain_text("right 2 times")
    slider = start.get_by_role("slider").first
    slider.focus()
    slider.press("ArrowRight")
    expect(sentence(start)).to_contain_text("right 3 times")
    expect(slider).to_be_focused()
    expect(bars(start)).to_have_count(3)


def a_reward_is_dragged(page: Page, microscope: Locator) -> None:
    handle = microscope.locator(".strip [data-handle='3']")
    before, value = sentence(microscope).inner_text(), handle.get_attribute("aria-valuetext")
    handle.locator(".knob").hover()
    box = handle.locator(".knob").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - 60, steps=5)
    assert handle.get_attribute("aria-valuetext") != value, "it answers at once"
    page.mouse.up()
    expect(sentence(microscope)).not_to_have_text(before)


def the_link_leads_to_the_dashboard_and_back(link: str, new_page: Opener, app_url: str) -> None:
    asked = urlsplit(link)
    state, notes = explorer("microscope").read(dict(parse_qsl(asked.query)))
    assert notes == [] and state["rules"] == ["grpo", "dr_grpo"] and state["rollout"] == 4
    page = new_page(f"{app_url}{asked.path}?{asked.query}")
    dragged = page.locator(".strip [data-handle='3']")
    expect(dragged).to_have_attribute("aria-valuetext", re.compile(rf"^{state['rewards'][0][3][0]:g}$"))
    page.get_by_role("button", name="Code").click()
    call = page.get_by_test_id("stPopoverBody").locator("code", has_text="lab.explore(").last.inner_text()
    assert eval(call.removeprefix("import lab").strip(), {"lab": lab}).state == state


def without_a_kernel_the_last_picture_is_shown(folder: Path, new_page: Opener, jupyter: str) -> None:
    saved = nbformat.read(folder / "explorers.ipynb", as_version=4)
    # A kernel of a language that this machine lacks: one other kernel of the same language would be started unasked.
    saved.metadata["kernelspec"] = {"name": "away", "display_name": "on another computer", "language": "away"}
    saved.metadata["language_info"] = {"name": "away"}
    nbformat.write(saved, folder / "reopened.ipynb")
    page = new_page(
        f"{jupyter}/reopened.ipynb",
        ready=lambda page: page.get_by_role("dialog").get_by_role("button", name="No Kernel").click(timeout=PATIENCE),
    )
    expect(bars(page)).to_have_count(3)
    assert page.locator(".advlab").count() == 0


def test_a_saved_notebook_keeps_the_picture(tmp_path: Path, root: Path) -> None:
    path = written(tmp_path / "kept.ipynb", CELLS[0], "start.set(right=3)")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=PATIENCE // 1000, resources={"metadata": {"path": str(root)}}).execute()
    nbformat.write(notebook, path)
    kept = [output["data"] for output in nbformat.read(path, as_version=4).cells[0].outputs if "data" in output]
    figures = [data[FIGURE] for data in kept if FIGURE in data]
    assert len(figures) == 1
    bars = [trace for trace in figures[0]["data"] if trace["type"] == "bar"]
    assert [text for trace in bars for text in trace["text"]].count("1.21") == 3, "the state after `set`"
