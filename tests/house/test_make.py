"""`make install`, with a stand-in for Python and for pip."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

OLD = '#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2 && exit 0\nexit 1\n'
NEW = "#!/bin/sh\nmkdir -p .venv/bin\n"


@pytest.fixture
def clone(root: Path, tmp_path: Path) -> Path:
    """A folder with what the install reads, and two interpreters that do next to nothing."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(root / name, tmp_path)
    for name, script in {"old": OLD, "new": NEW}.items():
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def make(clone: Path, target: str, **variables: str) -> subprocess.CompletedProcess[str]:
    given = [f"{name}={value}" for name, value in variables.items()]
    command = ["make", "--no-print-directory", target, *given]
    return subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)


def change(path: Path) -> None:
    """Make a file newer than every other, whatever the resolution of the file system's clock."""
    later = path.stat().st_mtime + 3600
    os.utime(path, (later, later))


def test_an_old_python_is_refused_with_the_way_out(clone: Path) -> None:
    done = make(clone, "install", PYTHON="./old")
    assert done.returncode
    assert "needs Python 3.11 or newer, and './old' is: Python 3.9.2" in done.stdout
    assert "PYTHON=python3.12" in done.stdout


def test_a_second_install_does_nothing_until_the_requirements_change(clone: Path) -> None:
    assert "Installing" in make(clone, "install", PYTHON="./new", PIP="true").stdout
    assert make(clone, "install", PYTHON="./new", PIP="false").stdout == ""
    change(clone / "constraints.txt")
    assert make(clone, "install", PYTHON="./new", PIP="false").returncode


def test_tests_need_more_and_leave_the_plain_install_done(clone: Path) -> None:
    make(clone, "install", PYTHON="./new", PIP="true")
    assert ".[torch,notebooks,dev]" in make(clone, "install-dev", PYTHON="./new", PIP="echo").stdout
    assert make(clone, "install", PYTHON="./new", PIP="false").stdout == ""


def test_a_failed_install_leaves_no_stamp(clone: Path) -> None:
    make(clone, "install-dev", PYTHON="./new", PIP="true")
    change(clone / "pyproject.toml")
    assert make(clone, "install-dev", PYTHON="./new", PIP="false").returncode
    assert list((clone / ".venv").glob(".installed*")) == []
