"""Whatever is opened by mistake, the answer is one sentence that names the place and what would be right."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lab
from lab.errors import InputError
from lab.logs import bundled
from lab.logs.footer import _struct
from tests.logs.logs import Write, write_log

FIRST = "completions_00001.parquet"


def failure(path: object, **options: object) -> str:
    """The message of the one error that may come."""
    with pytest.raises(InputError) as caught:
        lab.load(path, **options)  # type: ignore[arg-type]
    return str(caught.value)


# ---------------------------------------------------------------------------------------------- folders


def test_a_path_that_does_not_exist(tmp_path: Path) -> None:
    message = failure(tmp_path / "a" / "b" / "run")
    assert "does not exist" in message
    assert str(tmp_path) in message


def test_an_empty_folder(tmp_path: Path) -> None:
    assert "is empty" in failure(tmp_path)
    (tmp_path / "completions").mkdir()
    assert "without any log that is known here; it holds completions; readers: " in failure(str(tmp_path))


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    message = failure(tmp_path)
    assert "it holds notes.txt" in message
    assert "log_completions=True" in message


def test_a_folder_of_runs(write: Write) -> None:
    folder = write().parent
    write_log(folder / "other", None)
    assert f"{folder} holds several runs; open one of them: other, run" in failure(folder)


def test_the_one_run_in_a_folder_is_opened_whatever_lies_beside_it(write: Write) -> None:
    folder = write().parent
    (folder / "latest").symlink_to(folder / "run")
    for name in ("src", ".hidden"):
        (folder / name).mkdir()
    assert lab.load(folder).source == folder / "run"
    deeper = folder / "hub" / "snapshots"
    deeper.mkdir(parents=True)
    (folder / "run").rename(deeper / "run")
    (folder / "latest").unlink()
    table = lab.load(folder / "hub")
    assert table.source == deeper / "run"
    assert f"The only log in {folder / 'hub'} is that in snapshots/run." in table.notes
    assert "without any log that is known here; it holds .hidden, hub, src" in failure(folder)


def test_a_circle_of_links(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert "cannot be opened" in failure(tmp_path / "a")
    (tmp_path / "completions").mkdir()
    (tmp_path / "completions" / FIRST).symlink_to(tmp_path / "completions" / FIRST)
    assert FIRST in failure(tmp_path)


def test_a_folder_that_links_to_itself_is_read_once(write: Write) -> None:
    run = write()
    (run / "again").symlink_to(run)
    assert lab.load(run).frame.height == 24


@pytest.mark.parametrize("path", ["\0", None, 3, "x" * 5000, "~nobody-of-this-name/run"])
def test_what_is_no_path(path: object) -> None:
    failure(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "completions" / FIRST).mkdir(parents=True)
    assert "no regular file" in failure(tmp_path)
    os.mkfifo(tmp_path / "pipe.parquet")
    assert "no regular file" in failure(tmp_path / "pipe.parquet")


# ---------------------------------------------------------------------------------------------- bytes


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty (0 bytes)"),
        (b"step,prompt,completion,reward\n1,a,b,0.5\n", "begins with 'step'"),
        (b"PAR1", "is cut off"),
        (b"PAR1PAR1", "is cut off"),
        (b"PAR1" + b"\0" * 100, "is cut off"),
        (b"PAR1\xff\xff\xff\xffPAR1", "claims a footer of 4294967295 bytes, the whole file has 12"),
        (b"PAR1\0\0\0\0PAR1", "footer is damaged"),
        (b"PAR1" + b"\x1c" * 400 + struct.pack("<I", 400) + b"PAR1", "footer is damaged"),
        (b"PAR1" + b"\x19\xfc\xff\xff\xff\xff\x7f" + struct.pack("<I", 7) + b"PAR1", "footer is damaged"),
    ],
)
def test_what_is_no_parquet_file(write: Write, content: bytes, words: str) -> None:
    file = write() / "completions" / FIRST
    file.write_bytes(content)
    message = failure(file.parent.parent)
    assert str(file) in message
    assert words in message


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_off(write: Write, share: float) -> None:
    file = write() / "completions" / FIRST
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    assert "is cut off" in failure(file)


def patched(file: Path, old: int, new: int) -> list[bytes]:
    """The file with one number of its footer replaced, once for each place where the number stands."""
    data = file.read_bytes()
    length = struct.unpack("<I", data[-8:-4])[0]
    pages, footer = data[: -8 - length], data[-8 - length : -8]
    made = []
    for place in range(len(footer)):
        if footer.startswith(zigzag(old), place):
            changed = footer[:place] + zigzag(new) + footer[place + len(zigzag(old)) :]
            made.append(pages + changed + struct.pack("<I", len(changed)) + b"PAR1")
    return made


def zigzag(value: int) -> bytes:
    """A number as Thrift's compact protocol writes it."""
    value, out = 2 * value, bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


@pytest.mark.parametrize("claim", [2**31, 2**40, 2**62])
def test_absurd_numbers_of_rows(write: Write, claim: int) -> None:
    file = write(np.zeros((1, 3, 500, 1))) / "completions" / FIRST
    messages = []
    for content in patched(file, 1500, claim):
        file.write_bytes(content)
        messages.append(failure(file))
    assert len(messages) >= 2 + len(pl.read_parquet_schema(write() / "completions" / FIRST))
    assert any("footer claims" in m for m in messages)
    assert any(f"claims {claim} values in one block" in m for m in messages)


