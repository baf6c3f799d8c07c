"""Explorers in JupyterLab: controls, pictures, and a saved notebook."""

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from playwright.sync_api import Locator, Page, expect

from tests.browser.serving import Opener, serve_notebooks

PATIENCE = 240_000  # milliseconds: a kernel starts, imports and compiles
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
IDLE = "window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
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


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[str]:
    """The address of a notebook with two explorers, in a JupyterLab of its own."""
    folder = tmp_path_factory.mktemp("notebooks")
    written(folder / "explorers.ipynb", *CELLS)
    with serve_notebooks(folder, root) as url:
        yield f"{url}/doc/tree/explorers.ipynb"


@pytest.fixture
def notebook(new_page: Opener, jupyter: str) -> Iterator[Page]:
    """The notebook after all its cells ran, its explorers in sight."""
    page = new_page(jupyter, height=1900, ready=ready)
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
    expect(page.locator(".advlab")).to_have_count(2)
    yield page
    expect.set_options(timeout=5_000)
    # anywidget says so where its module took longer than two seconds; it is drawn when it comes.
    new_page.thrown[:] = [said for said in new_page.thrown if "[anywidget] Failed to initialize model" not in said]


def test_explorers_answer_in_jupyterlab(notebook: Page) -> None:
    start = notebook.locator(".advlab").nth(0)

    expect(start.locator(".js-plotly-plot .bars .point")).to_have_count(8)
    expect(sentence(start)).to_contain_text("right 2 times")
    slider = start.get_by_role("slider").first
    slider.focus()
    slider.press("ArrowRight")
    expect(sentence(start)).to_contain_text("right 3 times")
    expect(slider).to_be_focused()
    expect(start.locator(".js-plotly-plot .bartext").filter(has_text="1.21")).to_have_count(3)
    stills = notebook.locator(".jp-OutputArea-child:not(:has(.advlab)) .js-plotly-plot")
    expect(stills.locator("visible=true")).to_have_count(0)


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
