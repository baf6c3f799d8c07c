"""Distribution matching: a student of few steps moves its samples to where the teacher finds them likelier than now.

The student's samples x get noise, x_t = (1 − t) x + t ε. A frozen teacher and a model of the student's own samples (the
fake one) each say where x_t came from; DMD moves x along `real − fake`, the slope of log p_real − log p_fake up to a
positive factor. How that difference is scaled is a rule of `NORMS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simulators.errors import check_count, one_of
from simulators.flow.network import Velocity
from simulators.flow.pretraining import matching_loss, noised
from simulators.flow.world import Flow
from simulators.records import Floats

__all__ = ["NORMS", "Distilled", "direction", "distil", "log_densities", "student_samples", "towards"]

Norm = Callable[[Tensor, Tensor], Tensor]
_BETAS, _FAKE_LR, _CLIP = (0.0, 0.999), 1e-3, 10.0
_EVALUATED = 256  # samples of a student for each prompt that are looked at


def _sample(away: Tensor, difference: Tensor) -> Tensor:
    """Each sample by its own mean |x − real|, as DMD: near 0 for some, whose gradient then explodes."""
    return difference / away.abs().mean(-1, keepdim=True)


def _group_mean(away: Tensor, difference: Tensor) -> Tensor:
    """All of a group by the group's mean |x − real|."""
    return difference / (away.abs().mean((-2, -1), keepdim=True) + 1e-8)


def _group_rms(away: Tensor, difference: Tensor) -> Tensor:
    """All of a group by the root mean square of its difference vectors."""
    return difference / (difference.square().mean((-2, -1), keepdim=True).sqrt() + 1e-8)


def _group_z(away: Tensor, difference: Tensor) -> Tensor:
    """As an advantage: minus the group's mean vector, by its standard deviation in each coordinate."""
    mean, spread = difference.mean(-2, keepdim=True), difference.std(-2, correction=0, keepdim=True)
    return (difference - mean) / (spread + 1e-4)


def _none(away: Tensor, difference: Tensor) -> Tensor:
    """As it is."""
    return difference


#: Rules by name, of x − real and fake − real of groups [..., G, D].
NORMS: dict[str, Norm] = {
    "sample": _sample, "group_mean": _group_mean, "group_rms": _group_rms, "group_z": _group_z, "none": _none,
}  # fmt: skip


def direction(x: Tensor, real: Tensor, fake: Tensor, norm: str = "group_mean", group: int = 16) -> Tensor:
    """What is taken from the samples, a step against it being one towards the teacher [..., B, D].

    Args:
        x: samples [..., B, D].
        real: where the teacher thinks that their noised versions came from [..., B, D].
        fake: where the model of the student's samples thinks so [..., B, D].
        norm: "group_mean" (GNDM), "sample" (DMD), "group_rms", "group_z" or "none".
        group: samples of a group G, one after the other; a divisor of B.

    Raises:
        ValueError: no such norm, or B is no multiple of G.

    Source: DMD2, edm_guidance.py; arXiv 2603.28460, abstract; golden file flow-substrate-dmd.json.
    """
    scaled = one_of("norm", norm, NORMS)
    if check_count("group", group, least=1) > x.shape[-2] or x.shape[-2] % group:
        raise ValueError(f"group={group}; {x.shape[-2]} samples are not cut into whole groups of that size")
    away, difference = (each.unflatten(-2, (-1, group)) for each in (x - real, fake - real))
    return torch.nan_to_num(scaled(away, difference).flatten(-3, -2))


def towards(x: Tensor, wanted: Tensor, group: int = 16) -> Tensor:
    """The slope of exp(−‖x − m‖²/2) at samples [..., B, 2], m being `wanted`, each group by the mean of its sizes."""
    away = wanted - x
    parts = (away * torch.exp(-away.square().sum(-1, keepdim=True) / 2)).unflatten(-2, (-1, group))
    return (parts / (parts.abs().mean((-2, -1), keepdim=True) + 1e-8)).flatten(-3, -2)


class Distilled(NamedTuple):
    """What distillation leaves.

    Attributes:
        weights: of the students [S, N].
        norms: of the student's gradient in each update, before it is clipped [S, updates].
        samples: of the students in the end, for each prompt [S, P, 256, 2].
    """

    weights: Tensor
    norms: Floats
    samples: Floats


def student_samples(model: Velocity, weights: Tensor, noise: Tensor, prompt: Tensor) -> Tensor:
    """Samples [S, B, 2] of students: a straight step to the end, noise again, and so on; slope of the last step alone.

    Args:
        model: the network.
        weights: [S, N].
        noise: for each of n steps [n, S, B, 2].
        prompt: of each sample [S, B].
    """
    steps, x = len(noise), noise[0]
    for i in range(steps):
        t = 1 - i / steps
        with torch.set_grad_enabled(torch.is_grad_enabled() and i == steps - 1):
            end = x - t * model(weights, x, t, prompt)
        if i < steps - 1:
            x = (i + 1) / steps * end + (1 - (i + 1) / steps) * noise[i + 1]
    return end


