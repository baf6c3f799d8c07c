"""The rules of a variant on the arrays of another trainer, without the trainer."""

import numpy as np
import pytest

import lab
from lab import advantages, registry
from lab.errors import InputError, MissingFieldError
from lab.integrations.rules import Rules
from lab.integrations.verl import estimator

NAN = np.nan
MASK = np.ones((1, 4, 2), dtype=bool)


@pytest.mark.parametrize("name", ["dapo", "ngrpo"])
def test_a_component_that_was_not_scored_costs_no_group_its_place(name: str) -> None:
    """TRL writes None as NaN and adds the components that are there."""
    half = np.array([[[0, NAN], [1, NAN], [0, NAN], [1, NAN]]])
    scored = Rules(name).score(half, MASK)
    assert scored.keep.all()
    assert scored.advantage == pytest.approx(Rules(name).score(half[..., :1], MASK).advantage)


@pytest.mark.parametrize(
    ("rewards", "kept"),
    [
        ([[0, NAN], [0, NAN], [0, NAN], [0, NAN]], False),
        ([[0, NAN], [0, 1], [0, NAN], [0, NAN]], True),
        ([[NAN, NAN], [1, 1], [NAN, NAN], [0, 1]], True),
        ([[NAN, NAN], [1, 1], [NAN, NAN], [NAN, NAN]], False),
        ([[NAN, NAN]] * 4, False),
    ],
)
def test_a_filter_looks_at_the_rollouts_that_are_scored(rewards: list, kept: bool) -> None:
    assert Rules("dapo").score(np.array([rewards], dtype=float), MASK).keep.all() == kept


def test_signs_that_are_turned_at_random_are_refused() -> None:
    with pytest.raises(InputError, match=r"signflip=0.25.*lab.train alone"):
        Rules(lab.variant("grpo", signflip=0.25))


def test_what_a_trainer_does_not_give_is_refused_at_once() -> None:
    """Every rule that is accepted can be computed of what is given; the others are refused by name."""
    with pytest.raises(
        MissingFieldError, match="'graph-grpo' reads actions, which a trainer of language models does not"
    ):
        Rules("graph-grpo")
    rewards, logp = np.array([[[0.0], [1.0], [0.0], [1.0]]]), np.full((1, 4, 2), -1.0)
    refused = {"a2tgpo": "turn_rewards", "remax": "greedy_rewards", "thr": "hidden"}
    for name, field in refused.items():
        with pytest.raises(MissingFieldError, match=field):
            Rules(name)
    for name in advantages.names():
        if set(advantages.rule(name).required) <= {"mask"}:
            rules = Rules(lab.Variant("own", advantage=name))
            scored = rules.score(rewards, MASK)
            assert rules.weigh(logp, scored, logp=logp, mask=MASK)[0].shape == logp.shape


def test_a_filter_sees_the_weighted_sum() -> None:
    """Weights (1, 0): the second component alone differs, so there is nothing to learn."""
    rewards = np.array([[[1.0, 0], [1, 1], [1, 0], [1, 1]], [[0, 0], [1, 0], [0, 0], [1, 0]]])
    mask = np.ones((2, 4, 2), dtype=bool)
    assert Rules("dapo").score(rewards, mask, np.array([1.0, 0.0])).keep.all(-1).tolist() == [False, True]
    assert Rules("dapo").score(rewards, mask).keep.all(-1).tolist() == [True, True]


def test_a_preset_of_a_reward_keeps_its_options() -> None:
    """`process` is `clip-delta` with another form: what it sets must reach the function."""
    rule = registry.find("reward", "overlong")
    registry.preset("reward", "overlong@test", "overlong", buffer=2, factor=7.0)
    try:
        mask = np.ones((1, 2, 8), dtype=bool)
        mask[0, 0, 4:] = False
        own = lab.Variant("own", reward=("overlong@test", {"max_length": 8}))
        found = Rules(own).score(np.ones((1, 2, 1)), mask).rewards
        wanted = rule.function(np.ones((1, 1, 2, 1)), mask=mask[None], max_length=8, buffer=2, factor=7.0)[0]
        assert found.tolist() == wanted.tolist()
        assert found[0, 1].sum() == 1 - 7.0
    finally:
        del registry._RULES["reward"]["overlong@test"]


def test_verl_gets_the_groups_that_a_filter_keeps() -> None:
    import torch

    rewards = torch.zeros(8, 3)
    rewards[:, 2] = torch.tensor([0.0, 1, 0, 1, 1, 1, 1, 1])
    weights, _ = estimator("ngrpo")(rewards, torch.ones(8, 3), np.repeat(["a", "b"], 4))
    assert (weights[:4] != 0).all()
    assert (weights[4:] == 0).all()


def test_clipped_tokens_are_told_by_the_sign_of_their_advantage() -> None:
    ratio = np.array([[[0.5, 1.5, 1.0, 0.5]], [[1.5, 0.5, 1.5, 9.0]], [[1.0, 1.0, 1.0, 1.0]]])
    mask = np.array([[[1, 1, 1, 1]], [[1, 1, 1, 0]], [[0, 0, 0, 0]]], dtype=bool)
    low, high = Rules("grpo@trl").clipped(np.log(ratio), np.array([[-1.0], [2.0], [1.0]]), logp=0 * ratio, mask=mask)
    assert low.tolist() == [[0.5], [0.0], [0.0]] and high.ravel() == pytest.approx([0.0, 2 / 3, 0.0])
    assert Rules("sapo").clipped(np.log(ratio), np.ones((3, 1)), logp=0 * ratio, mask=mask) is None


@pytest.mark.parametrize("by", ["", "token", "sequence"])
def test_weights_of_a_penalty_are_the_slope_of_its_loss_far_from_the_reference_too(by: str) -> None:
    rng = np.random.default_rng(0)
    new, old, ref = (rng.normal(size=(1, 2, 3)) - 2 for _ in range(3))
    ref[0, 0, 0] = new[0, 0, 0] + 4
    mask = np.array([[[True, True, True], [True, True, False]]])
    rules, step = Rules("gpg"), 1e-6
    scored = rules.score(np.array([[[1.0], [0.0]]]), mask)

    def weighed(at: np.ndarray) -> tuple[np.ndarray, float]:
        return rules.weigh(at, scored, logp=old, mask=mask, logp_ref=ref, kl_beta=0.5, kl_ratio=by)

    slope = np.zeros_like(new)
    for here in np.ndindex(new.shape):
        moved = step * (np.arange(new.size) == np.ravel_multi_index(here, new.shape)).reshape(new.shape)
        slope[here] = (weighed(new + moved)[1] - weighed(new - moved)[1]) / (2 * step)
    assert weighed(new)[0] == pytest.approx(-slope, rel=1e-5, abs=1e-7)
