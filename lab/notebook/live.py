"""Pictures that answer while they are dragged, as anywidgets; see `lab.explorers.live`."""

from __future__ import annotations

from functools import cache
from typing import Any

import anywidget
import traitlets

from lab.explorers import live
from lab.notebook.sent import SENT, Sent, sent

__all__ = ["LiveWidget", "live_widget"]

_ENDING = """
async function render({ model, el }) {
  const data = await sent(model, "data");
  const host = document.createElement("div");
  host.className = model.get("module");
  host.style.setProperty("--st-font", "var(--jp-ui-font-family, sans-serif)");
  host.style.background = "var(--paper)";
  host.style.boxShadow = "0 0 0 8px var(--paper)";
  el.style.padding = "8px";
  el.appendChild(host);
  const view = new View(host);
  const report = (value) => {
    model.set("change", { ...value, at: Date.now() });
    model.save_changes();
  };
  const draw = () => view.receive(data.get("value"), report);
  data.on("change:value", draw);
  draw();
  return () => data.off("change:value", draw);
}

export default { render };
"""


class LiveWidget(anywidget.AnyWidget):
    """A module of `lab.explorers.live`: `data` is drawn, `change` is what was let go or chosen last."""

    module = traitlets.Unicode().tag(sync=True)
    data = sent()
    change = traitlets.Dict().tag(sync=True)


@cache
def _kind(module: str) -> type[LiveWidget]:
    return type(
        f"Live_{module}", (LiveWidget,), {"_esm": live.script(module, SENT + _ENDING), "_css": live.style(module)}
    )


def live_widget(module: str, data: dict[str, Any]) -> LiveWidget:
    """A widget that draws `data` with a module."""
    return _kind(module)(module=module, data=Sent(value=data))
