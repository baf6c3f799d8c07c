"""How long to respond."""

from typing import TYPE_CHECKING, Annotated

from simulators.declared import Declared, Range

if TYPE_CHECKING:
    from simulators.lengths.world import Lengths


def lengths(
    prompts: Annotated[int, Range(2, 4096, slider=(2, 32)), "Prompts", "From easy to hard."] = 16,
    *,
    longest: Annotated[int, Range(2, 4096), "Most tokens", "Of a response."] = 16,
    slip: Annotated[float, Range(0, 1), "Slip", "Probability that a response is wrong however long it is."] = 0.15,
    shared: Annotated[bool, "One policy", "For all prompts instead of one for each."] = True,
) -> "Lengths":
    """How long to respond, with one policy for easy and hard prompts."""
    from simulators.lengths.world import Lengths

    return Lengths(prompts, longest=longest, slip=slip, shared=shared)


HERE = Declared(
    lengths, label="how long to respond", provides=("lengths",), components=("right", "length"), run={"lr": 0.4},
    shown=("prompts",), page={"runs": 8},
)  # fmt: skip
