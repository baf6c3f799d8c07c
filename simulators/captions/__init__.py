"""Captions of 1 to 40 units, scored for precision, recall and language."""

from typing import TYPE_CHECKING, Annotated

from simulators.declared import Declared, Range

if TYPE_CHECKING:
    from simulators.captions.world import Captions


def captions(prompts: Annotated[int, Range(1, 65536, slider=(1, 32)), "Prompts", "Images."] = 4) -> "Captions":
    """Captions of 1 to 40 units, scored for precision, recall and language."""
    from simulators.captions.world import Captions

    return Captions(prompts)


HERE = Declared(
    captions, provides=("lengths",), components=("precision", "recall", "language"), run={"lr": 8.0},
    shown=("prompts",), page={"runs": 8}, listed=True,
)  # fmt: skip
