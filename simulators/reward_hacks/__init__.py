"""Tasks whose metric can be gamed."""

from typing import TYPE_CHECKING, Annotated

from simulators.declared import Declared, Range

if TYPE_CHECKING:
    from simulators.reward_hacks.world import RewardHacks


def reward_hacks(
    tasks: Annotated[int, Range(1, 65536), "Tasks"] = 64,
    *,
    trained: Annotated[
        int,
        Range(1, 12, slider=(1, 12)),
        "Families trained on",
        "Of twelve families of tasks whose metric can be gamed.",
    ] = 6,
    shared: Annotated[bool, "Shared feature", "Whether the feature that all families share learns."] = True,
    refuse: Annotated[
        float, Range(-700, 700), "Logit of refusing", "At first, beside 2 of an honest answer and 0 of a hack."
    ] = -1.0,
) -> "RewardHacks":
    """Tasks whose metric can be gamed: rollouts are scored by it, the gold reward is measured beside."""
    from simulators.reward_hacks.world import BASE, RewardHacks

    return RewardHacks(tasks, trained=trained, shared=shared, base=(*BASE[:2], refuse))


HERE = Declared(
    reward_hacks, label="a metric that can be gamed", shown=("trained",), page={"runs": 8}, listed=True,
)  # fmt: skip
