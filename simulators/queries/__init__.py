"""Set prediction in the plane, with rewards that have a gradient."""

from typing import TYPE_CHECKING, Annotated

from simulators.declared import Declared, Range

if TYPE_CHECKING:
    from simulators.queries.world import Queries


def queries(
    scenes: Annotated[int, Range(1, 65536, slider=(1, 32)), "Scenes", "New ones at every step."] = 4,
    objects: Annotated[int, Range(2, 64), "Objects", "Of a scene."] = 4,
) -> "Queries":
    """Sets of objects in the plane, whose rewards have a gradient; the group size is the number of queries."""
    from simulators.queries.world import Queries

    return Queries(scenes, objects=objects)


HERE = Declared(
    queries, label="sets of objects", components=("nearest",), scores=("reward", "match"),
    run={"group_size": 24, "lr": 0.05}, shown=("scenes",), page={"runs": 8, "steps": 50},
)  # fmt: skip
