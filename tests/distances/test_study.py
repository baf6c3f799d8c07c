"""Distance beside regret: the experiment's rows, its correlations, the claims that rest on them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.stats import pearsonr, spearmanr

from lab import distances, papers
from lab.errors import InputError, UnknownNameError
from lab.studies.distance_regret import distance_study, rank_correlation, regret_correlations, resampled
from simulators.mdp import families

CLAIMS = [c.id for c in papers.select("starc", "reward-distances") if c.kind != "headline"]
SMALL = {"environments": 3, "pairs": 2, "steps": 4, "states": 6, "actions": 2, "discount": 0.8}


def test_rows_are_the_experiment_done_by_hand() -> None:
    frame = distance_study(["starc", "epic"], **SMALL, seed=5)
    assert frame.columns == ["environment", "pair", "step", "regret", "val-l2-l2", "epic"]
    assert frame.height == 3 * 2 * 4
    rng = families.environment(5, 2)
    mdp = families.sparse(6, 2, 0.8, source=rng)
    drawn = [families.random_reward(mdp, rng) for _ in range(4)]
    for pair in range(2):
        first, last = drawn[2 * pair : 2 * pair + 2]
        for step in range(1, 5):
            row = frame.filter(environment=2, pair=pair, step=step).row(0, named=True)
            between = first + (last - first) * step / 4
            assert row["regret"] == pytest.approx((mdp.regret(first, between) + mdp.regret(between, first)) / 2)
            assert row["epic"] == pytest.approx(distances.compute("epic", mdp, first, between))


def test_the_same_seed_is_the_same_table() -> None:
    first, again, other = (distance_study(**SMALL, seed=s) for s in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


def test_trivial_interpolants_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    real = families.random_reward
    drawn: list[np.ndarray] = []

    def opposite(mdp: object, source: object) -> np.ndarray:
        drawn.append(-drawn[-1] if len(drawn) % 2 else real(mdp, source))  # type: ignore[arg-type]
        return drawn[-1]

    monkeypatch.setattr(families, "random_reward", opposite)
    frame = distance_study(["starc"], **SMALL)
    assert frame["step"].unique().sort().to_list() == [1, 3, 4]
    assert frame.filter(pl.col("step") > 2)["val-l2-l2"].to_numpy() == pytest.approx(2.0)


def test_what_never_happens_changes_distances_and_no_regret() -> None:
    settings = {**SMALL, "pairs": 1}
    known, arbitrary = (distance_study(["starc", "epic", "dard"], unseen=u, **settings) for u in (0.0, 5.0))
    same = known["environment"] == 0  # later worlds are drawn from generators of their own
    assert known.filter(same)["regret"].to_numpy() == pytest.approx(arbitrary.filter(same)["regret"].to_numpy())
    assert known["val-l2-l2"].to_numpy() == pytest.approx(arbitrary["val-l2-l2"].to_numpy())
    assert (np.abs(known["epic"] - arbitrary["epic"]) > 0.02).sum() > known.height / 2


def test_correlations_are_those_of_scipy() -> None:
    frame = distance_study(["starc", "epic", "none-l2-l2"], **SMALL)
    table = regret_correlations(frame, resamples=50)
    assert set(table["distance"]) == {"val-l2-l2", "epic", "none-l2-l2"}
    assert table["spearman"].is_sorted(descending=True)
    for row in table.to_dicts():
        x, y = frame["regret"].to_numpy(), frame[row["distance"]].to_numpy()
        assert row["pearson"] == pytest.approx(pearsonr(x, y).statistic)
        assert row["spearman"] == pytest.approx(spearmanr(x, y).statistic)
        assert row["pearson_low"] <= row["pearson_high"]
        assert row["spearman_low"] <= row["spearman_high"]
    assert resampled(frame, ["epic"], resamples=4).shape == (5, 1, 2)


def test_ranks_share_ties() -> None:
    x, y = np.array([1.0, 1, 2, 3, 3, 3]), np.array([5.0, 4, 4, 9, 1, 1])
    assert rank_correlation(x, y) == pytest.approx(spearmanr(x, y).statistic)
    assert rank_correlation(x, np.ones(6)) == 0.0


def test_what_cannot_be_studied() -> None:
    with pytest.raises(UnknownNameError, match="epic"):
        distance_study(["epik"])
    with pytest.raises(InputError, match="environments=0"):
        distance_study(environments=0)
    with pytest.raises(ValueError, match="more actions"):
        distance_study(**{**SMALL, "actions": 1})


def test_the_claims_of_the_cards_are_there() -> None:
    numbered = {f"starc.{n}" for n in range(1, 5)} | {f"reward-distances.{n}" for n in range(1, 8)}
    assert numbered <= set(CLAIMS)
    assert any(".limit-" in name for name in CLAIMS)


#: Pearson and Spearman correlation with regret over 8192 pairs of the experiment with exact returns.
REFERENCE = {"val-l2-l2": (0.911, 0.969), "epic-l2-l2": (0.884, 0.945), "none-l2-l2": (0.619, 0.686)}


@pytest.mark.slow
def test_the_correlations_of_the_figure_over_five_seeds() -> None:
    names = list(REFERENCE)
    tables = [regret_correlations(distance_study(names, seed=s), resamples=1) for s in range(5)]
    for kind, column in enumerate(("pearson", "spearman")):
        found = {n: np.array([t.filter(distance=n)[column].item() for t in tables]) for n in names}
        for name in names:
            error = found[name].std(ddof=1) / np.sqrt(5)
            assert abs(found[name].mean() - REFERENCE[name][kind]) < 3 * error + 0.01, (name, column)
        assert (found["val-l2-l2"] > found["epic-l2-l2"]).all() and (found["epic-l2-l2"] > found["none-l2-l2"]).all()
