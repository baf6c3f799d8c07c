"""What walks are paid by ONI's messages and by sensed progress."""

import numpy as np
import pytest

from lab.errors import UnknownNameError
from lab.rewards import robo_dopamine as robo
from lab.rewards.shaping import occurrences
from lab.studies.messages import online
from lab.studies.progress import progress_pay, sensed
from lab.studies.walks import Walk
from simulators.mdp.chains import Chain

CHAIN = Chain(6, 0.9, horizon=8, every=3)
#: One run, one group of two walks: the first searches at the lure twice and arrives, the second is cut off at 3.
POSITIONS = np.array([[[[0, 1, 2, 2, 2, 3, 4, 5, 6], [0, 1, 2, 3, 2, 3, 2, 3, 3]]]])
ACTIONS = np.array([[[[1, 1, 2, 2, 1, 1, 1, 1], [1, 1, 1, 0, 1, 0, 1, 2]]]])


def walk(step: int = 0, seeds: tuple[int, ...] = (7,)) -> Walk:
    wide = len(seeds)
    here = np.repeat(POSITIONS, wide, axis=0)
    return Walk(here, np.repeat(ACTIONS, wide, axis=0), here[..., :-1] != 6, np.array(seeds, dtype=np.uint64), step)


def test_messages_pay_their_fading_label_and_the_goal_pays_one() -> None:
    event = np.array([[[[-1, -1, 0, 0, 1, -1, -1, 2], [-1, -1, 1, -1, 1, -1, 1, -1]]]])
    paid = {beta: online(CHAIN, "retrieval", noise=0.0, labels=50_000, beta=beta)(walk()) for beta in (0.0, 3.0)}
    label = np.array([0.0, 1.0, 1.0, 0.0])  # the lure's message is unhelpful, those on the way are helpful
    goal = np.zeros((1, 1, 2, 8))
    goal[0, 0, 0, 7] = 1.0
    assert paid[0.0] == pytest.approx(goal + 0.1 * label[event])
    assert paid[3.0] == pytest.approx(goal + 0.1 * label[event] / np.maximum(occurrences(event), 1) ** 3)


def test_labels_come_step_by_step_and_every_run_has_its_own() -> None:
    pay = online(CHAIN, "retrieval", labels=10)
    seeds = tuple(range(30))
    early, late = (np.count_nonzero(pay(walk(step, seeds))[..., :5]) for step in (0, 60))
    assert early < late
    assert np.array_equal(pay(walk(60, seeds))[4], pay(walk(60, (4,)))[0])
    with pytest.raises(UnknownNameError, match="'ranking'"):
        online(CHAIN, "rank")


def test_progress_is_paid_as_it_is_sensed() -> None:
    true = CHAIN.progress[POSITIONS[0]]
    seen = sensed(true, np.random.default_rng([7, 2]))
    assert {name: view.shape for name, view in seen.items()} == dict.fromkeys(seen, (1, 2, 8))
    after = seen["fused"]
    before = np.concatenate([np.zeros((1, 2, 1)), after[..., :-1]], axis=-1)
    expected = robo.process_reward(before, after, discount=0.9, delta=0.1)
    assert progress_pay(CHAIN, delta=0.1)(walk(2))[0] == pytest.approx(expected)
    risen = progress_pay(CHAIN, "increment")(walk(2))[0]
    assert risen.sum(axis=-1) == pytest.approx(after[..., -1])
    both = progress_pay(CHAIN, "gold + increment", delta=0.1)(walk(2))[0]
    assert both - risen == pytest.approx(robo.gold(after, delta=0.1))
    forward = progress_pay(CHAIN, "increment", view="forward")(walk(2))[0]
    assert forward.sum(axis=-1) == pytest.approx(seen["forward"][..., -1])
    with pytest.raises(UnknownNameError, match="'increment'"):
        progress_pay(CHAIN, "increments")


def test_views_err_as_the_sensor_does() -> None:
    true = np.broadcast_to(np.linspace(0, 1, 21), (4000, 21))
    seen = sensed(true, np.random.default_rng(0))
    middle = {name: (view[:, 9] - 0.5) for name, view in seen.items()}
    assert middle["forward"].std() == pytest.approx(0.08 * 0.8, rel=0.05)
    assert middle["backward"].std() == pytest.approx(0.08 * 0.8, rel=0.05)
    assert middle["fused"].std() < 0.6 * middle["forward"].std()
