"""The shell: address, presets, reset, notes, errors of doors."""

import logging
import re
import tomllib

import pytest
from streamlit.testing.v1 import AppTest

from lab.errors import InputError, UnknownNameError
from lab.explorers.contract import LOOK, Topic
from lab.explorers.properties import Whole
from lab.explorers.words import in_words
from lab.pages.shell import CHIP, guarded
from lab.text import plain
from tests.figures.test_theme import contrast


def demo():
    import polars as pl
    import streamlit as st

    from lab.errors import UnknownNameError
    from lab.explorers.contract import LOOK, Topic
    from lab.explorers.properties import Choices, Whole, seed
    from lab.pages.shell import Page

    def door(size):
        if size == 13:
            raise UnknownNameError("size", "13", ["12"])
        return size

    size, rules = (
        Whole(name="size", low=1, high=64, default=8),
        Choices(name="rules", options=["a", "b"], default=["a"]),
    )
    page = Page(Topic(
        name="demo", label="Demo", room=LOOK, title="How large?", properties=[size, rules, seed()],
        questions={"What if it is small?": {"size": 2}},
    ))  # fmt: skip
    state = page.open()
    with page.controls():
        page.control("size")
        if state["size"] < 50:
            page.control("rules")
    page.say(f"Size {page.ask(door, state['size'])}, rules {','.join(state['rules'])}.")
    page.finish("import lab", pl.DataFrame({"x": [1, 2]}))
    st.text(page.address())


@pytest.fixture
def app():
    return AppTest.from_function(demo)


def said(app):
    return app.markdown[0].value


def address(app):
    return {name: v if isinstance(v, str) else v[-1] for name, v in app.query_params.items()}


def test_the_address_holds_the_whole_state_from_the_first_run(app):
    app.run()
    assert address(app) == {"size": "8", "rules": "a", "seed": "0"}
    assert app.text[0].value.endswith("?size=8&rules=a&seed=0")
    assert app.code[0].value == app.text[0].value


def test_a_control_changes_state_and_address(app):
    app.run().slider[0].set_value(9).run()
    assert said(app) == "Size 9, rules a." and address(app)["size"] == "9"


def test_a_link_sets_the_state_also_of_what_has_no_widget(app):
    app.query_params.update({"size": "20", "rules": "b~a", "seed": "5"})
    app.run()
    assert said(app) == "Size 20, rules b,a." and not app.warning
    assert address(app)["seed"] == "5"


def test_a_preset_a_change_and_the_reset(app):
    app.run().pills[1].set_value("What if it is small?").run()
    assert said(app) == "Size 2, rules a." and app.slider[0].value == 2
    app.slider[0].set_value(3).run()
    assert app.pills[1].value is None, "no longer the preset"
    app.button(key="demo:reset").click().run()
    assert said(app) == "Size 8, rules a."


def test_an_address_typed_into_a_running_page_is_taken_over(app):
    app.run()
    app.query_params["size"] = "30"
    app.run()
    assert said(app) == "Size 30, rules a."


def test_a_widget_that_moves_wins_over_a_stale_address(app):
    app.run()
    app.query_params["size"] = "30"
    app.slider[0].set_value(12).run()
    assert said(app) == "Size 12, rules a." and address(app)["size"] == "12"


def test_a_hidden_widget_keeps_its_value(app):
    app.query_params["rules"] = "b"
    app.run().slider[0].set_value(60).run()
    app.slider[0].set_value(61).run()
    app.slider[0].set_value(9).run()
    assert said(app) == "Size 9, rules b."


def test_an_emptied_list_falls_back_to_its_default(app):
    app.query_params["rules"] = "b"
    app.run().multiselect[0].set_value([]).run()
    assert said(app) == "Size 8, rules a." and not app.exception


def test_the_note_on_a_bad_link_stays_until_something_changes(app):
    app.query_params.update({"size": "999", "rules": "b"})
    app.run()
    assert "size\\=999" in app.warning[0].value or "size=999" in app.warning[0].value
    assert said(app) == "Size 8, rules b."
    app.slider[0].set_value(9).run()
    assert not app.warning


def test_the_words_of_a_door_are_shown_and_the_page_ends(app):
    app.query_params["size"] = "13"
    app.run()
    assert "unknown size" in app.error[0].value and not app.exception
    assert not app.text


