"""Nothing in the README that is not true."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command


@pytest.fixture(scope="module")
def readme(root: Path) -> str:
    return (root / "README.md").read_text()


def test_code_runs(readme: str) -> None:
    blocks = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    assert len(blocks) == 5
    command = [sys.executable, "-W", "error", "-c", "\n".join(blocks)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_make_targets_and_commands_exist(readme: str, root: Path) -> None:
    from lab.cli import app

    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)", readme)) <= targets
    commands = get_command(app).commands
    assert set(re.findall(r"^advlab ([a-z]+)", readme, flags=re.MULTILINE)) <= set(commands)


def test_map_and_links_exist(readme: str, root: Path) -> None:
    rows = re.findall(r"^\| (`.*?) \|", readme, flags=re.MULTILINE)
    named = [path for row in rows for path in re.findall(r"`([^`]+)`", row)]
    linked = re.findall(r"\]\(([^)#:]+)\)", readme)
    assert named
    assert [path for path in named + linked if not (root / path).exists()] == []
