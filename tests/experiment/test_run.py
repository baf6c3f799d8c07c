"""Runs: the rows of `lab.train`, whatever happens on the way."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import lab
from lab import experiment, files
from lab.config import Config
from lab.errors import InputError, LabError, UnknownNameError
from lab.executors import Threads
from lab.experiment import replay, run
from lab.store import Run
from lab.training.loop import Walk
from lab.training.moment import Moment
from lab.world_registry import world
from simulators import Bandit

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


@pytest.mark.parametrize(("seconds", "files"), [(1000.0, 3 * 3), (1e-9, 9 * 3)])
@pytest.mark.parametrize("after", [False, True])
def test_an_end_at_any_file_leaves_a_run_that_goes_on(
    reference: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool, seconds: float, files: int
) -> None:
    """The process ends at the 1st, 2nd, 3rd, ... file that it writes, before or after that file has its name."""
    small = Config(**{**CONFIG.model_dump(), "seeds": 2, "variants": ["grpo"], "steps": 9, "save_seconds": seconds})
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

    for ends_at in range(1, 50):
        written = 0
        monkeypatch.setattr(Path, "replace", ending)
        try:
            run(small, "whole", runs=tmp_path / str(ends_at), executor=Threads(1))
        except Killed:
            monkeypatch.setattr(Path, "replace", replace)
            assert contents(run(small, "whole", runs=tmp_path / str(ends_at), resume=True)) == wanted
        else:
            break
    assert ends_at == 1 + files + 1


def test_progress_reaches_its_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    done = run(CONFIG, "seen", runs=tmp_path, progress=lambda *at: seen.append(at))
    assert seen[-1] == (23 * 15, 23 * 15)
    assert [at for at, _ in seen] == sorted(at for at, _ in seen)
    assert done.progress == (23 * 15, 23 * 15)
    seen.clear()
    run(CONFIG, "seen", runs=tmp_path, resume=True, progress=lambda *at: seen.append(at))
    assert seen == [(23 * 15, 23 * 15)]


def test_a_run_stopped_at_the_end_of_a_chunk_goes_on_from_there(
    reference: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a whole chunk the state's step is the tables' last one: nothing is walked twice."""
    walked: list[int] = []
    advance = Walk.advance

    def counted(walk: Walk, moment: Moment) -> Any:
        walked.append(walk.step)
        return advance(walk, moment)

    one = Config(**{**CONFIG.model_dump(), "variants": ["grpo"], "seeds": 2, "steps": 12})
    whole = run(one, "whole", runs=tmp_path)
    part = Run(shutil.copytree(whole.path, tmp_path / "part" / "whole"))
    for path in part.path.glob("*-0000[12].parquet"):
        path.unlink()
    np.savez(part.path / "state-grpo-000.npz", **_state_at(one, 4), of=part._identity(part.path / "state-grpo-000.npz"))
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(Walk, "advance", counted)
    done = run(one, "whole", runs=tmp_path / "part", resume=True, progress=lambda *at: seen.append(at))
    assert seen[0] == (4 * 2, 12 * 2)
    assert walked == [0, *range(4, 12)]  # the first one is the rehearsal
    assert contents(done) == contents(whole)


def _state_at(config: Config, step: int) -> dict[str, Any]:
    """The state of the only cell of a configuration after some steps."""
    job = experiment._job(config, 0, config.numbers)
    return job.run(lambda: False, until=step).walk.state()


@pytest.mark.parametrize("steps", [1, 7, 13])
def test_a_run_stopped_within_a_chunk_keeps_every_step(reference: Run, tmp_path: Path, steps: int) -> None:
    """The steps that were made before a stop are shown, and are not made again; the files come out the same."""
    one = Config(**{**CONFIG.model_dump(), "variants": ["dapo"], "block": 5, "chunk": 100, "sample_steps": 9})
    whole = run(one, "whole", runs=tmp_path / "never")
    pulse = _Stops(steps)
    stopped = run(one, "whole", runs=tmp_path, executor=pulse)
    assert stopped.progress == (steps * 5, 23 * 5)
    assert stopped.frame.equals(whole.frame.filter(pl.col("step") < steps))
    assert stopped.rollouts.equals(whole.rollouts.filter(pl.col("step") < steps))
    assert stopped.outcome().height == whole.outcome().height
    seen: list[tuple[int, int]] = []
    done = run(one, "whole", runs=tmp_path, resume=True, progress=lambda *at: seen.append(at))
    assert seen[0] == (steps * 5, 23 * 5)
    assert contents(done) == contents(whole)
    assert (done.path / "state-dapo-000.npz").read_bytes() == (whole.path / "state-dapo-000.npz").read_bytes()


class _Stops:
    """An executor on which every cell is stopped after some steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def map(self, work: Any, items: Any, halt: Callable[[], None]) -> Any:
        pulse = work.args[1]
        at = pulse.at
        pulse.at = lambda cell, step: (step >= self.steps and halt(), at(cell, step))[1]
        yield from map(work, items)


def test_saved_after_every_step_the_files_are_the_same(reference: Run, tmp_path: Path) -> None:
    often = Config(**{**CONFIG.model_dump(), "save_seconds": 1e-9})
    done = run(often, "reference", runs=tmp_path)
    assert done.frame.equals(reference.frame)
    assert done.rollouts.equals(reference.rollouts)
    assert not list(done.path.glob("*.part.parquet"))


def test_a_world_brings_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entropy of each prompt's policy at the sampled steps, as a table of its own."""

    def entropies(moment: Any, truth: Any, world: Any, run: int = 0, *, start: Any = None) -> pl.DataFrame:
        return pl.DataFrame({"prompt": [0, 1], "largest": moment.advantage[run].max(axis=-1)})

    monkeypatch.setattr(Bandit, "rollout_tables", {"largest": entropies}, raising=False)
    config = Config(world="bandit:prompts=2,arms=3", variants=["grpo"], seeds=2, steps=6, chunk=2, sample_steps=2)
    done = run(config, "own", runs=tmp_path)
    assert done.tables == ["largest", "rollouts", "trace"]
    table = done.rows("largest")
    assert table.select("seed", "step", "prompt").rows() == [(s, t, p) for s in (0, 1) for t in (0, 5) for p in (0, 1)]
    wanted = done.rollouts.group_by("seed", "step", "prompt", maintain_order=True).agg(pl.col("advantage").max())
    assert table["largest"].to_list() == wanted["advantage"].to_list()
    with pytest.raises(UnknownNameError, match="unknown table of this run 'larges'; nearest: 'largest'"):
        done.rows("larges")
    monkeypatch.setattr(Bandit, "rollout_tables", {"../x": entropies})
    with pytest.raises(InputError, match=r"table '\.\./x'"):
        run(config, "odd", runs=tmp_path)


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
        ({"variants": ["grpo:epz=1"]}, "unknown option of variant 'grpo:epz=1', 'epz'; nearest: 'eps'"),
        ({"variants": ["grpo", "GRPO"]}, "'grpo' stands twice; give one a label="),
        ({"world": "bandid"}, "unknown world 'bandid'"),
        ({"world": "bandit:law=cauchy"}, "law='cauchy'; it must be one of bernoulli, normal"),
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

    monkeypatch.setattr("lab.run_folder.write", watched)
    run(Config(**{**CONFIG.model_dump(), "block": 5}), "held", runs=tmp_path)
    assert max(held) == 4 * 5


def test_a_run_refuses_negative_replays() -> None:
    with pytest.raises(InputError, match="step=-1"):
        replay(world("bandit"), "grpo", seed=0, step=-1)
