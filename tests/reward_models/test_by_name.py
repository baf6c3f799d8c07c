"""Reward models by name: what goes in, what comes out, what stands in, and the losses of Secrets of RLHF II."""

from __future__ import annotations

import numpy as np
import pytest

import lab
from lab import reward_models
from lab.errors import InputError, LabWarning, MissingFieldError, UnknownNameError
from lab.reward_models import secrets_rm as secrets
from lab.stand_ins import replaced
from simulators.learned_reward import metrics
from simulators.learned_reward.annotators import annotate
from simulators.learned_reward.gold import gold

torch = pytest.importorskip("torch", exc_type=ImportError)
LINEAR = gold("linear")


def test_comparisons_and_a_seed_give_scores_of_any_responses() -> None:
    data = annotate(LINEAR, 200, seeds=[0, 1])
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 16))
    both, own = reward_models.fit("bradley-terry", data, [0, 1]), reward_models.fit("Bradley_Terry", data.one(1), 1)
    assert both(x).shape == (2, 3, 4) and own(x[1]).shape == (3, 4)
    assert np.array_equal(both(x)[1], own(x[1]))
    pairs = data.chosen[1], data.rejected[1]
    assert np.array_equal(reward_models.fit("bradley-terry", pairs, 1)(x[1]), own(x[1]))
    with pytest.raises(InputError, match="must be finite"):
        own([[np.nan] * 16])
    with pytest.raises(InputError, match="does not read 'user'; it reads the responses"):
        own(x[1], {"user": 3})


