"""What the door of the objectives takes, refuses and says."""

import inspect
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import lab
from lab import objectives, registry
from lab.errors import InputError, MissingFieldError, UnknownNameError
from lab.integrations.rules import Rules

NEW = np.log([[[0.5, 0.2], [0.1, 0.9]]])  # P = 1, G = 2, T = 2
OLD = np.log([[[0.5, 0.3], [0.3, 0.9]]])
A = np.array([[1.0, -1.0]])


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"logp_new": [[[10**400]]]}, InputError, "logp_new must be numbers, in rows of one length"),
        ({"advantage": [["x", 1]]}, InputError, "advantage must be numbers, in rows of one length"),
        ({"logp": [[[10**400]]]}, InputError, "logp must be numbers, in rows of one length"),
        ({"logp_new": NEW[0, 0]}, InputError, r"\[\.\.\., P, G, T\]"),
        ({"advantage": np.ones((2, 2))}, InputError, r"it must be \(1, 2\) or \(1, 2, 2\)"),
        ({"logp": OLD[..., :1]}, InputError, r"that of logp_new, \(1, 2, 2\)"),
        ({"logp": None}, MissingFieldError, "reads logp; pass logp="),
        ({"mask": np.ones((1, 2))}, InputError, "mask has shape"),
        ({"mask": np.full((1, 2, 2), 0.5)}, InputError, "neither 0 nor 1"),
        ({"logp_new": np.where(NEW < -2, np.nan, NEW)}, InputError, r"logp_new is nan at index \(0, 1, 0\)"),
        ({"advantage": [[1.0, np.inf]]}, InputError, r"advantage is inf at index \(0, 1\)"),
        ({"logp": np.full((1, 2, 2), -np.inf)}, InputError, "logp is -inf"),
        ({"kl": "k3", "kl_beta": 0.1, "logp_ref": np.full((1, 2, 2), np.nan)}, InputError, "logp_ref is nan"),
        ({"clip_high": "wide"}, InputError, "clip_high='wide'; it must be a number"),
        ({"clip_hihg": 0.3}, UnknownNameError, "nearest: 'clip_high'"),
        ({"aggregation": "token_mean"}, UnknownNameError, "nearest: 'token-mean'"),
    ],
)
def test_what_is_refused(given: dict[str, Any], error: type[Exception], said: str) -> None:
    call = {"logp_new": NEW, "advantage": A, "logp": OLD, **given}
    with pytest.raises(error, match=said):
        objectives.weights("ppo_clip", call.pop("logp_new"), call.pop("advantage"), **call)


def test_unknown_objectives_come_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="nearest: 'ppo_clip'"):
        objectives.weights("ppo", NEW, A, logp=OLD)


def test_padding_may_be_anything_under_the_mask() -> None:
    mask = np.array([[[1, 1], [0, 1]]])
    padded = np.where(mask, NEW, np.nan)
    given = {"mask": mask, "kl": "k3", "kl_beta": 0.1}
    found = objectives.weights("ppo_clip", padded, A, logp=np.where(mask, OLD, np.inf), logp_ref=padded, **given)
    assert np.array_equal(found, objectives.weights("ppo_clip", NEW, A, logp=OLD, logp_ref=NEW, **given))


def test_an_objective_without_a_ratio_needs_no_old_policy() -> None:
    assert objectives.weights("gpg", NEW, A).tolist() == objectives.weights("gpg", NEW, A, logp=OLD).tolist()


def test_share_of_clipped_tokens() -> None:
    """Ratios 1, 2/3 | 1/3, 1 with A = +1 | −1: a positive advantage is clipped above, a negative one below."""
    ratio = np.exp(NEW - OLD)
    assert ratio == pytest.approx(np.array([[[1, 2 / 3], [1 / 3, 1]]]))
    names = ("ppo_clip", "cispo", "gspo", "gmpo", "gpg", "sapo")
    share = {name: objectives.clip_share(name, NEW, A, logp=OLD) for name in names}
    assert share["ppo_clip"] == pytest.approx(1 / 4)
    assert share["cispo"] == pytest.approx(2 / 4)
    assert share["gspo"] == pytest.approx(2 / 4)  # the whole second rollout
    assert share["gmpo"] == pytest.approx(1 / 4)  # A > 0 and a log-ratio of −0.405 beyond 0.4
    assert share["gpg"] is None
    assert share["sapo"] is None
    mask = np.array([[[1, 0], [1, 1]]])
    assert objectives.clip_share("ppo_clip", NEW, A, logp=OLD, mask=mask) == pytest.approx(1 / 3)
    assert objectives.clip_share("ppo_clip", NEW, A, logp=OLD, clip_low=0.7) == 0


