"""Transforms of rewards: PAR with its rivals, and LSC."""

from __future__ import annotations

import numpy as np
import pytest

import lab
from lab.errors import InputError, MissingFieldError, UnknownNameError
from lab.registry import rules
from lab.rewards import par as shapings
from lab.rewards.lsc import log_sigmoid

RNG = np.random.default_rng(0)
REWARDS, BESIDE = RNG.normal(size=(3, 5, 2)), RNG.normal(size=(3, 7, 2))


def apply(name: str, rewards: object = REWARDS, **options: object) -> np.ndarray:
    fields = {"reference_rewards": BESIDE} if "reference_rewards" in rules("reward")[name].fields else {}
    return lab.rewards.apply(name, rewards, **{**fields, **options})  # type: ignore[arg-type]


def test_par_is_the_chance_of_being_preferred_to_a_reference() -> None:
    written = [[[np.mean([1 / (1 + np.exp(-(r - ref))) for ref in BESIDE[p, :, k]]) for k, r in enumerate(rollout)]
                for rollout in REWARDS[p]] for p in range(3)]  # fmt: skip
    assert apply("par") == pytest.approx(np.array(written), rel=1e-12)
    assert apply("par-ref1") == pytest.approx(apply("par", reference_rewards=BESIDE[:, :1]))
    assert apply("par", references=3) == pytest.approx(apply("par-ref3"))


@pytest.mark.parametrize("name", ["centered", "meanstd", "minmax"])
def test_an_affine_shaping_is_nothing_to_grpo_and_a_curved_one_is(name: str) -> None:
    plain = lab.advantages.compute("dr_grpo", REWARDS[..., :1])
    one = {"reference_rewards": BESIDE[..., :1]} if name == "centered" else {}
    ours = lab.advantages.compute("dr_grpo", lab.rewards.apply(name, REWARDS[..., :1], **one))
    scale = float((ours * plain).sum() / (plain**2).sum())
    assert ours == pytest.approx(scale * plain, abs=1e-12) and scale > 0
    curved = lab.advantages.compute("dr_grpo", lab.rewards.apply("sigmoid", REWARDS[..., :1]))
    scale = float((curved * plain).sum() / (plain**2).sum())
    assert np.abs(curved - scale * plain).max() > 1e-3


def test_the_polynomial_follows_the_curve_and_overshoots_near_its_end() -> None:
    x = np.linspace(-8, 8, 401)
    assert shapings.quintic(x) == pytest.approx(1 / (1 + np.exp(-x)), abs=0.02)
    assert shapings.quintic(np.array([4.999]))[0] == pytest.approx(1.0108, abs=2e-4)


def test_running_statistics_are_those_of_all_rewards_so_far() -> None:
    batches, memory = RNG.normal(size=(4, 2, 3, 5, 2)), shapings._unseen(2)
    for count, batch in enumerate(batches, start=1):
        ours, memory = shapings.running(batch, memory=memory)
        seen = np.moveaxis(batches[:count], 1, 0).reshape(2, -1, 2)
        mean, std = seen.mean(1)[:, None, None], seen.std(1)[:, None, None]
        assert ours == pytest.approx((batch - mean) / std)
    low, high = seen.min(1)[:, None, None], seen.max(1)[:, None, None]
    scaled, _ = shapings.running(batches[0], memory=memory, form="minmax")
    assert scaled == pytest.approx((batches[0] - low) / (high - low))
    assert not apply("minmax", np.ones((2, 3))).any() and not apply("meanstd", np.ones((2, 3))).any()


def test_lsc_is_finite_where_a_plain_logarithm_is_not() -> None:
    x = np.array([-1e6, -800.0, 0.0, 800.0, np.inf])
    assert log_sigmoid(x).tolist() == [-1e6, -800.0, -np.log(2), 0.0, 0.0]
    middle = np.linspace(-20, 20, 41)
    assert log_sigmoid(middle) == pytest.approx(np.log(1 / (1 + np.exp(-middle))), rel=1e-9)
    slope = (log_sigmoid(middle + 1e-5) - log_sigmoid(middle - 1e-5)) / 2e-5
    assert slope == pytest.approx(1 / (1 + np.exp(middle)), abs=1e-6)


def test_a_component_without_a_reference_is_left_out_and_quantiles_agree_on_a_gaussian() -> None:
    beside = BESIDE.copy()
    beside[..., 1] = -np.inf
    for name in ("lsc-empirical", "lsc-transform"):
        found = lab.rewards.apply(name, REWARDS, reference_rewards=beside)
        assert not found[..., 1].any() and (found[..., 0] < 0).all()
    beside[0, 0, 0] = -np.inf
    with pytest.raises(InputError, match="all of them"):
        lab.rewards.apply("lsc-transform", REWARDS, reference_rewards=beside)
    many = np.random.default_rng(1).normal(size=(1, 200_000))
    a, b = (lab.rewards.apply(name, [[0.0]], reference_rewards=many) for name in ("lsc-transform", "lsc-empirical"))
    assert a == pytest.approx(b, abs=0.01)


@pytest.mark.parametrize(
    ("name", "options", "error", "said"),
    [("par", {"reference_rewards": BESIDE[:, :0]}, InputError, "at least one reference"),
     ("par", {"reference_rewards": BESIDE[:2]}, InputError, "must be"),
     ("par", {"references": 0}, InputError, "at least"),
     ("par", {"reference_rewards": np.full_like(BESIDE, np.nan)}, InputError, "not a number"),
     ("par", {"shape": "sigmoidal"}, UnknownNameError, "sigmoid"),
     ("meanstd", {"form": "max"}, UnknownNameError, "minmax"),
     ("lsc-transform", {"quantile": 1.0}, InputError, "between 0 and 1"), ("long-answers", {}, InputError, "lengths"),
     ("lsc-transform", {"form": "normal"}, InputError, "gaussian")],
)  # fmt: skip
def test_what_no_rule_can_use_is_refused(name: str, options: dict, error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        apply(name, **options)
    with pytest.raises(MissingFieldError, match="reference_rewards"):
        lab.rewards.apply("par", REWARDS)


def test_they_train_on_a_learned_reward_and_what_they_remember_is_kept() -> None:
    pytest.importorskip("torch", exc_type=ImportError)
    world = lab.world("learned-reward", comparisons=100, prompts=4)
    kinds = ["par", "lsc-transform", *(lab.variant("grpo", name, reward=name) for name in ("clip-meanstd", "centered"))]
    trace = lab.train(world, [*kinds, "grpo"], steps=3, seeds=2, lr=0.1, measure=["gold"])
    ends = {v.name: trace.parameters(v.name) for v in trace.variants}
    assert ends["centered"] == pytest.approx(ends["grpo"], abs=1e-12)
    assert all(
        not np.allclose(ends[name], ends["grpo"], atol=1e-4) for name in ("par", "lsc-transform", "clip-meanstd")
    )
