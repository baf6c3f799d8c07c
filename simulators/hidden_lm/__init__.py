"""A toy language model with a hidden state."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

from simulators.declared import Declared, OneOf, Range

if TYPE_CHECKING:
    from simulators.hidden_lm.world import HiddenLM


def _tasks() -> Iterable[str]:
    from simulators.toy_lm.tasks import TASKS

    return TASKS


def hidden_lm(
    tasks: Annotated[str | Sequence[str], OneOf(_tasks, several=True), "Task"] = "targets",
    prompts: Annotated[int, Range(1, 4096, slider=(1, 32)), "Prompts", "Shared evenly by the tasks."] = 4,
    *,
    vocabulary: Annotated[int, Range(4, 128), "Tokens", "The end token included."] = 9,
    length: Annotated[int, Range(4, 128, slider=(5, 12)), "Most tokens", "Of a response, the end token included."] = 6,
    width: Annotated[int, Range(1, 1024), "Width", "Size of the hidden state."] = 16,
    shared: Annotated[float, Range(-1000, 1000), "Common part", "Of the hidden states of all prompts."] = 0.5,
    spread: Annotated[float, Range(0, 1000), "Spread", "Standard deviation of the initial unembedding."] = 0.3,
    end: Annotated[float, Range(-700, 700), "Logit of the end", "Fixed, beside the model's own."] = 0.0,
    seed: Annotated[int, Range(0, 2**63 - 1), "Seed", "Draws the questions and the hidden states."] = 0,
) -> "HiddenLM":
    """A toy language model with a hidden state, of which the unembedding is trained."""
    import numpy as np

    from simulators.hidden_lm.world import HiddenLM

    names = tasks.split("+") if isinstance(tasks, str) else tasks
    fixed = np.append(end, np.zeros(vocabulary - 1))
    return HiddenLM(names, prompts=prompts, vocabulary=vocabulary, length=length, width=width, shared=shared,
                    spread=spread, logits=fixed, seed=seed)  # fmt: skip


HERE = Declared(
    hidden_lm, label="language model with a hidden state",
    provides=("mask", "greedy_rewards", "task", "hidden", "prediction_error"),
    components=("correct", "format", "length"), run={"lr": 8.0}, shown=("tasks", "prompts", "length"),
    page={"runs": 8}, unit="token",
)  # fmt: skip
