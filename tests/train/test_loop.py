"""What the numbers of a run do not depend on, and what a run tells on the way."""

import subprocess
import sys
from typing import Any

import numpy as np
import polars as pl
import pytest

import lab
from lab.errors import InputError, UnknownNameError
from lab.measures.metrics import columns
from lab.training.loop import Settings, Walk
from simulators import Bandit

RNG = np.random.default_rng(0)
WORLD = Bandit(RNG.random((40, 4)) * 0.9)
NOISY = Bandit(means=RNG.random((3, 2, 5)), law="student_t")
#: One for each way through the loop: the plain path, a pivot, a filter, sampling again, a penalty, a greedy rollout.
VARIANTS = ["grpo", "mc-grpo", "ngrpo", "dapo", "grpo-kl", "remax", "gdpo", "reinforce_pp"]


def run(names: Any = "grpo", world: Bandit = WORLD, **given: Any) -> lab.Trace:
    return lab.train(world, names, **{"steps": 6, "seeds": 13, "lr": 4.0, "group_size": 6, **given})


def same(a: lab.Trace, b: lab.Trace) -> bool:
    """To the last bit, rows and final parameters."""
    return a.frame.equals(b.frame) and all(
        np.array_equal(a.parameters(v.name), b.parameters(v.name)) for v in a.variants
    )


@pytest.mark.parametrize("measure", ["basic", "full"])
def test_threads_change_nothing(measure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["lab.training.jobs"], "_WORTH_A_THREAD", 1)  # so that even a small run is split
    one = run(VARIANTS, measure=measure, threads=1)
    for threads in (2, 3, 8):
        assert same(run(VARIANTS, measure=measure, threads=threads), one)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("epochs", [1, 2])
def test_a_run_depends_on_its_seed_alone(name: str, epochs: int) -> None:
    """Not on the other seeds beside it, the other variants, or the order in which they are given."""
    whole = run(name, seeds=[5, 0, 9], measure="full", epochs=epochs)
    for i, seed in enumerate((5, 0, 9)):
        alone = run(name, seeds=[seed], measure="full", epochs=epochs)
        assert alone.frame.equals(whole.frame.filter(pl.col("seed") == seed))
        assert np.array_equal(alone.parameters(), whole.parameters()[i : i + 1])
    assert (
        run([*VARIANTS[::-1]], seeds=[5, 0, 9], measure="full", epochs=epochs)
        .frame.filter(pl.col("variant") == name)
        .equals(whole.frame)
    )


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("world", [WORLD, NOISY], ids=["bernoulli", "student_t"])
def test_measuring_changes_nothing(name: str, world: Bandit) -> None:
    """And the fast lane, which goes without `full` measurements, walks the same path and says the same."""
    full, basic, none = (run(name, world, measure=m) for m in ("full", "basic", None))
    assert np.array_equal(full.parameters(), basic.parameters())
    assert np.array_equal(full.parameters(), none.parameters())
    for metric in columns("basic"):
        found, expected = basic.frame[metric], full.frame[metric]
        assert found.is_null().equals(expected.is_null())
        assert found.to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-12, abs=1e-12, nan_ok=True)


def test_the_first_steps_of_a_longer_run_are_those_of_a_shorter() -> None:
    long, short = run(steps=130).frame, run(steps=60).frame
    assert long.filter(pl.col("step") < 60).equals(short)


def test_every_so_many_steps_and_the_last() -> None:
    full = run(steps=8).frame
    sparse = run(steps=8, every=3).frame
    assert sparse["step"].unique().sort().to_list() == [0, 3, 6, 7]
    assert sparse.equals(full.filter(pl.col("step").is_in([0, 3, 6, 7])))


def test_a_frame_is_tidy() -> None:
    trace = run(["rloo", "grpo"], seeds=[7, 2], steps=3, measure="full")
    assert trace.frame.columns[:3] == ["variant", "seed", "step"]
    assert trace.frame["variant"].unique(maintain_order=True).to_list() == ["rloo", "grpo"]
    assert trace.frame["seed"].unique(maintain_order=True).to_list() == [2, 7]
    assert trace.frame["step"].to_list() == [0, 1, 2] * 4
    of_others = {"gold", "grad_norm_agent_{n}", "reward_{n}"}  # a bandit has no proxy, agents or named components
    assert trace.frame.columns[3:] == [name for name in columns("full") if name not in of_others]
    assert trace.frame.select(pl.selectors.float().is_nan().any()).sum_horizontal().item() == 0
    assert trace.parameters("grpo").shape == (2, 40, 1, 4)


def test_no_steps_are_a_frame_without_rows() -> None:
    trace = run(steps=0)
    assert trace.frame.shape == (0, 10)
    assert trace.summary().shape[0] == 0
    assert not trace.parameters().any()


def test_variants_see_the_same_draws() -> None:
    first = run(["grpo", "dr_grpo", "psr"], steps=1).frame
    assert first.group_by("seed").agg(pl.col("reward").n_unique())["reward"].to_list() == [1] * 13