@pytest.mark.parametrize(
    "address",
    ["www.evil.example/login", "WWW.evil.example", "https://evil.example", "HTTP://evil.example", "me@evil.example"],
)
def test_an_address_in_plain_text_is_no_link(address):
    shown = plain(f"score of {address}, once")
    assert shown.replace("\\", "").replace("\u2060", "") == f"score of {address}, once"
    literal = re.compile(r"(https?://|www(?=\.))[-.\w]+|[-.\w+]+@[-\w]+(\.[-\w]+)+", re.IGNORECASE)
    assert literal.search(address) and not literal.search(shown.replace("\\", ""))


def test_plain_text_is_one_line():
    assert plain("a\n# b\u2028c\x1b[0m") == "a \\# b c�\\[0m"


def test_plain_text_has_no_markup():
    assert plain("<b>*a*_b_[c](d)`e`$f$:red[g]") == ("\\<b\\>\\*a\\*\\_b\\_\\[c\\]\\(d\\)\\`e\\`\\$f\\$\\:red\\[g\\]")


def test_a_preset_that_is_no_state_of_the_page_is_an_error():
    size = Whole(name="size", low=1, high=64, default=8)
    with pytest.raises(InputError, match=r"size=99.*from 1 to 64"):
        Topic(name="demo", label="Demo", room=LOOK, title="How large?", properties=[size],
              questions={"What if it is huge?": {"size": 99}}).question("What if it is huge?")  # fmt: skip


def broken():
    import streamlit as st

    from lab.explorers.contract import LOOK, Topic
    from lab.explorers.properties import Choice
    from lab.pages.shell import Page, guarded

    kinds = [IndexError, OverflowError, RuntimeError, MemoryError, ValueError, ZeroDivisionError, RecursionError]
    names = [kind.__name__ for kind in kinds]

    def door(kind):
        raise kind("<b>beyond</b> the end")

    def run():
        places = Choice(name="at", options=["door", "page"], default="door")
        which = Choice(name="kind", options=names, default="IndexError")
        page = Page(Topic(name="broken", label="Broken", room=LOOK, title="Which?", properties=[which, places]))
        state = page.open()
        kind = kinds[names.index(state["kind"])]
        if state["at"] == "door":
            page.ask(door, kind)
        door(kind)

    guarded(run)
    st.text("after")


@pytest.mark.parametrize("at", ["door", "page"])
@pytest.mark.parametrize(
    "kind", ["IndexError", "OverflowError", "RuntimeError", "MemoryError", "ValueError", "RecursionError"]
)
def test_an_error_of_python_never_reaches_the_reader(kind, at, caplog):
    with caplog.at_level(logging.CRITICAL, "lab.explorers.words"):
        app = AppTest.from_function(broken)
        app.query_params.update({"kind": kind, "at": at})
        app.run()
    assert not app.exception
    said = app.error[0].value
    assert "Back to the defaults" in said and "Traceback" not in said and "<b>" not in said
    assert ("more memory" in said) == (kind == "MemoryError") and ("beyond" in said) == (kind != "MemoryError")
    assert (kind in said) == (kind in ("IndexError", "OverflowError", "RuntimeError", "RecursionError"))
    app.button(key="broken:reset").click().run()
    assert app.query_params["kind"] == "IndexError", "the way out is there"


def test_the_words_of_the_lab_stand_as_they_are_and_an_error_of_python_is_logged(caplog):
    assert in_words(InputError("steps 3; it must be 2")) == "steps 3; it must be 2."
    assert in_words(UnknownNameError("rule", "grop", ["grpo"])) == "unknown rule 'grop'; nearest\\: 'grpo'."
    assert not caplog.records
    in_words(IndexError("list"))
    assert caplog.records[0].exc_info[0] is IndexError


def test_a_page_that_works_is_left_alone():
    done = []
    guarded(lambda: done.append(1))
    assert done == [1]


def test_what_is_chosen_in_a_list_can_be_read(app):
    for color in CHIP.values():
        assert contrast("#ffffff", color) > 4.5
    style = app.run().get("html")[0].proto.body
    assert f"--chip: {CHIP['light']}" in style and "[data-tag] { background-color: var(--chip)" in style


def test_the_server_answers_this_machine_alone_and_takes_small_files(root):
    server = tomllib.loads((root / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["server"]
    assert server["address"] == "127.0.0.1" and server["allowedHosts"] == ["127.0.0.1", "localhost", "::1"]
    assert server["maxUploadSize"] == 16
