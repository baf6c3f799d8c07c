"""Runs on disk: names, what is damaged, what is foreign, what is missing."""

import hashlib
import random
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lab.config import Config
from lab.errors import InputError, LabError
from lab.experiment import run
from lab.files import TEMPORARY, locked
from lab.store import Run, find, path_of, runs

CONFIG = Config(
    world="bandit:prompts=2,arms=3", variants=["grpo", "grpo:eps=1"], seeds=3, steps=7, chunk=3, block=2, group_size=4
)


@pytest.fixture
def done(tmp_path: Path) -> Run:
    return run(CONFIG, "done", runs=tmp_path)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "/a", "a\\b", "a b", "ä", "a\n", "x" * 101, "a\x00"])
def test_names_that_no_run_can_have(tmp_path: Path, name: str) -> None:
    for action in (lambda: path_of(name), lambda: find(name, tmp_path), lambda: run(CONFIG, name, runs=tmp_path)):
        with pytest.raises(InputError, match="run name"):
            action()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a", "A-1_b.c", "-", "...", "x" * 100])
def test_names_that_runs_can_have(tmp_path: Path, name: str) -> None:
    assert path_of(name, tmp_path) == tmp_path / name


def test_the_nearest_name_is_offered(done: Run) -> None:
    with pytest.raises(LabError, match="unknown run 'dome'; nearest: 'done'"):
        find("dome", done.path.parent)


def test_runs_are_listed(done: Run) -> None:
    folder = done.path.parent
    (folder / "empty").mkdir()
    (folder / "notes.txt").write_text("mine")
    assert [r.name for r in runs(folder)] == ["done"]
    assert runs(folder / "nowhere") == []
    with pytest.raises(InputError, match="so it is not a run"):
        Run(folder / "empty")
    with pytest.raises(InputError, match="does not exist"):
        Run(folder / "nowhere")


def test_a_name_that_is_taken(done: Run) -> None:
    before = {p: p.read_bytes() for p in done.path.iterdir()}
    with pytest.raises(InputError, match=r"advlab run --resume done.*or take another name"):
        run(CONFIG, "done", runs=done.path.parent)
    assert {p: p.read_bytes() for p in done.path.iterdir()} == before


def test_a_folder_that_is_no_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("mine")
    with pytest.raises(InputError, match="exists and is not a run"):
        run(CONFIG, "thesis", runs=tmp_path)
    assert [p.name for p in (tmp_path / "thesis").iterdir()] == ["chapter.txt"]


def test_a_start_that_was_killed_before_its_first_file_is_free(tmp_path: Path) -> None:
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / ".lock").touch()
    (tmp_path / "early" / f"{TEMPORARY}1-config.json").write_text("{")
    assert run(CONFIG, "early", runs=tmp_path).complete
    assert not list((tmp_path / "early").glob(f"{TEMPORARY}*"))


def test_other_settings_do_not_go_on_with_a_run(done: Run) -> None:
    other = Config(**{**CONFIG.model_dump(), "steps": 9})
    with pytest.raises(InputError, match="has other settings \\(steps: 9, there 7\\)"):
        run(other, "done", runs=done.path.parent, resume=True)


def test_two_processes_do_not_write_one_run(done: Run) -> None:
    with locked(done.path), pytest.raises(InputError, match="is being written by another process"):
        run(CONFIG, "done", runs=done.path.parent, resume=True)


def test_a_file_that_was_removed_is_computed_again(done: Run) -> None:
    frame, rollouts = done.frame, done.rollouts
    for name in ("trace-grpo-000-00001.parquet", "rollouts-grpo_eps_1-000-00002.parquet", "state-grpo-001.npz"):
        (done.path / name).unlink()
    assert not done.complete
    again = run(CONFIG, "done", runs=done.path.parent, resume=True)
    assert again.complete
    assert again.frame.equals(frame)
    assert again.rollouts.equals(rollouts)


