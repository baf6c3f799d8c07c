"""Annotators, reward models and a policy that is trained on what they say, beside the gold reward."""

from typing import TYPE_CHECKING, Annotated

from simulators.declared import Declared, OneOf, Range

if TYPE_CHECKING:
    from simulators.learned_reward.world import LearnedReward

GOLDS = ("bowl", "linear", "mlp")


def _models() -> list[str]:
    from simulators.learned_reward.fitters import FITTERS

    return list(FITTERS)


def learned_reward(
    gold: Annotated[str, OneOf(GOLDS), "Gold reward", "What annotators mean; beyond its top a bowl falls."] = "bowl",
    *,
    comparisons: Annotated[int, Range(1, 100_000, slider=(100, 4000, 100)), "Comparisons", "Of each run."] = 300,
    flips: Annotated[float, Range(0, 1, slider=(0, 0.5, 0.05)), "Flipped labels", "Share of them."] = 0.0,
    beta: Annotated[float, Range(0, 1e6, slider=(0.5, 8, 0.5)), "Sharpness", "Of the annotators."] = 2.0,
    personas: Annotated[
        int, Range(1, 64, slider=(1, 4)), "Personas", "Kinds of annotators; of two one wants the opposite."
    ] = 1,
    disagreement: Annotated[
        float,
        Range(0, 1e3, slider=(0, 3, 0.25)),
        "Disagreement",
        "Weight of what a persona wants beside the gold reward.",
    ] = 0.0,
    reward_model: Annotated[str, OneOf(_models), "Reward model"] = "bradley-terry",
    prompts: Annotated[int, Range(1, 4096, slider=(1, 64)), "Groups", "In a step; all have one policy."] = 16,
    references: Annotated[int, Range(1, 4096), "References", "Base responses of each group."] = 10,
    seed: Annotated[int, Range(0, 2**31), "Seed", "Of the gold reward."] = 0,
) -> "LearnedReward":
    """A policy trained on a reward that was learned from noisy comparisons; the gold reward is measured beside."""
    from simulators.learned_reward.world import LearnedReward

    return LearnedReward(gold, comparisons=comparisons, flips=flips, beta=beta, personas=personas,
                         disagreement=disagreement, reward_model=reward_model, prompts=prompts, references=references,
                         seed=seed)  # fmt: skip


HERE = Declared(
    learned_reward, label="a reward learned from comparisons (torch)",
    provides=("response", "reference_rewards"), components=("proxy",), run={"lr": 0.05, "group_size": 8},
    shown=("gold", "comparisons", "flips", "reward_model"), page={"runs": 8, "steps": 300}, extra="torch",
)  # fmt: skip
