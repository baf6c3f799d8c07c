"""DPO, SimPO and their regularised forms against autograd, and at their edges; the preference world."""

from dataclasses import replace

import numpy as np
import pytest

import lab
from lab.errors import InputError, MissingFieldError
from simulators import Policy, Preferences, ToyLM, World
from tests.methods.autograd import batch, check_objective, torch


def pair_loss(new, a, mask, own, *, ref=None, beta=0.1, gamma=0.0, alpha=0.25, static=False):  # type: ignore[no-untyped-def]
    """The loss of each pair as the paper writes it, averaged over prompts that have one."""
    losses = []
    for p in range(new.shape[0]):
        if a[p].max() == a[p].min():
            continue
        w, l = a[p].argmax(), a[p].argmin()  # noqa: E741
        length = mask[p].sum(-1)
        if ref is None:
            reward = beta * (new[p] * mask[p]).sum(-1) / length
        else:
            reward = beta * ((new[p] - ref[p]) * mask[p]).sum(-1)
        margin = reward[w] - reward[l] - gamma
        regulariser = -sum((beta * own[p, g] * new[p, g] * mask[p, g]).sum() for g in (w, l))
        weight = 1.0 if static else torch.sigmoid(-margin).detach()
        losses.append(-torch.nn.functional.logsigmoid(margin) + alpha * weight * regulariser)
    return torch.stack(losses).mean()


OWN = np.random.default_rng(5).uniform(-0.5, 0.5, (3, 4, 5))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("static", [True, False])
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_weights_are_minus_the_gradient_of_the_loss(masked: bool, static: bool, alpha: float, seed: int) -> None:
    b, own = batch(0.3, seed, masked=masked), torch.tensor(OWN)
    b["a"][2] = 0.0  # a prompt without a pair
    ref = torch.tensor(b["ref"])
    given = {"alpha": alpha, "static": static}

    def with_reference(new, old, a, mask):  # type: ignore[no-untyped-def]
        return pair_loss(new, a, mask, own, ref=ref, **given)

    def without(new, old, a, mask):  # type: ignore[no-untyped-def]
        return pair_loss(new, a, mask, own, beta=2.0, gamma=1.0, **given)

    check_objective("t-reg", b, with_reference, logp_ref=b["ref"], token_rewards=OWN, **given)
    check_objective("simpo-reg", b, without, token_rewards=OWN, **given)


@pytest.mark.parametrize("masked", [True, False])
def test_dpo_and_simpo_are_the_same_without_token_rewards(masked: bool) -> None:
    b, none = batch(0.3, 7, masked=masked), torch.tensor(0 * OWN)
    ref = torch.tensor(b["ref"])
    check_objective("dpo", b, lambda new, old, a, mask: pair_loss(new, a, mask, none, ref=ref), logp_ref=b["ref"])
    check_objective("simpo", b, lambda new, old, a, mask: pair_loss(new, a, mask, none, beta=2.0, gamma=1.0))


def test_weights_by_hand_at_the_reference() -> None:
    """D = 0: k = beta/2; chosen 1 + alpha rhat, rejected 1 − alpha rhat; the response in between gets nothing."""
    new = np.full((1, 3, 2), -1.0)
    own = np.array([[[0.4, -0.2], [0.5, 0.5], [0.4, -0.2]]])
    w = lab.objectives.weights("t-reg", new, [[2.0, 1.0, 0.0]], logp_ref=new, token_rewards=own, beta=0.2, alpha=0.5)
    assert w == pytest.approx(0.1 * np.array([[[1.2, 0.9], [0, 0], [-0.8, -1.1]]]))
    static = lab.objectives.weights("t-reg@static", new, [[2.0, 1.0, 0.0]], logp_ref=new, token_rewards=own, beta=0.2)
    assert static[0, 0] == pytest.approx(0.1 + 0.25 * 0.2 * own[0, 0])


def test_what_is_missing_is_named() -> None:
    new = np.zeros((1, 2, 1))
    with pytest.raises(MissingFieldError, match="'dpo' reads logp_ref"):
        lab.objectives.weights("dpo", new, [[1.0, 0.0]])
    with pytest.raises(MissingFieldError, match="'t-reg' reads token_rewards"):
        lab.objectives.weights("t-reg", new, [[1.0, 0.0]], logp_ref=new)
    with pytest.raises(InputError, match="token_rewards has shape"):
        lab.objectives.weights("t-reg", new, [[1.0, 0.0]], logp_ref=new, token_rewards=[[0.1]])
    with pytest.raises(MissingFieldError, match="reads token_rewards; world 'toy-lm'"):
        lab.train(ToyLM("length"), "t-reg", steps=1)


WORLD = Preferences(40, length=3, vocabulary=4)
POLICY = WORLD.init([1, 9])
POLICY.parameters[...] += np.random.default_rng(0).normal(size=POLICY.parameters.shape)
DATA = WORLD.rollout(POLICY, fields=("token_rewards",))


