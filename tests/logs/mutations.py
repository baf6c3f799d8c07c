"""Logs with something wrong in them: whatever it is, what opens them gives a table or an error of the lab's own.

`python -m tests.logs.mutations 10000` tries that many damaged copies of the bundled logs, and prints what is neither.
"""

import json
import random
import shutil
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

import lab
from lab.errors import InputError, UnknownNameError

ODD = (
    None,
    True,
    -1,
    0,
    1.5,
    float("nan"),
    float("inf"),
    10**400,
    2**70,
    -(2**65),
    "",
    "x",
    "1",
    "^a$",
    "\ud800",
    "a\nb",
)
HOLDERS: tuple[Any, ...] = ([], [1, "a"], [[1]], [None], {}, {"a": 1}, {"id": {}})
NAMES = (
    "^a$",
    "step",
    "prompt",
    "reward",
    "reward/score",
    "group",
    "_group",
    "_file",
    "evaluation",
    "advantage",
    "x\n",
    "",
)


def changed(value: Any, dice: random.Random) -> Any:
    """The value with something in it replaced, renamed or left out."""
    if isinstance(value, dict) and value and dice.random() < 0.8:
        name = dice.choice(list(value))
        kept = {k: v for k, v in value.items() if k != name}
        kind = dice.choices(("drop", "rename", "change"), (15, 10, 75))[0]
        return {"drop": kept, "rename": kept | {dice.choice(NAMES): value[name]}}.get(kind) or {
            **value,
            name: changed(value[name], dice),
        }
    if isinstance(value, list) and value and dice.random() < 0.7:
        place = dice.randrange(len(value))
        return [*value[:place], changed(value[place], dice), *value[place + 1 :]]
    return dice.choice((*ODD, *HOLDERS))


def damage(file: Path, dice: random.Random) -> None:
    """Change what a file says, or its bytes."""
    if file.suffix == ".jsonl" and dice.random() < 0.8:
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        everywhere = dice.random() < 0.2
        for place in range(len(rows)) if everywhere else dice.choices(range(len(rows)), k=3):
            rows[place] = changed(rows[place], dice)
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif file.suffix == ".json" and dice.random() < 0.8:
        file.write_text(json.dumps(changed(json.loads(file.read_text()), dice)))
    elif file.suffix == ".parquet" and dice.random() < 0.7:
        frame = pl.read_parquet(file)
        name = dice.choice(frame.columns)
        odd = pl.Series(name, [dice.choice((None, "x", 1.5, True, [1]))] * frame.height)
        new = dice.choice([n for n in NAMES if n not in frame.columns])
        others = (frame.drop(name), frame.with_columns(odd), frame.rename({name: new}), frame.head(dice.randint(0, 3)))
        dice.choice(others).write_parquet(file)
    else:
        content = bytearray(file.read_bytes())
        for _ in range(dice.randint(1, 4)):
            place = dice.randrange(len(content))
            content[place : place + dice.randint(0, 5)] = dice.randbytes(dice.randint(0, 5))
        file.write_bytes(content[: dice.randrange(len(content))] if dice.random() < 0.2 else content)


def broken(run: Path, count: int, seed: int, work: Path) -> Iterator[Path]:
    """That many copies of a log, one after the other under the same name, each with one damaged file."""
    dice = random.Random(seed)
    for _ in range(count):
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(run, work)
        damage(dice.choice(sorted(file for file in work.rglob("*") if file.is_file())), dice)
        yield work


def opened(path: Path, reader: str | None = None) -> str:
    """ "table", or the error of the lab."""
    try:
        lab.load(path, reader=reader)
    except (InputError, UnknownNameError) as reason:
        assert str(reason).isprintable()
        return str(reason)
    return "table"


def main(count: int) -> None:
    warnings.simplefilter("error")
    outcomes: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        logs = lab.logs.bundled()
        for name, run in logs.items():
            for path in broken(run, count // len(logs) + 1, 0, Path(folder) / name):
                try:
                    outcomes[name, "table" if opened(path) == "table" else "error"] += 1
                except Exception:
                    outcomes[name, "neither"] += 1
                    traceback.print_exc(limit=-4)
    print(dict(outcomes))


if __name__ == "__main__":
    main(int(sys.argv[1]))
