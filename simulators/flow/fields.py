"""The fields of rollouts that the flow world alone has; rules that read them import this without torch."""

from simulators.records import declare_field

__all__ = ["NOISED"]

declare_field("latent", "SPGTD", "sample before each denoising step")
declare_field("reached", "SPGTD", "sample after each denoising step")
declare_field("instant_rewards", "SPGT", "reward of the sample that a straight step from there would give")
declare_field("noised", "SPGTD", "the rollout's sample with fresh noise, (1 − t) x_0 + t ε, at each time of the grid")
declare_field("noised_at", "SPGT", "time t of each noised sample, 0 data and 1 noise")
declare_field("velocity_old", "SPGTD", "velocity at the noised samples under the policy that sampled")
declare_field("velocity_start", "SPGTD", "velocity at the noised samples under the pretrained weights")

NOISED = ("noised", "noised_at", "velocity_old", "velocity_start")
