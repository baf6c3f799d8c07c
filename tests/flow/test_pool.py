"""The flow world offline: what a step takes from the pool, and what it is refused."""

import numpy as np
import pytest

import lab
from simulators.flow.pool import Pool


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADVLAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield Pool(2, pool=5, denoising=3, width=8, pretraining=3, precision="float64")


def test_it_is_a_world(world):
    report = lab.check_world(world)
    assert report.holds, report


def test_the_whole_pool_is_the_pretrained_policy_s_sample_and_stays_so(world):
    policy = world.init([3, 4])
    before = world.rollout(policy, 5, 0, fields=("noised",))
    policy.parameters[:] += 0.1
    after = world.rollout(policy, 5, 7, fields=("noised",))
    one, other = (np.sort(r.extra["reached"][..., -1, 0]) for r in (before, after))
    assert (one == other).all() and (before.rewards != after.rewards).any()
    assert not np.isin(before.extra["noised"], after.extra["noised"]).any()
    assert (before.extra["velocity_old"] == before.extra["velocity_start"]).all()
    assert (after.logp == world.log_prob(policy, after)).all()
    sampled = np.sort(super(Pool, world).rollout(world.init([3, 4]), 5, 0).rewards[..., 0])
    assert (np.sort(after.rewards[..., 0]) == sampled).all()
    assert np.allclose(world.reward(after.extra["reached"][..., -1, :]), after.rewards[..., 0], rtol=0, atol=1e-14)


def test_a_step_takes_each_sample_at_most_once_and_another_step_others(world):
    policy = world.init(range(20))
    first, second = (world.rollout(policy, 3, step).rewards[..., 0] for step in (0, 1))
    assert all(len(set(group)) == 3 for group in first.reshape(-1, 3))
    assert np.mean([set(a) != set(b) for a, b in zip(first.reshape(-1, 3), second.reshape(-1, 3), strict=True)]) > 0.5
    assert (first == world.rollout(world.init(range(20)), 3, 0).rewards[..., 0]).all()


def test_a_group_larger_than_the_pool_is_refused(world):
    with pytest.raises(ValueError, match="group_size=6; the pool has 5"):
        world.rollout(world.init([1]), 6, 0)
    with pytest.raises(ValueError, match="pool"):
        Pool(2, pool=0, width=8, pretraining=0)


def test_rules_of_log_pi_train_from_it_too(world):
    trace = lab.train(world, "flow-grpo", steps=2, seeds=[3], group_size=4)
    moved = np.abs(trace.parameters("flow-grpo") - np.asarray(world.init([3]).parameters)).max()
    assert 5e-4 < moved < 3e-3  # two steps of Adam at 1e-3
