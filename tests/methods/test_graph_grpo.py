"""Graph-GRPO: edges against a plain loop, the objective against autograd, training."""

import numpy as np
import pytest

import lab
from lab.advantages.graph_grpo import edge_success
from lab.errors import InputError, MissingFieldError
from lab.registry import Shape
from lab.world_registry import world
from tests.methods.autograd import batch, check_objective, torch


def test_an_edge_is_worth_the_success_of_its_graphs() -> None:
    graphs, rewards = np.array([[[1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 1, 0]]]), np.array([[1.0, 1.0, 0.0]])
    assert edge_success(rewards, graphs)[0, :3] == pytest.approx([1, 0.5, 0.5])
    s = np.array([1, 0.5, 0.5])
    expected = (s - s.mean()) / (s.std() + 1e-6)
    found = lab.advantages.compute("graph-grpo", rewards, actions=graphs)
    assert found == pytest.approx(np.tile(np.append(expected, 0), (1, 3, 1)) * graphs)


def test_a_batch_against_a_loop() -> None:
    rng = np.random.default_rng(0)
    graphs, rewards = rng.integers(0, 2, (2, 3, 5, 6)), rng.integers(0, 2, (2, 3, 5, 1)).astype(float)
    graphs[0, 0, :, 2] = 0
    found = lab.advantages.compute("graph-grpo", rewards, actions=graphs)
    for s, p in np.ndindex(2, 3):
        rate = {}
        for e in range(6):
            inside = [rewards[s, p, k, 0] for k in range(5) if graphs[s, p, k, e]]
            if inside:
                rate[e] = np.mean(inside)
        mean, std = np.mean(list(rate.values())), np.std(list(rate.values()))
        expected = [(rate[e] - mean) / (std + 1e-6) if e in rate else 0.0 for e in range(6)]
        assert found[s, p] == pytest.approx(np.tile(expected, (5, 1)) * graphs[s, p], abs=1e-9)


def test_equal_rewards_teach_nothing_and_an_unscored_graph_is_left_out() -> None:
    graphs = np.array([[[1, 0], [1, 1], [0, 1]]])
    assert not lab.advantages.compute("graph-grpo", [[1, 1, 1]], actions=graphs).any()
    found = lab.advantages.compute("graph-grpo", [[1, np.nan, 0]], actions=graphs, missing="skip")
    assert found[0, 0] == pytest.approx([1, 0], abs=1e-5) and found[0, 2] == pytest.approx([0, -1], abs=1e-5)


def test_an_edge_that_alone_succeeds_reaches_the_bound() -> None:
    found = lab.advantages.compute("graph-grpo", [[1, 0]], actions=[[[1, 0, 0, 0], [0, 1, 1, 1]]], eps=0.0)
    bound = lab.advantages.rule("graph-grpo").bound
    assert bound is not None and found.max() == pytest.approx(bound(Shape(1, 2, 1, 4))) == pytest.approx(3**0.5)


def test_most_queries_have_a_signal() -> None:
    trace = lab.train(world("graphs"), "graph-grpo", steps=5, seeds=8, group_size=16, lr=1.0)
    assert trace.frame["no_signal"].mean() < 0.3


def test_bad_input_is_named() -> None:
    with pytest.raises(MissingFieldError, match=r"reads actions.* \(actions: every world\)"):
        lab.advantages.compute("graph-grpo", [[1, 0]])
    with pytest.raises(InputError, match="must be 1"):
        lab.advantages.compute("graph-grpo", [[1, 0]], actions=np.full((1, 2, 3), 4))
    with pytest.raises(InputError, match=r"actions has shape \(1, 3, 3\)"):
        lab.advantages.compute("graph-grpo", [[1, 0]], actions=np.zeros((1, 3, 3)))
    graphs = np.ones((1, 2, 3))
    with pytest.raises(MissingFieldError, match="pass logp_ref="):
        lab.objectives.weights("graph-grpo", -graphs, [[1, 0]], actions=graphs, beta=0.1)


@pytest.mark.parametrize("beta", [0.0, 0.3])
def test_weights_are_minus_the_gradient_of_the_loss(beta: float) -> None:
    for seed in range(3):
        b = batch(0.2, seed, masked=False)
        graphs = np.random.default_rng(seed).integers(0, 2, b["new"].shape)
        ref, g = torch.tensor(b["ref"].clip(max=-0.05)), torch.tensor(graphs)
        b["new"] = b["new"].clip(max=-0.05)

        def loss(new, old, a, mask, ref=ref, g=g):  # type: ignore[no-untyped-def]
            p, q = (torch.where(g == 1, x.exp(), 1 - x.exp()) for x in (new, ref))
            kl = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
            return (beta * kl - a[..., None] * g * new).sum() / (new.shape[0] * new.shape[1])

        check_objective("graph-grpo", b, loss, actions=graphs, beta=beta, logp_ref=ref.numpy())


def test_the_divergence_pulls_every_logit_towards_the_reference() -> None:
    graphs = world("graphs", queries=2)
    policy, start = graphs.init([0]), graphs.init([0])
    policy.parameters[...] = np.linspace(-2, 2, 10)
    r = graphs.rollout(policy, 4, 0)
    w = lab.objectives.weights("graph-grpo", r.logp, np.zeros(r.logp.shape), actions=r.actions, beta=1.0,
                               logp_ref=graphs.log_prob(start, r))  # fmt: skip
    p = 1 / (1 + np.exp(-policy.parameters))
    assert graphs.gradient(policy, r, w) == pytest.approx(-p * (1 - p) * policy.parameters)


def test_the_variant_finds_the_critical_edges_and_drops_the_others() -> None:
    graphs = world("graphs")
    trace = lab.train(graphs, "graph-grpo", steps=150, seeds=4, group_size=16, lr=1.0)
    p = 1 / (1 + np.exp(-trace.parameters("graph-grpo")))
    assert p[:, :3].min() > 0.7 and p[:, 3:].mean() < 0.3
