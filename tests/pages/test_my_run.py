"""My run as a page: what is typed and uploaded, what is said when it cannot be read, and text that stays text."""

import ast
import shutil

import polars as pl
import pytest

import lab
from tests.pages.looking import look, settled


@pytest.fixture
def opened():
    return lambda **address: look("my_run", address).test


@pytest.fixture
def copy(tmp_path):
    """A bundled log in a folder of its own."""
    return shutil.copytree(lab.logs.bundled()["two_rewards"], tmp_path / "run")


def rows(test):
    return next(each for each in test.dataframe if "completion" in each.value.columns).value


def log(test):
    """What the side panel says of the log, and how it was read."""
    return " ".join(each.value.replace("\\", "") for each in [*test.caption, *test.markdown])


def test_a_typed_folder_is_read(opened, copy):
    test = opened(log="folder", path=str(copy))
    assert not test.exception and not test.error
    assert "96 groups" in test.markdown[0].value
    assert "Reward weights from run_info.json" in log(test)


def test_a_run_that_grows_is_read_again(opened, copy):
    files = sorted((copy / "completions").iterdir())
    kept = files[-1].rename(copy / "later")
    assert "88 groups" in opened(log="folder", path=str(copy)).markdown[0].value
    kept.rename(files[-1])
    files[-1].touch()
    assert "96 groups" in opened(log="folder", path=str(copy)).markdown[0].value


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: folder / "nowhere", "nowhere"),
        (lambda folder: folder, "is empty"),
        (lambda folder: (folder / "a.parquet").write_text("step,prompt\n1,x\n") and folder, "not a Parquet file"),
        (lambda folder: pl.DataFrame({"x": [1]}).write_parquet(folder / "a.parquet") or folder, "its columns are x"),
        (lambda folder: "//elsewhere/share", "another machine"),
        (lambda folder: "https://elsewhere.invalid/log", "another machine"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said(opened, tmp_path, make, words):
    test = opened(log="folder", path=str(make(tmp_path)))
    assert not test.exception
    assert words in test.error[0].value.replace("\\", "")
    assert test.title[0].value, "the page stays usable"


def test_without_a_folder_the_page_asks_for_one(opened):
    for log in ("folder", "upload"):
        test = opened(log=log)
        assert not test.exception and not test.error
        assert "Choose a training log" in test.markdown[0].value


def test_uploads_have_a_limit_that_the_page_says(opened):
    test = opened(log="upload")
    assert "At most 16 MB in all" in test.file_uploader[0].help
    files = [(f"completions_{n}.parquet", bytes(9 * 2**20), "application/octet-stream") for n in range(2)]
    settled(test.file_uploader[0].set_value(files).run())
    assert not test.exception and "more than 16 MB in all" in test.error[0].value
    settled(test.file_uploader[0].set_value(files[:1]).run())
    assert not test.exception and "Parquet" in test.error[0].value, "as large as this they are read"


def test_what_was_inferred_can_be_corrected(opened):
    test = opened(log="two_rewards")
    settled(test.number_input(key="my-run:group_size").set_value(4).run())
    assert "which the groups of the log split" in test.markdown[0].value and "of 4" in log(test)
    settled(test.text_input(key="my-run:rewards").set_value("digit_fraction").run())
    assert "digit_fraction × 1." in log(test) and "starts_with_digit ×" not in log(test)
    settled(test.text_input(key="my-run:weights").set_value("a, b").run())
    assert "numbers with commas" in test.error[0].value
    settled(test.text_input(key="my-run:weights").set_value("").run())
    assert not test.error


def test_text_with_markup_is_shown_as_text(opened, copy):
    attack = "<img src=x onerror=alert(1)> **bold** $x$"
    for file in (copy / "completions").iterdir():
        pl.read_parquet(file).with_columns(prompt=pl.lit(attack) + pl.col("prompt")).write_parquet(file)
    test = opened(log="folder", path=str(copy), view="browse", find="<img")
    assert not test.exception and not test.error
    assert any(attack in each.value for each in test.code), "it is shown letter by letter"
    assert not any(attack in each.value for each in [*test.markdown, *test.caption])


def test_the_nearest_step_and_group_are_shown(opened):
    test = opened(log="two_rewards", view="browse", step="400", group="99")
    assert "Groups of step 12" in [each.value for each in test.subheader]
    assert test.slider[0].value == 12
    settled(test.slider[0].set_value(3).run())
    assert "Groups of step 3" in [each.value for each in test.subheader]


def test_a_log_without_advantages_is_compared_with_nothing(opened, copy):
    for file in (copy / "completions").iterdir():
        pl.read_parquet(file).drop("advantage").write_parquet(file)
    test = opened(log="folder", path=str(copy), view="what-if")
    assert not test.exception and not test.error
    rows = next(each.value for each in test.dataframe if "distance" in each.value.columns)
    assert rows["variant"][0] == "grpo on the logged rewards"


NAME = 'x\nimport os; os.system("touch pwned")  #'
LINK = "www.evil.example/login https://evil.example me@evil.example"


@pytest.fixture
def strange(copy):
    """The bundled log with a name that would be code, and one that would be links."""
    for file in (copy / "completions").iterdir():
        frame = pl.read_parquet(file).rename({"digit_fraction": NAME, "starts_with_digit": "^.*$"})
        frame.with_columns(pl.lit(0.5).alias(LINK)).write_parquet(file)
    (copy / "trainer_state.json").unlink()
    (copy / "run_info.json").unlink()
    return copy


def test_a_name_from_the_log_is_no_code_no_pattern_and_no_link(opened, strange):
    test = opened(log="folder", path=str(strange), view="browse", step="1")
    assert not test.exception and not test.error
    lines = next(each.value for each in test.code if each.value.startswith("import lab"))
    assert {name.name for node in ast.parse(lines).body if isinstance(node, ast.Import) for name in node.names} == {
        "lab"
    }
    assert {NAME, "^.*$", LINK} <= set(rows(test).columns)
    shown = [each.value.replace("\\", "") for each in [*test.caption, *test.markdown]]
    assert any("me@\u2060evil.example" in text for text in shown)
    assert not any("www.evil" in text or "//evil.example" in text.replace("\u2060//", "") for text in shown)


def test_a_home_that_nobody_has_is_said(opened):
    test = opened(log="folder", path="~nosuch-user/run")
    assert not test.exception
    assert "is no path: Could not determine home directory" in test.error[0].value.replace("\\", "")


def test_logs_of_every_reader_are_opened(opened, tmp_path):
    table = lab.load(lab.logs.bundled()["two_rewards"])
    test = opened(log="folder", path=str(lab.save_log(table, tmp_path / "run.csv")))
    assert not test.exception and not test.error
    assert "96 groups" in test.markdown[0].value
