"""The rules of several turns against plain loops, at their edges, and on bad input."""

from typing import Any

import numpy as np
import pytest

import lab
from lab import advantages, objectives, rewards
from lab.advantages.step_returns import step_rewards
from lab.advantages.turns import at_tokens, closes, per_turn, returns
from lab.errors import InputError, MissingFieldError, UnknownNameError
from simulators import Bandit, Turns
from tests.methods.autograd import torch

P, G, T = 2, 4, 7


def batch(seed: int = 0) -> dict[str, Any]:
    """Outcomes and process rewards of rollouts with turns of unequal number and length."""
    rng = np.random.default_rng(seed)
    mask, turn = np.zeros((P, G, T), dtype=bool), np.zeros((P, G, T), dtype=int)
    scores = rng.normal(size=(P, G, T))
    for p, g in np.ndindex(P, G):
        n = rng.integers(2, T + 1)
        mask[p, g, :n] = True
        turn[p, g, :n] = np.cumsum(rng.integers(0, 2, n) * (np.arange(n) > 0))
    return {"rewards": rng.integers(0, 2, (P, G)).astype(float), "turn_rewards": np.take_along_axis(scores, turn, -1),
            "turn": turn, "mask": mask}  # fmt: skip


def lists(b: dict[str, Any]) -> list[list[list[float]]]:
    """Process rewards of the turns of each rollout [P][G][turns]."""
    return [
        [[b["turn_rewards"][p, g][b["mask"][p, g] & (b["turn"][p, g] == k)][0]
          for k in range(b["turn"][p, g][b["mask"][p, g]].max() + 1)] for g in range(G)]
        for p in range(P)
    ]  # fmt: skip


def z(value: float, pool: list[float], eps: float, floor: float = 0.0) -> float:
    if len(pool) < 2 or np.ptp(pool) == 0:
        return 0.0
    return float((value - np.mean(pool)) / (np.sqrt(np.var(pool) + floor) + eps))


def by_turn(values: list[list[list[float]]], b: dict[str, Any]) -> Any:
    """Values of turns at their tokens."""
    out = np.zeros((P, G, T))
    for p, g, t in np.ndindex(P, G, T):
        if b["mask"][p, g, t]:
            out[p, g, t] = values[p][g][b["turn"][p, g, t]]
    return out


def discounted(row: list[float], gamma: float) -> list[float]:
    return [sum(gamma ** (k - t) * row[k] for k in range(t, len(row))) for t in range(len(row))]


@pytest.mark.parametrize("pool", ["group", "batch"])
@pytest.mark.parametrize("distance", ["incremental", "absolute"])
@pytest.mark.parametrize("gamma", [1.0, 0.8])
def test_mapo_is_its_equation(pool: str, distance: str, gamma: float) -> None:
    b = batch()
    r = lists(b)
    if distance == "absolute":
        r = [[list(np.cumsum(row)) for row in group] for group in r]
    later = [[discounted(row, gamma) for row in group] for group in r]
    every = [x for group in r for row in group for x in row]
    expected = [
        [
            [
                0.7 * z(later[p][g][t], [row[t] for row in later[p] if len(row) > t], 1e-8)
                + 0.3 * z(r[p][g][t], every if pool == "batch" else [x for row in r[p] for x in row], 1e-8)
                for t in range(len(r[p][g]))
            ]
            for g in range(G)
        ]
        for p in range(P)
    ]
    found = advantages.compute("mapo", **b, alpha=0.7, gamma=gamma, pool=pool, distance=distance)
    assert found == pytest.approx(by_turn(expected, b), abs=1e-12)


def test_mapo_s_levels_add_up_to_it() -> None:
    b = batch(1)
    mixed = 0.5 * (advantages.compute("mapo@turn", **b) + advantages.compute("mapo@immediate", **b))
    assert advantages.compute("mapo", **b) == pytest.approx(mixed)


