"""TensorBoard's event files, written as its own code writes them and read back; and damaged ones."""

import struct
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lab
from lab.errors import InputError
from lab.logs import bundled
from lab.logs.wire import fields, masked_crc32c
from tests.logs.writers import VERL_NAMES, crc32c, event, masked, proto, source, tensorboard, trl_name

NAMES = {key: f"train/{trl_name(key)}" for key in source().metrics.columns if key != "step"}
FILE = "events.out.tfevents.1.host"


def single(metrics: pl.DataFrame) -> pl.DataFrame:
    """In single precision, as the files keep numbers."""
    return metrics.with_columns(pl.exclude("step").cast(pl.Float32).cast(pl.Float64))


def test_the_checksum() -> None:
    """The check value of CRC-32C, and many blocks at once."""
    assert crc32c(b"123456789") == 0xE3069283
    blocks = np.random.default_rng(0).integers(0, 256, (5, 40), dtype=np.uint8)
    assert [struct.pack("<I", crc) for crc in masked_crc32c(blocks)] == [masked(bytes(b)) for b in blocks]


def test_scalars_of_the_bundled_file() -> None:
    """tensorboardX itself wrote it."""
    table = lab.load(bundled()["tensorboard"])
    assert table.trainer == "tensorboard" and table.frame.is_empty()
    assert table.metrics.equals(single(source().metrics))


def test_written_and_read_back_are_the_same(tmp_path: Path) -> None:
    folder = tensorboard(source(), tmp_path / "runs" / "Nov01", NAMES)
    for path in (folder, folder / FILE, tmp_path, tmp_path / "runs"):
        assert lab.load(path).metrics.equals(single(source().metrics))
    assert lab.load(folder, steps=[3]).metrics["step"].to_list() == [3]
    assert any("hold metrics alone" in note for note in lab.load(folder).notes)


def test_names_of_verl_and_a_run_that_was_started_again(tmp_path: Path) -> None:
    tensorboard(source(), tmp_path, VERL_NAMES)
    tail = event(12, proto((1, proto((1, "actor/entropy"), (2, 0.5))))) + event(
        13, proto((1, proto((1, "new"), (2, 1.0))))
    )
    (tmp_path / "events.out.tfevents.2.host").write_bytes(tail)
    metrics = lab.load(tmp_path).metrics
    assert metrics["entropy"].to_list() == [*single(source().metrics)["entropy"].to_list()[:11], 0.5, None]
    assert metrics["new"].to_list() == [None] * 12 + [1.0]


@pytest.mark.parametrize(
    ("tensor", "value"),
    [
        (proto((1, 1), (4, struct.pack("<f", 0.5))), 0.5),
        (proto((1, 1), (5, struct.pack("<f", 0.25))), 0.25),
        (proto((1, 1)) + b"\x2d" + struct.pack("<f", 0.75), 0.75),
        (proto((1, 2), (6, struct.pack("<d", 0.1))), 0.1),
        (proto((1, 2), (4, struct.pack("<2d", 0.1, 0.2))), None),
        (proto((1, 7), (8, "text")), None),
    ],
)
def test_numbers_in_tensors(tmp_path: Path, tensor: bytes, value: float | None) -> None:
    """As TensorFlow writes them; a step below zero and numbers that are none."""
    values = [proto((1, "a"), (8, tensor), (9, b"")), proto((1, "b"), (2, float("nan")))]
    file = tmp_path / FILE
    file.write_bytes(b"".join(event(-1, proto((1, v))) for v in values) + event(3, proto(*((1, v) for v in values))))
    metrics = lab.load(file).metrics
    assert metrics["step"].to_list() == [-1, 3] and metrics["b"].is_nan().all()
    assert metrics.to_dict(as_series=False).get("a", [None] * 2) == [value] * 2


def test_a_file_that_is_still_written_and_one_that_is_damaged(tmp_path: Path) -> None:
    file = tensorboard(source(), tmp_path, NAMES) / FILE
    data = file.read_bytes()
    whole = lab.load(tmp_path).metrics
    file.write_bytes(data[:-3])
    table = lab.load(tmp_path)
    assert table.metrics.height == 12 and table.metrics[:11].equals(whole[:11])
    assert any(f"{FILE}: What follows after byte" in note for note in table.notes)
    place = data.index(b"train/entropy") + 16
    file.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    table = lab.load(tmp_path)
    assert table.metrics["entropy"].to_list() == [None, *whole["entropy"].to_list()[1:]]
    assert any("1 events with a wrong checksum are left out" in note for note in table.notes)
    file.write_bytes(b"")
    with pytest.raises(InputError, match="neither rollouts nor metrics"):
        lab.load(tmp_path)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damage_is_an_error_or_a_table(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    file = tmp_path_factory.getbasetemp() / FILE
    content = bytearray(event(1, proto((1, proto((1, "a"), (2, 0.5))))) * 3)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    message = data.draw(st.binary(max_size=40))
    head = struct.pack("<Q", len(message))
    file.write_bytes(head + masked(head) + message + masked(message) + content)
    try:
        assert lab.load(file).metrics.height > 0
    except InputError as reason:
        assert str(reason).isprintable()


@given(st.lists(st.tuples(st.integers(1, 2**28), st.integers(0, 2**64 - 1) | st.binary(max_size=9))))
def test_fields_are_those_that_were_written(parts: list[tuple[int, int | bytes]]) -> None:
    assert list(fields(proto(*parts))) == parts
