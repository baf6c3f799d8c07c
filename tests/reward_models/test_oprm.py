"""OPRM: cells that count, gradients of its loss, its distribution, levels of quality, and what is refused."""

import numpy as np
import pytest

import lab
from lab import reward_models
from lab.errors import InputError, LabError, UnknownNameError
from lab.reward_models import oprm
from simulators.learned_reward import metrics
from simulators.learned_reward.annotators import annotate, stacked
from simulators.learned_reward.gold import gold
from simulators.learned_reward.levels import SKEWED, Graded, grade, graded, level

torch = pytest.importorskip("torch", exc_type=ImportError)

LINEAR = gold("linear")
DRAW = torch.Generator().manual_seed(0)


def cells(flooding, chosen, rejected, ratings=9):
    """The pairs of ratings that count, from 1."""
    found = np.argwhere(oprm.allowed(ratings, flooding)[chosen, rejected]) + 1
    return [tuple(each) for each in found.tolist()]


def test_cells_of_a_labelled_pair_are_those_of_its_regions():
    assert cells("tri", 2, 0) == [(8, 1), (9, 1), (9, 2)]
    assert cells("tri-equal", 2, 0) == [(7, 1), (8, 1), (8, 2), (9, 1), (9, 2), (9, 3)]
    assert cells("block", 1, 0) == [(i, j) for i in (4, 5, 6) for j in (1, 2, 3)]
    for flooding in ("tri", "tri-equal", "block"):
        assert cells(flooding, 1, 1) == [(5, 4), (6, 4), (6, 5)] and cells(flooding, 0, 1) == []
        assert cells(flooding, -1, 2) == cells("none", 0, 2) == [(i, j) for i in range(1, 10) for j in range(1, i)]


@pytest.mark.parametrize("flooding", oprm.FLOODINGS)
def test_the_gradient_of_the_loss_is_the_written_one(flooding):
    chosen, rejected = (torch.randn(5, 9, dtype=torch.float64, generator=DRAW).requires_grad_() for _ in range(2))
    table = torch.as_tensor(oprm.allowed(9, flooding)[2, 1])
    oprm.preference_loss(chosen, rejected, table).sum().backward()
    p, q = chosen.detach().softmax(-1), rejected.detach().softmax(-1)
    won = sum(table[i, j] * p[:, i] * q[:, j] for i in range(9) for j in range(9))[:, None]
    assert torch.allclose(chosen.grad, -p * (q @ table.T - won) / won, rtol=1e-12, atol=1e-15)
    assert torch.allclose(rejected.grad, -q * (p @ table - won) / won, rtol=1e-12, atol=1e-15)


def test_a_tie_does_not_count_and_what_cannot_be_is_lost_by_a_finite_number():
    level_ = torch.full((9,), 1 / 9, dtype=torch.float64)
    assert float(oprm.preference(level_, level_)) == pytest.approx(4 / 9)
    one = torch.eye(9, dtype=torch.float64)[4]
    assert float(oprm.preference_loss(1e4 * one, 1e4 * one)) == pytest.approx(27.631, abs=1e-3)
    assert float(oprm.preference(torch.tensor([0.3, 0.7]), torch.tensor([0.6, 0.4]))) == pytest.approx(0.42)


@pytest.fixture(scope="module")
def data():
    """Comparisons of two runs, a fifth of them with levels."""
    return grade(annotate(LINEAR, 400, seeds=[0, 1]), LINEAR, seeds=[0, 1])


@pytest.fixture(scope="module")
def model(data):
    """Two models of them."""
    return reward_models.fit("oprm", data, [0, 1], kappa=0.5, hidden=16, lr=1e-2).model


def test_a_distribution_has_moments_levels_and_a_best_response(model):
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 16))
    p = model.distribution(x)
    assert p.shape == (2, 3, 5, 9) and p.sum(-1) == pytest.approx(1)
    mean, variance = model.moments(x)
    assert mean == pytest.approx(p @ np.arange(1, 10)) and ((mean >= 1) & (mean <= 9)).all()
    assert variance == pytest.approx(p @ np.arange(1, 10) ** 2 - mean**2)
    assert model.levels(x)[..., 2] == pytest.approx(p[..., 6:].sum(-1))
    assert model(x) == pytest.approx(mean - 0.5 * np.sqrt(variance))
    assert np.array_equal(model.best(x), model(x).argmax(-1)) and np.array_equal(model.best(x, 0.0), mean.argmax(-1))
    assert np.array_equal(model.best(x, 1e6), variance.argmin(-1))
    first, second = x[:, :, 0], x[:, :, 1]
    wins, i = model.preferred(first, second), np.arange(9)
    by_hand = np.einsum("...i,...j,ij", p[:, :, 0], p[:, :, 1], (i[:, None] > i) + 0.5 * (i[:, None] == i))
    assert wins == pytest.approx(by_hand) and wins + model.preferred(second, first) == pytest.approx(1)