def test_a_column_of_fewer_values_than_rows(write: Write) -> None:
    file = write(np.zeros((1, 3, 500, 1))) / "completions" / FIRST
    messages = []
    for content in patched(file, 1500, 1499):
        file.write_bytes(content)
        messages.append(failure(file))
    assert any("column 'score' claims 1499 values for 1500 rows" in m for m in messages)


def chunk(content: bytes, column: str) -> dict[int, object]:
    """What the footer says of a column, by Thrift's field numbers (6: bytes unpacked, 9: offset of the first page)."""
    meta, _ = _struct(content[len(content) - 8 - struct.unpack("<I", content[-8:-4])[0] : -8], 0)
    return next(c[3] for c in meta[4][0][1] if c[3][3] == [column.encode()])


def test_a_file_that_agrees_with_itself_and_unpacks_to_gigabytes(write: Write) -> None:
    file = write(np.zeros((1, 3, 500, 1))) / "completions" / FIRST
    for content in patched(file, int(str(chunk(file.read_bytes(), "completion")[6])), 2**31):
        file.write_bytes(content)
        assert "1500 rows and 2048 MiB; up to 10000000 rows and 1024 MiB are read at once" in failure(file)


def test_a_page_that_claims_more_than_its_column(write: Write) -> None:
    file = write(np.zeros((1, 3, 500, 1))) / "completions" / FIRST
    content = bytearray(file.read_bytes())
    place = int(str(chunk(bytes(content), "completion")[9])) + 3
    content[place : place + 3] = b"\xfe\xff\x7f"
    file.write_bytes(content)
    assert "column 'completion' has pages that claim 1048575 bytes" in failure(file)


def test_more_rows_than_are_read_at_once(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.logs.formats.MAX_PARQUET_ROWS", 20)
    run = write()
    assert "2 file(s) claim 24 rows" in failure(run)
    assert "steps=range(1, 101)" in failure(run)
    assert lab.load(run, steps=[2]).frame.height == 12


@settings(max_examples=150)
@given(st.data())
def test_damaged_bytes_are_an_error_or_a_table(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    content = bytearray((bundled()["two_rewards"] / "completions" / FIRST).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file = tmp_path_factory.getbasetemp() / "damaged.parquet"
    file.write_bytes(content)
    try:
        assert lab.load(file).frame.height > 0
    except InputError as reason:
        assert str(reason)


# ---------------------------------------------------------------------------------------------- columns


def changed(**columns: pl.Expr) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Replace columns in the second file only."""
    return lambda frame: frame.with_columns(**columns) if frame["step"][0] == 2 else frame


SECOND = "completions_00002.parquet"


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (changed(score=pl.lit("high")), (SECOND, "'score' holds String", "numbers")),
        (changed(advantage=pl.lit("x")), (SECOND, "'advantage' is String")),
        (changed(step=pl.lit("x")), (SECOND, "'step' is String", "whole numbers")),
        (changed(step=pl.lit(2.5)), (SECOND, "row 0: step is 2.5")),
        (changed(step=pl.lit(None, pl.Int64)), (SECOND, "row 0: step is None")),
        (changed(step=pl.lit(float("nan"))), (SECOND, "row 0: step is nan")),
        (changed(step=pl.lit(1)), ("step 1 stands in several files", FIRST, SECOND)),
        (changed(prompt=pl.lit(3)), (SECOND, "'prompt' is Int32", "text")),
        (changed(completion=pl.lit(b"x")), (SECOND, "'completion' is Binary")),
        (changed(prompt=pl.lit(None, pl.String)), (SECOND, "row 0: the prompt is missing")),
        (lambda f: f.with_columns(score=pl.lit("x")), (FIRST, "no reward column", "score")),
        (lambda f: f.drop("score"), (FIRST, "no reward column")),
        (lambda f: f.drop("score") if f["step"][0] == 2 else f, (SECOND, "has no column 'score'", "one run")),
        (lambda f: f.drop("advantage") if f["step"][0] == 2 else f, (SECOND, "has no column 'advantage'")),
        (lambda f: f.drop("prompt"), (FIRST, "no column 'prompt'", "needed: step")),
        (lambda f: pl.DataFrame({"x": [1]}), (FIRST, "no column 'step', 'prompt', 'completion'", "Found: x")),
        (lambda f: f.clear(), (FIRST, "has no rows", "2 files")),
    ],
)
def test_columns_that_cannot_be_used(
    write: Write, columns: Callable[[pl.DataFrame], pl.DataFrame], words: tuple[str, ...]
) -> None:
    message = failure(write(columns=columns))
    assert [word for word in words if word not in message] == [], message


def test_a_file_without_rows_among_others(write: Write) -> None:
    table = lab.load(write(columns=lambda f: f.clear() if f["step"][0] == 1 else f))
    assert table.steps.tolist() == [2]
    assert "1 file(s) have no rows." in table.notes
