"""GRQO against autograd and by hand; matching against brute force; the world's gradient against differences."""

from itertools import permutations

import numpy as np
import pytest

import lab
from lab.errors import InputError, MissingFieldError
from lab.rewards import grqo
from lab.training.loop import Settings, Walk
from simulators import Bandit, Policy, Queries, World
from simulators.queries.world import FEATURES, costs, gradient, match, matches, predict, scenes

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


WORLD = Queries(3, objects=3)


def moved(seeds, size=0.1):
    """A policy away from its start, with rollouts of 8 queries."""
    policy = WORLD.init(seeds)
    policy.parameters[:] += size * np.random.default_rng(0).normal(size=policy.parameters.shape)
    return policy, WORLD.rollout(policy, 8, 5)


def test_the_world_keeps_the_protocol_and_finds_its_scenes_again():
    policy, drawn = moved([3, 4])
    assert isinstance(WORLD, World)
    assert drawn.rewards.shape == drawn.logp.shape == drawn.actions.shape == (2, 3, 8, 1)
    assert drawn.prompt.tolist() == [[15, 16, 17]] * 2
    assert np.array_equal(WORLD.log_prob(policy, drawn), drawn.logp)
    assert np.array_equal(WORLD.scores_of(policy, drawn, ("reward",))["reward"], drawn.rewards)
    assert np.array_equal(WORLD.scores_of(policy, drawn, ("logp", "match"))["logp"], drawn.logp)
    alone = WORLD.init([4])
    alone.parameters[:] = policy.parameters[1:]
    assert np.array_equal(WORLD.rollout(alone, 8, 5).rewards[0], drawn.rewards[1])
    others = [WORLD.rollout(policy, 8, 6), WORLD.rollout(policy, 8, 5, attempt=1)]
    assert len({r.rewards.tobytes() for r in (drawn, *others)}) == 3


@pytest.mark.parametrize(
    "names", [("logp",), ("reward",), ("match",), ("match", "reward"), ("reward", "logp", "match")]
)
def test_gradients_of_scores_and_of_log_pi_against_differences(names):
    policy, drawn = moved([1, 2])
    rng = np.random.default_rng(1)
    weights = {name: rng.normal(size=(2, 3, 8, 1)) for name in names}
    step = 1e-6 * rng.normal(size=policy.parameters.shape)
    pulled = WORLD.pull(policy, drawn, weights)
    ends = []
    for sign in (1, -1):
        near = Policy(policy.parameters + sign * step, policy.seeds)
        scores = WORLD.scores_of(near, drawn, names)
        ends.append(sum((weights[name] * scores[name]).sum(axis=(1, 2, 3)) for name in names))
    assert (ends[0] - ends[1]) / 2 == pytest.approx((pulled * step).sum(-1), rel=1e-5, abs=1e-12)
    assert pulled == pytest.approx(sum(WORLD.pull(policy, drawn, {n: w}) for n, w in weights.items()), rel=1e-12)


def test_truth_is_the_mean_reward_of_a_scene():
    policy, drawn = moved([1, 2])
    truth = WORLD.truth(policy, drawn)
    assert truth.value == pytest.approx(drawn.rewards.mean(axis=(2, 3)))
    assert truth.advantage == pytest.approx(drawn.rewards[..., 0] - truth.value[..., None])
    even = np.full(drawn.rewards.shape, 1 / 24)
    assert np.array_equal(truth.gradient, WORLD.pull(policy, drawn, {"reward": even}))
    assert WORLD.kl(policy, policy) == pytest.approx([0, 0]) and (WORLD.kl(policy, WORLD.init([1, 2])) > 0).all()
    assert (WORLD.entropy(policy) > 0).all() and (WORLD.gold(policy) < 0).all()


@pytest.mark.parametrize("objects", [2, 3, 4, 5])
def test_all_images_at_once_are_matched_as_one_by_one(objects):
    cost = np.random.default_rng(objects).random((3, 20, 9, objects))
    one_by_one = [[match(image) for image in row] for row in cost]
    assert matches(cost).tolist() == np.array(one_by_one).tolist()


LOSSES = {
    "grqo": lambda score: -0.01 * contrast(score[..., 0]),
    "matched": lambda score: -score[..., 0].mean(),
    "dino-r1": lambda score: -score[..., 0].mean() - 0.01 * contrast(score[..., 1]),
    "matched-dense": lambda score: -score[..., 0].mean() - score[..., 1].mean(),
}


def contrast(r):
    """Mean of the standardised rewards, 0 for the last third of the queries."""
    standard = (r - r.mean(-1, keepdim=True)) / (r.std(-1, keepdim=True) + 2e-9)
    return torch.cat([standard[..., :6], 0 * standard[..., 6:]], -1).mean()


