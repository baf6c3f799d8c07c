"""A toy language model on verifiable tasks, exact by dynamic programming."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

from simulators.declared import Declared, OneOf, Range

if TYPE_CHECKING:
    from simulators.toy_lm.world import ToyLM


def _tasks() -> Iterable[str]:
    from simulators.toy_lm.tasks import TASKS

    return TASKS


def toy_lm(
    tasks: Annotated[str | Sequence[str], OneOf(_tasks, several=True), "Task"] = "arithmetic",
    prompts: Annotated[int, Range(1, 4096, slider=(1, 32)), "Prompts", "Shared evenly by the tasks."] = 8,
    *,
    vocabulary: Annotated[int, Range(4, 128), "Tokens", "The end token included."] = 8,
    length: Annotated[int, Range(4, 128, slider=(5, 12)), "Most tokens", "Of a response, the end token included."] = 8,
    end: Annotated[float, Range(-700, 700), "Logit of the end", "At first; the other tokens have 0."] = 0.0,
    seed: Annotated[int, Range(0, 2**63 - 1), "Seed of the questions"] = 0,
) -> "ToyLM":
    """A tabular language model that solves small verifiable tasks token by token."""
    import numpy as np

    from simulators.toy_lm.world import ToyLM

    names = tasks.split("+") if isinstance(tasks, str) else tasks
    logits = np.append(end, np.zeros(vocabulary - 1))
    return ToyLM(names, prompts=prompts, vocabulary=vocabulary, length=length, logits=logits, seed=seed)


HERE = Declared(
    toy_lm, label="toy language model", provides=("mask", "greedy_rewards", "task"),
    components=("correct", "format", "length"), run={"lr": 16.0}, shown=("tasks", "prompts", "length"),
    page={"runs": 8}, unit="token",
)  # fmt: skip
