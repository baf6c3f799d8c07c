"""FLR: what a follow-up scores, what the scorer learns from, and what is refused."""

import numpy as np
import pytest

import lab
from lab.errors import InputError, LabError, UnknownNameError
from simulators.learned_reward.annotators import annotate
from simulators.learned_reward.follow_ups import SYMBOLS, Dialogues, logged, react, reactions, templates
from simulators.learned_reward.gold import gold

torch = pytest.importorskip("torch", exc_type=ImportError)

from lab.reward_models import flr  # noqa: E402


def test_a_follow_up_scores_the_mean_of_its_tokens():
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.2, 0.2, 0.6]], dtype=torch.float64)) + 7
    ids = torch.tensor([0, 2])
    assert float(flr.log_likelihood(logits, ids)) == pytest.approx((np.log(0.5) + np.log(0.6)) / 2)
    assert float(flr.raw_logit(logits, ids)) == pytest.approx(7 + (np.log(0.5) + np.log(0.6)) / 2)
    assert float(flr.released(logits, ids)) == pytest.approx(7 + (np.log(0.5) + np.log(0.25)) / 2)
    assert float(flr.released(logits, torch.tensor([1]))) == pytest.approx(7 + np.log(0.2))


def test_the_gradient_of_the_cross_entropy_is_probability_less_what_was_said():
    logits = torch.randn(
        4, 5, SYMBOLS, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    ).requires_grad_()
    ids = torch.randint(SYMBOLS, (4, 5), generator=torch.Generator().manual_seed(1))
    (-flr.log_likelihood(logits, ids)).sum().backward()
    said = torch.nn.functional.one_hot(ids, SYMBOLS)
    assert torch.allclose(logits.grad, (logits.detach().softmax(-1) - said) / 5)


def test_what_is_read_at_once_is_what_each_follow_up_scores_by_itself():
    scorer = flr.flr(react(gold("linear"), 50, seeds=[0, 1]), [0, 1], epochs=0, number=3)
    x = np.random.default_rng(0).standard_normal((2, 4, 16))
    said = scorer.said(x)
    assert said.shape == (2, 4, 6)
    for k, ids in enumerate(torch.cat([scorer.positive, scorer.negative])):
        each = ids.expand(2, 4, -1)
        alone = flr.next_token(scorer.parts, torch.tensor(x[:, 2:3], dtype=torch.float32), each[:, 2:3])
        assert said[:, 2, k] == pytest.approx(-alone.numpy(), abs=1e-5)
    assert scorer(x) == pytest.approx(said[..., :3].mean(-1) - said[..., 3:].mean(-1))
    assert scorer[[1]].scaled(np.array([2.0]), np.array([4.0]))(x[1:]) == pytest.approx((scorer(x)[1:] - 2) / 4)


def test_the_slope_of_the_mean_is_its_gradient():
    scorer = flr.flr(react(gold("linear"), 200, seeds=[0]), [0], epochs=2)
    at, step = np.full((1, 16), 0.2), 0.05 * np.eye(16)[3]
    rise = scorer.mean(at + step) - scorer.mean(at - step)
    assert scorer.slope(at)[:, 3] == pytest.approx(rise / 0.1, rel=0.05)
    near = at + np.random.default_rng(3).standard_normal((1, 4000, 16))
    assert scorer.mean(at) == pytest.approx(scorer(near).mean(), abs=0.1 * scorer(near).std())


def test_reactions_teach_what_pleases_and_whoever_hears_the_wrong_ones_learns_nothing():
    meant = gold("linear")
    data = react(meant, 600, seeds=[0])
    assert data.satisfied is not None and (meant(data.responses)[data.satisfied]).mean() > 0.5
    assert {int(t) for t in data.follow_ups[data.satisfied].ravel()} <= set(range(14))
    x = meant.draw(np.random.default_rng(1), 300)
    wrong = Dialogues(data.responses, np.roll(data.follow_ups, 1, axis=1))
    right, shuffled = (np.corrcoef(flr.flr(d, [0], epochs=6)(x[None])[0], meant(x))[0, 1] for d in (data, wrong))
    assert right > 0.75 and abs(shuffled) < 0.5


