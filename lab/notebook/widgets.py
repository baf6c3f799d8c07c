"""The ipywidgets control of each kind of property."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import singledispatch
from typing import Any

import ipywidgets

from lab.explorers.properties import Choice, Choices, Flag, Number, Property, Rewards, Text, Whole

__all__ = ["control"]

_WIDE = {"width": "auto"}
_ROWS = 7  # of a list in which several may be chosen
_BUTTONS = 26  # letters that a row of buttons holds

Tell = Callable[[Any], None]


@singledispatch
def control(each: Property, value: Any, tell: Tell, options: Sequence[Any] | None = None) -> ipywidgets.Widget:
    """The widget that edits a property; `tell(value)` is called when its value changes.

    Args:
        each: The property.
        value: Its value now.
        tell: Told of a new value.
        options: What can be chosen now; the property's own options by default.
    """
    raise TypeError(f"{type(each).__name__} {each.name!r} has no control")


def _labelled(each: Property, widget: ipywidgets.Widget, tell: Tell) -> ipywidgets.Widget:
    """The widget below its label, its changes told."""
    widget.tooltip = each.help or each.label
    widget.observe(lambda change: tell(change["new"]), names="value")
    return ipywidgets.VBox([ipywidgets.Label(each.label or each.name), widget])


@control.register
def _(each: Whole, value: int, tell: Tell, options: Sequence[Any] | None = None) -> ipywidgets.Widget:
    kind = ipywidgets.BoundedIntText if each.typed else ipywidgets.IntSlider
    given = {"min": each.low, "max": each.high, "step": each.step, "continuous_update": False, "layout": _WIDE}
    return _labelled(each, kind(value=value, **given), tell)


@control.register
def _(each: Number, value: float, tell: Tell, options: Sequence[Any] | None = None) -> ipywidgets.Widget:
    kind = ipywidgets.BoundedFloatText if each.typed else ipywidgets.FloatSlider
    given = {"min": each.low, "max": each.high, "step": each.step, "continuous_update": False, "layout": _WIDE}
    return _labelled(each, kind(value=value, **given), tell)


@control.register
def _(each: Flag, value: bool, tell: Tell, options: Sequence[Any] | None = None) -> ipywidgets.Widget:
    widget = ipywidgets.Checkbox(value=value, description=each.label, indent=False, layout=_WIDE)
    widget.observe(lambda change: tell(change["new"]), names="value")
    return widget


@control.register
def _(each: Choice, value: Any, tell: Tell, options: Sequence[Any] | None = None) -> ipywidgets.Widget:
    shown = [(each.shown(option), option) for option in options or each.options]
    few = sum(len(words) + 3 for words, _ in shown) <= _BUTTONS
    style = {"style": {"button_width": "auto"}} if few else {}
    kind = ipywidgets.ToggleButtons if few else ipywidgets.Dropdown
    return _labelled(each, kind(options=shown, value=value, layout=_WIDE, **style), tell)


@control.register
def _(each: Choices, value: Sequence[Any], tell: Tell, options: Sequence[Any] | None = None) -> ipywidgets.Widget:
    known = list(options or each.options)
    first = [*value, *(option for option in known if option not in value)]  # what is chosen stands on top
    shown = [(each.names.get(option, str(option)), option) for option in first]
    rows = min(_ROWS, len(shown))
    widget = ipywidgets.SelectMultiple(options=shown, value=tuple(value), rows=rows, layout=_WIDE)

    def told(chosen: Sequence[Any]) -> None:
        if each.least <= len(chosen) <= each.most:
            tell([option for option in value if option in chosen] + [o for o in chosen if o not in value])

    return _labelled(each, widget, told)


@control.register
def _(each: Text, value: str, tell: Tell, options: Sequence[Any] | None = None) -> ipywidgets.Widget:
    widget = ipywidgets.Text(value=value, placeholder=each.placeholder, continuous_update=False, layout=_WIDE)
    return _labelled(each, widget, tell)


@control.register
def _(each: Rewards, value: Any, tell: Tell, options: Sequence[Any] | None = None) -> ipywidgets.Widget:
    sizes = {"prompts": (len(value), each.prompts), "rollouts": (len(value[0]), each.rollouts),
             "rewards each": (len(value[0][0]), each.components)}  # fmt: skip
    fields = [ipywidgets.BoundedIntText(value=size, min=1, max=most, description=words, layout=_WIDE)
              for words, (size, most) in sizes.items()]  # fmt: skip

    def reshaped(_: Any) -> None:
        tell(each.reshaped(value, *(field.value for field in fields)))

    for field in fields:
        field.observe(reshaped, names="value")
    return ipywidgets.VBox([ipywidgets.Label(each.label or each.name), *fields])
