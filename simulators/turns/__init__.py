"""Episodes of several turns with process rewards."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

from simulators.declared import Declared, OneOf, Range

if TYPE_CHECKING:
    from simulators.turns.world import Turns


def _tasks() -> Iterable[str]:
    from simulators.turns.tasks import TASKS

    return TASKS


def turns(
    task: Annotated[str, OneOf(_tasks, {"steps": "solving in steps"}), "Task"] = "dialogue",
    prompts: Annotated[int, Range(1, 65536, slider=(1, 32)), "Prompts"] = 8,
    *,
    turns: Annotated[
        int, Range(0, 8000), "Most turns", "The closing one not counted; 0: as many as the task says."
    ] = 0,
    shared: Annotated[bool, "One policy", "For all prompts instead of one for each."] = False,
    noise: Annotated[
        float, Range(0, 1000), "Noise", "Standard deviation of the process rewards; 0: the task's own."
    ] = 0.0,
) -> "Turns":
    """Episodes of several turns, each with a process reward of its own."""
    from simulators.turns.tasks import TASKS
    from simulators.turns.world import Turns

    made = TASKS[task](noise=noise) if noise else task
    return Turns(made, prompts=prompts, turns=turns or None, shared=shared)


HERE = Declared(
    turns, label="several turns", provides=("mask", "turn", "turn_rewards"), run={"lr": 10.0},
    shown=("task", "prompts"), page={"runs": 8, "task": "search"}, dear=("cosine", "grad_error"), unit="turn",
)  # fmt: skip