class _Draws:
    """Random numbers of S runs, those of a run the same whatever the others."""

    def __init__(self, seeds: Sequence[int], prompts: int) -> None:
        self._each, self._prompts = [torch.Generator().manual_seed(seed) for seed in seeds], prompts

    def normal(self, *shape: int) -> Tensor:
        return torch.stack([torch.randn(shape, generator=one) for one in self._each])

    def uniform(self, *shape: int) -> Tensor:
        return torch.stack([torch.rand(shape, generator=one) for one in self._each])

    def prompt(self, batch: int) -> Tensor:
        return torch.stack([torch.randint(self._prompts, (batch,), generator=one) for one in self._each])

    def student(self, model: Velocity, weights: Tensor, batch: int, steps: int) -> tuple[Tensor, Tensor]:
        prompt, noise = self.prompt(batch), self.normal(steps, batch, 2).transpose(0, 1)
        return student_samples(model, weights, noise, prompt), prompt


def distil(
    flow: Flow, norm: str = "group_mean", *, seeds: Sequence[int], updates: int = 200, batch: int = 128,
    follow: int = 5, followed: int = 256, group: int = 16, steps: int = 2, lr: float = 5e-4, near: float = 0.0,
) -> Distilled:  # fmt: skip
    """Students of a pretrained flow; before each update the fake model follows them with some of its own.

    Args:
        flow: the teacher, in float32 on the CPU.
        norm: see `direction`.
        seeds: of the S runs.
        updates: of the student.
        batch: samples per update.
        follow: updates of the fake model before each; with 0 it stays the teacher, and nothing moves.
        followed: samples in each of these.
        group: samples of a group, a divisor of `batch`.
        steps: of the student's sampler.
        lr: of Adam with betas (0, 0.999).
        near: weight of the slope of the world's reward beside the matching one, each scaled by its own group (GNDMR).
    """
    model, draw = flow.model, _Draws(seeds, flow.prompts)
    teacher = flow.init(seeds).parameters
    student, fake = (teacher.clone().requires_grad_() for _ in range(2))
    ours = torch.optim.Adam([student], lr, betas=_BETAS)
    theirs = torch.optim.Adam([fake], _FAKE_LR, betas=_BETAS)
    wanted = torch.from_numpy(flow.wanted).to(teacher.dtype)
    norms = np.empty((len(seeds), check_count("updates", updates, least=1)))
    for update in range(updates):
        for _ in range(follow):
            _follow(model, student, fake, theirs, draw, steps, followed)
        x, prompt = draw.student(model, student, batch, steps)
        t, noise = 0.02 + 0.96 * draw.uniform(batch), draw.normal(batch, 2)
        with torch.no_grad():
            at = noised(x, noise, t)
            real, own = (at - t[..., None] * model(who, at, t, prompt) for who in (teacher, fake))
            slope = direction(x, real, own, norm, group) - near * towards(x, wanted[prompt], group)
        (found,) = torch.autograd.grad(x, student, slope / x[0].numel())
        size = found.norm(dim=1, keepdim=True)
        norms[:, update] = size[:, 0]
        student.grad = found * (_CLIP / size.clamp(min=_CLIP))
        ours.step()
    with torch.no_grad():
        each = torch.arange(flow.prompts).repeat_interleave(_EVALUATED).expand(len(seeds), -1)
        samples = student_samples(model, student, draw.normal(steps, each.shape[1], 2).transpose(0, 1), each)
    return Distilled(student.detach(), norms, samples.unflatten(1, (flow.prompts, -1)).double().numpy())


def _follow(
    model: Velocity, student: Tensor, fake: Tensor, optimizer: torch.optim.Optimizer, draw: _Draws, steps: int,
    batch: int,
) -> None:  # fmt: skip
    """One update of the fake model: flow matching on the student's samples."""
    with torch.no_grad():
        x, prompt = draw.student(model, student, batch, steps)
    t, noise = draw.uniform(batch), draw.normal(batch, 2)
    (fake.grad,) = torch.autograd.grad(matching_loss(model, fake, x, noise, t, prompt).sum(), fake)
    optimizer.step()


def log_densities(
    x: Tensor | NDArray[np.float64], t: float, centres: Tensor | NDArray[np.float64], deviation: float
) -> tuple[Tensor, Tensor]:
    """log p_t at x of equal Gaussians that got noise, nats [B], and the mean of where x came from [B, 2].

    Args:
        x: noised samples [B, 2], a tensor or an array.
        t: when, above 0 and below 1.
        centres: of the Gaussians [K, 2]; a student's samples with deviation 0.
        deviation: of each.
    """
    x = torch.as_tensor(x)
    centres = torch.as_tensor(centres, dtype=x.dtype)
    variance = ((1 - t) * deviation) ** 2 + t**2
    away = x[:, None] - (1 - t) * centres
    each = -away.square().sum(-1) / (2 * variance) - np.log(2 * np.pi * variance * len(centres))
    came = centres + (1 - t) * deviation**2 / variance * away
    return each.logsumexp(-1), (each.softmax(-1)[..., None] * came).sum(-2)
