"""Mounts the pictures that answer while they are dragged, see `lab.explorers.live`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import streamlit as st

from lab.explorers import live

__all__ = ["mount"]

_ENDING = """
export default function (component) {
  const host = component.parentElement.querySelector("[data-live]");
  host.view ??= new View(host);
  host.view.receive(component.data, (value) => component.setTriggerValue("change", value));
}
"""


@cache
def _component(module: str) -> Callable[..., Any]:
    return st.components.v2.component(
        f"advantage_lab_{module}",
        html=f'<div class="{module}" data-live></div>',
        css=live.style(module),
        js=live.script(module, _ENDING),
    )


def mount(module: str, data: Mapping[str, Any], on_change: Callable[[Mapping[str, Any]], None]) -> None:
    """Mounts a module; `on_change(change)` is called when something is let go or chosen in it."""
    key = f"live-{module}"

    def heard() -> None:
        change = st.session_state[key].change
        if change:
            on_change(change)

    _component(module)(key=key, data=dict(data), on_change_change=heard)
