"""ONI's rewards, messages and their labels, feature matching, the process reward; the claims of three papers."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import papers
from lab.errors import InputError
from lab.reward_models.constructions import CHAIN
from lab.rewards import feature_matching as irl
from lab.rewards import oni, shaping
from lab.rewards import robo_dopamine as robo
from lab.studies.messages import message_study, opinions
from lab.studies.shaping import episodes_until, shaping_policies, shaping_scores
from simulators.mdp import families
from simulators.mdp.messages import messages

SLUGS = ("dense-rewards", "oni", "robo-dopamine")
CLAIMS = [c.id for c in papers.select(*SLUGS) if c.kind != "headline"]


def test_the_claims_of_the_cards_are_there() -> None:
    numbers = {"dense-rewards": 4, "oni": 4, "robo-dopamine": 5}
    assert {f"{slug}.{n}" for slug, most in numbers.items() for n in range(1, most + 1)} <= set(CLAIMS)
    assert {"dense-rewards.limit-dense", "oni.limit-sparse"} <= set(CLAIMS)


scores = st.lists(st.floats(-50, 50), min_size=1, max_size=12)


@given(st.lists(scores, min_size=1, max_size=5))
def test_moments_are_those_of_all_scores_with_each_batch_counted_by_its_own_variance(
    batches: list[list[float]],
) -> None:
    moments = oni.Moments()
    for batch in batches:
        moments = oni.updated(moments, batch)
    everything = np.concatenate([[0.0], *batches])
    weights = np.concatenate([[1e-4], np.ones(everything.size - 1)])
    mean = weights @ everything / weights.sum()
    within = sum(np.var(b, ddof=1) * len(b) - np.var(b) * len(b) for b in batches if len(b) > 1)
    lost = sum(np.var(b) * len(b) for b in batches if len(b) == 1)
    variance = (1e-4 + weights @ (everything - mean) ** 2 + within - lost) / weights.sum()
    assert moments.count == pytest.approx(weights.sum())
    assert moments.mean == pytest.approx(mean, abs=1e-9)
    assert moments.variance == pytest.approx(variance, rel=1e-6, abs=1e-9)


def test_the_three_rewards() -> None:
    assert oni.retrieval([1.0, 0.0, np.nan]).tolist() == [1, 0, 0]
    assert oni.classification([0.2, 0.5, 0.7]).tolist() == [0, 0, 1]
    assert oni.classification([0.2, 0.5, 0.7], threshold=0.1).tolist() == [1, 1, 1]
    before = oni.Moments(1000.0, 1.0, 4.0)
    paid, after = oni.ranking([7.0, 1.0, -7.0], before)
    z = (np.array([7.0, 1.0, -7.0]) - after.mean) / np.sqrt(after.variance)
    assert paid == pytest.approx([z[0], z[1], 0.0])
    assert after == oni.updated(before, [7.0, 1.0, -7.0])
    assert before == oni.Moments(1000.0, 1.0, 4.0)
    raw, same = oni.ranking([7.0, 1.0, -7.0], before, as_released=True)
    assert raw.tolist() == [7.0, 1.0, -7.0] and same == after
    assert oni.updated(before, []) == before
    assert oni.updated(oni.Moments(), [3.0]).variance > 0
    with pytest.raises(InputError, match="finite"):
        oni.ranking([np.nan], before)


def test_similarity_is_a_cosine_and_nothing_for_no_words() -> None:
    table = np.array([[3.0, 4.0], [0.0, 0.0], [4.0, -3.0], [1.0, 0.0]])
    assert oni.similarity(table, [6.0, 8.0]) == pytest.approx([1.0, 0.0, 0.0, 0.6])
    assert oni.similarity(table, [6.0, 8.0], threshold=0.6).tolist()[3] == 0.0


def test_the_total_fades_within_an_episode() -> None:
    seen = shaping.occurrences(np.array([4, 4, -1, 4, 2]))
    found = oni.total(np.array([0, 0, 0, 0, 10.0]), np.ones(5), seen)
    assert found == pytest.approx([0.4, 0.05, 0.0, 0.4 / 27, 1.4])
    assert oni.total(1.0, 1.0, 3, a_ext=0.0, beta=0.0) == 0.4


def test_labels_are_wrong_as_often_as_asked_and_missing_where_unseen() -> None:
    pool, rng = messages(5000, rng=0), np.random.default_rng(1)
    assert pool.helpful.mean() == pytest.approx(0.3, abs=1e-3) and pool.frequency.sum() == pytest.approx(1.0)
    seen = np.arange(4000)
    found = pool.labels(seen, 0.2, rng)
    assert np.isnan(found[4000:]).all()
    assert (found[:4000] != pool.helpful[:4000]).mean() == pytest.approx(0.2, abs=0.02)
    pairs, better = pool.comparisons(seen, 4000, 0.0, rng)
    apart = pool.quality[pairs[:, 0]] - pool.quality[pairs[:, 1]]
    assert (better == np.where(apart == 0, 0.5, apart > 0)).all()
    with pytest.raises(ValueError, match="share"):
        messages(share=1.0)
    with pytest.raises(InputError, match="noise"):
        opinions(pool, 10, 2.0, rng)


def test_models_see_what_the_study_says() -> None:
    frame = message_study([0.0], [300], seeds=4, tests=2000)
    assert frame.columns == ["model", "noise", "collected", "seed", "accuracy", "unseen"]
    means = dict(frame.group_by("model").agg(pl.col("accuracy").mean()).iter_rows())
    assert means["retrieval"] < means["classification"] > 0.9
    assert frame.filter(model="retrieval")["unseen"].max() == 0.0
    assert frame.equals(message_study([0.0], [300], seeds=range(4), tests=2000))


def test_feature_matching_matches_features() -> None:
    mdp = families.sparse(6, 3, 0.8, source=3)
    model = mdp.transition, mdp.discount, np.asarray(mdp.start)
    features = np.random.default_rng(0).normal(size=(6, 3, 4))
    truth = features @ np.array([1.0, -0.5, 0.3, 0.0])
    expert, _ = irl.soft_policy(mdp.transition, 0.8, truth)
    seen = irl.visits(*model, expert)
    assert seen.sum() == pytest.approx(1.0)
    assert seen / 0.2 == pytest.approx(mdp.occupancy(expert))
    weights = irl.feature_matching(*model, features, seen, temperature=1.0, steps=600, lr=1.0)
    found, _ = irl.soft_policy(mdp.transition, 0.8, features @ weights)
    assert found == pytest.approx(expert, abs=0.02)


def test_the_soft_optimum_tends_to_the_hard_one() -> None:
    mdp = families.sparse(6, 3, 0.8, source=1)
    reward = mdp.expected(np.random.default_rng(0).normal(size=(6, 3, 6)))
    policy, value = irl.soft_policy(mdp.transition, 0.8, reward, temperature=1e-3)
    assert (policy.argmax(axis=-1) == mdp.optimal(reward)).all()
    assert value == pytest.approx(mdp.value(reward, mdp.optimal(reward)), abs=0.02)


def test_the_process_reward_is_gold_and_a_potential() -> None:
    found = robo.process_reward([0.2, 0.9, 1.0], [0.3, 0.96, 1.0], discount=0.9)
    assert found == pytest.approx([0.9 * 0.3 - 0.2, 1 + 0.9 * 0.96 - 0.9, 1 - 0.1])


def test_first_windows() -> None:
    reached = np.zeros((3, 50), dtype=bool)
    reached[0] = True
    reached[1, 7:30] = True
    assert episodes_until(reached).tolist() == [0, 5, 50]


def test_learned_constructions_are_scored_and_drawn() -> None:
    table = shaping_scores(["demonstrations", "blend", "redistributed", "preferences", "oni-ranking"])
    assert table["alignment"].to_list()[:3] == pytest.approx([1.0] * 3)
    assert table["alignment"].to_list()[3:] == [0.0, None]
    drawn = shaping_policies(["demonstrations"], seeds=2, episodes=3)
    assert drawn.filter(pl.col("optimal"))["action"].to_list() == ["forward"] * CHAIN.goal
