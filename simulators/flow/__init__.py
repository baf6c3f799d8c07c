"""Flow matching in the plane: a generative model that is small enough to be drawn."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

from simulators.declared import Declared, OneOf, Range

if TYPE_CHECKING:
    from simulators.flow.world import Flow


def _rewards() -> Iterable[str]:
    from simulators.flow.rewards import REWARDS

    return REWARDS


WORDS = {"near": "near the prompt's mode", "right": "to the right", "ring": "on a ring, last prompt only",
         "up": "upwards", "typical": "near any mode"}  # fmt: skip


def flow(
    prompts: Annotated[int, Range(1, 64, slider=(1, 8)), "Prompts", "Each wants another mode of the data."] = 4,
    *,
    denoising: Annotated[int, Range(2, 1000, slider=(4, 40)), "Denoising steps", "Of a rollout."] = 10,
    noise: Annotated[float, Range(1e-3, 10, slider=(0.1, 1.5, 0.1)), "Noise", "Of the stochastic sampler."] = 0.7,
    modes: Annotated[int, Range(1, 64, slider=(2, 12)), "Modes", "Of the data, on a circle."] = 8,
    deviation: Annotated[float, Range(1e-3, 10, slider=(0.05, 0.5, 0.05)), "Deviation", "Of each mode."] = 0.15,
    width: Annotated[int, Range(1, 4096), "Width", "Of the network's three hidden layers."] = 64,
    pretraining: Annotated[int, Range(0, 100_000), "Pretraining", "Steps; the weights are kept on the disk."] = 3000,
    seed: Annotated[int, Range(0, 2**63 - 1), "Seed", "Of the pretrained weights."] = 0,
    pool: Annotated[int, Range(0, 4096), "Pool", "Samples per prompt, made once; 0: the policy draws its own."] = 0,
    rewards: Annotated[str | Sequence[str], OneOf(_rewards, WORDS, several=True), "Rewards"] = "near",
    device: Annotated[str, "Device", "cpu, cuda, cuda:1 or auto."] = "cpu",
) -> "Flow":
    """A flow that turns noise into points of the plane, rewarded near one mode for each prompt."""
    from simulators.flow.pool import Pool
    from simulators.flow.world import Flow

    made = partial(Pool, pool=pool) if pool else Flow
    return made(prompts, denoising=denoising, noise=noise, modes=modes, deviation=deviation, width=width,
                pretraining=pretraining, seed=seed, rewards=rewards, device=device)  # fmt: skip


HERE = Declared(
    flow, label="flow in the plane (torch)", scores=("velocity_x", "velocity_y", "denoising_loss", "implicit_reward"),
    provides=("mask", "latent", "reached", "instant_rewards", "noised", "noised_at", "velocity_old", "velocity_start"),
    components=("near",), run={"optimizer": "adam", "lr": 0.001, "group_size": 64},
    shown=("prompts", "denoising", "noise"), page={"runs": 4, "steps": 40, "group_size": 16}, dear=("gold",),
    heavy=True, extra="torch",
)  # fmt: skip
