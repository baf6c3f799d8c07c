"""The shell: address, presets, reset, notes, errors of doors."""

import pytest
from streamlit.testing.v1 import AppTest

from lab.pages.shell import Page, plain
from lab.pages.state import Whole


def demo():
    import polars as pl
    import streamlit as st

    from lab.errors import UnknownNameError
    from lab.pages.shell import Page
    from lab.pages.state import Choices, Whole, seed

    def door(size):
        if size == 13:
            raise UnknownNameError("size", "13", ["12"])
        return size

    page = Page(
        "demo",
        "How large?",
        [
            Whole(name="size", low=1, high=64, default=8),
            Choices(name="rules", options=["a", "b"], default=["a"]),
            seed(),
        ],
        {"What if it is small?": {"size": 2}},
    )
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
    app.run().pills[0].set_value("What if it is small?").run()
    assert said(app) == "Size 2, rules a." and app.slider[0].value == 2
    app.slider[0].set_value(3).run()
    assert app.pills[0].value is None, "no longer the preset"
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


def test_plain_text_has_no_markup():
    assert plain("<b>*a*_b_[c](d)`e`$f$:red[g]") == ("\\<b\\>\\*a\\*\\_b\\_\\[c\\]\\(d\\)\\`e\\`\\$f\\$\\:red\\[g\\]")


def test_a_preset_that_is_no_state_of_the_page_is_an_error():
    size = Whole(name="size", low=1, high=64, default=8)
    with pytest.raises(AssertionError, match=r"How large.*size=99.*from 1 to 64"):
        Page("demo", "How large?", [size], {"What if it is huge?": {"size": 99}})
