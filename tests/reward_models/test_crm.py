"""CRM: what each of two models learns from, the loss by hand, what a pass goes through, and what is refused."""

import numpy as np
import pytest

import lab
from lab import reward_models
from lab.errors import InputError, LabError
from simulators.learned_reward import metrics
from simulators.learned_reward.annotators import annotate
from simulators.learned_reward.gold import gold

torch = pytest.importorskip("torch", exc_type=ImportError)

from lab.reward_models import crm  # noqa: E402

DATA = annotate(gold("linear"), 200, beta=4.0, flips=0.3, seeds=[0, 1])
MARGINS = torch.tensor([[3.0, -1.0, 2.0, 0.5], [-2.0, 1.0, 4.0, 0.0]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("review", "expected"),
    [("peer", [[1, 2], [0, 2]]), ("self", [[0, 2], [1, 2]]), ("all", [[0, 1, 2, 3], [0, 1, 2, 3]])],
)
def test_a_model_learns_from_what_the_other_finds_right(review: str, expected: list[list[int]]) -> None:
    kept = crm.selected(MARGINS, 0.5, review)
    assert [row.nonzero()[:, 0].tolist() for row in kept] == expected


def test_at_least_one_pair_is_kept_the_first_of_equal_ones_and_none_that_is_not_real() -> None:
    assert crm.selected(MARGINS, 0.01).nonzero().tolist() == [[0, 2], [1, 0]]
    assert crm.selected(torch.zeros(2, 4), 0.5).nonzero()[:, 1].tolist() == [0, 1, 0, 1]
    real = torch.tensor([[True, True, False, False]] * 2)
    assert crm.selected(MARGINS, 0.5, "peer", real).nonzero().tolist() == [[0, 1], [1, 0]]
    assert crm.selected(MARGINS, 1.0).all()


def test_the_weight_of_a_margin_is_that_of_the_written_loss() -> None:
    """σ(−m)/|S| for what the other model has kept, else nothing; likewise of implicit rewards (CRM-DPO)."""
    logp = torch.randn(2, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    margins = 0.1 * ((logp[:, 0] + 1.0) - (logp[:, 1] + 2.0))  # β times the log-ratios, the reference at −1 and −2
    kept = crm.selected(margins, 0.5)
    crm.pair_loss(margins, kept).sum().backward()
    slope = 0.1 * -torch.sigmoid(-margins.detach()) * kept / 2
    assert torch.allclose(logp.grad[:, 0], slope, rtol=1e-12) and torch.equal(logp.grad[:, 1], -logp.grad[:, 0])
    written = [-torch.log(torch.sigmoid(m[k])).mean() for m, k in zip(margins, kept, strict=True)]
    assert torch.allclose(crm.pair_loss(margins, kept), torch.stack(written))


def test_what_is_kept_falls_with_the_passes_to_one_less_the_noise() -> None:
    assert [crm.keep(epoch, 0.4, 2) for epoch in range(4)] == pytest.approx([1.0, 0.8, 0.6, 0.6])
    assert crm.keep(0, 0.4, 0) == 0.6 and crm.keep(9, 0.0, 2) == 1.0


@pytest.mark.parametrize(
    ("curriculum", "last", "most"), [("none", 0.6, 200), ("sorted", 0.6, 200), ("easy-first", 0.8, 120)]
)
def test_a_pass_goes_through_as_many_pairs_as_it_says(curriculum: str, last: float, most: int) -> None:
    plan = crm._Plan(0.4, "peer", curriculum, 2, 16, 3)
    assert plan.number(200, 0) == 200 and plan.number(200, 2) == most
    assert plan.share(0) == 1.0 and plan.share(2) == pytest.approx(last)
    ease = torch.arange(200.0)[None]
    order = plan.order(ease, 2, [torch.Generator().manual_seed(0)])[0]
    assert sorted(order.tolist()) == list(range(200 - most, 200))
    first = set(order[: 8 * 16].tolist())
    assert (first == set(range(200 - min(128, most), 200))) == (curriculum != "none")


def test_of_the_last_pass_is_known_what_each_learned_from() -> None:
    model = reward_models.fit("crm", DATA, [0, 1], noise=0.3, epochs=3, batch=40, curriculum="none").model
    assert model.kept.shape == (2, 2, 200) and (model.kept.sum(-1) == 5 * 28).all()
    assert not np.array_equal(model.kept[:, 0], model.kept[:, 1])
    right = ~DATA.wrong
    assert ((model.kept & right[:, None]).sum((1, 2)) / 280 > right.mean(1) + 0.03).all()


def test_the_score_is_the_sum_of_both_standardised() -> None:
    model = reward_models.fit("crm", DATA, [0, 1], epochs=2).model
    x = np.random.default_rng(0).standard_normal((2, 50, 16))
    seen = np.concatenate([DATA.chosen, DATA.rejected], axis=1)
    parts = [(member(x) - member(seen).mean(-1)[:, None]) / member(seen).std(-1)[:, None] for member in model.members]
    assert model(x) == pytest.approx(parts[0] + parts[1])
    assert np.corrcoef(parts[0][0], parts[1][0])[0, 1] < 0.9999
    assert model[[1]](x[1:])[0] == pytest.approx(model(x)[1]) and np.array_equal(model[[1]].kept[0], model.kept[1])


def test_a_pair_does_not_depend_on_who_stands_beside_and_no_noise_is_plain_training() -> None:
    x = np.eye(16)
    both = reward_models.fit("crm", DATA, [0, 1], noise=0.3, epochs=3, batch=48)(x[None])
    assert np.array_equal(both[1], reward_models.fit("crm", DATA.one(1), 1, noise=0.3, epochs=3, batch=48)(x))
    given = {"epochs": 2, "curriculum": "none"}
    plain = reward_models.fit("crm", DATA, [0, 1], review="all", **given)(x[None])
    assert np.array_equal(reward_models.fit("crm", DATA, [0, 1], noise=0.0, **given)(x[None]), plain)
    assert not np.array_equal(reward_models.fit("crm", DATA, [0, 1], noise=0.3, epochs=2)(x[None]), plain)


def test_it_pays_in_the_world_by_name() -> None:
    world = lab.world("learned-reward", gold="linear", comparisons=128, reward_model="crm", prompts=2)
    model = world.models([3])[0]  # type: ignore[attr-defined]
    assert metrics.accuracy(model, gold("linear"), 1000)[0] > 0.65
    found = lab.train(world, "grpo", steps=4, seeds=[3], lr=0.2, measure=["value", "gold"], every=3).frame
    assert found.filter(step=3)["value"].item() > found.filter(step=0)["value"].item()


@pytest.mark.parametrize(
    ("options", "said"),
    [({"noise": 1.0}, "share of wrong labels"), ({"noise": np.nan}, "noise"), ({"review": "peers"}, "nearest: 'peer'"),
     ({"curriculum": "easy"}, "easy-first"), ({"warmup": -1}, "warmup"), ({"hidden": 0}, "hidden"),
     ({"batch": 0}, "batch"), ({"epochs": 0}, "epochs"), ({"lr": 1e30}, "smaller learning rate"),
     ({"margin": 1}, "margin")],
)  # fmt: skip
def test_what_is_refused(options: dict, said: str) -> None:
    with pytest.raises(LabError, match=said):
        reward_models.fit("crm", DATA, [0, 1], **options)


def test_comparisons_that_teach_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="2 sets of comparisons for 3 seeds"):
        reward_models.fit("crm", DATA, [0, 1, 2])
    with pytest.raises(InputError, match="contradict"):
        reward_models.fit("crm", ([[1.0], [2.0]], [[2.0], [1.0]]))
    assert reward_models.fit("crm", ([[1.0, 0.0]], [[0.0, 1.0]]), epochs=3)([[1.0, 0.0], [0.0, 1.0]])[0] > 0
