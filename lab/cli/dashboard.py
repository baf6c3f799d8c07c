"""`advlab app`."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["app"]


def app(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the dashboard.")] = 8501,
    host: Annotated[
        list[str] | None,
        typer.Option(
            help="Address of this computer to answer at, such as 0.0.0.0 for all of them; repeat it for further names "
            "under which it may be called. [default: 127.0.0.1, which answers this computer alone]"
        ),
    ] = None,
    headless: Annotated[bool, typer.Option("--headless", help="Open no browser.")] = False,
) -> None:
    r"""Open the dashboard.

    Whoever reaches it may use it: with `--host` those are others too.

    \b
    Examples:
      advlab app --port 8600
      advlab app --host 0.0.0.0 --host lab.example
    """
    from lab.pages.server import serve

    serve(host or ["127.0.0.1"], port, headless=headless)
