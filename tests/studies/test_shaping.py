"""Dense rewards side by side: the study's rows, policies and exact scores; invariance under potentials."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab import studies
from lab.errors import InputError, UnknownNameError
from lab.rewards import shaping
from lab.studies import shaping as bench
from lab.trace import summarise
from simulators.mdp.chains import Chain

numbers = st.integers(-40, 40).map(lambda n: n / 8)


@settings(max_examples=60, deadline=None)
@given(
    q=st.sampled_from([0.1, 0.5, 1.0]), length=st.integers(3, 8), discount=st.sampled_from([0.5, 0.9, 0.97]),
    draws=st.lists(numbers, min_size=9, max_size=9),
)  # fmt: skip
def test_potentials_keep_what_is_optimal(q: float, length: int, discount: float, draws: list[float]) -> None:
    chain = Chain.gate(q, length, discount)
    phi = np.where(chain.end, 0.0, draws[: length + 1])
    dense = shaping.pbrs(chain.reward, phi[:, None, None], phi, discount=discount)
    best = chain.mdp.returns(chain.reward, chain.mdp.optimal(chain.reward))
    assert chain.mdp.returns(chain.reward, chain.mdp.optimal(dense)) == pytest.approx(best, abs=1e-9)
    assert chain.mdp.returns(dense, chain.mdp.optimal(dense)) == pytest.approx(best - phi[0], abs=1e-9)


@given(rewards=st.lists(numbers, min_size=5, max_size=5), phi=st.lists(numbers, min_size=6, max_size=6))
def test_shaping_telescopes_over_an_episode(rewards: list[float], phi: list[float]) -> None:
    ended = np.arange(5) == 4
    factors = 0.9 ** np.arange(5)
    dense = shaping.pbrs(rewards, phi[:-1], phi[1:], discount=0.9, ended=ended)
    assert factors @ dense == pytest.approx(factors @ np.array(rewards) - phi[0])
    cut_off = shaping.pbrs(rewards, phi[:-1], phi[1:], discount=0.9)
    assert factors @ cut_off == pytest.approx(factors @ np.array(rewards) - phi[0] + 0.9**5 * phi[5])


def test_occurrences_count_each_kind_from_one() -> None:
    events = np.array([[2, -1, 2, 0, 2, 0], [-1, -1, 5, 5, 5, 5]])
    assert shaping.occurrences(events).tolist() == [[1, 0, 2, 1, 3, 2], [0, 0, 1, 2, 3, 4]]
    with pytest.raises(InputError, match="whole numbers"):
        shaping.occurrences([0.5])


@given(st.integers(1, 2000))
def test_a_fading_pay_is_bounded(times: int) -> None:
    paid = shaping.fading(np.zeros(times), shaping.occurrences(np.zeros(times, int)), size=0.4)
    assert paid[0] == 0.4 and paid.sum() <= 0.4 * 1.2020569032
    assert shaping.fading(0.5, 7, size=0.4, beta=0.0) == shaping.bonus(0.5, True, size=0.4) == 0.9


def test_rows_are_means_over_buckets() -> None:
    frame = studies.shaping_study(["bonus"], seeds=[4, 9], episodes=25, buckets=10, bonus=0.2)
    run = bench.learned("bonus", seeds=[4, 9], episodes=25, bonus=0.2, alpha=0.1, explore=0.1)
    assert frame["step"].to_list() == 2 * list(range(0, 25, 2))
    row = frame.filter(seed=9, step=8).row(0, named=True)
    assert row["value"] == pytest.approx(run.trained[1, 8:10].mean())
    assert row["gold"] == pytest.approx(run.meant[1, 8:10].mean())
    assert row["lured"] == pytest.approx(run.events[1, 8:10, 0].sum() / run.steps[1, 8:10].sum())
    assert frame.filter(step=24)["reached"].to_list() == run.reached[:, 24].tolist()
    assert summarise(frame, ["value", "gold"]).height == 26


def test_the_trap_hovers_and_the_bonus_is_farmed() -> None:
    table = studies.shaping_policies(["pbrs", "progress", "bonus"], seeds=8)
    best = table.filter(pl.col("optimal"))
    assert best.filter(variant="pbrs")["action"].unique().to_list() == ["forward"]
    assert best.filter(variant="progress", position=11)["action"].to_list() == ["search"]
    assert best.filter(variant="bonus", position=2)["action"].to_list() == ["search"]
    assert best.group_by("variant", "position").len()["len"].unique().to_list() == [1]
    shares = table.group_by("variant", "position").agg(pl.col("share").sum())
    assert shares["share"].to_numpy() == pytest.approx(1.0)
    learned = table.filter(pl.col("share") > 0.5)
    assert learned.filter(variant="progress", position=11)["action"].to_list() == ["search"]


def test_scores_are_exact() -> None:
    chain = Chain(length=20, discount=0.97)
    names = ["pbrs", "increment", "bonus"]
    table = {row["variant"]: row for row in studies.shaping_scores(names, chain=chain).to_dicts()}
    assert table["pbrs"]["distance"] < 1e-9 and table["pbrs"]["worst_case_regret"] < 1e-9
    assert table["increment"]["distance"] == pytest.approx(0.306, abs=1e-3)
    assert table["increment"]["worst_case_regret"] == pytest.approx(0.554, abs=1e-3)
    assert table["bonus"]["alignment"] == 0.0 and table["bonus"]["distance"] == pytest.approx(0.313, abs=1e-3)
    fading = studies.shaping_scores(["count"], chain=Chain(8, 0.95)).row(0, named=True)
    assert fading["alignment"] == pytest.approx(0.95)  # one search, one step later
    assert fading["distance"] > 0 and fading["regret"] < fading["worst_case_regret"] < 1


def test_a_construction_of_ones_own_is_taken_where_a_name_is() -> None:
    chain = Chain(4, every=2)
    dear = bench.Construction("dear", "every step costs", lambda chain, bonus: chain.reward - bonus)
    paid = bench.Construction("paid", "messages", bench.meant, lambda chain, bonus: np.full(chain.events, bonus))
    given_: dict[str, object] = {"chain": chain, "bonus": 0.01}
    assert studies.shaping_scores([dear], **given_)["alignment"].to_list() == [1.0]  # type: ignore[arg-type]
    frame = studies.shaping_study([dear, "sparse"], seeds=2, episodes=4, buckets=2, **given_)  # type: ignore[arg-type]
    assert frame["variant"].unique(maintain_order=True).to_list() == ["dear", "sparse"]
    unknown = studies.shaping_scores([paid], **given_).row(0)  # type: ignore[arg-type]
    assert unknown[2:] == (None, None, None, None)
    policies = studies.shaping_policies([paid], seeds=2, episodes=4, **given_)  # type: ignore[arg-type]
    assert policies["optimal"].null_count() == policies.height == 12


def test_unknown_names_and_numbers_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="pbrs"):
        studies.shaping_study(["pbr"])
    with pytest.raises(InputError, match="episodes=0"):
        studies.shaping_study(episodes=0)
    with pytest.raises(InputError, match="bonus=nan"):
        studies.shaping_study(["bonus"], bonus=float("nan"))
    with pytest.raises(InputError, match="exists already"):
        bench.add_construction(bench.Construction("sparse", "another", bench.meant))