def test_a2tgpo_is_its_equation() -> None:
    b = batch(2)
    gains = [[row[:-1] for row in group] for group in lists(b)]
    expected, scales = [], []
    for p in range(P):
        outcome = [z(x, list(b["rewards"][p]), 1e-6, 1e-8) for x in b["rewards"][p]]
        own = [
            [z(x, [r[t] for r in gains[p] if len(r) > t], 1e-6, 1e-8) for t, x in enumerate(row)] for row in gains[p]
        ]
        sums = [discounted(row, 0.9) for row in own]
        expected.append(
            [[0.3 * d / np.sqrt(len(sums[g]) - t) + outcome[g] for t, d in enumerate(sums[g])] + [outcome[g]]
             for g in range(G)]
        )  # fmt: skip
        scales.append([[1 + 0.3 * (2 / (1 + np.exp(-x)) - 1) for x in row] + [1.0] for row in own])
    found = advantages.credit("a2tgpo", **b, alpha=0.3, gamma=0.9)
    assert found.advantage == pytest.approx(by_turn(expected, b), abs=1e-12)
    assert found.clip_scale == pytest.approx(np.where(b["mask"], by_turn(scales, b), 1.0))


def test_outcomes_that_agree_leave_the_gains() -> None:
    b = {**batch(3), "rewards": np.ones((P, G))}
    assert not advantages.compute("grpo", b["rewards"]).any()
    a, (_, present) = advantages.compute("a2tgpo", **b), per_turn(b["turn_rewards"], b["turn"], b["mask"])
    at_answer = at_tokens(closes(present).astype(float), b["turn"], b["mask"]) == 1
    assert not a[at_answer].any()
    assert a[b["mask"] & ~at_answer].any()


@pytest.mark.parametrize("rule", ["mapo", "a2tgpo", "igpo", "step-returns"])
def test_one_rollout_teaches_nothing_beside_its_own_pool(rule: str) -> None:
    found = advantages.compute(rule, [[1.0]], turn_rewards=[[[0.5, 0.2, 0.1]]])
    assert found.shape == (1, 1, 3)
    if rule in ("a2tgpo", "step-returns"):
        assert not found.any()


def test_tokens_and_turns_are_each_other_s_inverse() -> None:
    b = batch(4)
    values, present = per_turn(b["turn_rewards"], b["turn"], b["mask"])
    assert at_tokens(values, b["turn"], b["mask"]) == pytest.approx(np.where(b["mask"], b["turn_rewards"], 0))
    assert (present.sum(-1) == np.where(b["mask"], b["turn"], -1).max(-1) + 1).all()
    assert (closes(present).sum(-1) == 1).all()
    assert returns(np.array([1.0, 2, 4]), np.array([True, True, False]), 0.5).tolist() == [2, 2, 0]


@pytest.mark.parametrize("name", ["mapo", "a2tgpo", "igpo", "step-returns"])
def test_bad_turns_and_options_are_refused(name: str) -> None:
    b = batch()
    with pytest.raises(MissingFieldError, match="reads turn_rewards"):
        advantages.compute(name, b["rewards"])
    with pytest.raises(InputError, match="turns are whole numbers from 0 to 6"):
        advantages.compute(name, **{**b, "turn": b["turn"] - 1})
    with pytest.raises(MissingFieldError, match="'bandit' provides greedy_rewards"):
        lab.train(Bandit(success=[0.5, 0.5]), name, steps=1, seeds=1)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("mapo", {"pool": "all"}),
        ("mapo", {"distance": "far"}),
        ("igpo", {"pool": "all"}),
        ("step-returns", {"form": "x"}),
    ],
)
def test_unknown_choices_are_named(name: str, option: dict[str, str]) -> None:
    with pytest.raises((InputError, UnknownNameError), match=next(iter(option.values()))):
        advantages.compute(name, **batch(), **option)


SCORES = np.array([[0.9, 0.3, 0.8, 0.6]])


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("process", [0.9, 0.3, 0.8, 0.6]),
        ("clip", [0.0, -0.4, 0.0, -0.1]),
        ("delta", [0.6, -0.5, 0.8, 0.0]),
        ("clip-delta", [0.4, -0.4, 0.0, 0.0]),
    ],
)
def test_step_rewards_by_hand(form: str, expected: list[float]) -> None:
    assert step_rewards(SCORES, np.ones((1, 4), dtype=bool), form)[0] == pytest.approx(expected)


@pytest.mark.parametrize(("steps", "delta"), [(1, 0.0), (2, 0.9), (3, 0.9), (0, 0.0)])
def test_few_steps(steps: int, delta: float) -> None:
    real = np.arange(4)[None] < steps
    assert step_rewards(SCORES, real, "delta").sum() == pytest.approx(delta)
    assert step_rewards(SCORES, real, "clip").sum() == pytest.approx([0, 0, -0.4, -0.4][steps])


