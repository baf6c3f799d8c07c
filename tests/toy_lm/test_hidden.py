"""The model with a hidden state: its table, its gradients and its fields, against plain NumPy and differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

import lab
from lab.world_registry import world as named
from simulators import HiddenLM, Policy, Rollouts, ToyLM, World

FIELDS = ("hidden", "prediction_error")


def small(**more: object) -> HiddenLM:
    sizes = {"prompts": 3, "vocabulary": 4, "length": 3, "width": 3, "spread": 1.0, "seed": 2}
    return HiddenLM(**({"tasks": "targets"} | sizes | more))  # type: ignore[arg-type]


def tabular(world: HiddenLM, policy: Policy) -> Policy:
    """The same policy as a table of logits, by the definition."""
    return Policy(np.einsum("ptud,svd->sptuv", world.features, policy.parameters), policy.seeds)


WORLD = small()
POLICY = WORLD.init([0, 5])
ROLLOUTS = WORLD.rollout(POLICY, 6, 1, fields=FIELDS)


def test_it_is_a_world_of_the_same_tasks() -> None:
    table = ToyLM("targets", prompts=3, vocabulary=4, length=3, seed=2)
    assert isinstance(WORLD, World)
    assert WORLD.questions == table.questions
    drawn = table.rollout(tabular(WORLD, POLICY), 6, 1)
    assert np.array_equal(drawn.actions, ROLLOUTS.actions)
    assert np.array_equal(drawn.rewards, ROLLOUTS.rewards)
    assert drawn.logp == pytest.approx(ROLLOUTS.logp, abs=1e-12)
    assert WORLD.text(0, [1, 0]) == table.text(0, [1, 0])
    assert np.array_equal(WORLD.pay(POLICY, ROLLOUTS), ROLLOUTS.rewards)


def test_entropy_and_kl_are_those_of_the_table() -> None:
    table, other = ToyLM("targets", prompts=3, vocabulary=4, length=3, seed=2), WORLD.init([8, 9])
    assert WORLD.entropy(POLICY) == pytest.approx(table.entropy(tabular(WORLD, POLICY)))
    assert WORLD.kl(POLICY, other) == pytest.approx(table.kl(tabular(WORLD, POLICY), tabular(WORLD, other)))


def test_hidden_state_and_prediction_error_token_by_token() -> None:
    logits = tabular(WORLD, POLICY).parameters
    assert ROLLOUTS.hidden is not None
    assert ROLLOUTS.prediction_error is not None
    assert ROLLOUTS.mask is not None
    for s, p, g, t in np.ndindex(ROLLOUTS.actions.shape):
        before = ROLLOUTS.actions[s, p, g, t - 1] if t else 0
        real = ROLLOUTS.mask[s, p, g, t]
        error = np.eye(4)[ROLLOUTS.actions[s, p, g, t]] - special.softmax(logits[s, p, t, before])
        assert ROLLOUTS.prediction_error[s, p, g, t] == pytest.approx(real * error, abs=1e-12)
        assert np.array_equal(ROLLOUTS.hidden[s, p, g, t], real * WORLD.features[p, t, before])


def test_the_gradient_is_the_sum_of_errors_times_hidden_states() -> None:
    weights = np.random.default_rng(0).normal(size=ROLLOUTS.actions.shape)
    expected = np.einsum("spgt,spgtv,spgtd->svd", weights, ROLLOUTS.prediction_error, ROLLOUTS.hidden)
    assert WORLD.gradient(POLICY, ROLLOUTS, weights) == pytest.approx(expected, abs=1e-12)


def test_truth_against_differences_of_the_value() -> None:
    exact = WORLD.truth(POLICY, ROLLOUTS, weights=[1, 0.5, 0]).gradient
    moved = Policy(POLICY.parameters.copy(), POLICY.seeds)
    for place in np.ndindex(exact.shape[1:]):
        values = []
        for size in (1e-5, -2e-5):
            moved.parameters[:, *place] += size
            values.append(WORLD.truth(moved, ROLLOUTS, gradient=False, weights=[1, 0.5, 0]).value.mean(axis=1))
        moved.parameters[:, *place] += 1e-5
        assert (values[0] - values[1]) / 2e-5 == pytest.approx(exact[:, *place], abs=1e-8)


def test_a_block_of_seeds_gives_the_same_bits() -> None:
    alone = WORLD.init([5])
    part = WORLD.rollout(alone, 6, 1, fields=FIELDS)
    for field in ("actions", "logp", "hidden", "prediction_error"):
        assert np.array_equal(getattr(part, field)[0], getattr(ROLLOUTS, field)[1])
    assert np.array_equal(WORLD.truth(alone, part).gradient[0], WORLD.truth(POLICY, ROLLOUTS).gradient[1])


def test_own_features_make_any_policy_class() -> None:
    """One-hot positions: a policy that does not see the token before; a fixed logit forbids the end."""
    fixed = np.array([-1000.0, 0.0, 0.0, 0.0])
    world = small(features=np.eye(3)[:, None], logits=fixed)
    policy = world.init([3])
    rollouts = world.rollout(policy, 50, 0, fields=("prediction_error",))
    assert rollouts.mask is not None
    assert rollouts.mask.all()
    expected = special.log_softmax(policy.parameters[0, 1:], axis=0)
    tokens = rollouts.actions[0, 0]
    assert rollouts.logp[0, 0] == pytest.approx(expected[tokens - 1, np.arange(3)], abs=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: small(width=0), "width must be at least 1"),
        (lambda: small(spread=-1.0), "the spread at least 0"),
        (lambda: small(features=np.ones((2, 3))), "do not broadcast to \\[P, T, V, D\\]"),
        (lambda: small(features=np.nan), "must be finite"),
        (lambda: WORLD.init([]), "one or more integers"),
        (lambda: WORLD.rollout(POLICY, 2, 0, fields=("hiden",)), "nearest: 'hidden'"),
        (lambda: WORLD.entropy(Policy(np.zeros((1, 4, 9)), np.zeros(1, np.uint64))), "has W \\(1, 4, 3\\), not"),
        (lambda: WORLD.log_prob(POLICY, Rollouts(ROLLOUTS.rewards, ROLLOUTS.actions + 9, ROLLOUTS.logp)), "actions"),
    ],
)
def test_what_cannot_be_meant_is_refused(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=message):
        call()


def test_it_trains_by_name() -> None:
    world = named("hidden-lm", prompts=2, vocabulary=6, length=4, end=-2.0, seed=1)
    trace = lab.train(world, ["grpo", "thr"], steps=60, seeds=4, lr=4.0, reward_weights=(1, 0, 0), measure=["value"])
    for name in ("grpo", "thr"):
        value = trace.frame.filter(trace.frame["variant"] == name).sort("step")["value"].to_numpy()
        assert value[-4:].mean() > value[:4].mean() + 0.1
