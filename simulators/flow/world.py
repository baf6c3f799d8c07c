"""Flow matching in the plane as a world: a denoising step is an action, its density that of a Gaussian.

A velocity network, pretrained on a mixture of Gaussians, turns noise into samples in T steps. The stochastic sampler
keeps the marginals of the deterministic one and gives each step a density, so that Σ w ∇log π can be taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simulators.devices import device_of, on_host
from simulators.errors import check_count
from simulators.flow.fields import NOISED
from simulators.flow.mixture import Mixture, normals
from simulators.flow.network import Velocity
from simulators.flow.pretraining import match
from simulators.flow.rewards import chosen, rewarded
from simulators.flow.sampling import log_density, ode, schedule
from simulators.flow.scores import SCORES, Scores, noised
from simulators.random import uniforms
from simulators.records import Floats, Policy, Rollouts, World
from simulators.runs import asked, seeded
from simulators.weights import cached

__all__ = ["Flow"]


_VERSION = 1  # of the weights: changed whenever pretraining gives others
_EVALUATED, _GRID = 1 << 20, 20  # draws and steps of the deterministic sampler that is looked at


class Flow(World):
    """A pretrained flow whose prompts each want another mode.

    The reward of prompt c is exp(−‖x − m_c‖² / 2), m_c being every other mode; others of `simulators.flow.rewards` may
    stand beside it or in its place.

    Args:
        prompts: number of prompts P.
        denoising: steps of a rollout T.
        noise: a, of the stochastic sampler.
        modes: of the data, evenly on a circle of radius 2.
        deviation: of each mode.
        mass: weight of each mode [modes]; equal by default.
        width: of the network's hidden layers.
        pretraining: its steps.
        seed: of its weights.
        rewards: names of K rewards, or several joined by "+".
        precision: "float32" or "float64".
        device: where the network is, "cpu", "cuda", "cuda:1" or "auto" (a GPU where there is one).

    Attributes:
        components: names of the rewards [K].
        mixture: the data.
        wanted: where the reward of each prompt is 1 [P, 2].
        schedule: the T steps.

    Raises:
        ValueError: sizes below one, no noise, a mixture without mass, an unknown reward or one that is named twice.

    Source: flow-substrate card.
    """

    name = "flow"
    provides: tuple[str, ...] = ("mask", "latent", "reached", "instant_rewards", *NOISED)
    components: tuple[str, ...] = ("near",)
    scores: tuple[str, ...] = tuple(SCORES)
    together = 4

    def __init__(
        self, prompts: int = 4, *, denoising: int = 10, noise: float = 0.7, modes: int = 8, deviation: float = 0.15,
        mass: Sequence[float] | None = None, width: int = 64, pretraining: int = 3000, seed: int = 0,
        rewards: str | Sequence[str] = "near", precision: str = "float32", device: str = "cpu",
    ) -> None:  # fmt: skip
        if precision not in ("float32", "float64"):
            raise ValueError(f'precision={precision!r}; it is "float32" or "float64"')
        if not 0 < noise < np.inf:
            raise ValueError(f"noise={noise}; it must be above 0: without noise a step has no density")
        self.prompts = check_count("prompts", prompts, least=1)
        self.steps, self.components = check_count("denoising", denoising, least=2), chosen(rewards)
        torch.set_num_threads(1)  # runs are the parallel work, and numbers do not depend on the cores
        self.mixture = Mixture(check_count("modes", modes, least=1), deviation=deviation, mass=mass)
        self.wanted = self.mixture.centres[2 * np.arange(prompts) % modes]
        self.model = Velocity(prompts, check_count("width", width, least=1))
        self.noise, self.schedule = noise, schedule(self.steps, noise)
        self._deviations = np.array([step.deviation for step in self.schedule])
        facts = {"version": _VERSION, "prompts": prompts, "modes": modes, "deviation": deviation, "width": width,
                 "steps": check_count("pretraining", pretraining, least=0), "seed": seed,
                 "mass": self.mixture.shares.tolist()}  # fmt: skip
        start = cached("flow", facts, lambda: match(self.model, self.mixture, pretraining, seed).numpy())
        self._start = torch.from_numpy(start).to(device_of(device), getattr(torch, precision))

    def __repr__(self) -> str:
        return f"Flow(prompts={self.prompts}, denoising={self.steps}, noise={self.noise}, parameters={self.model.size})"

    def init(self, seeds: Sequence[int] | NDArray[Any]) -> Policy:
        """The pretrained weights [S, N] for S seeds: a tensor."""
        keys = seeded(seeds)
        return Policy(self.start(len(keys)), keys)

    def start(self, runs: int) -> Tensor:
        """The pretrained weights of S runs [S, N]."""
        return self._start.repeat(runs, 1)

    def rewarded(self, x: Floats) -> Floats:
        """Rewards of samples [..., P, G, 2] of the prompts, [..., P, G, K]; 0 where a sample is not finite."""
        return rewarded(self.components, x, self.wanted, self.mixture)

    def reward(self, x: Floats) -> Floats:
        """Sum of the rewards of samples [..., P, G, 2] of the prompts."""
        return np.asarray(self.rewarded(x).sum(-1))

    @torch.no_grad()
    def rollout(
        self, policy: Policy, group_size: int, step: int, *, attempt: int = 0, fields: Sequence[str] = ()
    ) -> Rollouts:
        """G samples for each prompt, each by T stochastic steps; the last step has no part in the update.

        The action of a step is its number. `latent` and `reached` [S, P, G, T, 2] say where it went from and to.

        Args:
            policy: Weights and seeds of the runs.
            group_size: G.
            step: This and `attempt` tell the draws.
            attempt: Number of the draw, for a step that samples again.
            fields: "instant_rewards" [S, P, G, T], the reward of x − t v(x, t) after each step; those of
                `fields.NOISED`, of which one brings all.
        """
        groups, step, attempt = asked(self, policy, group_size, step, attempt, fields, each=40 * self.steps)
        noise = self._noise(policy.seeds, groups, self.steps + 1, step=step, attempt=attempt)
        x, before, after, means = noise[:, :, :, 0], [], [], []
        for at, drawn in zip(self.schedule, np.moveaxis(noise[:, :, :, 1:], 3, 0), strict=True):
            mean = at.mean(x, self.velocity(policy, x, at.t))
            before.append(x)
            means.append(mean)
            after.append(x := mean + at.deviation * drawn)
        latent, reached, mean = (np.stack(part, axis=3) for part in (before, after, means))
        mask = np.broadcast_to(np.arange(self.steps) < self.steps - 1, latent.shape[:-1])
        logp = np.where(mask, log_density(reached, mean, self._deviations[:, None]), 0.0)
        extra = {"latent": latent, "reached": reached}
        extra |= self._asides(policy, reached, fields, step=step, attempt=attempt)
        actions = np.broadcast_to(np.arange(self.steps), mask.shape).copy()
        rollouts = Rollouts(self.rewarded(x), actions, logp, mask.copy(), extra=extra)
        policy.memo.update(rollouts=rollouts, moves=policy.parameters._version)
        return rollouts

    def _asides(self, policy: Policy, reached: Floats, fields: Sequence[str], **counters: int) -> dict[str, Floats]:
        """The optional fields that are asked for, of what `policy` reached after each step [S, P, G, T, 2]."""
        found = {"instant_rewards": self._instant(policy, reached)} if "instant_rewards" in fields else {}
        if set(NOISED) & set(fields):
            fresh = self._noise(policy.seeds, reached.shape[2], self.steps, self.steps + 1, **counters)
            found |= noised(self, policy, reached[..., -1, :], fresh)
        return found

    def _noise(self, seeds: NDArray[np.uint64], groups: int, draws: int, first: int = 0, **counters: int) -> Floats:
        """Normals [S, P, G, draws, 2], behind the `first` ones."""
        u = uniforms(
            seeds[:, None, None, None, None], **counters, prompt=np.arange(self.prompts)[:, None, None, None],
            rollout=np.arange(groups)[:, None, None], draw=np.arange(2 * first, 2 * (first + draws)).reshape(draws, 2),
        )  # fmt: skip
        return normals(u)

    def velocity(self, policy: Policy, x: Floats, t: float) -> Floats:
        """Velocities at samples of the prompts [S, P, G, 2] and a time."""
        with torch.no_grad():
            return on_host(self.velocities(policy.parameters, x, t))

    def velocities(self, parameters: Tensor, x: Floats, t: Any) -> Tensor:
        """Velocities [S, P, ..., 2] at samples [S, P, ..., 2] and times that broadcast to them, differentiable."""
        shape = x.shape[:-1]
        prompt = np.broadcast_to(np.arange(self.prompts).reshape(-1, *[1] * (len(shape) - 2)), shape)
        given = [np.array(np.broadcast_to(each, shape)) for each in (t, prompt)]
        when, one_of = (torch.from_numpy(each).to(parameters.device).flatten(1) for each in given)
        at = torch.from_numpy(x).to(parameters).flatten(1, -2)
        return self.model(parameters, at, when.to(parameters.dtype), one_of).unflatten(1, shape[1:])

    def _instant(self, policy: Policy, reached: Floats) -> Floats:
        times = np.array([step.t + step.d for step in self.schedule])
        with torch.no_grad():
            v = on_host(self.velocities(policy.parameters, reached, times))
        ends = reached - times[:, None] * v
        return np.moveaxis(self.reward(np.moveaxis(ends, 3, 0)), 0, 3)

    def densities(self, parameters: Tensor, rollouts: Rollouts) -> Tensor:
        """Log-density of every step [S, P, G, T], nats, differentiable; 0 for the last one."""
        if (rollouts.actions != np.arange(self.steps)).any():
            raise ValueError("the action of a denoising step is its number; what was drawn stands in 'reached'")
        latent, reached = rollouts.extra["latent"], rollouts.extra["reached"]
        v = self.velocities(parameters, latent, [step.t for step in self.schedule])
        steps = [torch.tensor([getattr(s, part) for s in self.schedule], dtype=v.dtype, device=v.device)[:, None]
                 for part in ("keep", "push", "deviation")]  # fmt: skip
        before, after = (torch.from_numpy(each).to(v) for each in (latent, reached))
        density = log_density(after, steps[0] * before + steps[1] * v, steps[2])
        return torch.where(torch.from_numpy(np.asarray(rollouts.mask)).to(v.device), density, 0.0)

    @torch.no_grad()
    def log_prob(self, policy: Policy, rollouts: Rollouts) -> Floats:
        """Log-density of each step under `policy` [S, P, G, T], nats."""
        return on_host(self.densities(policy.parameters, rollouts))

    def gradient(self, policy: Policy, rollouts: Rollouts, weights: Floats) -> Tensor:
        """Σ w ∇log π by autograd, the weights [S, P, G, T] held fixed: a tensor [S, N]."""
        return self.pull(policy, rollouts, {"logp": weights})

    def _scored(self, policy: Policy, rollouts: Rollouts) -> Scores:
        """The scores under `policy`; those of the last rollouts are kept: several rewards ask for the same ones."""
        held = policy.memo.get("scores")
        if held is None or held.rollouts is not rollouts or held.moves != policy.parameters._version:
            held = policy.memo["scores"] = Scores(self, policy.parameters, rollouts)
        found: Scores = held
        return found

    def scores_of(self, policy: Policy, rollouts: Rollouts, names: Sequence[str]) -> dict[str, Floats]:
        """Scores by name [S, P, G, L]: "logp", and those of `simulators.flow.scores`."""
        held = self._scored(policy, rollouts)
        return {name: held.values(name) for name in names}

    def pull(self, policy: Policy, rollouts: Rollouts, weights: Mapping[str, Floats]) -> Tensor:
        """Σ w ∇score over the scores that are weighed, by autograd: a tensor [S, N]."""
        return self._scored(policy, rollouts).pull(weights)

    def kl(self, policy: Policy, other: Policy) -> Floats:
        """KL(policy ‖ other) of a rollout [S], nats: Σ ‖μ − μ'‖² / 2σ² along the policy's last rollouts."""
        if policy.memo.get("moves") != policy.parameters._version:
            self.rollout(policy, 8, 0)
        latent, times = policy.memo["rollouts"].extra["latent"], [step.t for step in self.schedule]
        with torch.no_grad():
            ours, theirs = (on_host(self.velocities(p.parameters, latent, times)) for p in (policy, other))
        push = np.array([step.push for step in self.schedule])[:, None]
        return ((push * (ours - theirs) / self._deviations[:, None]) ** 2 / 2).sum(-1).sum(-1).mean((1, 2))

    def samples(self, policy: Policy, number: int = 512, steps: int = _GRID) -> Floats:
        """Samples of the deterministic sampler [S, P, number, 2], from the same noise whatever the weights."""
        noise = self._noise(policy.seeds, number, 1, step=0, attempt=_EVALUATED)[:, :, :, 0]
        return np.asarray(ode(lambda x, t: self.velocity(policy, x, t), noise, steps))

    def gold(self, policy: Policy) -> Floats:
        """Mean reward of the deterministic sampler's samples [S]."""
        return self.reward(self.samples(policy)).mean((1, 2))