def test_files_of_others_are_left_alone(done: Run) -> None:
    (done.path / "notes.txt").write_text("mine")
    (done.path / "figure.parquet").write_text("mine")
    assert run(CONFIG, "done", runs=done.path.parent, resume=True).frame.height == 2 * 3 * 7
    assert (done.path / "figure.parquet").read_text() == "mine"


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def csv(path: Path) -> None:
    path.write_text("variant,seed,step\ngrpo,0,0\n")


def of_another_place(path: Path) -> None:
    path.write_bytes(path.with_name(path.name.replace("000", "001", 1)).read_bytes())


def of_other_columns(path: Path) -> None:
    pl.DataFrame({"variant": [1], "step": ["<b>x</b>"]}).write_parquet(path)


def huge(path: Path) -> None:
    """The footer claims two gigabytes."""
    data = bytearray(path.read_bytes())
    data[-8:-4] = (2**31 - 1).to_bytes(4, "little")
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("damage", [truncated, emptied, csv, of_another_place, of_other_columns, huge])
@pytest.mark.parametrize("kind", ["trace", "rollouts"])
def test_a_damaged_file_is_named_and_kept(done: Run, kind: str, damage: Callable[[Path], None]) -> None:
    path = done.path / f"{kind}-grpo-000-00000.parquet"
    if damage is of_another_place and kind == "rollouts":
        path.write_bytes((done.path / "rollouts-grpo-000-00001.parquet").read_bytes())
    else:
        damage(path)
    before = path.read_bytes()
    again = Run(done.path)
    for action in (lambda: again.frame, lambda: run(CONFIG, "done", runs=done.path.parent, resume=True)):
        with pytest.raises(InputError) as error:
            action()
        assert str(path) in str(error.value)
        assert "remove it, and `advlab run --resume` computes its rows again" in str(error.value)
    assert path.read_bytes() == before


def test_damage_inside_a_page_is_named(done: Run) -> None:
    path = done.path / "trace-grpo-000-00000.parquet"
    data = bytearray(path.read_bytes())
    data[60:90] = bytes(30)
    path.write_bytes(bytes(data))
    with pytest.raises(InputError) as error:
        _ = Run(done.path).frame
    assert str(path) in str(error.value)


@pytest.mark.parametrize("kind", ["trace", "rollouts", "state"])
def test_a_bit_that_has_flipped_is_named(done: Run, capfd: pytest.CaptureFixture[str], kind: str) -> None:
    """Any bit of any byte: the file is refused by name, or the bit meant nothing; no library says anything itself."""
    path = next(done.path.glob(f"{kind}-grpo-000*"))
    whole, wanted = path.read_bytes(), [done.frame, done.rollouts]
    cell, draw, refused = done.cells[0], random.Random(0), 0
    state = done.state(cell)
    assert state is not None
    places = [*range(len(whole) - 8, len(whole)), *draw.sample(range(len(whole)), 250), *_checksum(whole)]
    for place in places:
        data = bytearray(whole)
        data[place] ^= 1 << draw.randrange(8)
        path.write_bytes(data)
        try:
            again = Run(done.path)
            found = [again.frame, again.rollouts]
            now = again.state(cell)
        except InputError as error:
            refused += 1
            assert str(path) in str(error)
            assert "remove it, and `advlab run --resume` computes its rows again" in str(error)
        else:
            assert all(a.equals(b) for a, b in zip(found, wanted, strict=True))
            assert now is not None
            assert all(np.array_equal(now[name], state[name]) for name in state)
    assert refused > 0.9 * len(places) or kind == "state"
    assert capfd.readouterr() == ("", "")


def _checksum(data: bytes) -> list[int]:
    """Places of the mark of a checksum and of its digits."""
    mark = data.rfind(b"sha256:")
    return [] if mark < 0 else [*range(mark, mark + 71)]


