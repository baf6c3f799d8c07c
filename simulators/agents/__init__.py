"""Several agents on one trajectory, each called in its turn."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

from simulators.declared import Declared, OneOf, Range

if TYPE_CHECKING:
    from simulators.agents.world import Agents


def _plans() -> Iterable[str]:
    from simulators.agents.tasks import ORCHESTRAS

    return ORCHESTRAS


WORDS = {"conditional": "called when it goes wrong", "solver-verifier": "solver and verifier"}


def agents(
    plan: Annotated[str, OneOf(_plans, WORDS), "Plan", "Who is called when."] = "conditional",
    prompts: Annotated[int, Range(1, 65536, slider=(1, 32)), "Prompts", "From easy to hard."] = 8,
    arms: Annotated[int, Range(2, 1024), "Actions", "Of every agent; action 0 is invalid."] = 4,
    *,
    penalty: Annotated[float, Range(0, 1000, slider=(0, 1, 0.05)), "Cost of an invalid call"] = 0.1,
    invalid: Annotated[float, Range(-700, 700), "Logit of action 0", "At first; the other actions have 0."] = 0.0,
) -> "Agents":
    """Several agents on one trajectory; action a of A is right with probability (a/(A-1))^h, h rising by prompt."""
    import numpy as np

    from simulators.agents.world import Agents
    from simulators.bandit.families import EASIEST, HARDEST

    hardness = np.geomspace(EASIEST, HARDEST, prompts)[:, None]
    logits = np.append(invalid, np.zeros(arms - 1))
    return Agents(plan, skill=np.linspace(0, 1, arms) ** hardness, penalty=penalty, logits=logits)


HERE = Declared(
    agents, label="several agents", provides=("mask", "agent", "turn_rewards"), components=("outcome", "penalty"),
    shown=("plan", "prompts", "penalty"), page={"runs": 8},
)  # fmt: skip
