"""Starting is cheap: what is heavy is imported where it is used."""

import json
import subprocess
import sys

import pytest

REPORT = "import sys, json; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
HELP = """
import sys
from lab.cli import main
sys.argv = ["advlab", "--help"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""


def loaded(code: str) -> set[str]:
    """Top-level modules in a fresh interpreter that has run `code`."""
    command = [sys.executable, "-c", f"{code}\n{REPORT}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("code", ["import lab", "import simulators", "import lab; lab.variants()"])
def test_package_loads_neither_torch_nor_streamlit(code: str) -> None:
    assert loaded(code) & {"torch", "streamlit", "matplotlib", "jupyterlab"} == set()


def test_help_loads_nothing_heavy() -> None:
    heavy = {"numba", "polars", "numpy", "plotly", "torch", "streamlit", "matplotlib", "pydantic"}
    assert loaded(HELP) & heavy == set()
