"""GRQO against autograd and by hand; matching against brute force; the world's gradient against differences."""

from itertools import permutations

import numpy as np
import pytest

import lab
from lab.errors import InputError
from lab.rewards import grqo
from simulators.queries import FEATURES, costs, gradient, match, predict, scenes

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("muted", [1, 4, 9])
def test_slopes_are_those_of_autograd(muted):
    rng = np.random.default_rng(muted)
    rewards, score, reference = rng.normal(size=(2, 3, 10)), rng.normal(size=(3, 10)), rng.normal(size=(3, 10))
    r, z = (torch.tensor(x, requires_grad=True) for x in (rewards, score))
    a = (r - r.mean(-1, keepdim=True)) / (r.std(-1, keepdim=True) + 2e-9)
    a = torch.cat([a[..., : 10 - muted], torch.zeros_like(a[..., 10 - muted :])], -1)
    p, other = z.sigmoid() + 2e-9, torch.tensor(reference).sigmoid() + 2e-9
    layers = 0.04 * (other / p - other.log() + p.log() - 1).mean() - 0.01 * a.mean((-2, -1))
    layers.sum().backward()
    assert grqo.loss(rewards, score, reference, muted=muted) == pytest.approx(layers.detach().numpy(), rel=1e-12)
    assert grqo.reward_weights(rewards, muted) == pytest.approx(-r.grad.numpy(), rel=1e-9, abs=1e-15)
    assert 2 * grqo.score_weights(score, reference) == pytest.approx(-z.grad.numpy(), rel=1e-9, abs=1e-15)


def test_the_rule_mutes_the_tail():
    a = lab.advantages.compute("grqo", [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]])
    assert a[0, 4:].tolist() == [0, 0] and a[0, :4] == pytest.approx((np.arange(1, 5) - 3.5) / np.sqrt(3.5), rel=1e-6)
    assert lab.advantages.compute("grqo", [[0.3, 0.3, 0.3]]).tolist() == [[0, 0, 0]]


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="at least 2"):
        grqo.advantages(np.ones((1, 1)), 0)
    with pytest.raises(InputError, match="muted=7"):
        grqo.reward_weights(np.ones((1, 1, 5)), 7)
    with pytest.raises(ValueError, match="query of its own"):
        match(np.ones((2, 3)))
    with pytest.raises(ValueError, match="objects=1"):
        scenes(1, np.random.default_rng(0), objects=1)


@pytest.mark.parametrize("seed", range(20))
def test_matching_is_the_cheapest(seed):
    cost = np.random.default_rng(seed).random((6, 3)).round(1)
    best = min(cost[list(rows), range(3)].sum() for rows in permutations(range(6), 3))
    found = match(cost)
    assert len(set(found)) == 3 and cost[found, np.arange(3)].sum() == pytest.approx(best)


def test_the_gradient_is_that_of_the_weighted_rewards():
    rng = np.random.default_rng(0)
    drawn, weights = scenes(3, rng), rng.normal(size=(FEATURES, 2)) * 0.1
    spread, target = rng.normal(size=(3, 24)), rng.normal(size=(3, 24, 2))

    def value(w):
        return -(spread * ((predict(drawn, w) - target) ** 2).sum(-1)).sum()

    step = 1e-6 * rng.normal(size=weights.shape)
    slope = (gradient(drawn, predict(drawn, weights), target, spread) * step).sum()
    assert (value(weights + step) - value(weights - step)) / 2 == pytest.approx(slope, rel=1e-6)
    assert costs(drawn, predict(drawn, weights)).shape == (3, 24, 4)


def test_queries_are_ranked_by_nearness():
    drawn = scenes(400, np.random.default_rng(1))
    near = np.sqrt(costs(drawn, drawn.anchors).min(-1)).mean(0)
    assert near[:8].mean() < near[8:16].mean() < near[16:].mean()
