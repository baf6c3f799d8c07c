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


def test_what_verl_asks_of_an_estimator_is_done_or_refused_by_name():
    rewards, mask = batch(8)
    index = np.repeat([0, 1], 4)
    bare = {"norm_adv_by_std_in_grpo": False}
    centred = rewards.sum(-1).reshape(2, 4) - rewards.sum(-1).reshape(2, 4).mean(-1, keepdim=True)
    wanted = centred.reshape(8, 1) * mask
    for name in ("grpo@verl", "dapo", "dr_grpo"):
        assert torch.allclose(verl.estimator(name)(rewards, mask, index, config=bare)[0], wanted, atol=1e-6)
    told = verl.estimator("grpo@verl")(rewards, mask, index, config={"norm_adv_by_std_in_grpo": True})[0]
    assert torch.allclose(told, verl.estimator("grpo@verl")(rewards, mask, index)[0])
    assert not torch.allclose(told, wanted, atol=1e-3)
    with pytest.raises(InputError, match="norm_adv_by_std_in_grpo=False has no place in advantage rule 'ngrpo'"):
        verl.estimator("ngrpo")(rewards, mask, index, config=bare)
    with pytest.raises(InputError, match=r"gdpo_reward_keys.*'gdpo' would see their sum"):
        verl.estimator("gdpo")(rewards, mask, index, config={"gdpo_reward_keys": ["format", "accuracy"]})


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