def test_files_of_before_there_were_checksums_are_read(done: Run) -> None:
    """As they were written then: the checksum of the configuration's bytes, none of their own."""
    frame, raw = done.frame, hashlib.sha256((done.path / "config.json").read_bytes()).hexdigest()[:32]
    assert done.unsealed == []
    for path in done.path.glob("*.parquet"):
        pl.read_parquet(path).write_parquet(path, metadata={"advantage-lab": f"{raw}/{path.name}"})
    old = Run(done.path)
    assert old.frame.equals(frame)
    assert len(old.unsealed) == len(list(done.path.glob("*.parquet")))


def test_a_blank_in_the_configuration_is_no_damage(done: Run) -> None:
    path = done.path / "config.json"
    frame = done.frame
    path.write_text(path.read_text().replace('"lr": 1.0', '"lr":   1.0 ') + "\n\n")
    assert Run(done.path).frame.equals(frame)
    assert run(CONFIG, "done", runs=done.path.parent, resume=True).complete


def test_a_folder_in_the_place_of_a_file_is_named(done: Run) -> None:
    (done.path / ".lock").unlink()
    (done.path / ".lock").mkdir()
    with pytest.raises(InputError, match=r"\.lock is a folder, where the lock of the run is kept; move it out"):
        run(CONFIG, "done", runs=done.path.parent, resume=True)
    (done.path / ".lock").rmdir()
    (done.path / f"{TEMPORARY}1-x").mkdir()
    with pytest.raises(InputError, match=r"\.part-1-x is a folder"):
        run(CONFIG, "done", runs=done.path.parent, resume=True)


def test_a_file_that_belongs_nowhere_is_named(done: Run) -> None:
    stray = done.path / "trace-grpo-007-00000.parquet"
    stray.write_bytes((done.path / "trace-grpo-000-00000.parquet").read_bytes())
    with pytest.raises(InputError, match=r"trace-grpo-007-00000\.parquet does not belong to this run; move it out"):
        _ = Run(done.path).frame
    assert stray.exists()


@pytest.mark.parametrize("content", [b"", b"hello", None])
def test_a_damaged_state_is_named_where_it_is_needed(done: Run, content: bytes | None) -> None:
    state = done.path / "state-grpo-000.npz"
    state.write_bytes((done.path / "state-grpo-001.npz").read_bytes() if content is None else content)
    (done.path / "trace-grpo-000-00002.parquet").unlink()
    with pytest.raises(InputError) as error:
        run(CONFIG, "done", runs=done.path.parent, resume=True)
    assert str(state) in str(error.value)
    assert "remove it" in str(error.value)
    state.unlink()
    assert run(CONFIG, "done", runs=done.path.parent, resume=True).complete


def test_a_changed_configuration_is_noticed(done: Run) -> None:
    path = done.path / "config.json"
    path.write_text(path.read_text().replace('"lr": 1.0', '"lr": 2.0'))
    with pytest.raises(InputError, match=r"was not written for this run: if .*config\.json was changed, put the orig"):
        _ = Run(done.path).frame


def test_labels_become_file_names(tmp_path: Path) -> None:
    labels = ["a/b", "A b", "../x", "<b>bold</b>", "ä" * 200]
    variants = [{"name": "grpo", "label": label} for label in labels]
    config = Config(world="bandit:prompts=1,arms=2", variants=variants, seeds=1, steps=2)
    made = run(config, "odd", runs=tmp_path)
    assert made.frame["variant"].unique(maintain_order=True).to_list() == labels
    assert [p.name for p in tmp_path.iterdir()] == ["odd"]


def test_a_run_is_said_in_a_line(done: Run, tmp_path: Path) -> None:
    assert repr(done) == "Run done: grpo, grpo:eps=1 in bandit; 42 of 42 steps; .table() has more"
    run(CONFIG, "half", runs=tmp_path, stop=lambda: True)
    assert re.fullmatch(r"Run half: .* in bandit; \d+ of 42 steps; .*", repr(find("half", tmp_path)))