def test_labels_let_two_settings_stand_side_by_side() -> None:
    wide = lab.variant("grpo", label="wide", clip_high=5.0)
    trace = run(["grpo", wide], epochs=4, lr=20.0)
    assert [v.name for v in trace.variants] == ["grpo", "wide"]
    assert not np.array_equal(trace.parameters("grpo"), trace.parameters("wide"))
    together = run("grpo", options={"clip_high": 5.0}, epochs=4, lr=20.0)
    assert np.array_equal(together.parameters(), trace.parameters("wide"))


def test_progress_ends_with_all_steps() -> None:
    seen: list[tuple[int, int]] = []
    run(["grpo", "rloo"], steps=120, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] > 0
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize("names", ["grpo", ["grpo", "mc-grpo"]])
def test_a_stopped_run_is_the_beginning_of_a_whole_one(names: Any) -> None:
    asked = iter([False] * 3)
    stopped = run(names, steps=100_000, threads=2, stop=lambda: next(asked, True)).frame
    last = stopped["step"].max()
    assert last is None or last < 100_000 - 1
    whole = run(names, steps=300).frame.join(stopped.select("variant", "seed", "step"), on=["variant", "seed", "step"])
    shown = stopped.filter(pl.col("step") < 300)
    assert shown.sort("variant", "seed", "step").equals(whole.sort("variant", "seed", "step"))


def test_an_interrupt_reaches_the_caller() -> None:
    def impatient(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(["grpo", "rloo"], steps=100_000, progress=impatient)


def test_the_norm_is_measured_before_it_is_clipped() -> None:
    free, clipped = run(steps=1), run(steps=1, max_grad_norm=1e-3)
    assert free.frame["grad_norm"].equals(clipped.frame["grad_norm"])
    moved = np.sqrt((clipped.parameters() ** 2).sum(axis=(1, 2, 3)))
    assert moved == pytest.approx(np.full(13, 4.0 * 1e-3))


def test_dropped_prompts_are_sampled_again_until_the_batch_is_full() -> None:
    """A prompt that is almost never solved: without refilling, far fewer rollouts take part."""
    world = Bandit(np.full((10, 2), 0.05))
    filtered = run(lab.variant("dapo", refill=0), world, group_size=4, measure="full").frame
    refilled = run(lab.variant("dapo", refill=20), world, group_size=4, measure="full").frame
    assert filtered["no_signal"].mean() == pytest.approx(0.95**4, abs=0.05)
    assert (filtered["kept"] + filtered["no_signal"]).to_numpy() == pytest.approx(1)
    assert refilled["grad_norm"].mean() < filtered["grad_norm"].mean()


def test_doors_keep_their_names_whatever_is_imported_first() -> None:
    first = "import lab, lab.training.train, lab.methods, lab.world_registry"
    code = f"{first}; print(*map(callable, (lab.train, lab.variants, lab.world)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["True"] * 3


def test_measurements_by_name() -> None:
    """A list of names measures those, with the numbers of the full set, and moves no parameter."""
    full = run(["grpo"], steps=4, measure="full")
    some = run(["grpo"], steps=4, measure=("cosine", "value"))
    assert some.frame.columns == ["variant", "seed", "step", "value", "cosine"]
    assert some.frame["cosine"].equals(full.frame["cosine"])
    assert (some.parameters() == full.parameters()).all()
    with pytest.raises(UnknownNameError, match="cosine"):
        run(["grpo"], steps=1, measure=("cosin",))


def test_a_turned_sign_is_that_of_every_token_of_its_rollout():
    world = lab.world("turns")
    plain, turned = (
        Walk(world, lab.variant("mapo", signflip=q), range(4), Settings()).look().credit.advantage for q in (0, 0.5)
    )
    assert plain.ndim == 4 and turned.shape == plain.shape
    same, other = ((turned == sign * plain).all(-1) for sign in (1, -1))
    assert (same | other).all() and 0.2 < (other & ~same).mean() < 0.8


def test_signs_flipped_on_purpose() -> None:
    """MC-GRPO's ablation: about the asked share changes sign, nothing changes size, and blocks change nothing."""
    world = Bandit(np.random.default_rng(2).random((16, 6)))
    plain, noisy = (
        Walk(world, lab.variant("rloo", signflip=q), range(8), Settings()).look().advantage for q in (0.0, 0.25)
    )
    signed = np.abs(plain) > 0
    changed = (noisy == -plain)[signed].mean()
    assert (np.abs(noisy) == np.abs(plain)).all()
    assert abs(changed - 0.25) < 4 * np.sqrt(0.25 * 0.75 / signed.sum())
    one, all_of_them = (run(lab.variant("grpo", signflip=0.3), seeds=s, steps=5).parameters() for s in ([3], range(5)))
    assert (one[0] == all_of_them[3]).all()
    with pytest.raises(InputError, match="signflip"):
        lab.variant("grpo", signflip=1.5)
