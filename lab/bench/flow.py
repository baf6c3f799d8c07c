"""Seconds that the flow world takes: pretraining, and training by Flow-GRPO."""

from __future__ import annotations

from statistics import median
from typing import Any

from lab.bench.harness import Row, benchmark, taking_turns

STEPS, GROUP_SIZE, RUNS = 200, 64, 3
PRETRAINING, TRAINING = 10.0, 6.0  # seconds in which each should be done on two cores


@benchmark(
    "flow", "flow in the plane: pretraining of 3000 steps; 200 steps of Flow-GRPO, 4 prompts, G = 64, one thread"
)
def flow() -> list[Row]:
    """Pretraining as when nothing is kept on the disk; training from what is, without measuring."""
    from lab.training.train import train
    from simulators.flow.pretraining import match
    from simulators.flow.world import Flow

    world = Flow()
    given: dict[str, Any] = {"steps": STEPS, "group_size": GROUP_SIZE, "seeds": 1, "measure": None, "evaluate": 0,
                             "threads": 1}  # fmt: skip
    seconds = taking_turns(
        {
            "pretraining": lambda: match(world.model, world.mixture, 3000, 0),
            f"Flow-GRPO, {STEPS} steps": lambda: train(world, "flow-grpo", **given),
        },
        RUNS,
    )
    wanted = dict(zip(seconds, (PRETRAINING, TRAINING), strict=True))
    return [
        Row(name, median(times), "s", f"at most {wanted[name]:g} s", median(times) / wanted[name], RUNS)
        for name, times in seconds.items()
    ]
