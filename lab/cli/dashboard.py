"""`advlab app`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from lab.errors import LabError

__all__ = ["app"]

ROOT = Path(__file__).parents[2]


def app(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the dashboard.")] = 8501,
    address: Annotated[str, typer.Option(help="Address to answer; the default answers this machine alone.")] = (
        "127.0.0.1"
    ),
    headless: Annotated[bool, typer.Option("--headless", help="Open no browser.")] = False,
) -> None:
    r"""Open the dashboard.

    \b
    Example:
      advlab app --port 8600
    """
    script = ROOT / "app.py"
    if not script.is_file():
        raise LabError(
            f"{script} is not there; the dashboard starts from a clone of the project: type `make lab` in it, or "
            "install it with `pip install --editable`"
        )
    options = {"port": port, "address": address, "headless": str(headless).lower()}
    os.chdir(ROOT)
    given = [f"--server.{name}={value}" for name, value in options.items()]
    os.execv(sys.executable, [sys.executable, "-m", "streamlit", "run", script.name, *given])
