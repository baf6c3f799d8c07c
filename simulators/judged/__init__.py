"""A bandit whose responses are judged one by one and in pairs."""

from typing import TYPE_CHECKING, Annotated

from simulators.declared import Declared, Range

if TYPE_CHECKING:
    from simulators.judged.world import Judged


def judged(
    prompts: Annotated[int, Range(1, 65536, slider=(1, 32)), "Prompts"] = 8,
    arms: Annotated[int, Range(1, 4096), "Arms", "Of each prompt."] = 8,
    *,
    spread: Annotated[float, Range(0, 1000), "Spread", "Standard deviation of the true utilities."] = 1.0,
    drift: Annotated[
        float, Range(0, 1000, slider=(0, 3, 0.1)), "Mood of a judge", "Deviation of what a call adds to all it sees."
    ] = 1.0,
    noise: Annotated[
        float, Range(0, 1000, slider=(0, 2, 0.1)), "Noise of a judge", "Deviation on each response."
    ] = 0.3,
    seed: Annotated[int, Range(0, 2**63 - 1), "Seed of the utilities"] = 0,
) -> "Judged":
    """A bandit whose responses are judged one by one and in pairs, by a judge with moods."""
    import numpy as np

    from simulators.judged.world import Judged

    return Judged(np.random.default_rng(seed).normal(0, spread, (prompts, arms)), drift=drift, noise=noise)


HERE = Declared(
    judged, label="judged responses", provides=("greedy_rewards", "pair_scores"), run={"lr": 4.0},
    shown=("prompts", "drift", "noise"), page={"runs": 8, "prompts": 4}, listed=True,
)  # fmt: skip
