"""Every objective against torch autograd of the loss that its paper writes."""

from typing import Any

import numpy as np
import pytest

from lab import objectives
from lab.objectives import AGGREGATIONS, ESTIMATORS
from tests.objectives.losses import PER_TOKEN, WHOLE, Array, evaluate

P, G, T = 3, 4, 5
OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("ppo_clip", {}),
    ("ppo_clip", {"clip_low": 0.2, "clip_high": 0.28}),
    ("ppo_clip", {"dual_clip": 3.0}),
    ("ppo_clip", {"delta": 1.1}),
    ("ppo_clip", {"delta": 1.5}),
    ("ppo_clip", {"delta": 4.0, "dual_clip": 2.0}),
    ("gspo", {}),
    ("gspo", {"clip_low": 0.1, "clip_high": 0.2}),
    ("cispo", {}),
    ("cispo", {"clip_low": 1.0, "clip_high": 4.0}),
    ("gpg", {}),
    ("sapo", {}),
    ("sapo", {"tau_pos": 2.0, "tau_neg": 0.5}),
    ("vespo", {}),
    ("vespo", {"through_phi": True}),
    ("gmpo", {}),
    ("gmpo", {"clip_low": 0.1, "clip_high": 0.05}),
    ("luspo", {}),
    ("luspo", {"clip_low": 0.1, "clip_high": 0.2}),
]
IDS = [f"{name}-{'-'.join(f'{k}={v}' for k, v in o.items()) or 'defaults'}" for name, o in OPTIONS]
SPREADS = [0.05, 0.5, 3.0, 30.0]  # of the log-ratios: near the policy, at the clips, far, beyond every clamp

every_objective = pytest.mark.parametrize(("name", "options"), OPTIONS, ids=IDS)


def batch(spread: float, seed: int = 0, *, masked: bool = True, by_token: bool = False) -> dict[str, Any]:
    """Log-probabilities under three policies, advantages and a mask; one rollout has no valid token at all."""
    rng = np.random.default_rng(seed)
    old = rng.normal(-1.5, 0.5, (P, G, T))
    mask = np.arange(T) < rng.integers(1, T + 1, (P, G, 1))
    mask &= rng.random(mask.shape) < 0.9
    mask[..., 0] |= ~mask.any(-1)
    mask[1, 2] = False
    advantage = rng.normal(size=(P, G, T) if by_token else (P, G))
    advantage[0, 0] = 0.0
    return {
        "new": old + spread * rng.normal(size=old.shape), "a": advantage, "old": old,
        "ref": old + 0.3 * rng.normal(size=old.shape), "mask": mask if masked else None,
    }  # fmt: skip


def weigh(name: str, b: dict[str, Any], **given: Any) -> Array:
    return objectives.weights(name, b["new"], b["a"], logp=b["old"], mask=b["mask"], **given)


def lose(name: str, b: dict[str, Any], **given: Any) -> float:
    return objectives.loss(name, b["new"], b["a"], logp=b["old"], mask=b["mask"], **given).item()


def test_every_textbook_objective_is_here() -> None:
    every = [objectives.rule(n) for n in objectives.names(presets=False)]
    ours = {rule.name for rule in every if rule.paper == "baselines" and "scores" not in rule.extras}
    assert {*PER_TOKEN, *WHOLE} == ours == {name for name, _ in OPTIONS}


