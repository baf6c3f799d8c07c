"""Last verdicts on disk: kept whole, and never a reason to stop."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lab import papers
from lab.papers.ledger import OPEN, Ledger
from lab.papers.recorded import Entry, Run
from lab.papers.verdicts import FILE, read, remember


@pytest.fixture
def results() -> list[papers.Result]:
    return papers.claims("ngrpo.1", "ngrpo.check-mean")


def test_verdicts_come_back_and_those_of_others_stay(tmp_path: Path, results: list[papers.Result]) -> None:
    folder = tmp_path / "runs"
    assert read(folder) == ({}, "")
    assert remember(results[:1], seed=3, folder=folder) == ""
    assert remember(results[1:], seed=4, folder=folder) == ""
    known, note = read(folder)
    assert note == ""
    assert [known[r.id].result for r in results] == results
    assert [known[r.id].seed for r in results] == [3, 4]
    assert [p.name for p in folder.iterdir()] == [FILE]


def test_verdicts_on_what_has_changed_are_left_out(tmp_path: Path, results: list[papers.Result]) -> None:
    remember([replace(results[0], criterion="another"), replace(results[1], id="gone.1")], folder=tmp_path)
    assert read(tmp_path) == ({}, "")


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", "\x00\x01", '{"format": "another", "claims": []}', '{"format": "advantage-lab claims 1"}',
     '{"format": "advantage-lab claims 1", "claims": 3}', "[" * 100_000, "PAR1"],
)  # fmt: skip
def test_damaged_files_are_ignored_with_a_note_and_replaced(
    tmp_path: Path, results: list[papers.Result], content: str
) -> None:
    (tmp_path / FILE).write_text(content)
    known, note = read(tmp_path)
    assert known == {}
    assert FILE in note and "ignored" in note
    assert remember(results, folder=tmp_path) == ""
    assert len(read(tmp_path)[0]) == 2


@pytest.mark.parametrize(
    "change",
    [{"value": "much"}, {"value": float("nan")}, {"interval": [1]}, {"interval": None}, {"verdict": "maybe"}, {"id": 3},
     {"seconds": 10**400}, {"seed": "x"}],
)  # fmt: skip
def test_damaged_entries_are_ignored_alone(
    tmp_path: Path, results: list[papers.Result], change: dict[str, object]
) -> None:
    remember(results, folder=tmp_path)
    stored = json.loads((tmp_path / FILE).read_text())
    stored["claims"][0] |= change
    stored["claims"].append("text")
    (tmp_path / FILE).write_text(json.dumps(stored))
    known, note = read(tmp_path)
    assert list(known) == ["ngrpo.check-mean"]
    assert "2 damaged" in note


def test_a_file_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / FILE).open("wb") as file:
        file.truncate(2**31)
    assert "larger" in read(tmp_path)[1]


def test_a_folder_that_cannot_be_written_loses_nothing(tmp_path: Path, results: list[papers.Result]) -> None:
    (tmp_path / "file").write_text("")
    assert "not kept" in remember(results, folder=tmp_path / "file" / "runs")


def test_the_ledger_remembers_by_seed(tmp_path: Path) -> None:
    first = Ledger(tmp_path)
    first.measure(["ngrpo.1"], seed=2)
    again = Ledger(tmp_path)
    assert again.result("ngrpo.1", 2) == first.result("ngrpo.1", 2)
    assert again.result("ngrpo.1", 0) is None
    assert again.measurement("ngrpo.1", 2) is None
    assert Ledger().result("ngrpo.1", 2) is None
    row = again.frame(2).filter(id="ngrpo.1")
    assert row["verdict"].item() == "holds"


def test_the_ledger_stands_beside_the_record() -> None:
    runs = tuple(Run(seed, -1 / 3 + seed, None, 4.0, "holds", 0.0, True, 0.1) for seed in (0, 1))
    record = {"ngrpo.1": Entry("ngrpo.1", "", "", "2026-01-02", {}, runs, ({"size": 2, "gap": 0.5},), {})}
    ledger = Ledger(record=record)
    row = ledger.frame().filter(id="ngrpo.1").row(0, named=True)
    assert (row["verdict"], row["low"], row["without"], row["failed"]) == ("holds", -1 / 3, 0.0, True)
    assert (row["least"], row["most"]) == pytest.approx((-1 / 3, 2 / 3)) and row["day"] == "2026-01-02"
    assert row["room"] == pytest.approx(1 - (2 / 3) / 4) and row["differs"] is None and row["here"] is None
    assert ledger.detail("ngrpo.1").to_dicts() == [{"size": 2, "gap": 0.5}]  # type: ignore[union-attr]
    assert ledger.detail("ngrpo.2") is None
    assert ledger.frame().filter(id="ngrpo.check-mean")["kind"].item() == "check"
    assert ledger.frame().filter(id="ngrpo.2")["verdict"].item() == OPEN

    for seed in (0, 1, 7):
        ledger.measure(["ngrpo.1"], seed)
    again = [ledger.frame(seed).filter(id="ngrpo.1").row(0, named=True) for seed in (0, 1, 7)]
    assert [each["differs"] for each in again] == [True, True, False], "1e-6 off; another value; no such seed"
    assert again[0]["value"] == -1 / 3 != again[0]["value_here"] and again[0]["here"] == "holds"
    assert ledger.detail("ngrpo.1", 7).height == 4  # type: ignore[union-attr]
