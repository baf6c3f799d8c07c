"""Tidy data in, Plotly figure out: pure functions, each beside the guide that says how to read it.

Every figure function of the folder is at hand as `lab.figures.NAME(frame, theme="light")`, and `lab.figures.NAME.guide`
says how to read it.
"""

from __future__ import annotations

import sys

from lab.figures.figure import Figure, figure
from lab.walk import import_all

__all__ = ["Figure", "figure", "names"]

_FIGURES = {
    name: value
    for module in import_all(__name__, __path__)
    for name, value in vars(sys.modules[module]).items()
    if isinstance(value, Figure)
}
globals().update(_FIGURES)


def names() -> list[str]:
    """Names of all figure functions, in alphabetical order."""
    return sorted(_FIGURES)
