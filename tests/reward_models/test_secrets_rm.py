"""Secrets of RLHF II: which labels are smoothed, and what is refused before anything is trained."""

from __future__ import annotations

import numpy as np
import pytest

from lab import reward_models
from lab.errors import InputError
from lab.reward_models import secrets_rm as secrets
from simulators.learned_reward.annotators import annotate
from simulators.learned_reward.gold import gold

torch = pytest.importorskip("torch", exc_type=ImportError)
MU = np.array([[-2.0, -1.0, 0.0, 1.0, 2.0]])


@pytest.mark.parametrize(
    ("treatment", "alpha", "share"),
    [("soften", None, [0.5, 0.5, 0, 0, 0]), ("soften", 0.2, [0.2, 0.2, 0, 0, 0]), ("soften all", None, [0.1] * 5),
     ("soften strong", None, [0, 0, 0, 0, 0.1]), ("flip", 0.3, [0] * 5), ("keep", None, [0] * 5)],
)  # fmt: skip
def test_labels_are_smoothed_where_the_recipe_says(treatment: str, alpha: float | None, share: list[float]) -> None:
    assert secrets._softness(MU, MU < 0, treatment, alpha).tolist() == [share]


def test_half_of_every_label_is_all_of_it() -> None:
    with pytest.raises(InputError, match=r"alpha=0\.5 leaves nothing"):
        reward_models.fit("secrets-rm", annotate(gold("linear"), 20), recipe="smooth", alpha=0.5)


def test_known_strengths_are_those_of_the_vote() -> None:
    data, x = annotate(gold("linear"), 100, flips=0.2, seeds=[0]), np.eye(16)[None]
    mu = secrets.strength(data, [0], models=2)[0]
    whole = secrets.secrets_rm(data, [0], recipe="soft+margin", models=2)
    assert np.array_equal(whole(x), secrets.treated(data, [0], mu, recipe="soft+margin")(x))
    assert len(secrets.voters(data, [0], models=2)) == 2


def test_a_learning_rate_is_that_of_voters_and_model() -> None:
    data, x = annotate(gold("linear"), 100, seeds=[0]), np.eye(16)[None]
    fast = secrets.secrets_rm(data, [0], recipe="margin", models=2, lr=1e-2)
    mu = secrets.strength(data, [0], models=2, lr=1e-2)[0]
    assert np.array_equal(fast(x), secrets.treated(data, [0], mu, recipe="margin", lr=1e-2)(x))
    with pytest.raises(InputError, match="learning rate"):
        reward_models.fit("secrets-rm", data, 0, lr=-1.0)
