"""Episodes of which only the return is seen."""

from typing import TYPE_CHECKING, Annotated

from simulators.declared import Declared, Range

if TYPE_CHECKING:
    from simulators.delayed.world import Delayed


def delayed(
    prompts: Annotated[int, Range(1, 4096, slider=(1, 32)), "Prompts"] = 4,
    steps: Annotated[int, Range(1, 4096), "Steps", "Of an episode."] = 20,
    choices: Annotated[int, Range(1, 1024), "Choices", "At each step."] = 4,
    *,
    seed: Annotated[int, Range(0, 2**63 - 1), "Seed", "Draws what can be chosen."] = 0,
) -> "Delayed":
    """Episodes of which only the return is seen, beside the true reward of each step."""
    from simulators.delayed.world import Delayed

    return Delayed(prompts, steps=steps, choices=choices, seed=seed)


HERE = Declared(
    delayed, label="rewards seen only at the end", provides=("token_rewards",), components=("return",),
    run={"lr": 20.0}, shown=("prompts",), page={"runs": 8}, unit="step",
)  # fmt: skip
