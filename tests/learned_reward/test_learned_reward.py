"""Gold rewards, annotators, reward models, best of n, and the policy that is trained on what was learned."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

import lab
from lab.errors import InputError
from simulators.learned_reward import best_of_n, metrics
from simulators.learned_reward.annotators import annotate, compared, stacked
from simulators.learned_reward.gold import GOLDS, gold

torch = pytest.importorskip("torch", exc_type=ImportError)

from simulators.learned_reward.fitting import Batch, bradley_terry, fit, standardised  # noqa: E402
from simulators.learned_reward.world import LearnedReward  # noqa: E402


@pytest.mark.parametrize("name", GOLDS)
def test_gold_rewards_have_mean_0_and_deviation_1(name: str) -> None:
    made = gold(name, 3)
    seen = made(made.draw(np.random.default_rng(1), 40_000))
    assert abs(seen.mean()) < 0.04 and seen.std() == pytest.approx(1, abs=0.03)
    assert made(made.draw(np.random.default_rng(2), 6).reshape(2, 3, 16)).shape == (2, 3)
    assert not np.array_equal(gold(name, 4)(np.eye(16)), made(np.eye(16)))


@pytest.mark.parametrize("name", ["bowl", "linear", "mlp"])
def test_the_mean_under_a_policy_is_that_of_its_responses(name: str) -> None:
    made, rng = gold(name), np.random.default_rng(0)
    at = rng.standard_normal((2, 16))
    seen = made(at[:, None] + rng.standard_normal((1, 20_000, 16)))
    assert (np.abs(made.mean(at) - seen.mean(1)) < 5 * seen.std(1) / np.sqrt(2e4)).all()


def test_a_bowl_falls_beyond_its_top_and_sequences_add_up_tokens_and_neighbours() -> None:
    bowl = gold("bowl")
    far = np.stack([bowl.mean(t * np.eye(16)[:1]) for t in (1e3, 2e3)])
    assert far[1] < far[0] < -1e4
    made = gold("sequence", 2)
    rng = np.random.default_rng(10_002)
    own, pairs = rng.standard_normal((4, 4)), rng.standard_normal((3, 4, 4))
    tokens = [2, 0, 3, 1]
    total = sum(own[t, s] for t, s in enumerate(tokens)) + 0.7 * sum(
        pairs[t, tokens[t], tokens[t + 1]] for t in (0, 1, 2)
    )
    assert made(np.eye(4)[tokens].reshape(1, 16))[0] == pytest.approx((total - made.shift) / made.scale)
    with pytest.raises(ValueError, match="sequences"):
        made.mean(np.zeros((1, 16)))
    with pytest.raises(ValueError, match="nearest: 'bowl'"):
        gold("bowls")


def test_annotators_err_as_often_as_they_should_and_the_truth_stands_beside() -> None:
    made = gold("linear")
    for beta, expected in ((1, 0.726), (2, 0.828), (4, 0.906)):  # E σ(|D|), the card's own
        data = annotate(made, 20_000, beta=beta, seeds=[5])
        assert 1 - data.wrong.mean() == pytest.approx(expected, abs=0.01)
    data = annotate(made, 20_000, flips=0.25, seeds=[5, 6])
    assert data.flipped is not None and data.flipped.mean(1) == pytest.approx([0.25, 0.25], abs=0.01)
    assert 1 - data.wrong.mean() == pytest.approx(0.75 * 0.828 + 0.25 * 0.172, abs=0.01)
    assert data.margin == pytest.approx(made(data.chosen) - made(data.rejected))
    back = data.swapped(data.flipped)
    clean = annotate(made, 20_000, seeds=[5, 6])
    assert np.array_equal(back.chosen, clean.chosen) and not back.flipped.any()
    assert np.array_equal(annotate(made, 50, seeds=6).chosen, annotate(made, 50, seeds=[5, 6]).one(1).chosen)


X = np.arange(12.0).reshape(3, 4)


@pytest.mark.parametrize(
    ("chosen", "rejected", "said"),
    [
        (np.empty((0, 4)), np.empty((0, 4)), "there are no comparisons"),
        (X, X[:2], "must both be"),
        (X, X, "the same in every comparison"),
        (np.ones((5, 4)), np.ones((5, 4)), "the same in every comparison"),
        (np.concatenate([X, X + 1]), np.concatenate([X + 1, X]), "contradict one another"),
        (np.where(X == 5, np.nan, X), X + 1, "must be finite"),
        ([["a"]], [["b"]], "must be real numbers"),
    ],
)
def test_comparisons_from_which_nothing_can_be_learned_are_refused(chosen: object, rejected: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        compared(chosen, rejected)  # type: ignore[arg-type]


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_each_persona_wants_its_own_beside_the_gold_reward() -> None:
    meant = gold("linear")
    given = {"pairs": 4000, "beta": 50.0, "seeds": [5]}
    agree, two = annotate(meant, **given), annotate(meant, personas=2, disagreement=3.0, **given)
    same = annotate(meant, personas=2, **given)
    assert np.array_equal(agree.chosen, same.chosen)  # kinds that want the same are one
    first, second = ((two.chosen - two.rejected)[0, kind::2].mean(0) for kind in (0, 1))
    common = (agree.chosen - agree.rejected)[0].mean(0)
    assert _cosine(first, second) == pytest.approx(-0.8, abs=0.05)  # of g + 3w and g − 3w, where g and w are square
    assert _cosine(first + second, common) > 0.9 and abs(_cosine(first - second, common)) < 0.3
    assert 0.3 < two.wrong.mean() < 0.45 and agree.wrong.mean() < 0.02


def test_comparisons_that_contradict_one_another_in_part_are_taken() -> None:
    assert len(compared(np.concatenate([X, X + 1]), np.concatenate([X + 1, X + 2]))) == 6


@pytest.mark.parametrize("given", [{"flips": 1.5}, {"flips": np.nan}, {"beta": -1.0}, {"beta": np.inf}])
def test_annotators_that_are_none_are_refused(given: dict) -> None:
    with pytest.raises(ValueError, match="flips must be from 0 to 1"):
        annotate(gold(), 5, **given)
    with pytest.raises(ValueError, match="disagreement=-1; it must be a number of at least 0"):
        annotate(gold(), 5, disagreement=-1)
    with pytest.raises(ValueError, match="personas must be at least 1"):
        annotate(gold(), 5, personas=0)


def test_a_model_is_the_same_alone_and_beside_others_and_learns() -> None:
    made = gold("linear")
    data = annotate(made, 300, seeds=[0, 1, 2])
    models = fit(data, [0, 1, 2])
    assert np.array_equal(fit(data.one(2), [2]).weights, models[[2]].weights)
    again = fit(stacked([data.one(2), data.one(0)]), [2, 0])
    assert np.array_equal(again.out, models[[2, 0]].out)
    assert (metrics.accuracy(models, made) > 0.8).all() and (metrics.rank_agreement(models, made) > 0.8).all()
    assert metrics.accuracy(made, made).tolist() == [1.0]
    assert metrics.accuracy(lambda x: 0 * made(x), made).tolist() == [0.5]
    with pytest.raises(ValueError, match="3 sets of comparisons for 2 seeds"):
        fit(data, [0, 1])
    with pytest.raises(ValueError, match="not finite"):
        fit(data, [0, 1, 2], lr=1e30)


def test_its_exact_mean_and_slope_are_those_of_its_responses() -> None:
    model = standardised(fit(annotate(gold(), 300, seeds=[0, 1]), [0, 1]), gold().draw)
    rng = np.random.default_rng(3)
    base = model(rng.standard_normal((1, 40_000, 16)))
    assert base.mean(1) == pytest.approx([0, 0], abs=0.03) and base.std(1) == pytest.approx([1, 1], abs=0.03)
    at, way = rng.standard_normal((2, 16)), rng.standard_normal(16)
    seen = model(at[:, None] + rng.standard_normal((2, 20_000, 16)))
    assert (np.abs(model.mean(at) - seen.mean(1)) < 5 * seen.std(1) / np.sqrt(2e4)).all()
    rise = (model.mean(at + 1e-5 * way) - model.mean(at - 1e-5 * way)) / 2e-5
    assert model.slope(at) @ way == pytest.approx(rise, rel=1e-6)
    with pytest.raises(ValueError, match="the same score"):
        standardised(model.scaled(np.zeros(2), np.full(2, np.inf)), gold().draw)


def test_the_loss_is_that_of_bradley_and_terry_by_autograd() -> None:
    rng = torch.Generator().manual_seed(0)
    shapes = (2, 8, 16), (2, 8), (2, 8)
    parts = [torch.randn(s, generator=rng, dtype=torch.float64, requires_grad=True) for s in shapes]
    real = torch.tensor([[1.0, 1, 1, 1, 0]] * 2, dtype=torch.float64)
    batch = Batch(torch.randn(2, 5, 2, 16, generator=rng, dtype=torch.float64), real, {}, [])
    found = torch.autograd.grad(bradley_terry(parts, batch).sum(), parts)

    def score(x: torch.Tensor) -> torch.Tensor:
        z = torch.einsum("shd,snd->snh", parts[0], x) + parts[1][:, None]
        return torch.einsum("sh,snh->sn", parts[2], z * torch.sigmoid(z))

    margin = score(batch.pairs[:, :, 0]) - score(batch.pairs[:, :, 1])
    written = torch.autograd.grad((-torch.log(torch.sigmoid(margin[:, :4]))).mean(1).sum(), parts)
    for a, b in zip(found, written, strict=True):
        assert torch.allclose(a, b, rtol=1e-9)


def test_calibration_is_0_for_annotators_own_scale_and_auc_counts_pairs() -> None:
    made = gold("linear")
    assert metrics.calibration(lambda x: 2 * made(x), made)[0] < 0.02
    assert metrics.calibration(lambda x: 20 * made(x), made)[0] > 0.1
    confidence, right, share = metrics.reliability(lambda x: 2 * made(x), made)
    assert share.sum() == pytest.approx(1) and np.nanmax(np.abs(confidence - right)) < 0.05
    assert metrics.auc(np.array([[1.0, 2.0, 2.0, 3.0]]), np.array([[False, True, False, True]]))[0] == 0.875


def test_a_model_that_says_how_likely_a_preference_is_is_taken_at_its_word() -> None:
    meant = gold("linear")

    class Sure:
        """Ranks as the gold does, in a scale of its own; it knows how annotators choose."""

        def __call__(self, x: np.ndarray) -> np.ndarray:
            return 100 * meant(x)

        def preferred(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
            return 1 / (1 + np.exp(2.0 * (meant(second) - meant(first))))

    assert metrics.calibration(Sure(), meant, beta=2.0)[0] < 0.02
    assert metrics.calibration(Sure().__call__, meant, beta=2.0)[0] > 0.1
    assert metrics.accuracy(Sure(), meant)[0] == 1


def test_best_of_n_is_the_mean_over_all_subsets() -> None:
    rng = np.random.default_rng(0)
    proxy, worth = rng.standard_normal((2, 3, 7))
    found = best_of_n.expected(proxy, worth, [1, 3, 7])
    for place, n in enumerate((1, 3, 7)):
        for row in range(3):
            subsets = [list(c) for c in combinations(range(7), n)]
            best = [worth[row, c][proxy[row, c].argmax()] for c in subsets]
            assert found[row, place] == pytest.approx(np.mean(best), rel=1e-12)
    assert best_of_n.expected(proxy, worth, 7) == pytest.approx(best_of_n.picked(proxy, worth))
    large = best_of_n.expected(rng.standard_normal(20_000), np.arange(20_000.0), [1, 20_000])
    assert large[0] == pytest.approx(9999.5)


@pytest.mark.parametrize(
    ("proxy", "n", "said"),
    [([1.0, 2.0], 3, "n must be at most 2"), ([1.0, 2.0], 0, "at least 1"), ([1.0, np.nan], 1, "finite"),
     ([1.0], 1, "one shape")],
)  # fmt: skip
def test_best_of_n_refuses_what_is_no_pool(proxy: list, n: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        best_of_n.expected(proxy, [0.0, 1.0], n)


def test_the_kl_of_best_of_n_is_the_sum_over_ranks() -> None:
    assert best_of_n.kl(1) == 0.0
    for n, expected in ((2, 0.1931), (4, 0.6363), (16, 1.8351), (64, 3.1745), (256, 4.5491)):
        assert best_of_n.kl(n) == pytest.approx(expected, abs=5e-5)
        assert best_of_n.kl_of_ranks(n, 100_000) == pytest.approx(expected, abs=1e-4)
    assert best_of_n.kl_of_ranks(256, 1000) == pytest.approx(4.5464, abs=5e-5)
    with pytest.raises(ValueError, match="at least 1"):
        best_of_n.kl(0)


def test_training_on_the_proxy_raises_it_and_in_the_end_loses_the_gold() -> None:
    world = lab.world("learned-reward", comparisons=300)
    trace = lab.train(
        world, ["grpo", "rloo"], lr=0.4, steps=40, seeds=2, measure=["value", "gold", "kl_start"], every=13
    )
    for name in ("grpo", "rloo"):
        rows = trace.frame.filter(variant=name).drop("variant").group_by("step").mean().sort("step")
        assert rows["value"].is_sorted() and rows["kl_start"].is_sorted()
        assert rows["gold"][-1] < rows["gold"].max() - 1


def test_every_run_has_annotators_and_a_model_of_its_own_and_references_stay() -> None:
    world = LearnedReward(comparisons=100, prompts=3, references=4)
    policy = world.init([0, 7])
    drawn = world.rollout(policy, 5, 0, fields=["reference_rewards"])
    later = world.rollout(policy, 5, 1, fields=["reference_rewards"])
    assert drawn.extra["reference_rewards"].shape == (2, 3, 4, 1)
    assert np.array_equal(drawn.extra["reference_rewards"], later.extra["reference_rewards"])
    assert not np.array_equal(drawn.extra["response"], later.extra["response"])
    x = np.random.default_rng(0).standard_normal((1, 6, 16))
    a, b = (model(x) for model in world.models([0, 7]))
    assert not np.array_equal(a, b)
    mine = LearnedReward(comparisons=100, reward_model=lambda data, seeds: fit(data, seeds, epochs=1))
    assert "own" not in repr(world) and not np.array_equal(mine.models([0])[0](x), a)


@pytest.mark.parametrize(
    ("given", "said"),
    [({"gold": "sequence"}, "it must be one of bowl"), ({"reward_model": "bradley"}, "nearest: 'bradley-terry'"),
     ({"comparisons": 0}, "from 1"), ({"flips": 2.0}, "from 0 to 1")],
)  # fmt: skip
def test_the_world_refuses_what_it_cannot_use(given: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        lab.world("learned-reward", **given)
    with pytest.raises(ValueError, match="sequences"):
        LearnedReward("sequence")
