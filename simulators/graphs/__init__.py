"""Communication graphs among agents, a few of whose edges matter."""

from typing import TYPE_CHECKING, Annotated

from simulators.declared import Declared, Range

if TYPE_CHECKING:
    from simulators.graphs.world import Graphs


def graphs(
    members: Annotated[
        int, Range(3, 64, slider=(3, 8)), "Agents", "In a fixed order, with an edge between each two."
    ] = 5,
    queries: Annotated[
        int, Range(1, 65536, slider=(1, 32)), "Queries", "Their easiness at even quantiles of N(0, spread^2)."
    ] = 4,
    *,
    critical: Annotated[
        int, Range(0, 10, slider=(0, 3)), "Critical edges", "Edges of the graph that matter for the answer."
    ] = 3,
    effect: Annotated[float, Range(-700, 700), "Effect", "What each of them adds, in logits."] = 2.0,
    spread: Annotated[float, Range(0, 700), "Spread of the easiness"] = 2.0,
) -> "Graphs":
    """Communication graphs among agents in a fixed order, a few of whose edges matter."""
    from statistics import NormalDist

    from simulators.graphs.world import Graphs

    easiness = [spread * NormalDist().inv_cdf((i + 0.5) / queries) for i in range(queries)]
    return Graphs(members, critical=range(critical), easiness=easiness, effect=effect)


HERE = Declared(
    graphs, label="communication graphs", run={"lr": 4.0}, shown=("members", "critical", "queries"),
    page={"runs": 8}, telling=("actions",),
)  # fmt: skip
