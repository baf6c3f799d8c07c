"""The flow world: densities against autograd and plain loops, marginals, pretraining, bad input."""

import dataclasses
import math

import numpy as np
import pytest
import torch

import lab
from simulators import Flow
from simulators.flow.mixture import Mixture, energy_distance, normals
from simulators.flow.sampling import log_density, schedule

SMALL = {"width": 8, "pretraining": 3, "precision": "float64"}


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADVLAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def world():
    return Flow(3, denoising=5, **SMALL)


def test_it_is_a_world():
    report = lab.check_world(Flow(2, denoising=3, width=8, pretraining=0))
    assert report.holds, report


def test_a_rollout_against_a_plain_loop(world):
    policy = world.init([7, 8])
    rollouts = world.rollout(policy, 2, 3, fields=("instant_rewards",))
    x = rollouts.extra["latent"][1, 2, 1, 0]
    for i, step in enumerate(world.schedule):
        assert np.allclose(rollouts.extra["latent"][1, 2, 1, i], x, atol=1e-14)
        own = np.broadcast_to(x, (2, 3, 1, 2)).copy()
        v = world.velocity(policy, own, step.t)[1, 2, 0]
        x = rollouts.extra["reached"][1, 2, 1, i]
        z = (x - step.keep * own[1, 2, 0] - step.push * v) / step.deviation
        plain = sum(-(c**2) / 2 - math.log(step.deviation) - math.log(2 * math.pi) / 2 for c in z)
        assert rollouts.logp[1, 2, 1, i] == pytest.approx(0 if i == 4 else plain, abs=1e-9)
        then = np.broadcast_to(x, (2, 3, 1, 2)).copy()
        end = x - (step.t + step.d) * world.velocity(policy, then, step.t + step.d)[1, 2, 0]
        near = math.exp(-((end - world.wanted[2]) ** 2).sum() / 2)
        assert rollouts.extra["instant_rewards"][1, 2, 1, i] == pytest.approx(near, abs=1e-12)
    assert rollouts.rewards[1, 2, 1, 0] == pytest.approx(math.exp(-((x - world.wanted[2]) ** 2).sum() / 2))
    assert rollouts.rewards[..., 0] == pytest.approx(rollouts.extra["instant_rewards"][..., -1])
    assert rollouts.mask.sum(-1).tolist() == [[[4, 4]] * 3] * 2


def test_the_slope_of_a_density_is_its_closed_form():
    """d log π / d v = −z √−d (1 + σ² (1 − t) / 2t) / σ; the factors are those of the card."""
    found = []
    for step in schedule(10, 0.7):
        v = torch.tensor([0.3, -0.2], dtype=torch.float64, requires_grad=True)
        x, z = torch.tensor([0.5, 1.0], dtype=torch.float64), torch.tensor([0.7, -1.3], dtype=torch.float64)
        after = (step.mean(x, v) + step.deviation * z).detach()
        log_density(after, step.mean(x, v), torch.tensor(step.deviation, dtype=torch.float64)).backward()
        assert torch.allclose(v.grad, z * step.push / step.deviation, rtol=0, atol=1e-12)
        found.append(abs(step.push) / step.deviation)
    card = [0.143, 0.187, 0.281, 0.368, 0.459, 0.562, 0.689, 0.859, 1.125, 1.687]
    assert found == pytest.approx(card, abs=6e-4)
    deviations = [step.deviation for step in schedule(10, 0.7)]
    assert deviations == pytest.approx([0.70, 0.66, 0.44, 0.34, 0.27, 0.22, 0.18, 0.15, 0.11, 0.07], abs=0.006)


def test_the_gradient_is_that_of_each_run_alone(world):
    policy = world.init([1, 2])
    policy.parameters[1] *= 1.1
    rollouts = world.rollout(policy, 3, 0)
    weights = np.random.default_rng(0).normal(size=rollouts.logp.shape)
    both = world.gradient(policy, rollouts, weights)
    for s in range(2):
        own = dataclasses.replace(policy, parameters=policy.parameters[s : s + 1], seeds=policy.seeds[s : s + 1])
        alone = dataclasses.replace(
            rollouts, rewards=rollouts.rewards[s : s + 1], actions=rollouts.actions[s : s + 1], logp=None,
            mask=rollouts.mask[s : s + 1], extra={n: a[s : s + 1] for n, a in rollouts.extra.items()},
        )  # fmt: skip
        assert torch.allclose(world.gradient(own, alone, weights[s : s + 1])[0], both[s], rtol=1e-10, atol=1e-12)


def test_kl_is_that_of_the_steps(world):
    policy, other = world.init([1]), world.init([1])
    assert world.kl(policy, other).tolist() == [0.0]
    other.parameters[:] += 0.01
    rollouts = world.rollout(policy, 4000, 0)
    sampled = (world.log_prob(policy, rollouts) - world.log_prob(other, rollouts)).sum(-1)
    last = world.kl(policy, other)[0]
    assert 0 < sampled.mean() < last  # the last step, which the densities leave out, adds to it
    assert sampled.mean() == pytest.approx(last, rel=0.5)


