"""POLAR: its loss and gradient, what it learns of policies, how it is used by name, and what is refused."""

import numpy as np
import pytest

import lab
from lab import reward_models
from lab.errors import InputError, MissingFieldError
from simulators.bigrams.tables import Policies, pool

torch = pytest.importorskip("torch", exc_type=ImportError)

from lab.reward_models import polar  # noqa: E402

POOL = pool(30, vocabulary=4, seeds=[0, 1])
QUICK = {"steps": 60, "hidden": 16, "batch": 16, "lr": 1e-2}


@pytest.fixture(scope="module")
def model():
    """Two runs of a short training."""
    return polar.polar(POOL, [0, 1], **QUICK)


def triples(number, draw=1, seed=5):
    """Features of two trajectories of one unseen policy and one of another [2, N, 3, D]."""
    unseen, rng = pool(30, vocabulary=4, seeds=[0, 1], draw=draw), [np.random.default_rng([seed, s]) for s in (0, 1)]
    who = np.tile(np.arange(number) % 30, (2, 1))
    return np.stack([unseen.draw(each % 30, rng) for each in (who, who, who + 1)], axis=2)


def right(model, ranked):
    found = model(ranked[:, :, 1:], {"reference_response": ranked[:, :, 0]})
    return (found[..., 0] > found[..., 1]).mean()


def test_the_gradient_of_the_loss_is_that_of_the_written_one(model):
    x = [torch.rand(2, 5, 20, dtype=torch.float64) for _ in range(3)]
    net = polar.Network(*(tuple((w.double(), b.double()) for w, b in part) for part in model.network))
    parts = [part.requires_grad_() for layers in net for layer in layers for part in layer]
    ours = polar.pair_loss(net, *x)
    margin = polar.rewards(net, x[0], x[1]) - polar.rewards(net, x[0], x[2])
    written = -torch.sigmoid(margin).log()
    assert torch.allclose(ours, written)
    slopes = [torch.autograd.grad(loss.sum(), parts) for loss in (ours, written)]
    assert all(torch.allclose(a, b) for a, b in zip(*slopes, strict=True)) and any(s.any() for s in slopes[0])
    assert polar.pair_loss(net, x[0], x[1], x[1]).detach().numpy() == pytest.approx(np.log(2))


def test_the_reward_is_the_network_as_written_and_not_symmetric(model):
    (w1, b1), (w2, b2) = model.network.encoder
    (w3, b3), (w4, b4) = model.network.head
    ref, cand = triples(1)[1, 0, :2].astype(np.float32)

    def encoded(x):
        return w2[1] @ (w1[1] @ torch.tensor(x) + b1[1]).relu() + b2[1]

    e, c = encoded(ref), encoded(cand)
    hidden = (w3[1] @ torch.cat([e * c, (e - c) ** 2, c]) + b3[1]).relu()
    both = model(np.stack([[cand[None], ref[None]]] * 2), {"reference_response": np.stack([[ref, cand]] * 2)})
    assert both[1, 0, 0] == pytest.approx(float(w4[1] @ hidden + b4[1]), abs=1e-5)
    assert abs(both[1, 0, 0] - both[1, 1, 0]) > 1e-4


def test_policies_it_has_never_seen_are_told_apart(model):
    ranked = triples(600)
    assert right(model, ranked) > 0.62
    assert 0.4 < right(polar.polar(POOL, [0, 1], **{**QUICK, "steps": 0}), ranked) < 0.6


def test_rankings_refine_it_and_leave_the_first_as_it_was(model):
    ranked, before = triples(200), model.network.head[0][0].clone()
    swapped = ranked[:, :, [0, 2, 1]]
    tuned = polar.finetuned(model, swapped, [0, 1], steps=200, lr=2e-2)
    assert right(tuned, swapped) > 0.7 > 1 - right(model, ranked) and torch.equal(model.network.head[0][0], before)
    same = polar.finetuned(model, swapped, [0, 1], steps=0)
    assert right(same, ranked) == right(model, ranked)


