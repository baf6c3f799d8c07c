"""The dashboard as a server: `advlab app` runs it, and so does `streamlit run app.py` in a clone."""

from __future__ import annotations

import asyncio
import logging
import socket
import tomllib
import webbrowser
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware

from lab.errors import InputError
from lab.pages.gate import ANY, OWN, Gate
from lab.shipped import shipped

__all__ = ["GATE", "SCRIPT", "serve"]

SCRIPT = Path(__file__).with_name("app.py")
GATE = [Middleware(Gate)]


def serve(hosts: Sequence[str], port: int, *, headless: bool = False) -> None:
    """Serve the dashboard until Ctrl-C.

    Args:
        hosts: The address to answer, and further names under which it may be called.
        port: Its port.
        headless: Open no browser.

    Raises:
        InputError: The address is none of this machine's, or the port is taken.
    """
    _check_free(hosts[0], port)
    names = list(dict.fromkeys([*OWN, *hosts]))
    url = f"http://{'localhost' if hosts[0] in ANY else f'[{hosts[0]}]' if ':' in hosts[0] else hosts[0]}:{port}"
    given = {"server.address": hosts[0], "server.port": port} | ({"server.headless": True} if headless else {})
    given["server.allowedHosts"] = ["*"] if set(ANY) & set(hosts) else names  # the gate is stricter
    # The lines that the server writes about itself; its warnings are shown.
    logging.getLogger("uvicorn.error").addFilter(lambda record: record.levelno >= logging.WARNING)
    app = st.App(SCRIPT, middleware=[Middleware(Gate, names=names)], lifespan=partial(_opened, url, words(hosts, url)))
    app.run(config=settings() | given)


def settings() -> dict[str, Any]:
    """What `.streamlit/config.toml` says, by dotted name."""
    return dict(_flat(tomllib.loads(shipped(".streamlit/config.toml").read_text(encoding="utf-8"))))


def words(hosts: Sequence[str], url: str) -> str:
    """What the terminal says: where the dashboard is, and whom it answers."""
    if set(hosts) <= set(OWN):
        return f"Advantage Lab: {url} (it answers this computer alone; Ctrl-C ends it)"
    named = [name for name in hosts if name not in OWN + ANY]
    ways = ["every address of this computer"] * bool(set(ANY) & set(hosts)) + named
    return (
        f"Advantage Lab: {url} (Ctrl-C ends it)\n"
        f"It answers under {' and '.join(ways)}: whoever reaches it may use it without a password, train on this "
        "computer and open the training logs that you can open."
    )


@asynccontextmanager
async def _opened(url: str, said: str, _: st.App) -> AsyncIterator[None]:
    """Once the server answers: says where, and opens a browser where there is one."""
    print(said, flush=True)
    if not st.get_option("server.headless"):
        asyncio.get_running_loop().call_later(0.5, webbrowser.open, url)
    yield


def _check_free(host: str, port: int) -> None:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise InputError(
            f"the dashboard cannot answer at {host}, port {port}: {error.strerror or error}; `advlab app --port "
            f"{port + 1}` takes another port, `--host` another address of this computer"
        ) from None


def _flat(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """A table of tables as dotted names and values."""
    for name, value in section.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
