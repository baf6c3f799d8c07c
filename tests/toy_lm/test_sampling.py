"""Sampling against plain Python, in any block of seeds; the mask and the end token; what cannot be meant."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from simulators import Policy, Rollouts, ToyLM, World
from simulators.toy_lm.tasks import TASKS
from tests.simulators import reference as numbers
from tests.toy_lm.reference import referee, respond

FIELDS = ("greedy_rewards", "task")


def small(tasks: object = "arithmetic", **more: object) -> ToyLM:
    return ToyLM(**({"tasks": tasks, "prompts": 3, "vocabulary": 5, "length": 6} | more))  # type: ignore[arg-type]


def moved(world: ToyLM, seeds: list[int]) -> Policy:
    """A policy whose runs have gone different ways."""
    policy = world.init(seeds)
    for run, seed in enumerate(seeds):
        policy.parameters[run] += np.random.default_rng(seed).normal(size=world.logits.shape)
    return policy


def test_the_language_model_is_a_world() -> None:
    assert isinstance(small(), World)


@pytest.mark.parametrize("task", TASKS)
def test_a_step_against_plain_python(task: str) -> None:
    """Tokens and mask exactly; log-probabilities to 1e-12, since two libraries' logarithms differ by an ulp."""
    world, seeds, step, attempt = small(task), [0, 2**64 - 1], 7, 2
    policy = moved(world, seeds)
    got = world.rollout(policy, 4, step, attempt=attempt)
    assert got.mask is not None
    for s, p, g in np.ndindex(2, 3, 4):
        uniforms = [numbers.uniform(seeds[s], step, attempt, p, g, t) for t in range(6)]
        tokens, logp = respond(policy.parameters[s, p].tolist(), uniforms)
        fill = 6 - len(tokens)
        response = (*tokens, *[0] * fill)
        assert tuple(got.actions[s, p, g]) == response
        assert got.mask[s, p, g].tolist() == [True] * len(tokens) + [False] * fill
        assert got.logp[s, p, g].tolist() == pytest.approx([*logp, *[0.0] * fill], abs=1e-12)
        judged = referee(world.questions[p], world.tokens[p], response)
        assert got.rewards[s, p, g].tolist() == pytest.approx(judged, abs=1e-12)


def test_log_prob_of_the_sampling_policy_is_logp() -> None:
    world = small()
    policy = moved(world, [1, 2])
    rollouts = world.rollout(policy, 5, 0)
    assert np.array_equal(world.log_prob(policy, rollouts), rollouts.logp)


def test_greedy_rewards_are_those_of_the_most_likely_tokens() -> None:
    world = small(list(TASKS), prompts=len(TASKS))
    policy = moved(world, [3])
    rollouts = world.rollout(policy, 2, 0, fields=FIELDS)
    assert rollouts.greedy_rewards is not None
    assert rollouts.task is not None
    assert rollouts.task.tolist() == list(range(len(TASKS)))
    certain = Policy(policy.parameters * 1e6, policy.seeds)
    assert np.array_equal(world.rollout(certain, 1, 0).rewards[:, :, 0], rollouts.greedy_rewards)


def test_tokens_come_as_often_as_the_policy_says() -> None:
    world = ToyLM("length", prompts=1, vocabulary=4, length=2, logits=[0.0, 1.0, -1.0, 0.5])
    actions = world.rollout(world.init([3]), 40_000, 0).actions[0, 0]
    chances = np.exp([0.0, 1.0, -1.0, 0.5]) / np.exp([0.0, 1.0, -1.0, 0.5]).sum()
    for tokens in (actions[:, 0], actions[actions[:, 0] == 2, 1]):
        assert stats.chisquare(np.bincount(tokens, minlength=4), chances * len(tokens)).pvalue > 1e-4


@pytest.mark.parametrize(("end", "valid"), [(1000.0, 1), (-1000.0, 6)])
def test_empty_and_longest_responses(end: float, valid: int) -> None:
    """An empty response is its end token alone; one that never ends is cut at T, and its format is lost."""
    world = small("length", logits=[end, 0.0, 0.0, 0.0, 0.0])
    policy = world.init([0])
    rollouts = world.rollout(policy, 3, 0)
    assert rollouts.mask is not None
    assert (rollouts.mask.sum(-1) == valid).all()
    assert (rollouts.mask[..., :valid]).all()
    asked = [1, 1, 1] if valid == 1 else [0, 0, 0]
    assert rollouts.rewards[0, 0].tolist() == [asked] * 3  # the first prompt asks for no letters
    assert world.truth(policy, rollouts).value[0, 0] == pytest.approx(sum(asked))
    assert world.entropy(policy)[0] == pytest.approx(0 if valid == 1 else 6 * math.log(4))


