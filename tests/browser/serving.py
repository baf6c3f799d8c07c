"""Serving a Streamlit script and opening its pages."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Route

HOST = "127.0.0.1"
START_SECONDS = 120
SERVER = {
    "STREAMLIT_SERVER_HEADLESS": "true",
    "STREAMLIT_SERVER_ADDRESS": HOST,
    "STREAMLIT_SERVER_FILE_WATCHER_TYPE": "none",
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
}
JUPYTER = [
    "--ServerApp.open_browser=False",
    "--ServerApp.allow_root=True",
    "--ServerApp.port_retries=0",
    "--IdentityProvider.token=",
    "--LabApp.expose_app_in_browser=True",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
    "--LabApp.news_url=",
]
SETTLE_SECONDS = 60
# Streamlit says on its outermost element whether the script still runs.
SETTLED = """() => {
  const app = document.querySelector('[data-testid="stApp"]');
  return app && app.dataset.testScriptState === "notRunning"
    && app.dataset.testConnectionState === "CONNECTED"
    && !document.querySelector('[data-stale="true"], [data-testid="stSkeleton"]');
}"""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as s:
        s.bind((HOST, 0))
        return int(s.getsockname()[1])


@contextmanager
def serve(script: Path) -> Iterator[str]:
    """Serve a Streamlit script from its own folder while the block runs; yields its address."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", script.name, f"--server.port={port}"]
    with _served(command, script.parent, port) as url:
        yield url


@contextmanager
def serve_lab(
    folder: Path, *, advlab: Sequence[str] = (), log: IO[bytes] | None = None, **environment: str
) -> Iterator[str]:
    """Serve the dashboard with `advlab app` from a folder; yields its address. No browser opens but one of `BROWSER`.

    Args:
        folder: Where it is started.
        advlab: The command, if not that of this repository; it finds the lab without help then.
        log: Takes what it prints.
        environment: Variables of its own.
    """
    port = free_port()
    command = advlab or [sys.executable, "-c", "from lab.cli import main; main()"]
    given = environment | ({"PYTHONPATH": ""} if advlab else {})
    quiet = [] if "BROWSER" in environment else ["--headless"]
    with _served([*command, "app", "--port", str(port), *quiet], folder, port, log, **given) as url:
        yield url


@contextmanager
def serve_notebooks(folder: Path, root: Path) -> Iterator[str]:
    """Serve the notebooks of a folder in JupyterLab, with no settings but its own; yields its address."""
    port, home = free_port(), folder / ".jupyter"
    quiet = home / "lab" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    quiet.parent.mkdir(parents=True)
    quiet.write_text('{"fetchNews": "false", "checkForUpdates": false}')
    kinds = {
        "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
        "IPYTHONDIR": "ipython", "JUPYTERLAB_SETTINGS_DIR": "lab", "JUPYTERLAB_WORKSPACES_DIR": "spaces",
    }  # fmt: skip
    own = {name: str(home / kind) for name, kind in kinds.items()} | {"PYTHONPATH": str(root)}
    options = [f"--ServerApp.root_dir={folder}", f"--ServerApp.port={port}", f"--ServerApp.ip={HOST}", *JUPYTER]
    command = [sys.executable, "-m", "jupyterlab", *options]
    with (home / "log").open("wb") as log, _served(command, folder, port, log, "/api/status", **own) as url:
        yield url


@contextmanager
def _served(
    command: list[str],
    folder: Path,
    port: int,
    log: IO[bytes] | None = None,
    health: str = "/_stcore/health",
    **environment: str,
) -> Iterator[str]:
    url = f"http://{HOST}:{port}"
    # In a process group of its own, so that no child outlives the test.
    server = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **SERVER, **environment},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        _wait_until_healthy(server, url + health)
        yield url
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait_until_healthy(server: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"the server did not answer in {START_SECONDS} s; exit status {server.poll()}")


def settle(page: Page) -> None:
    """Wait until the script of the page has run and everything it wrote is drawn."""
    page.wait_for_function(SETTLED, timeout=1000 * SETTLE_SECONDS)


@dataclass
class Opener:
    """Opens pages in fresh browser profiles, and notes what they did wrong."""

    browser: Browser
    stack: ExitStack
    screenshots: Path
    thrown: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def __call__(
        self,
        url: str,
        *,
        width: int = 1440,
        height: int = 900,
        scheme: Literal["light", "dark"] = "light",
        ready: Callable[[Page], None] = settle,
    ) -> Page:
        """A page at this address, once it is `ready`."""
        context = self.browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, accept_downloads=True
        )
        self.stack.callback(context.close)
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=url)
        context.route("**/*", self._stay_here)
        page = context.new_page()
        page.on("pageerror", lambda error: self.thrown.append(str(error)))
        page.goto(url)
        ready(page)
        return page

    def shot(self, page: Page, name: str) -> Path:
        """Save the page in its full height as `build/screenshots/NAME-WIDTH-SCHEME.png`."""
        scheme = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'")
        size = page.viewport_size
        assert size is not None
        path = self.screenshots / f"{name}-{size['width']}-{scheme}.png"
        # Streamlit scrolls inside the window, so the window is made as high as what it holds.
        height = page.evaluate("document.querySelector('[data-testid=\"stMain\"]').scrollHeight")
        page.set_viewport_size({"width": size["width"], "height": max(size["height"], height)})
        settle(page)
        page.screenshot(path=path)
        page.set_viewport_size(size)
        return path

    def _stay_here(self, route: Route) -> None:
        if urlsplit(route.request.url).hostname in (HOST, None):
            route.continue_()
        else:
            self.foreign.append(route.request.url)
            route.abort()
