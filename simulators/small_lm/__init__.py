"""A small language model, a transformer, on text tasks."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

from simulators.declared import Declared, OneOf, Range

if TYPE_CHECKING:
    from simulators.small_lm.world import SmallLM


def _tasks() -> Iterable[str]:
    from simulators.small_lm.tasks import TASKS

    return TASKS


def small_lm(
    task: Annotated[str, OneOf(_tasks), "Task"] = "arithmetic",
    prompts: Annotated[int, Range(1, 4096, slider=(1, 32)), "Prompts", "Of a step."] = 8,
    *,
    length: Annotated[
        int,
        Range(0),
        "Most tokens",
        "Of a response; 0: as many as the longest worked solution (of a pretrained model: half more).",
    ] = 0,
    layers: Annotated[int, Range(1), "Layers", "Blocks of the transformer."] = 2,
    width: Annotated[int, Range(1), "Width"] = 32,
    heads: Annotated[int, Range(1), "Attention heads"] = 2,
    accuracy: Annotated[
        float, Range(0, 1), "Right at the start", "Sampled accuracy at which its pretraining stops."
    ] = 0.3,
    seed: Annotated[int, Range(0, 2**63 - 1), "Seed", "Draws problems and initial weights."] = 0,
    device: Annotated[str, "Device", "cpu, cuda, cuda:1 or auto."] = "auto",
    precision: Annotated[
        str, OneOf(("float32", "bfloat16")), "Precision", "Of the matrix products of the built-in model."
    ] = "float32",
    model: Annotated[
        str,
        "Pretrained model",
        "Folder, GGUF file or hub name, in place of the built-in model; layers, width, heads and accuracy mean "
        "nothing then.",
    ] = "",
    lora: Annotated[int, Range(0), "Rank", "Of what is trained of a pretrained model; 0: every weight."] = 8,
    shots: Annotated[int, Range(0), "Worked problems", "In the prompts of a pretrained model."] = 2,
) -> "SmallLM":
    """A small language model, a transformer, on a text task; gradients by autograd."""
    from simulators.small_lm.pretrained import PretrainedLM
    from simulators.small_lm.world import SmallLM

    if model:
        return PretrainedLM(model, task, prompts=prompts, length=length, lora=lora, shots=shots, seed=seed,
                            device=device)  # fmt: skip
    return SmallLM(task, prompts=prompts, length=length, layers=layers, width=width, heads=heads, accuracy=accuracy,
                   seed=seed, device=device, precision=precision)  # fmt: skip


def _run(model: str = "", **_: Any) -> dict[str, Any]:
    """What suits a run; held-out problems take a pretrained model minutes, so there they have to be asked for."""
    return {"optimizer": "adam", "lr": 0.0003} | ({} if model else {"evaluate": 50})


HERE = Declared(
    small_lm, label="small language model (torch)", provides=("mask", "greedy_rewards", "hidden", "prediction_error"),
    components=("correct", "format", "length"), run=_run, shown=("prompts", "task"),
    page={"runs": 2, "steps": 50, "prompts": 4}, heavy=True, extra="torch",
)  # fmt: skip
