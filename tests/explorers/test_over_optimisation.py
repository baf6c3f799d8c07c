"""Over-optimisation: where a gold reward turns, Gao's forms, best of n, and the sentence."""

import numpy as np
import polars as pl
import pytest

import lab
from lab.errors import InputError
from lab.explorers import explorer
from lab.explorers.over_optimisation import reading
from lab.figures.over_optimisation import over_optimisation
from lab.studies import BEST_OF_N, best_of_n_curve, gao_fit, optimisation_curve, turning_points
from lab.studies.over_optimisation import gao_gold


def curve(alpha: float, beta: float, name: str = "grpo", runs: int = 3, start: float = 0.25) -> pl.DataFrame:
    kl = np.linspace(0, 16, 33)
    gold = gao_gold(kl, alpha, beta, best_of_n=name == BEST_OF_N) + start
    return pl.concat(
        pl.DataFrame({"step": np.arange(33), "kl": kl, "gold": gold + 0.01 * seed, "proxy": np.sqrt(kl)})
        .with_columns(variant=pl.lit(name), seed=pl.lit(seed))
        for seed in range(runs)
    )  # fmt: skip


@pytest.mark.parametrize(("name", "peak"), [("grpo", 2 / 0.9), (BEST_OF_N, 2 / 0.9)])
def test_the_forms_give_their_own_numbers_back(name, peak):
    row = gao_fit(curve(2.0, 0.9, name)).row(0, named=True)
    assert (row["alpha"], row["beta"], row["r2"]) == pytest.approx((2.0, 0.9, 1.0))
    assert row["alpha_low"] == pytest.approx(row["alpha_high"])
    way = peak / 2 if name == BEST_OF_N else np.exp(peak - 1)
    turn = turning_points(curve(2.0, 0.9, name)).row(0, named=True)
    assert abs(np.sqrt(turn["kl"]) - way) < 0.25 and turn["turns"]


def test_a_gold_reward_that_still_rises_does_not_turn():
    row = turning_points(curve(1.0, 0.0)).row(0, named=True)
    assert (row["kl"], row["lost"], row["turns"]) == (16.0, 0.0, False)
    assert "does not turn under **grpo**" in reading(pl.DataFrame([row]))


def test_a_turn_that_runs_do_not_agree_on_is_none():
    runs = curve(1.0, 0.0, runs=4)
    bent = runs.with_columns(gold=pl.when((pl.col("seed") == 0) & (pl.col("step") == 32)).then(-3.0).otherwise("gold"))
    row = turning_points(bent).row(0, named=True)
    assert row["lost"] > 0.5 and row["low"] < 0 and not row["turns"]


@pytest.fixture(scope="module")
def world():
    return lab.world("learned-reward", comparisons=20, prompts=2)


def test_training_and_best_of_n_start_where_the_initial_policy_is(world):
    trained = optimisation_curve(world, ["grpo", "dr_grpo"], seeds=[3, 5], steps=2, looks=2, group_size=4)
    picked = best_of_n_curve(world, seeds=[3, 5], most=8, pool=2048)
    assert trained.columns == picked.columns and trained.schema == picked.schema
    assert trained["seed"].unique().sort().to_list() == picked["seed"].unique().sort().to_list() == [3, 5]
    first = pl.concat([trained.filter(step=0), picked.filter(step=1)])
    assert (first["kl"] == 0).all() and first["gold"].abs().max() < 0.08 and first["proxy"].abs().max() < 0.08
    assert picked.filter(seed=3)["kl"].to_list() == pytest.approx(
        [0, np.log(2) - 0.5, np.log(4) - 0.75, np.log(8) - 7 / 8]
    )
    assert (picked.filter(seed=3)["proxy"].diff().drop_nulls() > 0).all()


def test_best_of_n_needs_a_pool_that_holds_n(world):
    with pytest.raises(InputError, match=r"most=64: .* from 1 to the pool of 32"):
        best_of_n_curve(world, seeds=1, most=64, pool=32)


def test_the_picture_marks_each_turn_and_the_sentence_names_it(world):
    both = pl.concat([curve(2.0, 0.9), curve(2.0, 0.9, BEST_OF_N)])
    turns = turning_points(both)
    drawn = over_optimisation(both, turns=turns)
    marks = [t for t in drawn.data if t.mode == "markers"]
    assert [m.y[0] for m in marks] == turns["gold"].to_list()
    said = reading(turns)
    assert "turns round under **grpo**" in said and "it turns round under **best of n**" in said and "(n = " in said


def test_the_explorer_tells_who_cannot_be_trained_here():
    known = explorer("over-optimisation")
    state = known.state(variants=["grpo", "thr"], comparisons=100, steps=60, runs=2, best_of_n=False, group_size=4)
    picture = known.picture(state)
    assert picture.frame["variant"].unique().to_list() == ["grpo"]
    assert [left.name for left in picture.left_out] == ["thr"]
