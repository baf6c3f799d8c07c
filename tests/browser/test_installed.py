"""The built wheel is enough: the dashboard and its recorded data, from a folder that has nothing to do with it."""

import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from sysconfig import get_path

import pytest
from playwright.sync_api import expect

from lab.logs import bundled
from tests.browser.serving import Opener, serve_lab


@pytest.fixture(scope="module")
def installed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel, which finds all else where this one has it."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, root], check=True, timeout=300)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env", symlinks=True)
    python = folder / "env" / "bin" / "python"
    subprocess.run([*pip, "--python", python, "install", "--no-deps", "--no-index", wheel], check=True, timeout=300)
    (there,) = folder.glob("env/lib/python*/site-packages")
    (there / "others.pth").write_text(get_path("purelib"))
    return python


@pytest.fixture(scope="module")
def installed_url(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve_lab(tmp_path_factory.mktemp("elsewhere"), advlab=[str(installed.with_name("advlab"))]) as url:
        yield url


def test_the_package_is_the_installed_one(installed: Path, tmp_path: Path) -> None:
    script = (
        "import lab; print(lab.__file__, *lab.logs.bundled(), lab.store.Run(lab.logs.bundled_run('sorting')).complete)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [installed, "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    package, *logs, whole = done.stdout.split()
    assert Path(package).is_relative_to(installed.parents[1])
    assert logs == list(bundled()) and "equal_rewards" in logs and whole == "True"


def test_the_dashboard_opens_anywhere_with_its_recorded_data(new_page: Opener, installed_url: str) -> None:
    page = new_page(f"{installed_url}/my_run")
    expect(page.locator(".st-key-reading")).to_contain_text("96 groups", timeout=60_000)
    page = new_page(f"{installed_url}/small_models", scheme="dark")
    assert "its task: Sort the digits" in page.locator(".st-key-reading").inner_text()
    expect(page.get_by_test_id("stApp")).to_have_css("background-color", "rgb(18, 21, 28)")  # the lab's own theme
