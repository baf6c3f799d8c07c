"""The lab's rules as verl calls its estimators."""

import numpy as np
import pytest

import lab
from lab.errors import InputError

torch = pytest.importorskip("torch")

from lab.integrations import verl  # noqa: E402


def batch(rows, length=5, seed=0):
    rng = np.random.default_rng(seed)
    mask = np.arange(length) < rng.integers(1, length + 1, rows)[:, None]
    rewards = np.zeros((rows, length))
    rewards[np.arange(rows), mask.sum(-1) - 1] = rng.random(rows)
    return torch.from_numpy(rewards).float(), torch.from_numpy(mask)


@pytest.mark.parametrize("name", ["grpo@verl", "dr_grpo", "bnpo", "ngrpo", "rloo"])
def test_an_estimator_gives_the_rules_advantages_wherever_the_rows_stand(name):
    rewards, mask = batch(12)
    index = np.array(list("baccabbacabc"))
    advantage, returns = verl.estimator(name)(token_level_rewards=rewards, response_mask=mask, index=index, config=None)
    assert advantage.shape == rewards.shape and torch.equal(advantage, returns)
    for group in "abc":
        rows = np.flatnonzero(index == group)
        if name != "bnpo":
            alone = lab.advantages.compute(name, rewards.double().numpy().sum(-1)[rows])
            assert np.allclose(advantage.numpy()[rows], alone[:, None] * mask.numpy()[rows], atol=1e-6)


def test_groups_of_different_sizes_are_refused():
    rewards, mask = batch(5)
    with pytest.raises(InputError, match="one size"):
        verl.estimator("grpo")(rewards, mask, np.array(list("aabbb")))


def test_all_usable_rules_are_registered_under_their_names():
    known = {}

    def into(name):
        return lambda function: known.setdefault(name, function)

    verl.register(into=into)
    assert "lab/gdpo" in known and "lab/grpo@verl" in known and "lab/remax" not in known
    rewards, mask = batch(8)
    for function in known.values():
        advantage, _ = function(rewards, mask, np.repeat([0, 1], 4))
        assert advantage.shape == rewards.shape and (advantage[~mask] == 0).all()


@pytest.mark.filterwarnings("ignore")
def test_verls_own_registry_takes_them():
    try:
        from verl.trainer.ppo import core_algos
    except Exception as reason:
        pytest.skip(f"verl's core_algos does not import here: {reason}")
    verl.register(["gdpo"])
    rewards, mask = batch(8)
    advantage, _ = core_algos.get_adv_estimator_fn("lab/gdpo")(
        token_level_rewards=rewards, response_mask=mask, index=np.repeat([0, 1], 4), config=None
    )
    assert advantage.isfinite().all()