def test_clip_ranges_may_be_scaled_token_by_token() -> None:
    wide = np.array([[[1.0, 1.0], [4.0, 1.0]]])
    assert objectives.weights("ppo_clip", NEW, A, logp=OLD)[0, 1, 0] == 0
    assert objectives.weights("ppo_clip", NEW, A, logp=OLD, clip_scale=wide)[0, 1, 0] == pytest.approx(-1 / 3 / 4)
    assert objectives.clip_share("ppo_clip", NEW, A, logp=OLD, clip_scale=wide) == 0


def test_dropped_rollouts_leave_the_denominator() -> None:
    """Masking a whole rollout is as if it were not there, for every objective and aggregation that counts rollouts."""
    rng = np.random.default_rng(0)
    new, old, a = rng.normal(-1, 0.1, (2, 4, 3)), rng.normal(-1, 0.1, (2, 4, 3)), rng.normal(size=(2, 4))
    mask = np.ones(new.shape)
    mask[:, 0] = 0
    for name in objectives.names(presets=False):
        if objectives.rule(name).paper != "baselines" or "scores" in objectives.rule(name).extras:
            continue
        kept = objectives.weights(name, new[:, 1:], a[:, 1:], logp=old[:, 1:], mask=mask[:, 1:])
        assert objectives.weights(name, new, a, logp=old, mask=mask)[:, 1:] == pytest.approx(kept, rel=1e-12), name


def test_ones_own_objective_is_a_variant(own_rule) -> None:
    def loss(new: np.ndarray, a: np.ndarray, o: SimpleNamespace) -> np.ndarray:
        return -(a[..., None] * new * o.strength).sum((-3, -2, -1))

    @lab.objective("push", equation="w = strength · A", loss=loss)
    def push(logp_new, advantage, *, strength=1.0):
        return np.broadcast_to(advantage[..., None] * strength, logp_new.shape)

    assert objectives.weights("push", NEW, A, strength=2.0)[0, :, 0].tolist() == [2.0, -2.0]
    assert objectives.loss("push", NEW, A, strength=2.0) == pytest.approx(-2 * (NEW[0, 0] - NEW[0, 1]).sum())
    assert objectives.clip_share("push", NEW, A) is None
    assert lab.variant("push", strength=3.0).options["objective"] == {"strength": 3.0}
    with pytest.raises(InputError, match="loss must be a function"):
        lab.objective("push", loss="mean")


def test_an_objective_without_a_loss_says_so(own_rule) -> None:
    registry.register("objective", "silent")(lambda logp_new, advantage: logp_new)
    with pytest.raises(InputError, match="without a loss"):
        objectives.loss("silent", NEW, A)


@pytest.mark.parametrize("name", objectives.names(presets=False))
def test_whether_it_couples_the_rollouts_of_a_group_is_as_declared(name: str) -> None:
    assert objectives.couples(name) == objectives.rule(name).coupled


def test_which_objectives_couple() -> None:
    coupled = {n for n in objectives.names(presets=False) if objectives.rule(n).coupled}
    pairs = {"dno", "dno-prct", "harmonic-rpo", "dpo", "simpo", "t-reg", "simpo-reg"}
    assert coupled == pairs | {"drpo", "reg-grpo", "grqo", "dino-r1", "gdro", "gdso"}


def test_ones_own_clone_of_a_clip_couples_nothing(own_rule) -> None:
    @lab.objective("own-clip")
    def own(logp_new, advantage, *, logp, clip=0.2):
        rho = np.exp(logp_new - logp)
        return advantage[..., None] * rho * (abs(rho - 1) < clip) / (rho.shape[-3] * rho.shape[-2])

    @lab.objective("own-pull", coupled=True)
    def pull(logp_new, advantage):
        return np.broadcast_to((advantage - advantage.max(-1, keepdims=True))[..., None], logp_new.shape)

    assert not objectives.couples("own-clip")
    assert objectives.couples("own-pull")
    assert not Rules("own-clip").needs_whole_groups()
    assert Rules("own-pull").needs_whole_groups()


def test_a_misspelt_option_of_a_formula_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="nearest: 'clip_low'"):
        objectives.rule("ppo_clip").function(NEW, A, logp=OLD, clip_lwo=0.1)


def test_a_formula_documents_and_declares_the_shared_arguments() -> None:
    rule = objectives.rule("gpg")
    assert list(inspect.signature(rule.function).parameters) == [
        "logp_new", "advantage", "mask", "aggregation", "max_length", "floor"
    ]  # fmt: skip
    assert "    mask: Valid tokens [..., P, G, T]; None for all." in rule.function.__doc__
    assert "t: Terms" not in rule.function.__doc__
