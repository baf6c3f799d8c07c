"""The rubric world: data, gradients, how it is looked at, and that direct losses train it."""

import numpy as np
import pytest

import lab
from simulators import Rubric
from simulators.rubric.marks import MARKS
from simulators.rubric.world import annotator, gold_mark


def test_it_is_a_world():
    report = lab.check_world(Rubric(5, batch=2, traces=3, width=4))
    assert report.holds, report


def test_the_pull_of_marks_is_that_of_finite_differences():
    world = Rubric(6, batch=2, traces=3, width=4)
    policy = world.init([1, 2])
    rollouts = world.rollout(policy, 3, 0)
    w = np.random.default_rng(0).normal(size=(2, 4, 3, 9))
    found, h = world.pull(policy, rollouts, {"log_marks": w}), 1e-6
    for place in (0, 40, 60, world.model.size - 1):
        ends = []
        for step in (h, -2 * h, h):
            policy.parameters[:, place] += step
            ends.append((w * world.scores_of(policy, rollouts, ["log_marks"])["log_marks"]).sum((1, 2, 3)))
        assert found[:, place] == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-5, abs=1e-7)


def test_marks_are_near_gold_and_both_sides_of_a_pair_stand_side_by_side():
    world = Rubric(400, batch=200, noise=0.5)
    rollouts = world.rollout(world.init([0]), 2, 0, fields=("annotated", "expected_mark", "teacher_marks"))
    sample, annotated = rollouts.extra["sample"][0], rollouts.extra["annotated"][0]
    assert (sample[1::2] == sample[::2] + 1).all() and (sample[::2] % 2 == 0).all()
    assert np.isin(annotated, MARKS).all()
    taught = rollouts.extra["teacher_marks"][0, :, 0]
    assert taught.sum(-1) == pytest.approx(1) and np.abs(taught @ MARKS - annotated).mean() < 0.5
    reward = 1 - np.abs(MARKS[rollouts.actions[0, ..., 1]] - annotated[:, None]) / 4
    assert rollouts.rewards[0, ..., 0] == pytest.approx(reward)


def test_an_annotator_s_marks_are_those_of_rounded_noise():
    x = np.random.default_rng(0).normal(size=(3, 8))
    erred = gold_mark(x)[:, None] + np.random.default_rng(1).normal(0, 0.5, (3, 200_000))
    seen = np.clip(np.round(2 * erred) / 2, 1, 5)
    assert annotator(x, 0.5) == pytest.approx((seen[..., None] == MARKS).mean(1), abs=0.005)
    assert (annotator(x, 0.0).argmax(-1) == np.round(2 * gold_mark(x)) - 2).all()


@pytest.mark.parametrize("given", [{"pairs": 0}, {"noise": -1.0}, {"noise": np.nan}, {"traces": 0}])
def test_what_cannot_be_marked_is_refused(given):
    with pytest.raises(ValueError, match=next(iter(given))):
        Rubric(**given)


def test_a_teacher_is_that_of_the_seed():
    learned = Rubric(50, batch=2)
    judges = learned.init([3, 4])
    judges.parameters[1] *= 2
    world = Rubric(8, batch=2, traces=1, teacher=(learned, judges))
    policy = world.init([4])
    rollouts = world.rollout(policy, 1, 0, fields=("teacher_marks",))
    x = world._samples(policy, rollouts.extra["sample"])
    own = learned.probabilities(judges.parameters[1:], x)
    assert (rollouts.extra["teacher_marks"][:, :, 0] == own).all() and own.sum(-1) == pytest.approx(1)
    with pytest.raises(ValueError, match="seed 5 has no teacher; there are those of seeds 3, 4"):
        world.rollout(world.init([5]), 1, 0, fields=("teacher_marks",))


def test_direct_losses_train_the_judge():
    trace = lab.train("rubric", ["gdso", "risd"], steps=40, seeds=2, measure=["gold"], every=39)
    last = trace.frame.filter(step=39)
    assert trace.frame.filter(step=0)["gold"].mean() < 0.7 and last["gold"].min() > 0.8
