"""Where proxy and gold part: curves whose answer is known."""

import numpy as np
import polars as pl
import pytest

import lab
from lab.errors import InputError, UnknownNameError
from lab.measures.gold import part, parting
from lab.studies.reward_hacking import hacking_study
from simulators.reward_hacks.world import RewardHacks

STEPS = np.arange(100)
RISING = 0.01 * STEPS


def runs(curve: np.ndarray, noise: float, count: int = 16, seed: int = 0) -> np.ndarray:
    return curve + noise * np.random.default_rng(seed).normal(size=(count, curve.size))


def roof(top: int) -> np.ndarray:
    """Up to 1 at the step `top`, and down again as steeply."""
    return 1 - 0.01 * abs(STEPS - top)


@pytest.mark.parametrize("top", [0, 1, 40, 98])
def test_without_noise_they_part_one_step_behind_the_best(top: int) -> None:
    found = part(runs(RISING, 0.0), runs(roof(top), 0.0))
    assert found == (top + 1, top)


def test_with_noise_they_part_late_never_early_and_more_runs_come_closer() -> None:
    places = []
    for count in (8, 32, 512):
        found = [part(runs(RISING, 0.05, count, s), runs(roof(40), 0.05, count, s + 99)) for s in range(20)]
        assert all(f.at is not None and f.at > 40 for f in found)
        places.append(np.mean([f.at for f in found]))
    assert places[0] > places[1] > places[2] > 40
    assert places[2] < 45


def test_a_plateau_is_no_fall_and_the_end_of_it_is_where_they_part() -> None:
    gold = np.minimum(1.0, roof(40) + 0.2)
    assert part(runs(RISING, 0.0), runs(gold, 0.0)).at == 61
    noisy = part(runs(RISING, 0.02), runs(gold, 0.02, seed=1))
    assert noisy.at is not None and 61 <= noisy.at < 70


@pytest.mark.parametrize(
    ("proxy", "gold"),
    [
        (RISING, RISING),
        (-RISING, -RISING),
        (RISING, 0 * RISING),
        (np.minimum(RISING, 0.3), roof(60)),
        (RISING, np.where(STEPS < 90, roof(40), 2.0)),
    ],
    ids=["both rise", "both fall", "gold stays", "proxy gains nothing while gold falls", "gold recovers"],
)
def test_they_do_not_part(proxy: np.ndarray, gold: np.ndarray) -> None:
    assert part(runs(proxy, 0.0), runs(gold, 0.0)).at is None


def test_a_gold_that_only_fluctuates_is_rarely_said_to_part() -> None:
    found = [part(runs(RISING, 0.01, 16, s), runs(0 * RISING, 0.1, 16, s + 10_000)).at for s in range(600)]
    share = np.mean([at is not None for at in found])
    assert share < 0.025 + 3 * np.sqrt(0.025 * 0.975 / 600)


def test_rounding_is_no_loss() -> None:
    dust = 1e-12 * -STEPS[None] * np.ones((4, 1))
    assert part(runs(RISING, 0.0, 4), dust).at is None


@pytest.mark.parametrize(
    ("proxy", "gold"),
    [(np.zeros((3, 5)), np.zeros((3, 5))), (np.zeros((4, 5)), np.zeros((4, 4))), (np.zeros((4, 0)), np.zeros((4, 0))),
     (np.zeros(5), np.zeros(5))],
)  # fmt: skip
def test_shapes_that_have_no_answer_are_refused(proxy: np.ndarray, gold: np.ndarray) -> None:
    with pytest.raises(InputError, match="four runs or more"):
        part(proxy, gold)


def test_a_missing_value_is_refused() -> None:
    gold = np.zeros((4, 5))
    gold[1, 2] = np.nan
    with pytest.raises(InputError, match="must be known at every step"):
        part(np.zeros((4, 5)), gold)


def table(top: int, name: str = "a") -> pl.DataFrame:
    p, g = runs(RISING, 0.0, 4), runs(roof(top), 0.0, 4)
    rows = [(name, s, 10 * int(t), p[s, t], g[s, t]) for s in range(4) for t in STEPS]
    return pl.DataFrame(rows, schema=["variant", "seed", "step", "value", "gold"], orient="row")


def test_the_table_is_in_training_steps_and_in_any_order() -> None:
    frame = pl.concat([table(40), table(99, "b")]).sample(fraction=1.0, shuffle=True, seed=1).sort("variant")
    found = parting(frame)
    assert found["variant"].to_list() == ["a", "b"]
    assert found["step"].to_list() == [410, None] and found["best"].to_list() == [400, 990]
    assert found.row(0)[3:] == pytest.approx((1.0, 0.41, 0.4, 0.99))


def test_a_trace_without_gold_or_with_other_steps_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"gold.*measure it"):
        parting(table(4).drop("gold"))
    with pytest.raises(InputError, match="same steps"):
        parting(table(4).filter((pl.col("seed") > 0) | (pl.col("step") < 50)))


def test_training_on_the_proxy_parts_and_learning_honesty_does_not() -> None:
    timid = RewardHacks(16, base=(0.0, -2.0, 2.0))  # refuses mostly: both rewards rise before they part
    trace = lab.train(timid, "grpo", steps=60, seeds=8, measure=("value", "gold"))
    row = lab.measures.parting(trace.frame).row(0, named=True)
    assert 0 < row["best"] < row["step"] < 60
    assert row["gold_best"] - row["gold_end"] > 0.05 and row["proxy_end"] > row["proxy_best"]
    study = hacking_study([2], [0.0, 1.0], demonstrations=50, steps=20, every=10, seeds=4, tasks=100)
    assert study.columns == ["variant", "seed", "step", "value", "gold", "hack"]
    assert study["step"].unique().sort().to_list() == [0, 10, 20]
    by = dict(parting(study).select("variant", "step").iter_rows())
    assert by == {"earnest, 2 families": None, "hacks, 2 families": 10}
