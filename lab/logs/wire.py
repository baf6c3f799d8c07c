"""Files of records that trackers write: TensorBoard's events and W&B's `.wandb`; and the messages in them.

A file is read up to the first place where its bytes are not what they should be; a record whose checksum differs is
passed over. Nothing but numbers and text comes out of a record.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["Damage", "bytes_of", "events", "fields", "text", "varint", "wandb_records"]

_BLOCK, _HEAD = 2**15, 7  # bytes of a block of a .wandb file, and of the head of a record in it
_WHOLE, _FIRST, _LAST = 1, 2, 4  # kinds of these records; 3 stands between the first and the last
_SHORTEST = 9  # bytes of an event, which has a time
_LONGEST = 2**12  # bytes of an event that is read; texts, pictures and graphs are longer than scalars
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


class Damage(ValueError):
    """Bytes that are not what the format says; the message names the place."""


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of a Protocol Buffers message: an int (varint), or the bytes of whatever else.

    Source: protobuf.dev/programming-guides/encoding.

    Raises:
        Damage: It is no such message.
    """
    at, end = 0, len(message)
    while at < end:
        key, at = varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = varint(message, at)
            yield key >> 3, value
            continue
        size = {_FIXED64: 8, _FIXED32: 4}.get(kind, 0)
        if kind == _LENGTH:
            size, at = varint(message, at)
        elif not size:
            raise Damage(f"byte {at} of a message begins a field of unknown kind {kind}")
        if at + size > end:
            raise Damage(f"a field of {size} bytes at byte {at} of a message of {end}")
        yield key >> 3, message[at : at + size]
        at += size


def varint(message: bytes, at: int) -> tuple[int, int]:
    """A whole number of 7 bits a byte, the lowest first; and the place behind it.

    Raises:
        Damage: It does not end.
    """
    value = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value & (2**64 - 1), at
    raise Damage(f"a number that does not end at byte {at} of a message")


def text(value: int | bytes) -> str:
    """Text of a field; what is no UTF-8 is replaced."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def bytes_of(value: int | bytes) -> bytes:
    """A field that is a message; an empty one where the field is a number."""
    return value if isinstance(value, bytes) else b""


def events(data: bytes) -> tuple[list[bytes], list[str]]:
    """Messages of a file of TensorBoard's events, those that can hold scalars; and what was left out, in sentences.

    A record is its length (uint64), a checksum of these 8 bytes, the message, a checksum of the message (TFRecord,
    tensorflow/core/lib/io/record_writer.h); both are masked CRC-32C.
    """
    found, at, size = [], 0, len(data)
    while at + 16 <= size:
        (length,) = struct.unpack_from("<Q", data, at)
        if not _SHORTEST <= length <= size - at - 16:
            break
        found.append((at, length))
        at += 16 + length
    raw = np.frombuffer(data, np.uint8)
    heads = _matches(raw, [(start, 8) for start, _ in found])
    if not heads.all():
        first = int(heads.argmin())
        found, at = found[:first], found[first][0]
    found = [(start + 12, length) for start, length in found if length <= _LONGEST]
    whole = _matches(raw, found)
    said = [f"What follows after byte {at} of {size} is no whole event."] if at < size else []
    said += [f"{int((~whole).sum())} events with a wrong checksum are left out."] if not whole.all() else []
    return [data[start : start + n] for (start, n), good in zip(found, whole, strict=True) if good], said


def _matches(data: NDArray[np.uint8], spans: list[tuple[int, int]]) -> NDArray[np.bool_]:
    """Whether the masked CRC-32C of each span (start, length) stands behind it."""
    good = np.zeros(len(spans), bool)
    starts, lengths = np.array(spans, np.int64).reshape(-1, 2).T
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        blocks = data[starts[rows, None] + np.arange(length + 4)]
        good[rows] = masked_crc32c(blocks[:, :-4]) == blocks[:, -4:].copy().view("<u4")[:, 0]
    return good


def masked_crc32c(blocks: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Masked CRC-32C of rows of bytes [N, L] -> [N]."""
    crc = np.full(len(blocks), 2**32 - 1, np.uint32)
    for column in blocks.T:
        crc = _CRC32C[(crc ^ column) & 0xFF] ^ (crc >> np.uint32(8))
    crc = ~crc
    return ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(0xA282EAD8)


def _table() -> NDArray[np.uint32]:
    values = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        values = (values >> np.uint32(1)) ^ (np.uint32(0x82F63B78) * (values & np.uint32(1)))
    return values


_CRC32C = _table()


def wandb_records(data: bytes) -> tuple[list[bytes], list[str]]:
    """Messages of a `.wandb` file, and what was left out, in sentences.

    After 7 bytes of header come the blocks of a LevelDB log (wandb/sdk/internal/datastore.py).

    Raises:
        Damage: It is no such file.
    """
    if data[:4] != b":W&B":
        raise Damage("it does not begin with :W&B")
    found, at, lost = [], _HEAD, 0
    parts: list[bytes | None] = []
    while (fragment := _fragment(data, at)) is not None:
        kind, part, at = fragment
        parts = [part] if kind in (_WHOLE, _FIRST) else [*parts, part]
        if kind in (_WHOLE, _LAST):
            whole = [part for part in parts if part is not None]
            found += [b"".join(whole)] if len(whole) == len(parts) else []
            lost += len(whole) < len(parts)
    said = [f"What follows after byte {at} of {len(data)} is no whole record."] if at < len(data) else []
    return found, said + ([f"{lost} records with a wrong checksum are left out."] if lost else [])


def _fragment(data: bytes, at: int) -> tuple[int, bytes | None, int] | None:
    """Kind and data of a record at a byte, None for data whose checksum differs, and the byte behind it.

    A record is a CRC-32 of kind and data, the length of the data, the kind, and the data; it stands within a block, and
    less than a head at the end of a block is padding. None where no whole record follows.
    """
    left = _BLOCK - at % _BLOCK
    at, left = (at + left, _BLOCK) if left < _HEAD else (at, left)
    if at + _HEAD > len(data):
        return None
    checksum, length, kind = struct.unpack_from("<IHB", data, at)
    end = at + _HEAD + length
    if length > left - _HEAD or end > len(data) or not _WHOLE <= kind <= _LAST:
        return None
    part = data[at + _HEAD : end]
    return kind, part if zlib.crc32(part, zlib.crc32(bytes([kind]))) == checksum else None, end
