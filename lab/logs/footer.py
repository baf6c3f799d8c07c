"""What a Parquet file claims about itself, read before any decoder believes it.

A few damaged bytes can make a file of 5 KB claim 2 GB of text or 10¹² rows, and a decoder may allocate them or abort.
The claims stand in the footer and in the header of each page, in Thrift's compact protocol; only those are read here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lab.errors import InputError

__all__ = ["MAX_FOOTER", "MAX_VALUES", "TEXTS", "Footer", "read_footer"]

#: Largest footer that is read, in bytes (a log of 64 rows and 7 columns has 4.5 KB).
MAX_FOOTER = 16 * 2**20

#: Largest number of values in one column of one row group.
MAX_VALUES = 20_000_000

#: Columns of a log that hold its texts.
TEXTS = ("prompt", "completion")

_MAGIC = b"PAR1"
_TEXT_BYTES = [name.encode() for name in TEXTS]
_MAX_DEPTH = 24


@dataclass(frozen=True)
class Footer:
    """Claims of a Parquet file that agree with its size.

    Attributes:
        rows: Number of rows.
        size: Bytes of all columns after decompression.
        texts: Those of the columns `TEXTS`.
        block: Those of the largest row group, which is decoded at once.
    """

    rows: int
    size: int
    texts: int = 0
    block: int = 0


def read_footer(data: Any, name: str) -> Footer:
    """The footer of a Parquet file, checked against the bytes that are there.

    Args:
        data: The file's bytes or a memory map of them.
        name: What errors call the file.

    Raises:
        InputError: The file is not Parquet, is cut off or damaged, or claims what it cannot hold.
    """
    start = _footer_start(data, name)
    try:
        meta, _ = _struct(bytes(data[start:-8]), 0)
        groups = meta.get(4, [])
        for group in groups:
            for chunk in group[1]:
                _check_chunk(data, start, group[3], chunk[3], name)
        rows, found = meta[3] + 0, sum(group[3] for group in groups)
        sizes = [[(chunk[3][3][0], chunk[3][6]) for chunk in group[1]] for group in groups]
    except (KeyError, IndexError, TypeError, AttributeError, struct.error):
        raise InputError(f"{name}: its Parquet footer is damaged; copy or write the file again") from None
    if rows < 0 or rows != found:
        raise InputError(f"{name}: its footer claims {rows} rows, its parts hold {found}; the file is damaged")
    blocks = [sum(size for _, size in group) for group in sizes]
    texts = sum(size for group in sizes for name, size in group if name in _TEXT_BYTES)
    return Footer(rows, sum(blocks), texts, max(blocks, default=0))


def _footer_start(data: Any, name: str) -> int:
    """Offset of the footer: magic, pages, footer, its length in 4 bytes, magic."""
    head, tail = bytes(data[:4]), bytes(data[-4:])
    if head != _MAGIC:
        seen = head.decode("utf-8", "backslashreplace")  # no more: a page says it to whoever asks for a path
        raise InputError(f"{name} is not a Parquet file: it begins with {seen!r}, a Parquet file with 'PAR1'")
    if len(data) < 12 or tail != _MAGIC:
        raise InputError(f"{name} is cut off: it begins as a Parquet file, but the footer at its end is missing")
    length = struct.unpack("<I", data[-8:-4])[0]
    if length > len(data) - 12:
        raise InputError(f"{name}: claims a footer of {length} bytes, the whole file has {len(data)}; it is damaged")
    if length > MAX_FOOTER:
        raise InputError(f"{name}: its footer has {length} bytes; footers up to {MAX_FOOTER} bytes are read")
    return len(data) - 8 - length


def _check_chunk(data: Any, end: int, rows: int, chunk: Mapping[int, Any], name: str) -> None:
    """One column of one row group: the claimed values and bytes must lie within the file."""
    column = b".".join(chunk[3]).decode("utf-8", "replace")
    where = f"{name}: column {column!r}"
    first, length = min(chunk[9], chunk.get(11) or chunk[9]), chunk[7]
    if min(rows, chunk[5], chunk[6], length) < 0 or first < 4 or first + length > end:
        raise InputError(f"{where} claims bytes {first} to {first + length}, the file ends at {end}; it is damaged")
    if max(rows, chunk[5]) > MAX_VALUES:
        raise InputError(f"{where} claims {max(rows, chunk[5])} values in one block; up to {MAX_VALUES} are read")
    if len(chunk[3]) == 1 and chunk[5] != rows:
        raise InputError(f"{where} claims {chunk[5]} values for {rows} rows; the file is damaged")
    claimed = sum(max(page, 0) for page in _pages(data, first, first + length, where))
    if claimed > chunk[6]:
        raise InputError(f"{where} has pages that claim {claimed} bytes, its footer says {chunk[6]}; it is damaged")


def _pages(data: Any, position: int, end: int, where: str) -> Iterator[int]:
    """Uncompressed bytes that each page of a column claims."""
    while position < end:
        header, position = _struct(data, position)
        values = max((header[kind][1] for kind in (5, 7, 8) if kind in header), default=0)
        if header[3] < 0 or header[2] < 0 or not 0 <= values <= MAX_VALUES or position + header[3] > end:
            raise InputError(
                f"{where} has a page that claims {header[2]} bytes ({header[3]} compressed) and {values} values; "
                "the file is damaged"
            )
        yield header[2]
        position += header[3]


# Thrift's compact protocol, as much as a footer needs; what ends before it is complete raises IndexError.


def _varint(data: Any, position: int) -> tuple[int, int]:
    byte, position = data[position], position + 1
    if byte < 128:
        return byte, position
    value, shift = byte & 127, 7
    while shift <= 63:
        byte, position = data[position], position + 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
    raise IndexError(position)


def _integer(data: Any, position: int) -> tuple[int, int]:
    value, position = _varint(data, position)
    return (value >> 1) ^ -(value & 1), position


def _struct(data: Any, position: int, depth: int = 0) -> tuple[dict[int, Any], int]:
    """Fields by number, and the position behind them."""
    fields: dict[int, Any] = {}
    number = 0
    while head := data[position]:
        position += 1
        if head >> 4:
            number += head >> 4
        else:
            number, position = _integer(data, position)
        kind = head & 15
        if kind < 3:
            fields[number] = kind == 1
        else:
            fields[number], position = _value(data, position, kind, depth)
    return fields, position + 1


def _next_byte(data: Any, position: int) -> tuple[int, int]:
    return data[position], position + 1


def _double(data: Any, position: int) -> tuple[float, int]:
    return 0.0, position + 8


def _value(data: Any, position: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in _PLAIN:
        return _PLAIN[kind](data, position)
    if depth > _MAX_DEPTH or kind not in _NESTED:  # a map, which no footer holds, or no type at all
        raise IndexError(position)
    return _NESTED[kind](data, position, depth + 1)


def _bytes(data: Any, position: int) -> tuple[bytes, int]:
    """The first 256 bytes, which is more than a column's name has."""
    length, position = _varint(data, position)
    if length > len(data) - position:
        raise IndexError(position)
    return bytes(data[position : position + min(length, 256)]), position + length


def _list(data: Any, position: int, depth: int = 0) -> tuple[list[Any], int]:
    head = data[position]
    position, length, kind = position + 1, head >> 4, head & 15
    if length == 15:
        length, position = _varint(data, position)
    values = []
    for _ in range(length):
        if kind in (1, 2):  # inside a list a truth value takes one byte
            value, position = data[position] == 1, position + 1
        else:
            value, position = _value(data, position, kind, depth)
        values.append(value)
    return values, position


_PLAIN = {3: _next_byte, 4: _integer, 5: _integer, 6: _integer, 7: _double, 8: _bytes}
_NESTED = {9: _list, 10: _list, 12: _struct}
