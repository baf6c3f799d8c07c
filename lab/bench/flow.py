"""Seconds that the flow world takes: pretraining, training by Flow-GRPO, and five rewards beside one."""

from __future__ import annotations

from statistics import median
from typing import Any

from lab.bench.harness import Row, benchmark, taking_turns

STEPS, GROUP_SIZE, RUNS = 200, 64, 3
PRETRAINING, TRAINING = 10.0, 6.0  # seconds in which each should be done on two cores
FEW, AMORTISED = 60, 1.3  # steps with several rewards; what they may take of the time with one


@benchmark(
    "flow",
    "flow in the plane: pretraining of 3000 steps; 200 steps of Flow-GRPO, 4 prompts, G = 64, one thread; 60 steps of "
    "MARBLE with five rewards beside DiffusionNFT with one",
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
    ] + several(given | {"steps": FEW})


def several(given: dict[str, Any]) -> list[Row]:
    """Time of a step with five rewards over that with one, the program solved at every N-th step."""
    from lab.methods import variant
    from lab.training.train import train
    from simulators.flow.world import Flow

    one, five = Flow(), Flow(rewards="near+right+ring+up+typical")
    tasks: dict[str, Any] = {"DiffusionNFT, 1 reward": lambda: train(one, "diffusion-nft", **given)}
    for every in (1, 5, 10):
        chosen = variant("marble", every=every)
        tasks[f"MARBLE, 5 rewards, N = {every}"] = lambda chosen=chosen: train(five, chosen, **given)
    base, *others = ((name, median(times)) for name, times in taking_turns(tasks, RUNS).items())
    return [Row(base[0], base[1], "s", "", None, RUNS)] + [
        Row(name, time, "s", f"1 reward, at most {AMORTISED:g} where amortised", time / base[1], RUNS)
        for name, time in others
    ]