def test_of_a_comparison_the_preferred_one_pleased():
    data = annotate(gold("linear"), 30, seeds=[0, 1])
    found = reactions(data, [0, 1])
    assert np.array_equal(found.responses[:, :30], data.chosen) and found.satisfied.sum() == 60
    pleased, displeased = ({tuple(t) for t in side.tolist()} for side in templates())
    assert {tuple(t) for t in found.follow_ups[0, :30].tolist()} <= pleased
    assert {tuple(t) for t in found.follow_ups[1, 30:].tolist()} <= displeased


def test_the_rule_takes_the_mean_over_categories():
    lists = np.array([[[-1.0, -3.0, -2.0, -2.5], [-1.0, -1.0, -4.0, -4.0]]])
    assert lab.rewards.apply("flr", lists)[..., 0].tolist() == [[(2 + 0.5) / 2, 0.0]]
    assert lab.rewards.apply("flr", lists, side="positive")[0, 0, 0] == -1.5
    assert lab.rewards.apply("flr", lists, side="negative")[0, 0, 0] == 2.75
    assert lab.rewards.apply("flr", lists[..., :1]).tolist() == lists[..., :1].tolist()
    with pytest.raises(InputError, match="positive and its negative"):
        lab.rewards.apply("flr", lists[..., :3])
    with pytest.raises(UnknownNameError, match="nearest: 'positive'"):
        lab.rewards.apply("flr", lists, side="positives")


@pytest.mark.parametrize(
    ("responses", "follow_ups", "said"),
    [(np.zeros((0, 3)), np.zeros((0, 5), int), "no dialogues"), (np.ones((4, 3)), np.zeros((3, 5), int), r"\[N, D\]"),
     (np.full((2, 3), np.nan), np.zeros((2, 5), int), "finite"), (np.ones((2, 3)), [[1], [20]], "0 to 19"),
     (np.ones((2, 3)), [[0.5], [1.0]], "whole numbers"), (np.ones((2, 3)), [[1, 2], [1, 2]], "the same")],
)  # fmt: skip
def test_dialogues_that_teach_nothing_are_refused(responses, follow_ups, said):
    with pytest.raises(ValueError, match=said):
        logged(responses, follow_ups)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"form": "logits"}, "nearest: 'logit'"), ({"side": "both"}, "side of flr"), ({"number": 0}, "from 1 to 10"),
     ({"epochs": -1}, "epochs"), ({"batch": 0}, "batch"), ({"lr": 1e30}, "smaller learning rate")],
)  # fmt: skip
def test_options_out_of_range_are_refused(options, said):
    with pytest.raises(LabError, match=said):
        flr.flr(react(gold("linear"), 100, seeds=[0]), [0], **options)


def test_as_many_sets_as_seeds_and_users_with_numbers():
    with pytest.raises(InputError, match="2 sets of dialogues for 3 seeds"):
        flr.flr(react(gold("linear"), 10, seeds=[0, 1]), [0, 1, 2])
    with pytest.raises(ValueError, match="number"):
        react(gold("linear"), 0)
    with pytest.raises(ValueError, match="at least 0"):
        react(gold("linear"), 5, beta=float("nan"))


def test_by_name_each_pair_is_two_dialogues():
    from lab import reward_models

    data = annotate(gold("linear"), 300, seeds=[0])
    score = reward_models.fit("flr", data, seed=0, epochs=4)
    x = gold("linear").draw(np.random.default_rng(2), 60)
    assert score(x.reshape(4, 15, 16)).shape == (4, 15)
    assert np.corrcoef(score(x), gold("linear")(x))[0, 1] > 0.6
    with pytest.raises(InputError, match="no comparisons"):
        reward_models.fit("flr", (np.zeros((0, 16)), np.zeros((0, 16))))
