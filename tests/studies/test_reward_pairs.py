"""A pair of rewards: what each change does and does not cost, the way between them, refusals."""

from __future__ import annotations

import numpy as np
import pytest

import lab
from lab import distances
from lab.errors import InputError, UnknownNameError
from lab.studies.distance_regret import distance_study
from lab.studies.reward_pairs import CHANGES, arriving, distance_shares, reward_map, reward_pair, reward_walk
from simulators.mdp import families

GRID = families.grid(4, 0.9, goal=-1, slip=0.1)
REWARD = np.zeros(16)
REWARD[[15, 6]] = 1.0, -0.5
FREE = ("potential", "scale", "offset", "redistribution", "impossible")


def test_a_slippery_grid() -> None:
    sure, slips = families.grid(3), families.grid(3, slip=0.3)
    assert slips.transition[4, 0].tolist() == pytest.approx([0, 0.7, 0, 0.1, 0, 0.1, 0, 0.1, 0])
    assert (slips.transition.argmax(-1) == sure.transition.argmax(-1)).all()
    assert slips.transition[8, 2, 8] == 1.0, "the goal is never left"
    with pytest.raises(ValueError, match=r"slip must lie in \[0, 1\]"):
        families.grid(3, slip=1.5)


def test_best_actions_are_the_ties_of_the_optimum() -> None:
    mdp = families.grid(3, 0.9)
    best = mdp.best_actions([0, 0, 0, 0, 0, 0, 0, 0, 1.0])
    assert [np.flatnonzero(row).tolist() for row in best[[0, 2, 5, 8]]] == [[1, 2], [2], [2], [0, 1, 2, 3]]
    many = np.random.default_rng(0).standard_normal((4, 9, 4, 9))
    first = mdp.optimal(many)
    assert np.array_equal(mdp.best_actions(many).argmax(-1), first)
    assert mdp.best_actions(np.zeros(9)).all()
    policy = np.where(best, 1.0, 0.0) / best.sum(-1, keepdims=True)
    assert mdp.returns([0, 0, 0, 0, 0, 0, 0, 0, 1.0], policy) == pytest.approx(
        mdp.returns([0, 0, 0, 0, 0, 0, 0, 0, 1.0], mdp.optimal([0, 0, 0, 0, 0, 0, 0, 0, 1.0]))
    )


@pytest.mark.parametrize("name", FREE)
def test_changes_that_no_policy_notices_cost_nothing(name: str) -> None:
    first, second = reward_pair(GRID, REWARD, [name], amount=0.7, seed=3)
    assert np.array_equal(first, GRID.rewards(REWARD))
    assert not np.array_equal(first, second)
    assert GRID.worst_case_regret(first, second) < 1e-9
    assert distances.compute("starc", GRID, first, second) < 1e-9
    property_of = {"potential": "shaping", "impossible": None}.get(name, name)
    for shown in ("val-l2-l2", "epic-l2-l2", "dard-l2-l2", "none-l2-l2"):
        blind = property_of in distances.distance(shown).properties
        if blind or property_of is not None:
            assert (distances.compute(shown, GRID, first, second) < 1e-9) == blind, shown


def test_changes_that_cost_something() -> None:
    _, shortcut = reward_pair(GRID, REWARD, ["shortcut"], state=5, amount=2.0)
    assert GRID.regret(REWARD, shortcut) > 0.5
    assert arriving(GRID, shortcut)[5] == pytest.approx(2.0)
    _, flipped = reward_pair(GRID, REWARD, ["flip"], state=6)
    assert arriving(GRID, flipped).tolist() == pytest.approx(np.where(np.arange(16) == 6, 0.5, REWARD))
    first, turned = reward_pair(GRID, REWARD, ["opposite", "shared"])
    assert GRID.worst_case_regret(first, turned) == pytest.approx(1.0)
    assert distances.compute("epic", GRID, first, turned) < 0.05
    assert distances.compute("starc", GRID, first, turned) == pytest.approx(2.0)
    assert np.allclose(arriving(GRID, first), REWARD), "what never happens is not on the map"


