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

__all__ = ["MAX_FOOTER", "MAX_VALUES", "Footer", "read_footer"]

#: Largest footer that is read, in bytes (a log of 64 rows and 7 columns has 4.5 KB).
MAX_FOOTER = 16 * 2**20

#: Largest number of values in one column of one row group.
MAX_VALUES = 20_000_000

_MAGIC = b"PAR1"
_MAX_DEPTH = 24
_DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 7, 8, 9, 10, 12


@dataclass(frozen=True)
class Footer:
    """Claims of a Parquet file that agree with its size.

    Attributes:
        rows: Number of rows.
        size: Bytes of all columns after decompression.
    """

    rows: int
    size: int


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
        meta, _ = _struct(data, start, len(data) - 8)
        groups = meta.get(4, [])
        for group in groups:
            for chunk in group[1]:
                _check_chunk(data, start, group[3], chunk[3], name)
        rows, found = meta[3] + 0, sum(group[3] for group in groups)
        size = sum(chunk[3][6] for group in groups for chunk in group[1])
    except (KeyError, IndexError, TypeError, AttributeError, struct.error):
        raise InputError(f"{name}: its Parquet footer is damaged; copy or write the file again") from None
    if rows < 0 or rows != found:
        raise InputError(f"{name}: its footer claims {rows} rows, its parts hold {found}; the file is damaged")
    return Footer(rows, size)


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
        header, position = _struct(data, position, end)
        values = max((header[kind][1] for kind in (5, 7, 8) if kind in header), default=0)
        if header[3] < 0 or header[2] < 0 or not 0 <= values <= MAX_VALUES or position + header[3] > end:
            raise InputError(
                f"{where} has a page that claims {header[2]} bytes ({header[3]} compressed) and {values} values; "
                "the file is damaged"
            )
        yield header[2]
        position += header[3]


# ------------------------------------------------------------- Thrift's compact protocol, as much as a footer needs


def _varint(data: Any, position: int, end: int) -> tuple[int, int]:
    value, shift = 0, 0
    while position < end and shift <= 63:
        byte = data[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return value, position
    raise IndexError(position)


def _integer(data: Any, position: int, end: int) -> tuple[int, int]:
    value, position = _varint(data, position, end)
    return (value >> 1) ^ -(value & 1), position


def _struct(data: Any, position: int, end: int, depth: int = 0) -> tuple[dict[int, Any], int]:
    """Fields by number, and the position behind them."""
    fields: dict[int, Any] = {}
    number = 0
    while (head := _byte(data, position, end)) != 0:
        position += 1
        if head >> 4:
            number += head >> 4
        else:
            number, position = _integer(data, position, end)
        fields[number], position = _value(data, position, end, head & 15, depth)
    return fields, position + 1


def _byte(data: Any, position: int, end: int) -> int:
    if position >= end:
        raise IndexError(position)
    return int(data[position])


def _next_byte(data: Any, position: int, end: int) -> tuple[int, int]:
    return _byte(data, position, end), position + 1


def _value(data: Any, position: int, end: int, kind: int, depth: int) -> tuple[Any, int]:
    if depth > _MAX_DEPTH:
        raise IndexError(position)
    if kind in (1, 2):
        return kind == 1, position
    if kind == _DOUBLE:
        return 0.0, position + 8
    if kind in _PLAIN:
        return _PLAIN[kind](data, position, end)
    if kind not in _NESTED:  # a map, which no footer holds, or no type at all
        raise IndexError(position)
    return _NESTED[kind](data, position, end, depth + 1)


def _bytes(data: Any, position: int, end: int) -> tuple[bytes, int]:
    """The first 256 bytes, which is more than a column's name has."""
    length, position = _varint(data, position, end)
    if length > end - position:
        raise IndexError(position)
    return bytes(data[position : position + min(length, 256)]), position + length


def _list(data: Any, position: int, end: int, depth: int = 0) -> tuple[list[Any], int]:
    head = _byte(data, position, end)
    position, length, kind = position + 1, head >> 4, head & 15
    if length == 15:
        length, position = _varint(data, position, end)
    values = []
    for _ in range(length):
        if kind in (1, 2):  # inside a list a truth value takes one byte
            value, position = _byte(data, position, end) == 1, position + 1
        else:
            value, position = _value(data, position, end, kind, depth)
        values.append(value)
    return values, position


_PLAIN = {3: _next_byte, 4: _integer, 5: _integer, 6: _integer, _BINARY: _bytes}
_NESTED = {_LIST: _list, _SET: _list, _STRUCT: _struct}