@pytest.mark.parametrize("name", LOSSES)
def test_objectives_are_minus_the_gradient_of_their_losses(name):
    scores = lab.objectives.rule(name).extras["scores"]
    value = np.random.default_rng(3).normal(size=(2, 9, len(scores)))
    value[0, :, -1] = [0.5, 0.25, 0.0, 1.0, 0.25, 0.75, 1.0, 0.25, 0.5]  # the first query is at the mean, and kept
    given = {name: value[..., i : i + 1] for i, name in enumerate(scores)}
    a = lab.advantages.compute("grqo", value[..., -1])
    score, logp = torch.tensor(value, requires_grad=True), np.zeros((2, 9, 1))
    loss = LOSSES[name](score)
    loss.backward()
    found = lab.objectives.weights(name, logp, a, scores=given)
    assert tuple(found) == scores
    assert np.concatenate(list(found.values()), -1) == pytest.approx(-score.grad.numpy(), rel=1e-9, abs=1e-15)
    assert lab.objectives.loss(name, logp, a, scores=given).item() == pytest.approx(loss.item(), rel=1e-12)
    for wrong, said in ((given | {scores[-1]: value[:1]}, "has shape"), ({}, "has nothing"), (value, "has nothing")):
        with pytest.raises(InputError, match=rf"weighs the scores {', '.join(scores)}, each .* scores= {said}"):
            lab.objectives.weights(name, logp, a, scores=wrong)
    with pytest.raises(MissingFieldError, match="reads scores; pass scores="):
        lab.objectives.weights(name, logp, a)


def test_a_kept_query_at_the_mean_is_pushed_up_and_a_muted_one_down():
    """c is 1, 1, 0 and d 0, 1, −1, so Σ c d = 1 and s = 1: w ∝ c − 2/3 − d/2."""
    value = np.array([[[0.5], [1.5], [-0.5]]])
    a = lab.advantages.compute("grqo", value[..., 0])
    found = lab.objectives.weights("grqo", 0 * value, a, scores={"reward": value}, alpha=3.0)["reward"]
    assert found[0, :, 0] == pytest.approx([1 / 3, 1 / 3 - 1 / 2, -2 / 3 + 1 / 2], abs=1e-8)
    assert lab.variant("grqo", muted=0.5).given("objective")["muted"] == 0.5


def test_a_scene_without_a_spread_teaches_nothing():
    level = np.full((1, 6, 1), 0.3)
    a = lab.advantages.compute("grqo", level[..., 0])
    assert not lab.objectives.weights("grqo", level, a, scores={"reward": level})["reward"].any()


def test_training_by_name_is_the_sum_of_the_two_gradients():
    variant = lab.variant("grqo", alpha=0.5)
    walk = Walk(WORLD, variant, [7], Settings(group_size=8, lr=0.05, epochs=2))
    walk.policy.parameters[:, -2:] += 0.7  # the objectness has left its reference
    moment = walk.look()
    a, logp = moment.credit.advantage, moment.rollouts.logp
    push = lab.objectives.weights("grqo", logp, a, scores={"reward": moment.rewards}, alpha=0.5)["reward"]
    held = lab.objectives.weights(
        "ppo_clip", logp, 0 * a, logp=logp, kl="k3", kl_beta=0.04, logp_ref=WORLD.log_prob(walk.start, moment.rollouts)
    )
    parts = [WORLD.pull(walk.policy, moment.rollouts, {"reward": push}),
             WORLD.gradient(walk.policy, moment.rollouts, held)]  # fmt: skip
    assert moment.gradient == pytest.approx(sum(parts), rel=1e-12)
    assert parts[0][:, :-2].any() and parts[1][:, -2:].any()
    before = walk.policy.parameters.copy()
    walk.advance(moment)
    assert (walk.policy.parameters != before + 0.05 * moment.gradient).any()  # the second epoch looked again


def test_supervision_learns_and_the_ranking_learns_by_log_probabilities():
    trace = lab.train(WORLD, ["matched", "grqo@log-prob"], steps=40, seeds=4, group_size=12, lr=0.05, measure=["gold"])
    matched = trace.frame.filter(variant="matched").sort("step")["gold"].to_numpy()
    assert matched[-4:].mean() > matched[:4].mean() + 0.02
    assert (trace.parameters("grqo@log-prob")[:, -2:] != [4.0, 0.0]).all()


def test_a_world_without_the_score_is_named():
    with pytest.raises(MissingFieldError, match=r"takes the gradient of reward; world .bandit. .*world .queries."):
        lab.train(Bandit(success=[0.2, 0.8]), "grqo", steps=1)
    with pytest.raises(ValueError, match="at least the 3 objects"):
        WORLD.rollout(WORLD.init([0]), 2, 0)
    with pytest.raises(ValueError, match="unknown score of the queries world 'rewards'; nearest: 'reward'"):
        WORLD.scores_of(*moved([0]), ("rewards",))
