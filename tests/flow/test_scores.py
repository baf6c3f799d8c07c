"""Scores of the flow world beside log π: values, gradients, and the objectives that weigh them."""

import numpy as np
import pytest
import torch

import lab
from lab.errors import MissingFieldError, UnknownNameError
from lab.objectives.diffusion_nft import optimality
from simulators import Flow


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADVLAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield Flow(3, denoising=4, width=8, pretraining=3, precision="float64")


@pytest.fixture
def drawn(world):
    policy = world.init([1, 2])
    policy.parameters[1] *= 1.1
    return policy, world.rollout(policy, 3, 0, fields=("noised",))


def test_noised_samples_keep_the_rollout_as_it_was(world, drawn):
    policy, rollouts = drawn
    plain = world.rollout(policy, 3, 0)
    assert (plain.extra["reached"] == rollouts.extra["reached"]).all() and "noised" not in plain.extra
    t, x = rollouts.extra["noised_at"], rollouts.extra["noised"]
    assert t[0, 0, 0].tolist() == [1, 0.75, 0.5, 0.25]
    noise = (x - (1 - t[..., None]) * rollouts.extra["reached"][..., -1:, :]) / t[..., None]
    assert abs(noise.mean()) < 0.2 and noise.std() == pytest.approx(1, abs=0.2)
    assert not np.isin(noise[..., 0, :], rollouts.extra["latent"][..., 0, :]).any()


def test_the_velocity_is_that_of_the_network_and_its_pull_that_of_autograd(world, drawn):
    policy, rollouts = drawn
    v = world.scores_of(policy, rollouts, ["logp", "velocity_x", "velocity_y"])
    assert (v["logp"] == world.log_prob(policy, rollouts)).all()
    held = rollouts.extra
    for d, name in enumerate(("velocity_x", "velocity_y")):
        assert np.allclose(v[name], held["velocity_old"][..., d], rtol=0, atol=1e-14)
        assert np.allclose(v[name][0], held["velocity_start"][0, ..., d], rtol=0, atol=1e-14)
    w = np.random.default_rng(0).normal(size=(2, 3, 3, 4))
    found, h = world.pull(policy, rollouts, {"velocity_y": w}), 1e-6
    policy.parameters[:, 40] += h
    above = world.scores_of(policy, rollouts, ["velocity_y"])["velocity_y"]
    policy.parameters[:, 40] -= 2 * h
    below = world.scores_of(policy, rollouts, ["velocity_y"])["velocity_y"]
    assert found[:, 40].numpy() == pytest.approx((w * (above - below)).sum((1, 2, 3)) / (2 * h), rel=1e-6)


def test_the_implicit_reward_is_how_much_nearer_the_velocity_came_to_noise_minus_data(world, drawn):
    policy, rollouts = drawn
    names = ["denoising_loss", "implicit_reward", "velocity_x", "velocity_y"]
    found, held = world.scores_of(policy, rollouts, names), rollouts.extra
    t, x0 = held["noised_at"][..., None], held["reached"][..., -1:, :]
    target = (held["noised"] - (1 - t) * x0) / t - x0
    now = np.stack([found["velocity_x"], found["velocity_y"]], axis=-1)
    losses = [((target - v) ** 2).sum(-1) for v in (now, held["velocity_start"])]
    assert found["denoising_loss"] == pytest.approx(losses[0], rel=1e-10)
    assert found["implicit_reward"] == pytest.approx(losses[1] - losses[0], rel=1e-9, abs=1e-12)
    assert np.abs(found["implicit_reward"][0]).max() < 1e-12 < np.abs(found["implicit_reward"][1]).max()
    w = np.random.default_rng(0).normal(size=t.shape[:-1])
    pull = world.pull(policy, rollouts, {"implicit_reward": w})
    assert torch.allclose(pull, -world.pull(policy, rollouts, {"denoising_loss": w}), rtol=1e-12, atol=1e-14)
    slope = -2 * w[..., None] * (now - target)
    chained = world.pull(policy, rollouts, {"velocity_x": slope[..., 0], "velocity_y": slope[..., 1]})
    assert torch.allclose(pull, chained, rtol=1e-9, atol=1e-12)


def test_several_scores_add(world, drawn):
    policy, rollouts = drawn
    w = np.random.default_rng(0).normal(size=(2, 3, 3, 4))
    both = world.pull(policy, rollouts, {"velocity_y": w, "logp": w})
    alone = world.pull(policy, rollouts, {"velocity_y": w}) + world.gradient(policy, rollouts, w)
    assert torch.allclose(both, alone, rtol=1e-10, atol=1e-12)


def test_an_unknown_score_is_refused(world, drawn):
    with pytest.raises(ValueError, match="velocity"):
        world.scores_of(*drawn, ["speed"])


def test_diffusion_nft_is_the_denoising_loss_weighted_with_the_advantages_on_policy():
    """At v = v_old: 5 (r L⁺ + (1 − r) L⁻) has the slope A/5 · 5 t (x̂ − x_0) · 2 / (w D), by the definition."""
    rng = np.random.default_rng(0)
    v, noised, reached = rng.normal(size=(3, 1, 2, 3, 4, 2))
    t, a = rng.uniform(0.1, 1, size=(1, 2, 3, 4)), rng.normal(size=(1, 2, 3))
    scores = {"velocity_x": v[..., 0], "velocity_y": v[..., 1]}
    asked = {"scores": scores, "reached": reached, "noised": noised, "noised_at": t, "velocity_old": v,
             "velocity_start": v}  # fmt: skip
    found = lab.objectives.weights("diffusion-nft", t, a, **asked)
    away = noised - t[..., None] * v - reached[..., -1:, :]
    plain = a[..., None, None] * t[..., None] * away / np.abs(away).mean(-1, keepdims=True) / 24
    assert np.stack([found["velocity_x"], found["velocity_y"]], -1) == pytest.approx(plain, rel=1e-12)


def test_the_modes_of_the_advantages():
    a = np.array([-7.0, -1.0, 0.0, 2.0])
    right = {"all": [0, 0.4, 0.5, 0.7], "positive_only": [0.5, 0.5, 0.5, 0.7], "negative_only": [0, 0.4, 0.5, 0.5],
             "one_only": [0.5, 0.5, 0.5, 0.6], "binary": [0.4, 0.4, 0.5, 0.6]}  # fmt: skip
    assert {mode: optimality(a, mode).tolist() for mode in right} == {m: pytest.approx(r) for m, r in right.items()}
    with pytest.raises(UnknownNameError, match="positive_only"):
        optimality(a, "positive")


def test_a_world_without_velocities_is_told_so():
    with pytest.raises(MissingFieldError, match="flow"):
        lab.train("bandit", "diffusion-nft", steps=1, seeds=1)


@pytest.mark.slow
def test_diffusion_nft_raises_the_reward():
    """flow-substrate.4: from 0.2 to at least 0.8 in 100 iterations."""
    trace = lab.train("flow", "diffusion-nft", steps=100, seeds=[0], measure=["gold"], every=99)
    first, last = trace.frame["gold"].to_list()
    assert 0.15 < first < 0.25 and last > 0.8
