"""A judge that thinks, then gives a mark: preference data on a rubric."""

from typing import TYPE_CHECKING, Annotated

from simulators.declared import Declared, Range

if TYPE_CHECKING:
    from simulators.rubric.world import Rubric


def rubric(
    pairs: Annotated[int, Range(1, 100_000, slider=(16, 1024)), "Pairs", "Annotated ones to learn from."] = 512,
    *,
    batch: Annotated[int, Range(1, 1024, slider=(8, 64)), "Pairs of a step"] = 32,
    traces: Annotated[int, Range(1, 64, slider=(1, 8)), "Traces", "Lines of thought that a judge can take."] = 4,
    width: Annotated[int, Range(1, 1024), "Width", "Of the judge's hidden layer."] = 32,
    noise: Annotated[float, Range(0, 10, slider=(0, 2, 0.1)), "Noise", "Deviation of the annotated marks."] = 0.5,
) -> "Rubric":
    """A judge gives marks from 1 to 5 to pairs of samples; annotators who err have marked them."""
    from simulators.rubric.world import Rubric

    return Rubric(pairs, batch=batch, traces=traces, width=width, noise=noise)


HERE = Declared(
    rubric, label="marks on a rubric", scores=("log_marks",), provides=("annotated", "expected_mark", "teacher_marks"),
    components=("near",), run={"optimizer": "adam", "lr": 0.005, "group_size": 8},
    shown=("pairs", "batch", "noise"), page={"runs": 4, "steps": 100}, dear=("gold",),
)  # fmt: skip
