"""Training on the toy language model: sampled tokens per second of the lab beside a vectorised NumPy loop."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from lab.bench import numpy_toy_lm
from lab.bench.harness import Row, alternate, benchmark

PROMPTS, VOCABULARY, LENGTH, GROUP_SIZE, SEEDS, STEPS, LR, RUNS = 16, 16, 16, 8, 8, 60, 16.0, 5
UNIT = "million tokens/s"
END = -3.0  # initial logit of the end token: most responses are nearly as long as they may be


def _world() -> Any:
    from simulators.toy_lm.world import ToyLM

    logits = np.append(END, np.zeros(VOCABULARY - 1))
    return ToyLM("copy", prompts=PROMPTS, vocabulary=VOCABULARY, length=LENGTH, logits=logits)


def _tokens(world: Any) -> int:
    """Tokens that a training run of the lab samples, end tokens included and padding left out."""
    from lab.methods import variant
    from lab.training.loop import Settings, Walk

    walk, total = Walk(world, variant("grpo"), np.arange(SEEDS), Settings(group_size=GROUP_SIZE, lr=LR)), 0
    for _ in range(STEPS):
        moment = walk.look()
        total += int(np.asarray(moment.rollouts.mask).sum())
        walk.advance(moment)
    return total


@benchmark("toy-lm", "toy language model, vocabulary 16, length 16, 16 prompts, G = 8, 8 seeds, GRPO, one thread")
def toy_lm() -> list[Row]:
    """Sampling, rules, update and basic measurements; the NumPy loop measures the same. Each counts its own tokens."""
    from lab.training.train import train

    world = _world()
    given: dict[str, Any] = {"seeds": SEEDS, "steps": STEPS, "group_size": GROUP_SIZE, "lr": LR}
    ours, counted = _tokens(world), numpy_toy_lm.train(world, measure=False, **given)[1]
    reference = partial(numpy_toy_lm.train, world, **given)
    lab = partial(train, world, "grpo", threads=1, **given)
    with_all, without = "measure='basic'", "measure=None"
    seconds = alternate(
        {
            f"NumPy, {with_all}": reference,
            f"lab, {with_all}": lab,
            f"NumPy, {without}": partial(reference, measure=False),
            f"lab, {without}": partial(lab, measure=None),
        },
        RUNS,
    )
    rows = []
    for level in (with_all, without):
        slow, fast = f"NumPy, {level}", f"lab, {level}"
        speed = {slow: counted / seconds[slow] / 1e6, fast: ours / seconds[fast] / 1e6}
        rows.append(Row(slow, speed[slow], UNIT, "", None, RUNS))
        rows.append(Row(fast, speed[fast], UNIT, slow, speed[fast] / speed[slow], RUNS))
    return rows