def test_more_comparisons_are_nearer() -> None:
    few, many = (reward_pair(GRID, REWARD, ["learned"], comparisons=n, seed=1)[1] for n in (10, 1000))
    assert distances.compute("starc", GRID, REWARD, many) < distances.compute("starc", GRID, REWARD, few) / 2


def test_changes_are_made_in_their_order() -> None:
    one = reward_pair(GRID, REWARD, ["scale", "offset"], amount=1.0)[1]
    other = reward_pair(GRID, REWARD, ["offset", "scale"], amount=1.0)[1]
    assert np.allclose(one, 10 * GRID.rewards(REWARD) + 1)
    assert np.allclose(other, 10 * (GRID.rewards(REWARD) + 1))
    assert np.array_equal(reward_pair(GRID, REWARD)[1], GRID.rewards(REWARD))


def test_the_way_from_one_to_the_other() -> None:
    first, last = reward_pair(GRID, REWARD, ["shortcut"], state=5, amount=2.0)
    frame = reward_walk(GRID, first, last, ["starc", "epic"], steps=8)
    assert frame.columns == ["step", "share", "regret", "back", "mean_regret", "worst_case", "starc", "epic"]
    assert frame.row(0)[2:] == pytest.approx((0, 0, 0, 0, 0, 0), abs=1e-9)
    half = first + 0.5 * (last - first)
    row = frame.row(4, named=True)
    assert row["regret"] == pytest.approx(GRID.regret(first, half))
    assert row["back"] == pytest.approx(GRID.regret(half, first))
    assert row["worst_case"] == pytest.approx(GRID.worst_case_regret(first, half))
    assert row["starc"] == pytest.approx(distances.compute("starc", GRID, first, half))
    assert (frame["regret"] <= frame["worst_case"] + 1e-9).all()


def test_a_map_says_what_arriving_pays_and_what_is_best() -> None:
    frame = reward_map(GRID, {"meant": REWARD, "trained on": -REWARD})
    assert frame.height == 32
    meant, trained = frame.filter(reward="meant"), frame.filter(reward="trained on")
    assert meant["arriving"].to_numpy() == pytest.approx(REWARD)
    assert meant["shared"].all() and not trained["shared"].all()
    assert [meant["best"][s].to_list() for s in (14, 11, 15)] == [[1], [2], [1, 2]]
    chain = families.chain(4)
    unreached = np.array(chain.transition)
    unreached[:, :, 1] += unreached[:, :, 3]
    unreached[:, :, 3] = 0
    from simulators.mdp.mdp import MDP

    assert arriving(MDP(unreached), [1.0, 2, 3, 4]).tolist() == [1, 2, 3, 4]


def test_shares_are_of_the_largest_distance() -> None:
    frame = distance_shares({"starc": 1.0, "epic": 0.25, "none-l2-l2": 1e-9}, ["starc", "epic", "none-l2-l2"])
    assert frame["distance"].to_list() == ["none-l2-l2", "epic", "starc"]
    assert frame["share"].to_list() == [5e-10, 0.25, 0.5] and frame["apart"].to_list() == [False, True, True]
    with pytest.raises(InputError, match="'npec' have no largest one"):
        distance_shares({"npec": 1.0}, ["npec"])


def test_a_cloud_in_one_world() -> None:
    frame = distance_study(["starc"], mdp=GRID, environments=2, pairs=2, steps=3, seed=1)
    assert frame.height <= 12 and frame["regret"].is_between(0, 1).all()
    assert not frame.equals(distance_study(["starc"], environments=2, pairs=2, steps=3, seed=1))


def test_what_is_no_pair() -> None:
    assert lab.studies.reward_pair is reward_pair
    assert "learned" in CHANGES
    with pytest.raises(UnknownNameError, match="shortcut"):
        reward_pair(GRID, REWARD, ["shortcuts"])
    with pytest.raises(InputError, match=r"states 0\.\.15"):
        reward_pair(GRID, REWARD, ["flip"], state=16)
    with pytest.raises(InputError, match="amount"):
        reward_pair(GRID, REWARD, ["flip"], amount=np.nan)
    with pytest.raises(InputError, match="steps"):
        reward_walk(GRID, REWARD, REWARD, steps=0)
