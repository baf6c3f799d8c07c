"""What Python sends to a widget's JavaScript: a model of its own."""

from __future__ import annotations

from pathlib import Path

import ipywidgets
import traitlets

__all__ = ["SENT", "Sent", "sent"]

SENT = Path(__file__).with_name("sent.js").read_text(encoding="utf-8")


class Sent(ipywidgets.Widget):
    """A value that JavaScript reads; an anywidget that took long to start would not hear of changes itself."""

    value = traitlets.Any().tag(sync=True)


def sent() -> traitlets.TraitType:
    """A trait that names a `Sent` model."""
    return traitlets.Instance(Sent).tag(sync=True, **ipywidgets.widget_serialization)
