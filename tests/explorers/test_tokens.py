"""Coloured tokens: what the module is sent, and on what the words are read."""

import polars as pl
import pytest

from lab.explorers import explorer, live
from lab.explorers.contract import Live
from lab.explorers.live.tokens import payload
from lab.figures.theme import PALETTES, palette
from tests.figures.test_theme import contrast

ASKED = explorer("tokens")


def frame(token="<b>") -> pl.DataFrame:
    rows = [("a", 0, 0, token, 2.0, 1.0), ("a", 0, 1, token, 0.0, 1.0), ("a", 2, 0, token, -0.5, None),
            ("b", 0, 0, token, -9.0, 1.0), ("b", 0, 1, token, 0.25, 1.0), ("b", 2, 0, token, 1.0, None)]  # fmt: skip
    return pl.DataFrame(rows, schema=["variant", "rollout", "position", "token", "weight", "reward"], orient="row")


def test_each_method_has_the_same_rollouts_in_the_same_rows_and_a_cell_for_each_token():
    sent = payload(frame(), unit="turn", theme="light")
    assert [method["name"] for method in sent["methods"]] == ["a", "b"]
    assert sent["columns"] == 2 and sent["letters"] == 3
    for method in sent["methods"]:
        assert [row["label"] for row in method["rows"]] == ["1  R = 1.00", "3  R = –"]
        assert method["rows"][1]["cells"][1] is None, "the second rollout has one token"
    cells = sent["methods"][0]["rows"][0]["cells"] + sent["methods"][1]["rows"][0]["cells"]
    assert [cell[:3] for cell in cells] == [
        ("<b>", "2.00", "↑"),
        ("<b>", "0.00", ""),
        ("<b>", "−9.00", "↓"),
        ("<b>", "0.25", "↑"),
    ]
    light = PALETTES["light"]
    assert [cell[3] for cell in cells[1:3]] == [light.panel, light.hues[1]], (
        "grey is left alone, full colour is the largest"
    )


@pytest.mark.parametrize("theme", PALETTES)
def test_every_word_can_be_read_on_its_colour(theme):
    picture = ASKED.picture(ASKED.state(variants=["grpo", "thr"]))
    sent = picture.panels[0].data(theme)
    cells = [cell for method in sent["methods"] for row in method["rows"] for cell in row["cells"] if cell]
    assert len(cells) == picture.frame.height
    assert len({cell[3] for cell in cells}) > 3
    assert min(contrast(background, ink) for *_, background, ink in cells) >= 4.5
    assert sent["colors"]["paper"] == palette(theme).paper


def test_without_a_module_the_figure_stands_in():
    (panel,) = ASKED.picture(ASKED.state()).panels
    assert isinstance(panel, Live) and panel.heard({}, {"at": 1}) == {}
    assert panel.still.frame.equals(ASKED.picture(ASKED.state()).frame) and "↑" in panel.reading


@pytest.mark.parametrize("module", ["strip", "bench", "tokens"])
def test_what_comes_from_python_is_text_and_never_markup(module):
    script = live.script(module, "")
    assert "class View" in script and "textContent" in script
    assert not any(word in script for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write"))