def test_the_data_belong_to_the_seed_and_stay() -> None:
    assert isinstance(WORLD, World)
    again, alone = WORLD.rollout(WORLD.init([1, 9]), 2, 7, attempt=1), WORLD.rollout(WORLD.init([9]))
    assert np.array_equal(again.actions, DATA.actions)
    assert np.array_equal(alone.actions[0], DATA.actions[1])
    assert not np.array_equal(DATA.actions[0], DATA.actions[1])
    assert np.array_equal(DATA.rewards[0, 0, :, 0], [1, 0])
    assert DATA.token_rewards is not None
    assert np.abs(DATA.token_rewards).max() < 0.5


def test_preferences_follow_the_gold_rewards() -> None:
    world = Preferences(20_000, length=4, vocabulary=3)
    policy = world.init([0])
    gold, y = world.gold_rewards(policy)[0], world.rollout(policy).actions[0]
    total = gold[np.arange(4), y].sum(axis=-1)
    gap = np.abs(total[:, 0] - total[:, 1])
    right = (total[:, 0] > total[:, 1])[gap > 0]
    expected = 1 / (1 + np.exp(-gap[gap > 0]))
    assert abs(right.mean() - expected.mean()) < 5 * np.sqrt((expected * (1 - expected)).sum()) / right.size


def test_gradients_and_truth_against_differences() -> None:
    weights = np.random.default_rng(1).normal(size=DATA.actions.shape)
    score, exact = WORLD.gradient(POLICY, DATA, weights), WORLD.truth(POLICY, DATA).gradient
    moved = Policy(POLICY.parameters.copy(), POLICY.seeds)
    for place in np.ndindex(3, 4):
        found = []
        for size in (1e-5, -2e-5):
            moved.parameters[:, *place] += size
            value = WORLD.truth(moved, DATA, gradient=False).value.mean(axis=1)
            found.append(np.array([(WORLD.log_prob(moved, DATA) * weights).sum(axis=(1, 2, 3)), value]))
        moved.parameters[:, *place] += 1e-5
        slope = (found[0] - found[1]) / 2e-5
        assert slope[0] == pytest.approx(score[:, *place], abs=1e-6)
        assert slope[1] == pytest.approx(exact[:, *place], abs=1e-8)


def test_truth_by_enumeration() -> None:
    pi = np.exp(POLICY.parameters) / np.exp(POLICY.parameters).sum(-1, keepdims=True)
    gold, truth = WORLD.gold_rewards(POLICY), WORLD.truth(POLICY, DATA, weights=[2.0])
    every = np.array(list(np.ndindex(4, 4, 4)))
    chance, worth = (t[:, np.arange(3), every] for t in (pi, gold))
    value = 2 * (chance.prod(-1) * worth.sum(-1)).sum(-1)
    assert truth.value == pytest.approx(np.repeat(value[:, None], 40, axis=1))
    total = np.array([gold[s][np.arange(3), DATA.actions[s]].sum(-1) for s in range(2)])
    assert truth.advantage == pytest.approx(2 * total - value[:, None, None])
    assert WORLD.entropy(POLICY) == pytest.approx(-(chance.prod(-1) * np.log(chance.prod(-1))).sum(-1))
    other = WORLD.init([1, 9])
    assert WORLD.kl(POLICY, other) == pytest.approx(np.log(64) - WORLD.entropy(POLICY))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: Preferences(0), "pairs must be at least 1"),
        (lambda: Preferences(3, noise=np.inf), "must be finite"),
        (lambda: WORLD.init([]), "one or more integers"),
        (lambda: WORLD.rollout(POLICY, 3), "group_size must be 2"),
        (lambda: WORLD.rollout(POLICY, fields=("hidden",)), "unknown field of the preferences world 'hidden'"),
        (lambda: WORLD.log_prob(POLICY, replace(DATA, actions=DATA.actions + 4)), "must lie in 0..3"),
        (lambda: WORLD.log_prob(POLICY, replace(DATA, actions=DATA.actions[..., :2])), "must have shape \\(2, P, G, 3"),
        (lambda: WORLD.gradient(POLICY, DATA, [1.0]), "must have the actions' shape"),
        (lambda: WORLD.rollout(Policy(np.zeros((1, 2, 2)), np.zeros(1, np.uint64))), "has logits \\(1, 3, 4\\)"),
    ],
)
def test_what_is_refused(call, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=said):
        call()


@pytest.mark.parametrize("name", ["dpo", "simpo", "t-reg", "simpo-reg"])
def test_every_form_raises_the_gold_reward(name: str) -> None:
    trace = lab.train(Preferences(60), name, steps=60, seeds=4, group_size=2, lr=5.0, measure=["value"])
    value = trace.frame.sort("step")["value"].to_numpy()
    assert value[-4:].mean() > value[:4].mean() + 1
