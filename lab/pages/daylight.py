"""Watches the reader's window: a page is drawn again in light or dark, and the side panel of a narrow one is a drawer.

Streamlit alone recolours all but the pictures, and leaves the panel open beside them where there is no room for both.
The sentence is marked to be read out when it changes.
"""

from __future__ import annotations

import streamlit as st

__all__ = ["watch"]

_mount = st.components.v2.component(
    "advantage_lab_daylight",
    html="<i></i>",
    js="""
const BEAT = 400; // milliseconds between two looks
const NARROW = 1000; // pixels below which the side panel is folded at first

function fold() {
  if (window.advlabFolded || window.innerWidth >= NARROW) return;
  const button = document.querySelector('[data-testid="stSidebarCollapseButton"] button');
  if (!button) return;
  window.advlabFolded = true;
  if (button.getAttribute("aria-expanded") === "true") button.click();
}

// The sentence is read out when it changes.
function speak() {
  document.querySelector(".st-key-reading:not([aria-live])")?.setAttribute("aria-live", "polite");
}

export default function ({ data, parentElement, setTriggerValue }) {
  const probe = parentElement.querySelector("i");
  const look = () => {
    probe.style.color = "var(--st-background-color)";
    const [red, green, blue] = getComputedStyle(probe).color.match(/[0-9.]+/g).map(Number);
    return red + green + blue > 384 ? "light" : "dark";
  };
  let told = data;
  fold();
  speak();
  const timer = setInterval(() => {
    fold();
    speak();
    if (probe.isConnected && look() !== told) setTriggerValue("changed", (told = look()));
  }, BEAT);
  return () => clearInterval(timer);
}
""",
)


def watch(theme: str) -> None:
    """Mounts an invisible element that reruns the page once its background no longer fits `theme`."""
    with st.container(key="daylight"):
        _mount(key="daylight-watch", data=theme, on_changed_change=lambda: None)
