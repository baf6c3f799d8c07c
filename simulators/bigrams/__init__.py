"""Tables of bigrams: policies of which only trajectories are seen, and one that is to become like another."""

from typing import TYPE_CHECKING, Annotated

from simulators.declared import Declared, OneOf, Range

if TYPE_CHECKING:
    from simulators.bigrams.world import Bigrams


def _models() -> list[str]:
    from simulators.bigrams.fitters import FITTERS

    return list(FITTERS)


def bigrams(
    prompts: Annotated[int, Range(1, 4096, slider=(1, 64)), "Groups", "In a step; each has a reference."] = 8,
    *,
    vocabulary: Annotated[int, Range(2, 64, slider=(2, 12)), "Symbols"] = 6,
    length: Annotated[int, Range(2, 1024, slider=(4, 32)), "Length", "Symbols of a trajectory."] = 16,
    sharpness: Annotated[float, Range(0, 100, slider=(0.2, 3, 0.2)), "Sharpness", "Of all policies."] = 1.2,
    reward_model: Annotated[str, OneOf(_models), "Reward", "What compares with the reference."] = "token-match",
    policies: Annotated[int, Range(2, 100_000), "Pool", "Policies that a reward model learns from."] = 200,
    seed: Annotated[int, Range(0, 2**31), "Seed", "Of the pool and the reward model."] = 0,
) -> "Bigrams":
    """A policy that is to become like another one, of which each group sees one sample."""
    from simulators.bigrams.world import Bigrams

    return Bigrams(prompts, vocabulary=vocabulary, length=length, sharpness=sharpness, reward_model=reward_model,
                   policies=policies, seed=seed)  # fmt: skip


HERE = Declared(
    bigrams, label="be like a sample of another policy", provides=("response", "reference_response"),
    components=("likeness",), run={"lr": 8.0, "group_size": 8}, shown=("prompts", "sharpness", "reward_model"),
    page={"runs": 8, "steps": 200}, unit="token",
)  # fmt: skip