def test_the_reward_rule_adds_the_sum_without_the_close() -> None:
    found = rewards.apply("clip-delta", [[1.0]], turn_rewards=SCORES[None], form="process", alpha=0.5)
    assert found[0, 0] == pytest.approx([1.0, 1.0])
    whole = rewards.apply("process", [[1.0]], turn_rewards=SCORES[None], alpha=0.5, closing=False)
    assert whole[0, 0] == pytest.approx([1.0, 1.3])


def test_step_returns_are_compared_at_their_step() -> None:
    b = batch(5)
    found = advantages.compute("step-returns", **b, form="process", alpha=0.3)
    r = lists(b)
    go = [
        [[b["rewards"][p, g] + 0.3 * sum(row[t:-1]) for t in range(len(row))] for g, row in enumerate(r[p])]
        for p in range(P)
    ]
    expected = [
        [[z(x, [o[t] for o in go[p] if len(o) > t], 1e-8) for t, x in enumerate(row)] for row in go[p]]
        for p in range(P)
    ]
    assert found == pytest.approx(by_turn(expected, b), abs=1e-12)


@pytest.mark.parametrize("spread", [0.002, 0.5, 30.0])
@pytest.mark.parametrize("with_turns", [True, False])
def test_the_objective_is_minus_the_gradient_of_the_paper_s_loss(spread: float, with_turns: bool) -> None:
    for seed in range(3):
        b, rng = batch(seed), np.random.default_rng(seed)
        old = rng.normal(-1.5, 0.5, (P, G, T))
        logp, a, k = (
            old + spread * rng.normal(size=old.shape),
            rng.normal(size=old.shape),
            1 + 0.3 * rng.uniform(-1, 1, old.shape),
        )
        turn = b["turn"] if with_turns else np.broadcast_to(np.arange(T), old.shape)
        new, loss = torch.tensor(logp, requires_grad=True), torch.zeros((), dtype=torch.float64)
        for p, g in np.ndindex(P, G):
            tokens = np.flatnonzero(b["mask"][p, g])
            for t in tokens:
                own = tokens[turn[p, g][tokens] == turn[p, g][t]]
                log_s = (
                    (new[p, g][own] - torch.tensor(old[p, g][own])).mean().detach()
                    + new[p, g, t]
                    - new[p, g, t].detach()
                )
                s, c = log_s.clamp(max=10).exp(), k[p, g, t]
                clipped = s.clamp(1 - 3e-3 * c, 1 + 4e-3 * c)
                loss = loss + torch.maximum(-a[p, g, t] * s, -a[p, g, t] * clipped) / (P * G * len(tokens))
        loss.backward()
        given = {"logp": old, "mask": b["mask"], "turn": b["turn"] if with_turns else None, "clip_scale": k}
        expected = -new.grad.numpy()
        found = objectives.weights("a2tgpo", logp, a, **given)
        assert found == pytest.approx(expected, rel=1e-8, abs=1e-12 * (1 + np.abs(expected).max()))
        assert objectives.loss("a2tgpo", logp, a, **given).item() == pytest.approx(loss.item(), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("task", ["dialogue", "search", "steps"])
@pytest.mark.parametrize("name", ["mapo", "a2tgpo", "igpo", "clip-delta", "step-returns"])
def test_every_variant_learns_in_the_world_of_turns(task: str, name: str) -> None:
    trace = lab.train(Turns(task, prompts=2, shared=True), name, steps=120, seeds=2, group_size=8, lr=1.0)
    values = trace.summary(["value"]).sort("step")["mean"]
    assert values[-1] > values[0] + 0.015, values


def test_the_measured_clip_share_knows_turns_and_their_ranges() -> None:
    """With a range of nothing every turn that moved is clipped on one side; with a huge one none is."""
    world = Turns("search", prompts=2)
    given = {"steps": 3, "seeds": 2, "epochs": 2, "measure": ["clip_share"], "lr": 1.0}
    tight = lab.train(world, lab.variant("a2tgpo", clip_low=0.0, clip_high=0.0), **given).frame["clip_share"]
    wide = lab.train(world, lab.variant("a2tgpo", clip_low=0.9, clip_high=9.0), **given).frame["clip_share"]
    assert tight.min() > 0.1
    assert wide.max() == 0
