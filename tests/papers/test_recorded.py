"""The record that ships with the lab: what makes an entry stale, how it is made, and that it is of this code."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from lab import papers
from lab.errors import InputError
from lab.papers import recorded
from lab.papers.record import Measurement
from lab.papers.recorded import Entry, Run, making, reach, sources

CODE = {
    "lab/rules/__init__.py": '"""Rules."""\nHERE = 1\n',
    "lab/rules/one.py": '''"""One rule."""
from lab.rules import inner as named
from lab.rules.inner import SCALE

FLOOR = 0.5

@register("advantage", "one", note="first", eps=0.1)
def one(x: float) -> float:
    """Rule one."""
    if x < FLOOR:
        raise ValueError("too small")
    return SCALE * named.half(x)

def other(x):
    return x
''',
    "lab/rules/inner.py": """from simulators.compiled import kernel

SCALE = 2.0
FREE = 3.0

@kernel
def half(x):
    return x / 2
""",
}
REACH = {"lab.rules.one": "one"}


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str, str], str]]:
    """The fingerprint of a small package after one of its files has been changed."""

    def change(file: str, old: str, new: str) -> str:
        for name, text in CODE.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            assert name != file or old in text
            (tmp_path / name).write_text(text.replace(old, new) if name == file else text)
        sources._module.cache_clear()
        sources._part.cache_clear()
        return sources.fingerprint(REACH)

    monkeypatch.setattr(sources, "ROOT", tmp_path)
    yield change
    sources._module.cache_clear()
    sources._part.cache_clear()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [("one", "One rule", "A rule"), ("one", "Rule one.", "The first."), ("one", "x: float", "x: int"),
     ("one", "-> float", "-> object"), ("one", "too small", "not large enough"), ("one", 'note="first"', 'note="1st"'),
     ("one", "\n    return x\n", "\n    return 2 * x\n"), ("one", "FLOOR = 0.5", "FLOOR = 0.5  # half"),
     ("inner", "FREE = 3.0", "FREE = 4.0"), ("one", "def other", "def another")],
)  # fmt: skip
def test_words_and_other_code_leave_a_fingerprint(written: Callable, file: str, old: str, new: str) -> None:
    assert written(f"lab/rules/{file}.py", old, new) == written("", "", "")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [("one", "SCALE *", "SCALE +"), ("one", "eps=0.1", "eps=0.2"), ("one", "FLOOR = 0.5", "FLOOR = 0.4"),
     ("inner", "SCALE = 2.0", "SCALE = 1.0"), ("inner", "x / 2", "x / 3"), ("one", "def one", "def uno"),
     ("one", "rules.inner import SCALE", "rules.one import SCALE"), ("__init__", "HERE = 1", "HERE = 2"),
     ("one", "x < FLOOR", "x <= FLOOR")],
)  # fmt: skip
def test_what_is_computed_changes_a_fingerprint(written: Callable, file: str, old: str, new: str) -> None:
    assert written(f"lab/rules/{file}.py", old, new) != written("", "", "")


def test_what_runs_is_seen_on_every_thread_and_whatever_was_kept() -> None:
    claim = papers.find_claim("ngrpo.1")

    def aside() -> None:
        thread = threading.Thread(target=claim.measure, args=(0,))
        thread.start()
        thread.join()

    _, within = reach.reached(lambda: claim.measure_without(0))
    _, beside = reach.reached(aside)
    assert within["lab.advantages.grpo"] == beside["lab.advantages.grpo"] == "grpo"
    assert beside["lab.advantages.ngrpo"] == "ngrpo" and beside["lab.papers.ngrpo"] == "all_wrong"
    assert "lab.advantages.rloo" not in within

    kept = cache(papers.paper)
    kept.__module__ = "lab.made_up"
    kept("ngrpo")
    assert "paper" in reach.reached(lambda: kept("ngrpo"))[1]["lab.papers"]
    assert sources.fingerprint(within) == sources.fingerprint(dict(within)) != sources.fingerprint(beside)


def entry(name: str, *runs: Run, **more: object) -> Entry:
    of_claim = papers.find_claim(name)
    plain = Entry(name, of_claim.criterion, sources.fingerprint({}), "2026-01-01", {"python": "3"}, runs, (), {})
    return replace(plain, **more)  # type: ignore[arg-type]


def run(verdict: str = "holds", value: float = 2.0, half: float | None = 0.5, border: float | None = 1.0) -> Run:
    interval = None if half is None else (value - half, value + half)
    return Run(0, value, interval, border, verdict, 0.0, True, 0.1)


@pytest.mark.parametrize(
    ("found", "room"),
    [(run(), 0.5), (run(half=1.0), 0.0), (run(half=3.0), 0.0), (run(value=-1.0), 0.75), (run(border=None), None),
     (run(value=0.25, half=None), 0.75), (run(value=-3.0, half=None), 0.0), (run(value=1.0), 0.0)],
)  # fmt: skip
def test_room_is_what_lies_beyond_doubt(found: Run, room: float | None) -> None:
    assert found.room == room


def test_the_helpers_of_claims_say_what_must_not_be_crossed() -> None:
    from lab.papers.measure import above, below, exact

    values = [1.0, 2.0, 3.0]
    assert above(values, 0.5).border == 0.5 and below(values, 9.0).border == 9.0
    assert exact([{"difference": 1e-9}], 1e-6).border == 1e-6
    assert Measurement(1.0, True).border is None


@pytest.mark.parametrize(
    ("name", "verdicts", "whole"),
    [("ngrpo.1", ("holds", "holds"), "holds"), ("ngrpo.1", ("holds", "fails"), "fails"),
     ("ngrpo.1", ("does not distinguish", "holds"), "does not distinguish"), ("ngrpo.headline", ("shown",), "shown"),
     ("ngrpo.headline", ("shown", "reversed here"), "not shown here")],
)  # fmt: skip
def test_the_verdict_is_that_of_all_seeds(name: str, verdicts: tuple[str, ...], whole: str) -> None:
    assert entry(name, *map(run, verdicts)).verdict == whole


def test_entries_come_back_as_they_were_saved_a_seed_a_line(tmp_path: Path) -> None:
    first = entry("ngrpo.1", run(half=None, border=None), detail=({"size": 2, "gap": 0.5},), reach={"lab.x": "a b"})
    second = entry("ngrpo.headline", run("shown"), run("shown", 3.0))
    recorded.save("ngrpo", [first, replace(first, id="ngrpo.gone"), second], tmp_path)
    assert recorded.read(tmp_path) == {"ngrpo.headline": second, "ngrpo.1": first}
    text = (tmp_path / "ngrpo.json").read_text().splitlines()
    assert sum('"seed": ' in line for line in text) == 3 and '"lab.x": "a b"' in text


@pytest.mark.parametrize("content", ["", "{", "3", '[{"id": "ngrpo.1"}]', "\x00"])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "ngrpo.json").write_text(content)
    with pytest.raises(InputError, match=r"ngrpo\.json is damaged .* remove it"):
        recorded.read(tmp_path)


def test_stale_entries_are_named_with_the_reason() -> None:
    current, changed = entry("ngrpo.1", run()), entry("ngrpo.2", run(), fingerprint="another")
    reworded = entry("ngrpo.3", run(), criterion="another")
    gone = replace(current, id="nobody.1")
    found = recorded.stale({each.id: each for each in (current, changed, reworded, gone)})
    assert "ngrpo.1" not in found and "code" in found["ngrpo.2"] and "criterion" in found["ngrpo.3"]
    assert "no such claim" in found["nobody.1"] and "not in the record" in found["gdpo.1"]


class Here:
    """Papers in this process, one after the other."""

    def __init__(self, width: int | None) -> None:
        self.asked: list[list[str]] = []

    def map(self, work: Callable, items: list, halt: Callable) -> Iterator[object]:
        for item in items:
            yield None
            yield work(item)


def test_what_is_stale_is_measured_and_what_fails_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "Processes", Here)
    seen: list[tuple[int, int]] = []
    recorded.save("bnpo", [entry("bnpo.3", run(value=7.0), fingerprint="old")], tmp_path)
    (tmp_path / "nobody.json").write_text("[]")
    broken = replace(papers.find_claim("ngrpo.check-mean"), measure=lambda seed: 1 / 0)
    monkeypatch.setitem(papers.record.CLAIMS, "ngrpo.check-mean", broken)
    names = ["ngrpo.1", "bnpo.3", "ngrpo.check-mean"]
    lacking = making.record(names, tmp_path, progress=lambda *at: seen.append(at))
    assert lacking == {"ngrpo.check-mean": "ZeroDivisionError: division by zero"}
    assert (seen[0], seen[-1]) == ((0, 3), (3, 3))
    assert {path.name for path in tmp_path.iterdir()} == {"ngrpo.json", "bnpo.json"}
    known = recorded.read(tmp_path)
    assert set(known) == {"ngrpo.1", "bnpo.3"} and known["bnpo.3"].runs[0].value != 7.0
    found = known["ngrpo.1"]
    assert [each.seed for each in found.runs] == [0, 1, 2, 3, 4]
    assert all((each.verdict, each.without, each.failed) == ("holds", 0.0, True) for each in found.runs)
    assert found.runs[0].value == pytest.approx(-1 / 3, abs=1e-5) and found.runs[0].interval is None
    assert found.detail[0]["group_size"] == 2 and found.versions["numpy"] and found.day > "2026"
    assert not {"ngrpo.1", "bnpo.3"} & recorded.stale(known).keys()

    calls: list[list[str]] = []
    monkeypatch.setattr(making, "measure", lambda claims: calls.append([*claims]))
    making.record(names[:2], tmp_path)
    assert calls == []
    making.record(names[:2], tmp_path, again=True)
    assert sorted(calls) == [["bnpo.3"], ["ngrpo.1"]]
    assert {"ngrpo.1", "bnpo.3"} <= recorded.stale(recorded.read(tmp_path)).keys(), "to be gone on with"


def test_seeds_are_measured_again_unless_the_first_gives_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    claim, asked = papers.find_claim("ngrpo.1"), []

    def of(value: float) -> Callable[[int], Measurement]:
        return lambda seed: asked.append(seed) or Measurement(value + seed, True)

    def again(known: Entry | None, value: float = 1.0) -> Entry:
        asked.clear()
        monkeypatch.setitem(papers.record.CLAIMS, "ngrpo.1", replace(claim, measure=of(value), without=None))
        found = making.measure({"ngrpo.1": known})
        assert found is not None
        return found.entries[0]

    first = again(None)
    assert asked == [0, 1, 2, 3, 4] and [each.value for each in first.runs] == [1.0, 2.0, 3.0, 4.0, 5.0]
    reshaped = replace(
        first, fingerprint="old", day="2026-01-01", runs=tuple(replace(r, seconds=9) for r in first.runs)
    )
    kept = again(reshaped)
    assert asked == [0] and kept.fingerprint == first.fingerprint and kept.day == first.day
    assert kept.runs[1:] == reshaped.runs[1:] and kept.runs[0].seconds < 9
    assert again(replace(reshaped, fingerprint="")).runs[4].seconds < 9 and asked == [0, 1, 2, 3, 4]
    for other in ({"versions": {"python": "2"}}, {"criterion": "another"}, {"detail": ({"size": 1},)}):
        assert again(replace(reshaped, **other)) and len(asked) == 5
    assert again(reshaped, 1.5).runs[4].value == 5.5 and len(asked) == 5


def test_the_record_is_of_this_code() -> None:
    stale = recorded.stale(recorded.read())
    assert stale == {}, "`advlab claims --record` measures these again"


def test_no_recorded_verdict_depends_on_the_seed() -> None:
    for entry in recorded.read().values():
        assert len(entry.runs) >= 5 and len({r.verdict for r in entry.runs}) == 1, entry.id
        kind = papers.find_claim(entry.id).kind
        told = {papers.SHOWN, papers.NOT_SHOWN, papers.REVERSED} if kind == "headline" else {"holds"}
        assert entry.verdict in told, entry.id
