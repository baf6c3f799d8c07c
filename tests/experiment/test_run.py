"""Runs: the rows of `lab.train`, whatever happens on the way."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import lab
from lab import files
from lab.config import Config
from lab.errors import InputError, LabError
from lab.executors import Threads
from lab.experiment import replay, run
from lab.store import Run
from lab.world_registry import world

WORLD = "bandit:prompts=3,arms=4,seed=5"
#: Everything that a state has to carry: an optimizer with moments, prompts sampled again, a filter.
CONFIG = Config(
    world=WORLD, variants=["grpo", "mc-grpo", "dapo"], seeds=5, steps=23, chunk=4, block=2, group_size=4, lr=0.3,
    optimizer="adam", epochs=2, measure="full", sample_steps=4, sample_seeds=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(CONFIG, "reference", runs=tmp_path_factory.mktemp("runs"), executor=Threads(1))


def contents(done: Run) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in done.path.iterdir() if p.suffix == ".parquet"}


def test_rows_are_those_of_train(reference: Run) -> None:
    place = world("bandit", prompts=3, arms=4, seed=5)
    trace = lab.train(
        place, ["grpo", "mc-grpo", "dapo"], seeds=5, steps=23, group_size=4, lr=0.3, optimizer="adam", epochs=2,
        measure="full",
    )  # fmt: skip
    assert reference.frame.equals(trace.frame)
    assert reference.summary(["value"]).equals(trace.summary(["value"]))


@pytest.mark.parametrize("settings", [{"block": 1}, {"block": 5, "chunk": 100}, {"chunk": 1}])
def test_rows_do_not_depend_on_the_cut(reference: Run, tmp_path: Path, settings: dict[str, int]) -> None:
    other = run(Config(**{**CONFIG.model_dump(), **settings}), "cut", runs=tmp_path)
    assert other.frame.equals(reference.frame)
    assert other.rollouts.equals(reference.rollouts)


@pytest.mark.parametrize("width", [2, 3])
def test_rows_do_not_depend_on_the_threads(reference: Run, tmp_path: Path, width: int) -> None:
    other = run(CONFIG, "reference", runs=tmp_path, executor=Threads(width))
    assert contents(other) == contents(reference)


def test_a_stopped_run_goes_on(reference: Run, tmp_path: Path) -> None:
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return True

    stopped = run(CONFIG, "reference", runs=tmp_path, stop=stop, executor=Threads(1))
    assert asked == 1
    assert not stopped.complete
    assert set(stopped.frame.columns) <= set(reference.frame.columns)
    assert contents(run(CONFIG, "reference", runs=tmp_path, resume=True)) == contents(reference)


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("after", [False, True])
def test_an_end_at_any_file_leaves_a_run_that_goes_on(
    reference: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """The process ends at the 1st, 2nd, 3rd, ... file that it writes, before or after that file has its name."""
    small = Config(**{**CONFIG.model_dump(), "seeds": 2, "variants": ["grpo"], "steps": 9})
    wanted = contents(run(small, "whole", runs=tmp_path / "whole"))
    replace = Path.replace
    written, ends_at = 0, 0

    def ending(path: Path, target: Path) -> None:
        nonlocal written
        written += 1
        if written == ends_at and not after:
            raise Killed
        replace(path, target)
        if written == ends_at:
            raise Killed

    for ends_at in range(1, 12):
        written = 0
        monkeypatch.setattr(Path, "replace", ending)
        try:
            run(small, "whole", runs=tmp_path / str(ends_at), executor=Threads(1))
        except Killed:
            monkeypatch.setattr(Path, "replace", replace)
            assert contents(run(small, "whole", runs=tmp_path / str(ends_at), resume=True)) == wanted
        else:
            break
    assert ends_at == 1 + 3 * 3 + 1


def test_progress_reaches_its_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    done = run(CONFIG, "seen", runs=tmp_path, progress=lambda *at: seen.append(at))
    assert seen[-1] == (23 * 9, 23 * 9)
    assert [at for at, _ in seen] == sorted(at for at, _ in seen)
    assert done.progress == (23 * 15, 23 * 15)
    seen.clear()
    run(CONFIG, "seen", runs=tmp_path, resume=True, progress=lambda *at: seen.append(at))
    assert seen == [(23 * 9, 23 * 9)]


def test_the_sample_of_rollouts(reference: Run) -> None:
    sample = reference.rollouts
    assert sample["step"].unique().sort().to_list() == [0, 7, 14, 22]
    assert sample["seed"].unique().sort().to_list() == [0, 1, 2]
    assert set(sample["variant"]) == {"grpo", "mc-grpo", "dapo"}
    one = sample.filter(variant="mc-grpo", seed=2, step=14).drop("variant", "seed", "step")
    again = replay(
        world("bandit", prompts=3, arms=4, seed=5), "mc-grpo", seed=2, step=14, group_size=4, lr=0.3, optimizer="adam",
        epochs=2,
    )  # fmt: skip
    assert one.equals(again.frame)


def test_the_outcome(reference: Run) -> None:
    outcome = reference.outcome()
    assert outcome["variant"].unique(maintain_order=True).to_list() == ["grpo", "mc-grpo", "dapo"]
    last = reference.frame.filter(variant="grpo", step=22)["value"].mean()
    assert outcome.filter(variant="grpo", metric="value")["mean"].item() == pytest.approx(last, rel=1e-12)
    mean = reference.frame.filter(variant="grpo")["grad_norm"].mean()
    assert outcome.filter(variant="grpo", metric="grad_norm")["mean"].item() == pytest.approx(mean, rel=1e-12)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"variants": ["grop"]}, "unknown variant 'grop'; nearest: 'grqo', 'grpo'"),
        ({"variants": ["grpo:epz=1"]}, "unknown option of variant 'grpo', 'epz'; nearest: 'eps'"),
        ({"variants": ["grpo", "GRPO"]}, "'grpo' stands twice; give one a label="),
        ({"world": "bandid"}, "unknown world 'bandid'"),
        ({"world": "bandit:law=cauchy"}, "unknown reward law 'cauchy'"),
        ({"variants": ["bnpo"], "world": "bandit:law=normal,noise=3"}, "bnpo"),
    ],
)
def test_mistakes_are_found_before_anything_is_written(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    given = {"variants": ["grpo"], "seeds": 2, "steps": 3} | settings
    with pytest.raises(LabError) as error:
        run(Config(**given), "wrong", runs=tmp_path)
    assert said in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_language_model_is_a_world_too(tmp_path: Path) -> None:
    config = Config(world="toy-lm:prompts=2,length=4", variants=["grpo"], seeds=3, steps=6, chunk=2, block=2)
    done = run(config, "lm", runs=tmp_path)
    place = world("toy-lm", prompts=2, length=4)
    assert done.frame.equals(lab.train(place, "grpo", steps=6, seeds=3).frame)
    seen = replay(place, "grpo", seed=1, step=5)
    assert seen.frame.equals(done.rollouts.filter(seed=1, step=5).drop("variant", "seed", "step"))
    assert seen.frame["action"].str.contains(r"^\d+( \d+){0,3}$").all()


def test_no_steps_and_no_measurements(tmp_path: Path) -> None:
    none = run(Config(variants="grpo", steps=0), "none", runs=tmp_path)
    assert none.complete
    assert none.frame.shape == (0, 10)
    assert none.rollouts.height == 0
    silent = run(Config(variants="grpo", steps=3, measure=None), "silent", runs=tmp_path)
    assert silent.complete
    assert silent.frame.shape == (0, 3)
    assert silent.outcome().height == 0


def test_a_run_that_has_just_begun_is_empty(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "config.json").write_text(CONFIG.text())
    assert Run(begun).frame.columns == ["variant", "seed", "step"]
    assert Run(begun).progress == (0, 23 * 15)
    assert not Run(begun).complete


def test_measured_rows_are_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow with the number of steps: a job never holds more rows than one chunk has."""
    held: list[int] = []
    write = files.write

    def watched(path: Path, fill: Callable[..., Any]) -> None:
        if path.name.startswith("trace"):
            write(path, fill)
            held.append(pl.scan_parquet(path).select(pl.len()).collect().item())
        else:
            write(path, fill)

    monkeypatch.setattr("lab.store.write", watched)
    run(Config(**{**CONFIG.model_dump(), "block": 5}), "held", runs=tmp_path)
    assert max(held) == 4 * 5


def test_a_run_refuses_negative_replays() -> None:
    with pytest.raises(InputError, match="step=-1"):
        replay(world("bandit"), "grpo", seed=0, step=-1)