def test_the_slope_is_that_of_the_mean(model):
    at, step = np.random.default_rng(1).standard_normal((2, 16)), 1e-5 * np.eye(16)[3]
    by_hand = (model.mean(at + step) - model.mean(at - step)) / 2e-5
    assert model.slope(at)[:, 3] == pytest.approx(by_hand, rel=1e-5)
    scaled = model.scaled(np.array([1.0, 2.0]), np.array([2.0, 4.0]))
    assert scaled.slope(at) == pytest.approx(model.slope(at) / np.array([[2.0], [4.0]]))
    assert scaled[[1]](at[1:, None]) == pytest.approx((model(at[:, None])[1:] - 2) / 4)


def test_levels_anchor_the_ratings_and_cost_no_ranking(data):
    data = grade(data, LINEAR, edges=SKEWED, seeds=[0, 1])
    fitted = {flooding: reward_models.fit("oprm", data, [0, 1], flooding=flooding, lr=1e-2).model
              for flooding in ("tri", "none")}  # fmt: skip
    x = LINEAR.draw(np.random.default_rng(5), 2000)
    right = {
        name: (each.levels(x[None]).argmax(-1) == level(LINEAR(x), SKEWED)).mean() for name, each in fitted.items()
    }
    assert right["tri"] > right["none"] + 0.1
    assert all((metrics.accuracy(each, LINEAR) > 0.8).all() for each in fitted.values())
    plain = reward_models.fit("oprm", (data.chosen, data.rejected), [0, 1], lr=1e-2).model
    assert np.array_equal(plain(x[None]), fitted["none"](x[None]))


def test_it_pays_in_the_world_of_learned_rewards_by_its_name():
    world = lab.world("learned-reward", gold="linear", comparisons=100, reward_model="oprm", prompts=2)
    trace = lab.train(world, "grpo", steps=4, lr=0.5, seeds=2, group_size=4, measure=["gold"], every=3)
    gained = trace.frame.sort("seed", "step")["gold"].to_numpy().reshape(2, -1)
    assert (gained[:, -1] > gained[:, 0]).all()


def test_levels_are_of_the_gold_reward_and_travel_with_their_pairs(data):
    known = data.levels[..., 0] >= 0
    assert 0.1 < known.mean() < 0.3 and np.array_equal(known, data.levels[..., 1] >= 0)
    assert np.array_equal(data.levels[..., 0][known], level(LINEAR(data.chosen))[known])
    turned = data.swapped(known)
    assert np.array_equal(turned.levels, data.levels[..., ::-1]) and isinstance(turned, Graded)
    assert np.array_equal(data.one(1).levels, data.levels[1:]) and data.one(1).sets == 1
    assert level(np.array([-1.0, 0.0, 1.0])).tolist() == [0, 1, 2]
    assert stacked([data, data]).sets == 4  # as comparisons: levels stay behind


def test_pairs_on_the_wrong_side_are_left_out():
    plain = annotate(LINEAR, 60, seeds=[0])
    labels = np.full((60, 2), -1)
    labels[:30] = [0, 2]
    kept = type(plain)(plain.chosen[:, 30:], plain.rejected[:, 30:])
    x = np.eye(16)
    whole = reward_models.fit("oprm", graded(plain, labels), 0, batch=60, epochs=40)
    rest = reward_models.fit("oprm", kept, 0, batch=60, epochs=40)
    assert whole(x) == pytest.approx(rest(x), abs=1e-3)
    with pytest.raises(InputError, match="none is left"):
        reward_models.fit("oprm", graded(plain, np.full((60, 2), [0, 2])), 0)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [({"flooding": "triangle"}, UnknownNameError, "flooding"), ({"ratings": 8}, InputError, "multiple of 3"),
     ({"ratings": 1}, InputError, "ratings"), ({"kappa": np.nan}, InputError, "kappa"),
     ({"epochs": 0}, InputError, "epochs"), ({"lr": 1e30}, LabError, "smaller learning rate"),
     ({"risk": 1.0}, UnknownNameError, "kappa")],
)  # fmt: skip
def test_options_out_of_range_are_refused(data, options, error, said):
    with pytest.raises(error, match=said):
        reward_models.fit("oprm", data, [0, 1], **options)


def test_levels_that_are_none_are_refused(data):
    plain = annotate(LINEAR, 5)
    with pytest.raises(ValueError, match=r"levels has 3; .*0 \(bad\)"):
        graded(plain, np.full((5, 2), 3))
    with pytest.raises(ValueError, match=r"must be \(1, 5, 2\)"):
        graded(plain, np.zeros((4, 2)))
    for given in ({"share": 1.5}, {"edges": (1.0, 0.0)}):
        with pytest.raises(ValueError, match=next(iter(given))):
            grade(plain, LINEAR, **given)
    with pytest.raises(ValueError, match="1 sets of comparisons for 2 seeds"):
        grade(plain, LINEAR, seeds=[0, 1])
    with pytest.raises(InputError, match="2 sets of comparisons for 3 seeds"):
        reward_models.fit("oprm", data, [0, 1, 2])


def test_an_error_of_calibration_is_the_gap_between_what_is_said_and_what_happens():
    said = np.array([[0.9] * 10, [0.1] * 10])
    happened = np.array([[True] * 9 + [False], [True] * 10])
    assert metrics.probability_error(said, happened) == pytest.approx([0.0, 0.9])