@every_objective
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("spread", SPREADS)
def test_weights_are_minus_the_gradient_of_the_loss(
    name: str, options: dict[str, Any], spread: float, masked: bool
) -> None:
    for seed in range(3):
        for by_token in (False,) if name == "luspo" else (False, True):
            b = batch(spread, seed, masked=masked, by_token=by_token)
            how = objectives.rule(name).options.get("aggregation", "token-mean")
            loss, expected = evaluate(name, b["new"], b["a"], b["old"], b["mask"], aggregation=how, **options)
            found = weigh(name, b, **options)
            assert found == pytest.approx(expected, rel=1e-9, abs=1e-13 * (1 + np.abs(expected).max()))
            assert lose(name, b, **options) == pytest.approx(loss, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", PER_TOKEN)
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("masked", [True, False])
def test_every_aggregation(name: str, aggregation: str, masked: bool) -> None:
    b = batch(0.3, 1, masked=masked)
    for extra in ({}, {"max_length": 9}, {"floor": 1e-8}, {"floor": 0.5}):
        given = {"aggregation": aggregation, **extra}
        loss, expected = evaluate(name, b["new"], b["a"], b["old"], b["mask"], **given)
        assert weigh(name, b, **given) == pytest.approx(expected, rel=1e-10, abs=1e-15)
        assert lose(name, b, **given) == pytest.approx(loss, rel=1e-10)


@pytest.mark.parametrize("name", ["ppo_clip", "gspo", "cispo", "gpg", "sapo"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("aggregation", ["token-mean", "seq-mean-token-mean"])
def test_every_penalty(name: str, estimator: str, aggregation: str) -> None:
    for spread in (0.2, 5.0, 30.0):
        b = batch(spread, 2)
        loss, expected = evaluate(
            name, b["new"], b["a"], b["old"], b["mask"], ref=b["ref"], estimator=estimator, beta=0.04,
            aggregation=aggregation,
        )  # fmt: skip
        given = {"kl": estimator, "kl_beta": 0.04, "logp_ref": b["ref"], "aggregation": aggregation}
        assert weigh(name, b, **given) == pytest.approx(expected, rel=1e-9, abs=1e-13)
        assert lose(name, b, **given) == pytest.approx(loss, rel=1e-9)


def test_gspo_as_its_paper_writes_it() -> None:
    """(1/N) Σ min(s A, clip(s) A), s with its whole gradient: the token form with the mean over tokens is the same."""
    import torch

    b = batch(0.1, 5)
    new = torch.tensor(b["new"], requires_grad=True)
    mask, a = torch.tensor(b["mask"], dtype=torch.float64), torch.tensor(b["a"])
    s = (((new - torch.tensor(b["old"])) * mask).sum(-1) / mask.sum(-1).clamp(min=1)).exp()
    objective = torch.minimum(s * a, s.clamp(0.9, 1.2) * a)
    objective[mask.sum(-1) > 0].mean().backward()
    assert weigh("gspo", b, clip_low=0.1, clip_high=0.2) == pytest.approx(new.grad.numpy(), rel=1e-10, abs=1e-15)


@every_objective
def test_on_policy_the_short_cut_is_the_general_path(name: str, options: dict[str, Any]) -> None:
    b = batch(0.0, 3)
    cut = objectives.weights(name, b["old"], b["a"], logp=b["old"], mask=b["mask"], **options)
    assert cut == pytest.approx(weigh(name, {**b, "new": b["old"].copy()}, **options), rel=1e-12, abs=1e-15)


def test_on_policy_every_ratio_method_is_the_plain_gradient() -> None:
    """At ρ = 1 (and with φ(1) = 1, 4σ(0)(1−σ(0)) = 1) they differ only in how tokens are averaged."""
    b = {**batch(0.0, 3, masked=False)}
    for name in ("ppo_clip", "gspo", "cispo", "gpg", "sapo", "vespo"):
        plain = weigh(name, b, aggregation="token-mean")
        assert plain == pytest.approx(np.broadcast_to(b["a"][..., None], (P, G, T)) / (P * G * T), rel=1e-12)
    assert weigh("gmpo", b) == pytest.approx(weigh("gspo", b, aggregation="seq-mean-token-mean"), rel=1e-7)
    assert weigh("luspo", b) == pytest.approx(weigh("gspo", b, aggregation="seq-mean-token-sum"), rel=1e-12)


@every_objective
def test_runs_side_by_side_are_runs_one_by_one(name: str, options: dict[str, Any]) -> None:
    parts = [batch(0.5, seed) for seed in range(4)]
    together = {k: np.stack([p[k] for p in parts]) for k in parts[0]}
    found = weigh(name, together, **options)
    assert np.array_equal(found, np.stack([weigh(name, p, **options) for p in parts]))
    losses = objectives.loss(
        name, together["new"], together["a"], logp=together["old"], mask=together["mask"], **options
    )
    assert losses.tolist() == [lose(name, p, **options) for p in parts]


@every_objective
def test_masked_tokens_weigh_nothing_whatever_stands_there(name: str, options: dict[str, Any]) -> None:
    b = batch(0.5, 6)
    found = weigh(name, b, **options)
    assert not found[~b["mask"]].any()
    for padding in (-7.0, np.nan, -np.inf):
        other = {**b, "new": np.where(b["mask"], b["new"], padding), "old": np.where(b["mask"], b["old"], 2.0)}
        assert weigh(name, other, **options) == pytest.approx(found, rel=1e-14, abs=0)


@every_objective
def test_inputs_are_left_alone(name: str, options: dict[str, Any]) -> None:
    b = batch(0.5, 7)
    before = {k: v.copy() for k, v in b.items()}
    for array in b.values():
        array.setflags(write=False)
    weigh(name, b, **options)
    objectives.weights(name, b["old"], b["a"], logp=b["old"], mask=b["mask"], **options)
    assert all(np.array_equal(b[k], before[k]) for k in b)
