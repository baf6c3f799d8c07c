"""`lab.explore`: any explorer in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.errors import MissingExtraError

if TYPE_CHECKING:
    from lab.notebook.home import Explored

__all__ = ["explore"]


def explore(name: str = "start", *, theme: str = "light", **state: Any) -> Explored:
    """Opens an explorer in a notebook, live.

    >>> lab.explore("collapse", sizes=[4, 8])          # doctest: +SKIP

    Args:
        name: Name of the explorer, see `lab.explorers.names()`.
        theme: "light" or "dark".
        **state: Values that differ from the defaults. What is no value of the explorer is said above the picture, and
            its default stands in for it.

    Returns:
        What is shown at the end of a cell; `state`, `frame`, `picture` and `link()` tell what it shows.

    Raises:
        UnknownNameError: No such explorer or theme.
        MissingExtraError: ipywidgets or anywidget is not installed.
    """
    try:
        from lab.notebook.home import Explored
    except ModuleNotFoundError as missing:
        if str(missing.name).startswith("lab"):
            raise
        raise MissingExtraError("lab.explore", str(missing.name), "notebooks") from None
    return Explored(name, state, theme)