def test_the_mixture_and_its_measures():
    mixture = Mixture(4, mass=[1, 0, 0, 1])
    assert mixture.shares.tolist() == [0.5, 0, 0, 0.5]
    assert mixture.within(np.concatenate([mixture.centres, [[9.0, 9.0]]])) == pytest.approx(0.8)
    assert mixture.spread(mixture.centres) == pytest.approx(4) and mixture.spread(mixture.centres[:1]) == 1
    x = normals(np.random.default_rng(0).random((4000, 2)))
    assert np.allclose(np.cov(x.T), np.eye(2), atol=0.06) and np.abs(x.mean(0)).max() < 0.05
    assert energy_distance(x, x) == 0 and energy_distance(x, x + 5) > 5
    near, far = np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 5.0]])
    assert energy_distance(near, far) == pytest.approx(2 * (5 + 10**0.5) / 2 - 5 / 2)


@pytest.mark.parametrize(
    ("given", "words"),
    [({"modes": 0}, "modes must be at least 1, not 0"), ({"mass": [1, 2]}, r"mass=\[1, 2\]; it must be 8 weights"),
     ({"mass": [0] * 8}, "it must be 8 weights of at least 0, of which one is above 0"),
     ({"mass": [float("nan")] + [1] * 7}, "it must be 8 weights of at least 0"),
     ({"denoising": 1}, "denoising must be at least 2, not 1"), ({"noise": 0.0}, "must be above 0: .* no density"),
     ({"noise": float("nan")}, "noise=nan; it must be above 0"), ({"deviation": 0.0}, "deviation=0.0; at least one"),
     ({"precision": "half"}, "float64"), ({"device": "cuda:97"}, "work"),
     ({"device": "abacus"}, "cuda:1")],
)  # fmt: skip
def test_what_cannot_flow_is_refused(given, words):
    with pytest.raises(ValueError, match=words):
        Flow(**{**SMALL, **given})


def test_a_reward_far_out_is_none(world):
    assert world.reward(np.full((1, 3, 1, 2), np.inf)).tolist() == [[[0.0]] * 3]
    assert world.reward(np.full((1, 3, 1, 2), np.nan)).tolist() == [[[0.0]] * 3]


@pytest.mark.parametrize("harm", [lambda kept: b"", lambda kept: kept[:-40], lambda kept: b"\0" + kept[1:],
                                  lambda kept: kept[:200] + bytes([kept[200] ^ 1]) + kept[201:]])  # fmt: skip
def test_damaged_weights_are_named_and_made_anew(monkeypatch, tmp_path, harm):
    monkeypatch.setenv("ADVLAB_CACHE", str(tmp_path))
    whole = Flow(2, **SMALL).start(1)
    (file,) = (tmp_path / "flow").iterdir()
    file.write_bytes(harm(file.read_bytes()))
    with pytest.warns(UserWarning, match=rf"{file.name} is damaged .* and is made anew"):
        again = Flow(2, **SMALL).start(1)
    assert torch.equal(again, whole) and torch.equal(Flow(2, **SMALL).start(1), whole)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("name", ["flow-grpo", "diffusion-nft", "vgpo", "gdro", "marble"])
def test_a_gpu_trains_as_the_cpu_does(name):
    given = {**SMALL, "rewards": "near+right", "precision": "float64"}
    run = {"steps": 5, "seeds": 2, "group_size": 4, "lr": 1e-2, "measure": ["reward", "gold"]}
    here, there = (lab.train(Flow(2, **given, device=device), name, **run) for device in ("cpu", "cuda"))
    assert np.allclose(here.parameters(name), there.parameters(name), rtol=0, atol=1e-9)
    assert here.frame.select("reward", "gold").to_numpy() == pytest.approx(
        there.frame.select("reward", "gold").to_numpy()
    )


def test_the_data_are_drawn_by_their_mass():
    mixture = Mixture(4, deviation=0.01, mass=[3, 0, 1, 0])
    drawn = mixture.sample(4000, np.random.default_rng(0))
    shares = [(mixture.nearest(drawn)[0] == k).mean() for k in range(4)]
    assert drawn.shape == (4000, 2) and shares == pytest.approx([0.75, 0, 0.25, 0], abs=0.02)
    assert np.abs(drawn - mixture.centres[mixture.nearest(drawn)[0]]).std() < 0.01


@pytest.mark.slow
def test_the_pretrained_flow_has_the_data_and_both_samplers_their_law_and_it_learns():
    """flow-substrate.1 to .3: energy distance at most .01, at least 93% near a mode; reward from .2 to .95."""
    world = Flow(denoising=40)
    policy, rng = world.init([0]), np.random.default_rng(0)
    data = world.mixture.centres[rng.integers(8, size=4096)] + 0.15 * rng.standard_normal((4096, 2))
    for drawn in (world.samples(policy, 4096, 40)[0, 0], world.rollout(policy, 4096, 0).extra["reached"][0, 0, :, -1]):
        assert energy_distance(drawn, data) < 0.01
        assert world.mixture.within(drawn) > 0.93
    trace = lab.train("flow", "flow-grpo", steps=200, seeds=[0], measure=["reward", "gold"], every=199)
    first, last = trace.frame["gold"].to_list()
    assert 0.15 < first < 0.25 and last > 0.95