def test_by_name_it_reads_a_reference_and_pays_in_the_world(model):
    score, ranked = reward_models.fit("polar", POOL, [0, 1], **QUICK), triples(4)
    context = {"reference_response": ranked[:, :, 0]}
    assert np.array_equal(score(ranked, context), model(ranked, context)) and score(ranked, context).shape == (2, 4, 3)
    alone = reward_models.fit("polar", Policies(POOL.logits[:1]), 0, **QUICK)
    assert alone(ranked[0], {"reference_response": ranked[0, :, 0]}) == pytest.approx(
        score(ranked, context)[0], abs=1e-5
    )
    with pytest.raises(MissingFieldError, match="reads reference_response too"):
        score(ranked)
    with pytest.raises(InputError, match="does not read 'user'"):
        score(ranked, {**context, "user": 1.0})
    with pytest.raises(InputError, match=r"reference_response .* must be"):
        score(ranked, {"reference_response": ranked[:, :2, 0]})
    with pytest.raises(InputError, match="it learns from Policies"):
        reward_models.fit("polar", ([[1.0]], [[2.0]]))


def test_it_trains_a_policy_by_name():
    with lab.stand_ins.replaced({"reward_model:polar": {"steps": 5}}):
        world = lab.world("bigrams", prompts=2, reward_model="polar")
        trace = lab.train(world, "grpo", steps=3, seeds=2, group_size=4, measure=["gold"])
    assert trace.frame["gold"].is_between(-1, 0).all() and trace.frame.height == 6


def test_as_a_reward_rule_it_reads_what_the_world_shows():
    score = reward_models.fit("polar", pool(20, seeds=0), 0, **{**QUICK, "steps": 5})
    world = lab.world("bigrams", prompts=2)
    shown = world.rollout(world.init([0, 1]), 4, 0, fields=world.provides)
    reward_models.reward_rule("like-the-reference", score)
    try:
        fields = {name: shown.get(name) for name in world.provides}
        found = lab.rewards.apply("like-the-reference", shown.rewards, **fields)[..., 0]
        assert np.array_equal(found, score(fields["response"], {"reference_response": fields["reference_response"]}))
        method = lab.variant("grpo", reward="like-the-reference")
        assert lab.train(world, method, steps=2, seeds=2, group_size=4, measure=["gold"]).frame.height == 4
    finally:
        del lab.registry._RULES["reward"]["like-the-reference"]


@pytest.mark.parametrize(
    ("given", "seeds", "options", "said"),
    [(pool(1, vocabulary=4), [0], {}, "1 policy"), (POOL, [0, 1, 2], {}, "2 pools for 3 seeds"),
     (POOL, [], {}, "2 pools for 0 seeds"), (POOL, [0, 1], {"steps": -1}, "steps"),
     (POOL, [0, 1], {"batch": 0}, "batch"), (POOL, [0, 1], {"hidden": 0}, "hidden"),
     (POOL, [0, 1], {"lr": 1e30, "steps": 3}, "smaller learning rate")],
)  # fmt: skip
def test_what_teaches_nothing_is_refused(given, seeds, options, said):
    with pytest.raises(InputError, match=said):
        polar.polar(given, seeds, **{"steps": 1, **options})


def test_references_that_are_none_and_rankings_that_are_none_are_refused(model):
    x = triples(2)
    with pytest.raises(InputError, match="empty reference"):
        model(x, {"reference_response": np.zeros((2, 2, 20))})
    with pytest.raises(InputError, match="reference_response must be finite"):
        model(x, {"reference_response": np.full((2, 2, 20), np.nan)})
    for wrong in (x[:, :0], x[:, :, :2], x[:1], x[..., :5]):
        with pytest.raises(InputError, match=r"must be \[S=2, N, 3, D=20\]"):
            polar.finetuned(model, wrong, [0, 1])
    with pytest.raises(InputError, match="ranked must be finite"):
        polar.finetuned(model, np.full((2, 1, 3, 20), np.inf), [0, 1])
