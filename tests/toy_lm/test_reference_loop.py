"""The NumPy loop that the lab is timed against does the same: it learns as much in as many steps."""

from __future__ import annotations

import numpy as np

import lab
from lab.bench import numpy_toy_lm
from simulators import Policy, ToyLM


def test_the_numpy_loop_learns_as_much() -> None:
    world = ToyLM("copy", prompts=4, vocabulary=5, length=4)
    logits, tokens = numpy_toy_lm.train(world, seeds=16, steps=60, group_size=8, lr=10.0)
    assert 16 * 60 * 4 * 8 < tokens < 16 * 60 * 4 * 8 * 4
    policy = Policy(logits, np.arange(16, dtype=np.uint64))
    theirs = world.truth(policy, world.rollout(policy, 1, 0), gradient=False).value.mean()
    ours = lab.train(world, "grpo", seeds=16, steps=60, lr=10.0, threads=1).parameters("grpo")
    policy.parameters[...] = ours
    value = world.truth(policy, world.rollout(policy, 1, 0), gradient=False).value.mean()
    start = world.init([0])
    before = world.truth(start, world.rollout(start, 1, 0), gradient=False).value.mean()
    assert value - before > 0.3
    assert abs(theirs - value) < 0.15 * (value - before)