def test_one_token_at_most() -> None:
    world = ToyLM("length", prompts=1, vocabulary=3, length=1)
    policy = world.init([0])
    rollouts = world.rollout(policy, 50, 0)
    assert rollouts.mask is not None
    assert rollouts.mask.all()
    assert np.array_equal(rollouts.rewards.sum(-1), np.where(rollouts.actions[..., 0] == 0, 3.0, 0.0))
    assert world.truth(policy, rollouts).value[0, 0] == pytest.approx(1)


def test_what_stands_behind_the_end_token_changes_nothing() -> None:
    world = small()
    policy = moved(world, [0, 1])
    rollouts = world.rollout(policy, 6, 0)
    assert rollouts.mask is not None
    assert not rollouts.mask.all()
    noise = np.where(rollouts.mask, 0, np.random.default_rng(0).integers(0, 5, rollouts.mask.shape))
    dirty = Rollouts(rollouts.rewards, rollouts.actions + noise, rollouts.logp)
    weights = np.random.default_rng(1).normal(size=rollouts.mask.shape)
    assert np.array_equal(world.log_prob(policy, dirty), rollouts.logp)
    assert np.array_equal(world.truth(policy, dirty).advantage, world.truth(policy, rollouts).advantage)
    assert np.array_equal(
        world.gradient(policy, dirty, np.where(rollouts.mask, weights, 7.0)), world.gradient(policy, rollouts, weights)
    )


def test_a_token_is_drawn_from_what_came_before_it_alone() -> None:
    """Other logits from position t on leave the tokens before t as they were."""
    world = small()
    policy = moved(world, [4])
    before = world.rollout(policy, 20, 0)
    policy.parameters[:, :, 3:] += np.random.default_rng(9).normal(0, 3, policy.parameters[:, :, 3:].shape)
    after = world.rollout(policy, 20, 0)
    assert np.array_equal(before.actions[..., :3], after.actions[..., :3])
    assert np.array_equal(before.logp[..., :3], after.logp[..., :3])
    assert not np.array_equal(before.actions, after.actions)


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=5), st.integers(0, 10**6), st.integers(1, 6))
@settings(max_examples=15, deadline=None)
def test_any_block_of_seeds_gives_the_same_bits(seeds: list[int], step: int, group_size: int) -> None:
    world = small(["arithmetic", "brackets"])
    together = moved(world, seeds)
    whole = world.rollout(together, group_size, step, fields=FIELDS)
    for run, seed in enumerate(seeds):
        alone = moved(world, [seed])
        part = world.rollout(alone, group_size, step, fields=FIELDS)
        for field in ("rewards", "actions", "logp", "mask", "greedy_rewards"):
            assert np.array_equal(getattr(part, field)[0], getattr(whole, field)[run])
        truths = world.truth(alone, part), world.truth(together, whole)
        for field in ("value", "advantage", "gradient"):
            assert np.array_equal(getattr(truths[0], field)[0], getattr(truths[1], field)[run])
        gradients = (
            world.gradient(alone, part, whole.logp[run : run + 1]),
            world.gradient(together, whole, whole.logp),
        )
        assert np.array_equal(gradients[0][0], gradients[1][run])
        assert world.entropy(alone)[0] == world.entropy(together)[run]
        assert world.kl(alone, world.init([seed]))[0] == world.kl(together, world.init(seeds))[run]


def test_more_rollouts_leave_the_others_as_they_were() -> None:
    world = small()
    policy = moved(world, [9])
    few, many = world.rollout(policy, 3, 1), world.rollout(policy, 8, 1)
    assert np.array_equal(few.actions, many.actions[:, :, :3])
    assert np.array_equal(few.rewards, many.rewards[:, :, :3])


def test_steps_and_attempts_are_different_draws() -> None:
    world = small()
    policy = world.init([0])
    draws = [world.rollout(policy, 8, t, attempt=a).actions for t, a in [(0, 0), (1, 0), (0, 1), (1, 1), (2, 0)]]
    assert len({d.tobytes() for d in draws}) == 5


def test_questions_share_no_draw_with_the_rollouts_of_their_seed() -> None:
    world = ToyLM("copy", prompts=200, vocabulary=9, length=8, seed=3)
    drawn = world.rollout(world.init([3]), 1, 0)
    letters = np.array([ord(q.split(": ")[1][0]) - ord("a") + 1 for q in world.questions])
    assert (drawn.actions[0, :, 0, 0] == letters).mean() < 0.25


