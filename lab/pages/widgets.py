"""The Streamlit widget of each kind of property."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any

import streamlit as st

from lab.explorers.properties import Choice, Choices, Files, Flag, Number, Property, Rewards, Text, Whole

__all__ = ["draw"]

_BUTTONS = 24  # letters that a row of buttons holds in the side panel; with more it is a list to pick from


@singledispatch
def draw(each: Property, key: str, **more: Any) -> None:
    """Draws the widget that edits the value kept under `key` in the session.

    Args:
        each: The property.
        key: Key of its value in the session.
        **more: For the widget: `on_change` and the like, or other `options` than the property's own.
    """
    raise TypeError(f"{type(each).__name__} {each.name!r} has no widget")


def _words(each: Property) -> dict[str, Any]:
    return {"label": each.label or each.name, "help": each.help}


@draw.register
def _(each: Whole, key: str, **more: Any) -> None:
    bounds = {"min_value": each.low, "max_value": each.high} | more
    slides = not each.typed and bounds["min_value"] < bounds["max_value"]
    widget: Callable[..., Any] = st.slider if slides else st.number_input
    widget(step=each.step, key=key, **(_words(each) | bounds))


@draw.register
def _(each: Number, key: str, **more: Any) -> None:
    widget: Callable[..., Any] = st.number_input if each.typed else st.slider
    bounds = {"min_value": float(each.low), "max_value": float(each.high), "step": each.step}
    widget(key=key, format=each.format, **bounds, **(_words(each) | more))


@draw.register
def _(each: Flag, key: str, **more: Any) -> None:
    st.toggle(key=key, **(_words(each) | more))


@draw.register
def _(each: Choice, key: str, **more: Any) -> None:
    given = {"options": each.options, "key": key, "format_func": each.shown, **_words(each)} | more
    letters = sum(len(each.shown(option)) + 3 for option in given["options"])
    if letters > _BUTTONS:
        st.selectbox(**given)
    else:
        st.segmented_control(**(given | {"required": True}))


@draw.register
def _(each: Choices, key: str, **more: Any) -> None:
    named = {"format_func": lambda option: each.names.get(option, str(option))}
    given = {"options": each.options, "max_selections": each.most, **_words(each)}
    st.multiselect(key=key, **(given | named | more))


@draw.register
def _(each: Text, key: str, **more: Any) -> None:
    st.text_input(key=key, placeholder=each.placeholder, max_chars=each.most, **(_words(each) | more))


@draw.register
def _(each: Files, key: str, **more: Any) -> None:
    """The value is taken over when files arrive; those that are too much together are refused."""
    name, most = f"{key} files", each.most * 2**20

    def arrived() -> None:
        files = st.session_state[name]
        fits = files and sum(file.size for file in files) <= most
        st.session_state[key] = each.take({file.name: file.getvalue() for file in files}) if fits else ""

    given = st.file_uploader(key=name, type=list(each.endings), accept_multiple_files=True, on_change=arrived,
                             max_upload_size=each.most, **(_words(each) | more))  # fmt: skip
    if sum(file.size for file in given) > most:
        st.error(f"These files have more than {each.most} MB in all; read the log from its folder on this computer.")


@draw.register
def _(each: Rewards, key: str, **more: Any) -> None:
    """Three fields for the shape; the rewards themselves are dragged in the picture."""
    rewards, changed = st.session_state[key], more.get("on_change")
    sizes = {
        "Prompts": (len(rewards), each.prompts),
        "Rollouts": (len(rewards[0]), each.rollouts),
        "Rewards each": (len(rewards[0][0]), each.components),
    }
    names = [f"{key} {label}" for label in sizes]

    def reshape() -> None:
        shape = [int(st.session_state[name]) for name in names]
        st.session_state[key] = each.reshaped(st.session_state[key], *shape)
        if changed:
            changed(*more.get("args", ()))

    with st.container(horizontal=True, gap="small", wrap=False):
        for name, (label, (value, most)) in zip(names, sizes.items(), strict=True):
            st.session_state[name] = value
            st.number_input(label, 1, most, key=name, on_change=reshape)
