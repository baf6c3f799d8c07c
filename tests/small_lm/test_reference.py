"""The gradient from many rollouts as a truth, its error, and accuracy on held-out problems, in a trace."""

import numpy as np
import pytest

import lab
from lab.errors import InputError
from lab.measures.metrics import HELD_OUT, REFERENCE
from lab.measures.reference import against_reference
from simulators.records import Rollouts
from simulators.small_lm.world import SmallLM

SIZES = {"prompts": 3, "layers": 1, "width": 8, "heads": 1, "accuracy": 0.0, "problems": 40, "device": "cpu"}


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADVLAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


class Enumerable(SmallLM):
    """Two tokens, and a reward that hangs on them alone."""

    def _scored(self, actions, problems):
        return (0.3 * actions[..., :1] + actions[..., 1:] % 3) / 5


def test_the_reference_is_the_gradient_of_the_expected_reward_within_its_error():
    world = Enumerable(**{**SIZES, "length": 2})
    policy, size = world.init([0, 1]), len(world.tokens)
    rollouts = world.rollout(policy, 2, 5)
    first, second = np.divmod(np.arange(size * size), size)
    second = np.where(first == 0, 0, second)  # behind the end token there is nothing
    actions = np.broadcast_to(np.stack([first, second], -1), (2, 3, size * size, 2)).copy()
    mask = np.ones(actions.shape, bool)
    mask[..., 1] = first != 0
    every = Rollouts(world._scored(actions, None), actions, np.zeros(actions.shape), mask, rollouts.prompt)
    p = np.exp(world.log_prob(policy, every).sum(-1)) / np.where(first == 0, size, 1)
    assert np.allclose(p.sum(-1), 1)
    exact = world.gradient(policy, every, (p * every.rewards[..., 0])[..., None] / 3 * mask).double().numpy()
    batches = world.reference(policy, rollouts, 4000, step=5)
    assert batches.shape == (8, *exact.shape)
    found = against_reference(exact, batches)
    off = np.linalg.norm(batches.mean(0) - exact, axis=-1) / np.linalg.norm(exact, axis=-1)
    assert (off < 2 * found["reference_se"]).all() and (found["reference_se"] < 0.25).all()
    assert np.allclose(found["cosine_reference"], 1 / np.sqrt(1 + found["reference_se"] ** 2), atol=0.02)
    assert not np.array_equal(batches, world.reference(policy, rollouts, 4000, step=6))


def test_the_jackknife_is_the_spread_of_the_cosine_over_repetitions():
    rng = np.random.default_rng(0)
    truth, runs = rng.normal(size=20), 400
    estimate = np.broadcast_to(truth + rng.normal(size=20), (runs, 20))
    found = against_reference(estimate, truth + rng.normal(size=(8, runs, 20)))
    for name in ("cosine_reference", "grad_error_reference"):
        assert found[f"{name}_se"].mean() == pytest.approx(found[name].std(), rel=0.15)
    assert found["reference_se"].mean() == pytest.approx(np.sqrt(20 / 8) / np.linalg.norm(truth), rel=0.1)
    same = against_reference(estimate, np.broadcast_to(estimate, (8, runs, 20)))
    assert np.allclose(same["cosine_reference"], 1) and np.allclose(same["reference_se"], 0, atol=1e-6)
    away = against_reference(-estimate, np.broadcast_to(estimate, (8, runs, 20)))
    assert np.isnan(away["grad_error_reference"]).all() and np.allclose(away["cosine_reference"], -1)


def test_a_trace_has_them_where_they_were_asked_for():
    world = SmallLM(**SIZES)
    given = {"steps": 5, "seeds": 2, "group_size": 4, "lr": 1e-3, "optimizer": "sgd", "threads": 1}
    plain = lab.train(world, "grpo", measure="full", evaluate=0, **given)
    assert not {*HELD_OUT, *REFERENCE} & set(plain.frame.columns)
    trace = lab.train(world, "grpo", evaluate=3, reference_rollouts=48, every=2, **given)
    assert trace.frame["step"].to_list() == [0, 2, 3, 4] * 2
    tried = [step in (0, 3, 4) for step in trace.frame["step"]]
    for name in HELD_OUT:
        assert trace.frame[name].is_not_null().to_list() == tried
        assert trace.frame[name].drop_nulls().is_between(0, 1).all()
    assert trace.frame["cosine_reference"].abs().max() <= 1 and (trace.frame["reference_se"] > 0).all()
    assert np.array_equal(plain.parameters(), trace.parameters())
    only = lab.train(world, "grpo", measure=None, evaluate=3, **given)
    assert only.frame.columns == ["variant", "seed", "step", *HELD_OUT] and only.frame.height == 6
    named = lab.train(world, "grpo", measure=["greedy"], evaluate=0, every=4, **given)
    assert named.frame.columns[3:] == ["greedy"] and named.frame["greedy"].null_count() == 0


@pytest.mark.parametrize(
    ("asked", "words"),
    [({"evaluate": 2}, "no held-out problems"), ({"reference_rollouts": 99}, "measure 'cosine'"),
     ({"measure": ["cosine_reference"]}, "needs reference_rollouts"), ({"evaluate": -1}, "evaluate")],
)  # fmt: skip
def test_what_a_world_cannot_give_is_refused(asked, words):
    with pytest.raises(InputError, match=words):
        lab.train(lab.world("bandit"), "grpo", steps=1, **asked)