def test_responses_are_written_as_text() -> None:
    world = small()
    assert world.text(0, [1, 2, 0, 4]) == "= 0 end"
    assert small("brackets").text(0, [1, 2, 3]) == "( ) a"


WORLD = small()
START = WORLD.init([0])
ROLLOUTS = WORLD.rollout(START, 2, 0)


def other(**changes: object) -> Rollouts:
    return Rollouts(**({"rewards": ROLLOUTS.rewards, "actions": ROLLOUTS.actions, "logp": ROLLOUTS.logp} | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: small("arithmetik"), "unknown task 'arithmetik'; nearest: 'arithmetic'"),
        (lambda: small([]), "one task or more"),
        (lambda: small(["copy", "length"], prompts=1), "prompts must be at least 2, not 1"),
        (lambda: small(vocabulary=1), "vocabulary must be at least 2, not 1"),
        (lambda: small(vocabulary=3), "task 'arithmetic' needs a vocabulary of at least 4"),
        (lambda: small(length=2), "task 'arithmetic' needs a length of at least 3"),
        (lambda: small("brackets", vocabulary=2), "'brackets' needs a vocabulary of at least 3"),
        (lambda: small("copy", length=1), "'copy' needs a length of at least 2"),
        (lambda: small("tool-call", length=4), "'tool-call' needs a length of at least 5"),
        (lambda: TASKS["tool-call"](2, 4, 5, 0, granularity="some"), "granularity 'some'; it must be 'fine'"),  # type: ignore[call-arg]
        (lambda: TASKS["targets"](2, 4, 5, 0, words=0), "at least one word and one letter, not 0 and 3"),  # type: ignore[call-arg]
        (lambda: TASKS["targets"](2, 4, 5, 0, needed=6), "'targets' needs a length of at least 6"),  # type: ignore[call-arg]
        (lambda: small("length", length=0), "length must be at least 1, not 0"),
        (lambda: small("length", length=70_000), "a length below 65536"),
        (lambda: small(seed=-1), "seed must be at least 0"),
        (lambda: small(logits=math.nan), "initial logits must be finite"),
        (lambda: small(logits=[1.0, 2.0, 3.0]), "do not broadcast to \\[P, T, V, V\\]"),
        (lambda: small([TASKS["copy"](2, 4, 4, 0), TASKS["copy"](2, 5, 4, 0)]), "one length and vocabulary"),
        (lambda: WORLD.init([]), "one or more integers"),
        (lambda: WORLD.init([2**64]), "seed must be at most 18446744073709551615, not 18446744073709551616"),
        (lambda: WORLD.rollout(START, 0, 0), "group_size must be at least 1, not 0"),
        (lambda: WORLD.rollout(START, 2, -1), "step must be at least 0, not -1"),
        (lambda: WORLD.rollout(START, 2, 0, attempt=-1), "attempt must be at least 0"),
        (lambda: WORLD.rollout(START, 2, 0, fields=("tasks",)), "'tasks'; nearest: 'task'"),
        (lambda: WORLD.rollout(small(length=4).init([0]), 2, 0), "has logits \\(1, 3, 6, 5, 5\\), not"),
        (lambda: WORLD.log_prob(START, other(actions=ROLLOUTS.actions + 5)), "actions must lie in 0..4"),
        (lambda: WORLD.pay(START, other(actions=ROLLOUTS.actions - 9)), "actions must lie in 0..4"),
        (lambda: WORLD.gradient(START, other(actions=ROLLOUTS.actions + 5), ROLLOUTS.logp), "actions must lie in 0..4"),
        (lambda: WORLD.gradient(START, ROLLOUTS, ROLLOUTS.logp[..., :2]), "must have the actions' shape"),
        (lambda: WORLD.log_prob(START, other(actions=ROLLOUTS.actions[..., :2])), "must have shape \\(1, P, G, 6\\)"),
        (lambda: WORLD.log_prob(START, other(prompt=np.array([0, 1]))), "3 slots of actions"),
        (lambda: WORLD.log_prob(START, other(prompt=np.array([0, 1, 3]))), "must lie in 0..2"),
        (lambda: WORLD.truth(START, ROLLOUTS, weights=[1.0]), "weights must be 3 finite numbers"),
        (lambda: WORLD.kl(START, WORLD.init([0, 1])), "same number of seeds"),
    ],
)
def test_what_cannot_be_meant_is_refused(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("call", [lambda: WORLD.init([0.5]), lambda: small(prompts=2.0)])  # type: ignore[list-item]
def test_counters_are_integers(call: object) -> None:
    assert callable(call)
    with pytest.raises(TypeError, match="must be an integer"):
        call()