@pytest.mark.parametrize(
    ("given", "options", "error", "said"),
    [(([], []), {}, InputError, "no comparisons|must both be"), ((np.empty((0, 3)), np.empty((0, 3))), {}, InputError,
      "there are no comparisons"), (([[1.0]], [[1.0]]), {}, InputError, "the same in every comparison"),
     (([[np.nan]], [[1.0]]), {}, InputError, "finite"), (([[1.0]], [[2.0]]), {"epoch": 1}, UnknownNameError, "epochs"),
     (([[1.0]], [[2.0]]), {"epochs": 0}, InputError, "epochs must be at least 1")],
)  # fmt: skip
def test_what_cannot_be_fitted_is_refused_in_words(given: tuple, options: dict, error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        reward_models.fit("bradley-terry", given, **options)
    with pytest.raises(UnknownNameError, match="secrets-rm"):
        reward_models.fit("secret-rm", given)


def test_another_model_stands_in_in_worlds_too() -> None:
    data, x = annotate(LINEAR, 120, seeds=[3]), np.random.default_rng(0).standard_normal((5, 16))
    plain, ours = (reward_models.fit(n, data, 3)(x) for n in ("bradley-terry", "secrets-rm"))
    world = lab.world("learned-reward", gold="linear", comparisons=120, reward_model="secrets-rm")
    with replaced({"reward_model:secrets-rm": "bradley-terry"}):
        assert np.array_equal(reward_models.fit("secrets-rm", data, 3, recipe="soft")(x), plain)
        inside = world.models([3])[0](x[None])  # type: ignore[attr-defined]
    assert np.corrcoef(inside[0], plain)[0, 1] == pytest.approx(1)
    assert abs(np.corrcoef(ours, plain)[0, 1]) < 0.9999
    with replaced({"reward_model:secrets-rm": {"recipe": "plain"}}):
        held = reward_models.fit("secrets-rm", data, 3)(x)
    assert np.array_equal(held, reward_models.fit("secrets-rm", data, 3, recipe="plain")(x))
    with pytest.raises(UnknownNameError, match="recipe"), replaced({"reward_model:secrets-rm": {"recip": "plain"}}):
        pytest.fail("the block was entered")


def test_a_model_of_ones_own_is_known_everywhere() -> None:
    @reward_models.reward_model("upside-down")
    def turned(comparisons: object, seeds: object, *, epochs: int = 5) -> object:
        return reward_models.find("bradley-terry").function(comparisons.swapped(comparisons.margin < np.inf), seeds)

    try:
        data = annotate(LINEAR, 300, seeds=[0])
        assert metrics.accuracy(reward_models.fit("upside-down", data).model, LINEAR)[0] < 0.2
        assert "upside-down" in reward_models.names()
        assert lab.world("learned-reward", reward_model="upside-down").init([0]).parameters.shape == (1, 16)
    finally:
        from lab.reward_models.door import _MODELS, FITTERS

        del _MODELS["upside-down"], FITTERS["upside-down"]
    with pytest.raises(InputError, match="comparisons, seeds"):
        reward_models.reward_model("x")(lambda data, seeds: None)


M, MU, A = torch.linspace(-4, 4, 9, dtype=torch.float64), torch.linspace(2, -2, 9, dtype=torch.float64), 0.3


@pytest.mark.parametrize(
    ("name", "share", "slope"),
    [("smoothed", 0.0, -torch.sigmoid(-M)), ("margin", 0.0, -torch.sigmoid(-(M - MU))),
     ("smoothed", A, -((1 - A) * torch.sigmoid(-M) - A * torch.sigmoid(M))),
     ("margin", A, -((1 - A) * torch.sigmoid(MU - M) - A * torch.sigmoid(M - MU))),
     ("released", 0.0, -torch.sigmoid(M) * torch.sigmoid(-M) / (torch.sigmoid(M) + 1e-5))],
)  # fmt: skip
def test_the_slope_of_each_pair_loss_is_the_written_one(name: str, share: float, slope: torch.Tensor) -> None:
    margin = M.clone().requires_grad_()
    secrets.PAIR_LOSSES[name](margin, MU, torch.full_like(M, share)).sum().backward()
    assert torch.allclose(margin.grad, slope, rtol=1e-12)


def test_weak_pairs_are_the_wrong_ones_and_are_flipped() -> None:
    data = annotate(LINEAR, 1000, flips=0.25, seeds=[0, 1])
    mu, spread = secrets.strength(data, [0, 1], models=3)
    assert (metrics.auc(-mu, data.wrong) > 0.85).all() and (spread > 0).all()
    assert not secrets.strength(data, [0, 1], models=1)[1].any()
    swapped = data.swapped(mu < 0)
    assert swapped.wrong.mean() < 0.8 * data.wrong.mean()
    flipped = reward_models.fit("secrets-rm", data, [0, 1], recipe="flip", models=3)
    assert np.array_equal(
        flipped(np.eye(16)[None]), reward_models.fit("secrets-rm", swapped, [0, 1], recipe="plain")(np.eye(16)[None])
    )


def test_a_set_that_is_all_wrong_is_left_as_it_is_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    data = annotate(LINEAR, 40, seeds=[0])
    monkeypatch.setattr(secrets, "strength", lambda *given, **more: (np.full((1, 40), -1.0), np.zeros((1, 40))))
    with pytest.warns(LabWarning, match="all pairs"):
        left = reward_models.fit("secrets-rm", data, recipe="flip")
    x = np.eye(16)
    assert np.array_equal(left(x), reward_models.fit("secrets-rm", data, recipe="plain")(x))


@pytest.mark.parametrize("given", [{"bottom": 1.0}, {"alpha": -0.1}, {"contrast": np.nan}, {"models": 0}])
def test_numbers_that_are_none_are_refused(given: dict) -> None:
    with pytest.raises(InputError, match=next(iter(given))):
        reward_models.fit("secrets-rm", annotate(LINEAR, 20), **given)


def _batch(real: list[float]) -> tuple[list, object]:
    from simulators.learned_reward.fitting import Batch

    draw = torch.Generator().manual_seed(1)
    parts = [torch.randn(s, generator=draw, dtype=torch.float64) for s in ((1, 8, 16), (1, 8), (1, 8))]
    pairs = torch.randn(1, len(real), 2, 16, generator=draw, dtype=torch.float64)
    return parts, Batch(pairs, torch.tensor([real], dtype=torch.float64), {}, [torch.Generator().manual_seed(2)])


def test_the_contrastive_term_sees_the_same_pair_twice() -> None:
    parts, batch = _batch([1.0, 1, 1, 0])
    assert secrets.contrastive(parts, batch, dropout=0.0, tau=0.01)[0] < 1e-3  # each is most like itself
    assert secrets.contrastive(parts, batch, dropout=0.0, tau=1e6)[0] == pytest.approx(np.log(3), abs=1e-4)


def test_meta_takes_the_gradient_where_the_moved_model_stands() -> None:
    from simulators.learned_reward.fitting import bradley_terry, scores

    parts, batch = _batch([1.0, 1, 1])
    parts = [part.requires_grad_() for part in parts]
    answers = torch.randn(1, 5, 3, 16, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    seen = scores(parts, answers.flatten(1, 2)).unflatten(1, (5, 3))[0]
    apart = sum(torch.sigmoid((seen[:, i] - seen[:, j]).abs()) for i, j in ((0, 1), (0, 2), (1, 2)))
    slopes = torch.autograd.grad((2 / 9 * apart).mean(), parts)
    there = [(part + 0.1 * slope).detach().requires_grad_() for part, slope in zip(parts, slopes, strict=True)]
    written = torch.autograd.grad(bradley_terry(there, batch).sum(), there)
    found = torch.autograd.grad(secrets.meta(bradley_terry, answers, step=0.1)(parts, batch).sum(), parts)
    assert all(torch.allclose(a, b, rtol=1e-9) for a, b in zip(found, written, strict=True))
    with pytest.raises(InputError, match="at least 2"):
        secrets.meta(bradley_terry, answers[:, :, :1])


def test_a_fitted_model_is_a_reward_rule_where_the_world_has_what_it_reads() -> None:
    world = lab.world("learned-reward", gold="linear", comparisons=200, prompts=2)
    data = annotate(LINEAR, 2000, beta=8.0, seeds=[7])
    score = reward_models.fit("bradley-terry", data, 7)
    reward_models.reward_rule("from-more-comparisons", score, note="ten times as many, and sharper ones")
    try:
        rule = lab.registry.find("reward", "from-more-comparisons")
        assert rule.required == ("response",)
        x = np.random.default_rng(0).standard_normal((2, 3, 4, 16))
        found = lab.rewards.apply("from-more-comparisons", np.zeros((2, 3, 4, 1)), response=x)
        assert np.array_equal(found[..., 0], score(x))
        given = {"steps": 40, "seeds": 3, "measure": ["gold"], "threads": 1}
        ours = lab.train(world, lab.variant("grpo", "better", reward="from-more-comparisons"), **given)
        plain = lab.train(world, "grpo", **given)
        better, usual = (each.frame.filter(step=39)["gold"].mean() for each in (ours, plain))
        assert better > usual + 0.1
        with pytest.raises(MissingFieldError, match="response"):
            lab.train("bandit", lab.variant("grpo", reward="from-more-comparisons"), steps=1)
    finally:
        del lab.registry._RULES["reward"]["from-more-comparisons"]
    with pytest.raises(InputError, match="no field of the rollouts"):
        reward_models.reward_rule("nothing", score, responses="words")
