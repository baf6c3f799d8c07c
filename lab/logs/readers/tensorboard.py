"""Scalars that any trainer wrote for TensorBoard: `events.out.tfevents.*`.

A record is an Event (time 1, step 2, summary 5) with a Summary of values (1), each with a tag (1) and a number: in
simple_value (2), as `SummaryWriter.add_scalar` of torch and tensorboardX writes it, or in a tensor (8; dtype 1, content
4, float_val 5, double_val 6), as TensorFlow does (tensorboard/compat/proto/event.proto, summary.proto, tensor.proto). A
folder with several files is one run that was started again: of a step that stands twice the later one counts.
"""

from __future__ import annotations

import struct
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

import polars as pl

from lab.errors import InputError
from lab.logs.contract import Raw, reader
from lab.logs.formats import content
from lab.logs.scalars import per_step, scalar_name
from lab.logs.wire import Damage, bytes_of, events, fields, text, varint
from lab.text import printable

__all__ = ["read"]

_FILES = "events.out.tfevents.*"
_SHORTEST = 18  # bytes of an event with a number
_FLOAT, _DOUBLE = 1, 2  # kinds of tensors
_ALONE = "TensorBoard's files hold metrics alone; rollouts would stand where the trainer itself writes them."


def _files(path: Path) -> list[Path]:
    return sorted(path.glob(_FILES)) if path.is_dir() else [path]


@reader("tensorboard", recognises=lambda path: any(f.match(_FILES) for f in _files(path)[:1]), holds=_FILES)
def read(path: Path, steps: Container[int] | None) -> Raw:
    """A folder of event files, or one of them."""
    entries: dict[int, dict[str, Any]] = {}
    notes = [_ALONE]
    for file in _files(path):
        messages, said = events(content(file))
        notes += [f"{printable(file.name)}: {sentence}" for sentence in said]
        try:
            _gather(messages, entries)
        except Damage as reason:
            raise InputError(f"{file} is damaged: {reason}") from None
    metrics, odd = per_step(entries.values(), scalar_name)
    return Raw(pl.DataFrame(), metrics=metrics, notes=(*notes, *odd))


def _gather(messages: Iterable[bytes], entries: dict[int, dict[str, Any]]) -> None:
    """Put the scalars of events into the entry of their step.

    Nearly all events are one simple_value, the last four bytes, after a time and a step; what stands between step and
    value is parsed once for each tag.
    """
    tags: dict[bytes, str] = {}
    for message in messages:
        if len(message) < _SHORTEST:
            continue
        step, at = varint(message, 10) if message[:1] == b"\t" and message[9] == 0x10 else (0, 9)
        tag = tags.get(message[at:-4])
        numbers = {tag: _simple(message[-4:])} if tag is not None else _numbers(message)
        if len(numbers) == 1 and message[:1] == b"\t" and message[-5] == 0x15:
            tags[message[at:-4]] = next(iter(numbers))
        if numbers:
            step = _signed(step if tag is not None else _step(message))
            entries.setdefault(step, {"step": step}).update(numbers)


def _step(message: bytes) -> int:
    step = dict(fields(message)).get(2, 0)
    return step if isinstance(step, int) else 0


def _signed(value: int) -> int:
    """A varint as int64."""
    return value - 2**64 if value >= 2**63 else value


def _numbers(message: bytes) -> dict[str, float]:
    """Tags and numbers of an event."""
    summary = dict(fields(message)).get(5, b"")
    values = [_tagged(value) for number, value in fields(bytes_of(summary)) if number == 1]
    return {tag: number for tag, number in values if number is not None}


def _tagged(message: int | bytes) -> tuple[str, float | None]:
    """Tag and number of a value; None for whatever is no number."""
    value = dict(fields(bytes_of(message)))
    if 2 in value:
        return text(value.get(1, b"")), _simple(bytes_of(value[2]))
    tensor = dict(fields(bytes_of(value.get(8, b""))))
    number = bytes_of(tensor.get(4) or tensor.get(5) or tensor.get(6) or b"")
    double = tensor.get(1) == _DOUBLE and len(number) == 8
    plain = _simple(number) if tensor.get(1) == _FLOAT else None
    return text(value.get(1, b"")), float(struct.unpack("<d", number)[0]) if double else plain


def _simple(number: bytes) -> float | None:
    return float(struct.unpack("<f", number)[0]) if len(number) == 4 else None
