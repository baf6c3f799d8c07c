"""`advlab app`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from lab.errors import LabError

__all__ = ["app", "hosts"]

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
    given += [f"--server.allowedHosts={host}" for host in hosts(address)]
    os.execv(sys.executable, [sys.executable, "-m", "streamlit", "run", script.name, *given])


def hosts(address: str) -> list[str]:
    """Names under which the dashboard may be called: this machine's own, and the address that it answers.

    One that answers every address of the machine may be called by any name.
    """
    own = ["127.0.0.1", "localhost"]
    return ["*"] if address in ("0.0.0.0", "::", "") else own + [address] * (address not in own)
