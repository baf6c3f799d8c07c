"""Best of n by an ensemble of reward models: the world, its curves, and how far members agree."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from lab.errors import InputError, UnknownNameError
from lab.studies import ensemble_curves, ensemble_disagreement, ensemble_pool
from lab.studies.ensembles import MEMBER, Pool
from simulators.learned_reward.best_of_n import expected

SMALL = {"prompts": 2, "members": 3}


def test_members_see_candidates_in_units_of_base_responses() -> None:
    pool = ensemble_pool(1, **SMALL)
    assert pool.scores.shape == (2, 1024, 3) and pool.gold.shape == (2, 1024)
    assert pool.base_scores.mean(0) == pytest.approx(np.zeros(3), abs=1e-9)
    assert pool.base_scores.std(0) == pytest.approx(np.ones(3)) and pool.gold.mean() == pytest.approx(0, abs=1e-9)
    assert (pool.scores.std((0, 1)) > 1.15).all(), "t with 5 degrees of freedom: √(5/3)"
    assert ensemble_pool(1, freedom=float("inf"), **SMALL).scores.std() == pytest.approx(1, abs=0.1)
    assert 0.6 < ensemble_disagreement(pool)["accuracy"] < 0.85
    clean = ensemble_disagreement(ensemble_pool(1, flips=0.0, comparisons=1000, **SMALL))["accuracy"]
    assert clean > 0.9


def test_representations_are_shared_or_ones_own() -> None:
    found = {}
    for kind in ("own", "shared"):
        pools = [ensemble_pool(seed, representation=kind, prompts=1) for seed in (0, 1)]
        found[kind] = np.mean([ensemble_disagreement(pool, 1)["correlation"] for pool in pools])
    assert found["own"] < found["shared"] - 0.02


def test_a_curve_is_the_best_of_n_by_the_rule() -> None:
    found = ensemble_curves(["ensemble-wco"], seeds=[3], most=16, **SMALL)
    assert found["step"].to_list() == [1, 2, 4, 8, 16] * 2 and found["variant"].unique().sort().to_list() == [
        "ensemble-wco", MEMBER,
    ]  # fmt: skip
    pool = ensemble_pool(3, **SMALL)
    by_hand = expected(pool.scores.min(-1), pool.gold, 16).mean()
    last = found.filter(step=16)
    assert last.filter(variant="ensemble-wco")["gold"].item() == pytest.approx(by_hand)
    alone = np.mean([expected(pool.scores[..., k], pool.gold, 16).mean() for k in range(3)])
    assert last.filter(variant=MEMBER)["gold"].item() == pytest.approx(alone)
    assert found.filter(pl.col("step") == 1)["gold"].to_numpy() == pytest.approx(0, abs=1e-9)


def test_disagreement_by_hand() -> None:
    """Two members on four base responses and two candidates, of which the first member likes the second."""
    base = np.array([[0.0, 0.0], [1.0, 1.0], [1.0, -1.0], [0.0, 2.0]])
    pool = Pool(np.array([[[0.0, 0.0], [4.0, 2.0]]]), np.zeros((1, 2)), base, np.array([0.0, 1.0, 1.0, 0.0]))
    found = ensemble_disagreement(pool, 2)
    assert (found["own"], found["others"], found["chosen_spread"]) == (4.0, 2.0, 1.0)
    assert found["spread"] == 0.5 and found["accuracy"] == 0.5
    assert found["correlation"] == pytest.approx(np.corrcoef(base.T)[0, 1])


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: ensemble_pool(members=0), InputError, "members"),
        (lambda: ensemble_pool(comparisons=0), InputError, "comparisons"),
        (lambda: ensemble_pool(flips=2.0), InputError, "from 0 to 1"),
        (lambda: ensemble_pool(turn=-1.0), InputError, "turn"),
        (lambda: ensemble_pool(freedom=float("nan")), InputError, "inf for normal"),
        (lambda: ensemble_pool(representation="none"), InputError, "whole, shared, own"),
        (lambda: ensemble_curves(most=2048), InputError, "1024 candidates"),
        (lambda: ensemble_curves(["ensemble-max"], seeds=1, **SMALL), UnknownNameError, "nearest"),
        (lambda: ensemble_disagreement(ensemble_pool(members=1, prompts=1)), InputError, "at least two"),
    ],
)  # fmt: skip
def test_what_is_refused(call: Callable[[], object], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        call()
