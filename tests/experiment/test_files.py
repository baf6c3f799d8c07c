"""Files are whole or not there."""

import errno
import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lab.errors import InputError, UnwrittenError
from lab.files import BLANK, TEMPORARY, clean, intact, locked, read_arrays, sealed, write, write_arrays


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write(path, lambda file: file.write(b"old"))

    def fail(file: io.BytesIO) -> None:
        file.write(b"half")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        write(path, fail)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_what_killed_processes_left_is_cleaned(tmp_path: Path) -> None:
    (tmp_path / f"{TEMPORARY}7-state.npz").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")
    clean(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_a_folder_is_held_once(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(InputError, match="is being written by another process"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_arrays_come_back(tmp_path: Path) -> None:
    arrays = {"a": np.linspace(0, 1, 7).reshape(1, 7), "step": np.array(3), "of": np.array("x/y")}
    write_arrays(tmp_path / "s.npz", arrays)
    found = read_arrays(tmp_path / "s.npz")
    assert set(found) == set(arrays)
    assert all((found[k] == arrays[k]).all() and found[k].dtype == arrays[k].dtype for k in arrays)


class Trap:
    """Would write a file if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return open, (str(self.path), "w")


def damaged(folder: Path) -> dict[str, bytes]:
    """Contents that are no arrays, by name."""
    whole = io.BytesIO()
    np.savez(whole, a=np.arange(100.0))
    objects = io.BytesIO()
    np.savez(objects, a=np.array([Trap(folder / "sprung")], dtype=object))
    huge = io.BytesIO()
    with zipfile.ZipFile(huge, "w") as file:
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (9000000000000000,), }"
        file.writestr("a.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    return {
        "empty": b"", "text": b"hello", "cut off": whole.getvalue()[:-50], "objects": objects.getvalue(),
        "a bare pickle": pickle.dumps(Trap(folder / "sprung")), "claims 72 PB": huge.getvalue(),
        "a bit flipped": whole.getvalue().replace((1.0).hex().encode(), b"") [:200] + b"\x01" + whole.getvalue()[201:],
    }  # fmt: skip


@pytest.mark.parametrize("name", damaged(Path()))
def test_damaged_arrays_are_named_and_never_unpickled(tmp_path: Path, name: str) -> None:
    path = tmp_path / "state.npz"
    path.write_bytes(damaged(tmp_path)[name])
    with pytest.raises(InputError) as error:
        read_arrays(path)
    assert str(path) in str(error.value)
    assert not (tmp_path / "sprung").exists()


def test_a_full_disk_is_told_with_the_path(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def full(file: io.BytesIO) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UnwrittenError) as error:
        write(path, full)
    assert str(error.value) == f"{path} cannot be written: No space left on device"
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_checksum_covers_every_bit(tmp_path: Path) -> None:
    path, content = tmp_path / "a", sealed(b"some text, " + BLANK.encode() + b", and more")
    path.write_bytes(content)
    assert intact(path)
    for bit in range(8 * len(content)):
        data = bytearray(content)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        with pytest.raises(InputError, match="is damaged: its content is not that of its checksum"):
            intact(path)
    path.write_bytes(b"from before there were any")
    assert not intact(path)
