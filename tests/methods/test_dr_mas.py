"""Dr. MAS: agent-wise advantages against a plain loop, the surrogate of each agent against autograd."""

from functools import partial

import numpy as np
import pytest

import lab
from lab.errors import InputError, MissingFieldError
from lab.world_registry import world
from tests.methods.autograd import batch, check_objective, torch

AGENT = np.array([[0, 1, 1], [0, 2, 0], [0, 1, 0]])
MASK = np.array([[1, 1, 1], [1, 1, 0], [1, 1, 0]], dtype=bool)
SCORES = np.array([[1.0, 0.9, 1.0], [0.0, 0.0, 7.0], [1.0, 1.0, 7.0]])
FIELDS = {"agent": AGENT[None], "mask": MASK[None], "turn_rewards": SCORES[None]}


def plain(scores: np.ndarray, agent: np.ndarray, mask: np.ndarray, eps: float = 1e-6) -> np.ndarray:
    """The paper's grouping with lists, for one prompt."""
    out = np.zeros(scores.shape)
    for n in range(agent.max() + 1):
        calls = [place for place in np.ndindex(scores.shape) if mask[place] and agent[place] == n]
        own = [scores[place] for place in calls]
        mean, std = (np.mean(own), np.std(own, ddof=1)) if len(own) > 1 else (0.0, 1.0)
        for place in calls:
            out[place] = (scores[place] - mean) / (std + eps)
    return out


def test_every_call_of_an_agent_counts() -> None:
    found = lab.advantages.compute("dr-mas", np.zeros((1, 3)), **FIELDS)[0]
    assert found == pytest.approx(plain(SCORES, AGENT, MASK))
    assert not found[~MASK].any()


def test_a_batch_of_runs_against_the_loop() -> None:
    rng = np.random.default_rng(0)
    agent, mask = rng.integers(0, 3, (2, 4, 6, 5)), rng.random((2, 4, 6, 5)) < 0.8
    scores = rng.random(agent.shape)
    fields = {"agent": agent, "mask": mask, "turn_rewards": scores}
    found = lab.advantages.compute("dr-mas", np.zeros((2, 4, 6, 1)), **fields)
    for s, p in np.ndindex(2, 4):
        assert found[s, p] == pytest.approx(plain(scores[s, p], agent[s, p], mask[s, p]))


def test_the_baseline_averages_a_trajectory_first() -> None:
    found = lab.advantages.compute("dr-mas-global", np.zeros((1, 3)), **FIELDS)[0]
    whole = np.array([(1 + 0.9 + 1) / 3, 0.0, 1.0])
    expected = (whole - whole.mean()) / (whole.std(ddof=1) + 1e-6)
    assert found == pytest.approx(np.where(MASK, expected[:, None], 0))


def test_without_scores_of_their_own_calls_have_their_trajectorys_reward() -> None:
    rewards = np.array([[1.0, 0.0, 0.5]])
    fields = {"agent": AGENT[None], "mask": MASK[None]}
    own = {**fields, "turn_rewards": np.broadcast_to(rewards[..., None], (1, 3, 3))}
    assert np.array_equal(
        lab.advantages.compute("dr-mas", rewards, **fields), lab.advantages.compute("dr-mas", rewards, **own)
    )
    grpo = lab.advantages.compute("grpo", rewards, eps=1e-6)
    assert lab.advantages.compute("dr-mas-global", rewards, **fields)[0, :, 0] == pytest.approx(grpo[0])


def test_an_only_call_keeps_its_score_or_gets_nothing() -> None:
    one = {"agent": np.array([[[0, 1], [0, 0]]])}
    raw, zero = (
        lab.advantages.compute(name, [[0.7, 0.2]], **one)[0, 0, 1] for name in ("dr-mas", "dr-mas@zero-single")
    )
    assert raw == pytest.approx(0.7 / (1 + 1e-6)) and zero == 0
    assert lab.advantages.compute("dr-mas", [[0.7, 0.2]], std=False, **one)[0, 0, 1] == 0.7


def test_equal_scores_give_exactly_nothing_and_unscored_trajectories_too() -> None:
    fields = {"agent": np.zeros((1, 3, 2), int)}
    assert not lab.advantages.compute("dr-mas", [[0.3] * 3], **fields).any()
    found = lab.advantages.compute("dr-mas", [[1, 0, np.nan]], missing="skip", **fields)[0]
    assert not found[2].any() and found[0, 0] > 0


def test_bad_input_is_named() -> None:
    with pytest.raises(MissingFieldError, match=r"reads agent.* \(agent: world 'agents'\)"):
        lab.advantages.compute("dr-mas", [[1, 0]])
    with pytest.raises(InputError, match=r"agent has shape \(1, 3, 2\); it must be \[..., P, G, T\]"):
        lab.advantages.compute("dr-mas", [[1, 0]], agent=np.zeros((1, 3, 2)))
    with pytest.raises(InputError, match="'one'; it must be 'zero' or 'raw'"):
        lab.advantages.compute("dr-mas", [[1, 0]], agent=np.zeros((1, 2, 1), int), single="one")


def own_losses(new, old, a, mask, agent):  # type: ignore[no-untyped-def]
    """Sum over agents of PPO's clipped loss, averaged over the agent's calls."""
    rho, total = (new - old).exp(), 0.0
    for n in range(3):
        own = mask * torch.tensor(agent == n)
        loss = torch.maximum(-a[..., None] * rho, -a[..., None] * rho.clamp(0.8, 1.2))
        total = total + (own * loss).sum() / own.sum().clamp(min=1)
    return total


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("spread", [0.05, 0.6])
def test_weights_are_minus_the_gradient_of_the_agents_losses(masked: bool, spread: float) -> None:
    for seed in range(3):
        b = batch(spread, seed, masked=masked)
        agent = np.random.default_rng(seed).integers(0, 3, b["new"].shape)
        check_objective("dr-mas", b, partial(own_losses, agent=agent), agent=agent)


def test_a_rarely_called_agent_is_not_averaged_away() -> None:
    agent = np.zeros((1, 4, 5), int)
    agent[0, 0, 0] = 1
    w = lab.objectives.weights(
        "dr-mas", np.zeros(agent.shape), np.ones(agent.shape), logp=np.zeros(agent.shape), agent=agent
    )
    assert w[agent == 1].sum() == pytest.approx(1) and w[agent == 0].sum() == pytest.approx(1)


@pytest.mark.parametrize("plan", ["conditional", "solver-verifier", "search"])
def test_the_variant_learns_every_plan(plan: str) -> None:
    trace = lab.train(world("agents", plan=plan, prompts=4), "dr-mas", steps=60, seeds=4)
    value = trace.frame.sort("step")["value"].to_numpy()
    assert value[-4:].mean() > value[:4].mean() + 0.15
