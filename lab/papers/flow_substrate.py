"""The flow world and what it is trained by: Flow-GRPO, DiffusionNFT, distribution matching."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import lab
from lab.papers.measure import Array, above, below, exact, fair, promised, runs
from lab.papers.places import elsewhere, final
from lab.papers.record import Measurement, Paper, Table, add_paper, claim
from lab.stand_ins import cached

if TYPE_CHECKING:
    from lab.studies.fair import Comparison
    from simulators import Flow
    from simulators.flow.sampling import Step

add_paper(
    Paper(
        slug="flow-substrate",
        title="A flow in the plane, trained by Flow-GRPO, DiffusionNFT and distribution matching",
        short="Flow world",
        date="May 2024 to September 2025",
        arxiv={"Flow-GRPO": "2505.05470", "DiffusionNFT": "2509.16117", "DMD2": "2405.14867"},
        code="https://github.com/yifan123/flow_grpo",
        problem=(
            "A generative model of images is trained with rewards for hours on many GPUs. Here a network of 9000 "
            "weights turns noise into points of the plane: each training method takes seconds, and every sample can be "
            "drawn. A denoising step is an action: the stochastic sampler gives it a density."
        ),
        equations=(
            ("noise", "x_t = (1 − t) x₀ + t ε,  the velocity v is that of ε − x₀"),
            ("stochastic step", "x' ~ N(x (1 + σ² d/2t) + v (1 + σ² (1 − t)/2t) d, −σ² d),  σ = a √(t/(1 − t))"),
            ("Flow-GRPO", "A = clamp((R − mean)/(std of the batch + ε), ±5) on every step, clipped ratios"),
            ("DiffusionNFT", "mean 5 (r L⁺ + (1 − r) L⁻)/β,  r = clip(A/10 + ½, 0, 1),  v± = v_old ± β (v − v_old)"),
            ("DMD", "a student's samples go along (x₀ of the teacher − x₀ of the student's own law) / mean |x − x₀|"),
        ),
        kept=(
            "Both samplers, Flow-GRPO with the deviation of the batch or of the group, DiffusionNFT with all its ways "
            "to treat an advantage, DMD's direction with a model that follows the student."
        ),
        left_out="Images and text, adapters of low rank, classifier-free guidance, Flow-GRPO's fast variants.",
        published=(
            Table(
                "GenEval, Stable Diffusion 3.5 Medium",
                ("method", "score"),
                (("before", 0.63), ("Flow-GRPO", 0.95), ("DiffusionNFT", 0.98)),
                "recalled from the abstracts, not read again",
            ),
        ),
        unknown="Nothing of the methods; network, data and sizes are the lab's own.",
    )
)

#: Of a student: fewer and smaller updates than the lab's default, so that they take seconds.
_SMALL_UPDATES: Mapping[str, Any] = {"updates": 50, "batch": 32, "followed": 32, "lr": 1e-3}


def world(**options: Any) -> Flow:
    """The pretrained flow."""
    return lab.world("flow", **options)  # type: ignore[return-value]


def learnt(variants: str | list[Any], seeds: range, steps: int, **settings: Any) -> dict[str, Array]:
    """Mean reward of the last batch of each run [n], by variant."""
    trace = lab.train(world(), variants, seeds=seeds, steps=steps, measure=["reward"], every=steps, **settings)
    last = trace.frame.filter(step=steps - 1).sort("seed")
    return {v.name: last.filter(variant=v.name)["reward"].to_numpy() for v in trace.variants}


#: Where methods are compared beside groups of 16, ten denoising steps and one epoch.
PLACES: Mapping[str, Mapping[str, Any]] = {
    "G = 8": {"group_size": 8}, "G = 16, 5 denoising steps": {"denoising": 5}, "G = 16, two epochs": {"epochs": 2},
}  # fmt: skip
_FIRST: Mapping[str, Any] = {"steps": 30, "metric": "reward"}


@cached
def _fair(seed: int, variant: str) -> Comparison:
    """A variant in the flow world after 30 steps, at its own best learning rate."""
    return fair(world(), [variant], seed, number=8, tuned=3, lrs=(0.004, 0.008), group_size=16, **_FIRST)


@cached
def _there(seed: int, variant: str, lr: float, denoising: int = 10, **given: Any) -> Array:
    """The reward of four runs in another place."""
    return final(world(denoising=denoising), variant, lr, seeds=runs(seed, 4), **{"group_size": 16, **_FIRST, **given})


def flow_headline(seed: int, ours: str, least: float) -> Measurement:
    """Lead of a method over Flow-GRPO and GRPO with groups of 16, and all three elsewhere."""
    others = ("flow-grpo", "grpo")
    first = _fair(seed, others[0]).beside(_fair(seed, others[1])).beside(_fair(seed, ours))
    found = {"G = 16": first} | {
        where: elsewhere(first, partial(_there, seed, **given)) for where, given in PLACES.items()
    }
    return promised(found, ours, *others, least=least)


@claim(
    "flow-substrate.headline",
    sentence="DiffusionNFT learns faster than Flow-GRPO, with groups of 16 and each at its own best learning rate: "
    "after 30 steps its reward is about 0.3 higher. Over GRPO, which divides by the deviation of each group and not of "
    "the batch, a lead of more than 0.2 is not shown.",
    criterion="lead in the mean reward of the 30th batch over the better of Flow-GRPO and GRPO above 0.2",
    note="Learning rates are chosen on 3 other runs each, and judged on 8; in other "
    "places each keeps its rate, on 4 runs. Seeds 0 to 4: −0.01 to 0.26.",
    published="0.24 to 0.98 on GenEval in 1000 steps, Flow-GRPO 0.95 in more than 5000",
)
def headline(seed: int) -> Measurement:
    """Lead of DiffusionNFT over Flow-GRPO and GRPO in the reward."""
    return flow_headline(seed, "diffusion-nft", least=0.2)


def _rolled(rewards: Array) -> Array:
    """Flow-GRPO's advantages, each given to the next rollout of its group."""
    from lab.advantages.flow_grpo import flow_grpo

    return np.roll(flow_grpo(rewards), 1, axis=-1)


@claim(
    "flow-substrate.1",
    sentence="After 3000 steps of flow matching the deterministic sampler has the law of the data: 97% of its samples "
    "lie near a mode.",
    criterion="energy distance of 2048 samples (40 steps) from as many data at most 0.01, and a share of at least 0.93 "
    "within 4.5 deviations of a mode",
    note="The value is the energy distance; two sets of data are 0.001 apart. Twin: after 100 steps. "
    "Seeds 0 to 4: 0.001 to 0.005.",
    without=lambda seed: _pretrained(seed, 100),
)
def pretraining(seed: int) -> Measurement:
    """Energy distance between samples and data."""
    return _pretrained(seed)


def _pretrained(seed: int, steps: int = 3000) -> Measurement:
    from simulators.flow.mixture import energy_distance

    flow = world(pretraining=steps)
    samples = flow.samples(flow.init([seed]), 512, 40).reshape(-1, 2)
    away = energy_distance(samples, flow.mixture.sample(2048, np.random.default_rng(seed)))
    within = float(flow.mixture.within(samples))
    return exact([{"steps": steps, "difference": away, "within": within}], 0.01, also=within >= 0.93)


@claim(
    "flow-substrate.2",
    sentence="The stochastic sampler's samples have the law of the deterministic one's, whatever its noise and number "
    "of steps: what it adds in noise it takes back in its mean.",
    criterion="energy distance of 2048 samples of each at most 0.01 for a = 0.3, 0.7 and 1.5 in 10 steps and 0.7 in 40",
    note="The value is the largest distance. Twin: the same noise on the deterministic step. "
    "Seeds 0 to 4: 0.003 to 0.006.",
    without=lambda seed: _marginals(seed, lambda step: step._replace(keep=1.0, push=step.d)),
)
def marginals(seed: int) -> Measurement:
    """Largest energy distance between the two samplers."""
    return _marginals(seed, lambda step: step)


def _marginals(seed: int, changed: Callable[[Step], Step]) -> Measurement:
    from simulators.flow.mixture import energy_distance

    plain, rows = world(), []
    expected = plain.samples(plain.init([seed]), 512, 40).reshape(-1, 2)
    for noise, steps in ((0.3, 10), (0.7, 10), (1.5, 10), (0.7, 40)):
        flow = world(noise=noise, denoising=steps)
        flow.schedule = [changed(step) for step in flow.schedule]
        found = flow.rollout(flow.init([seed]), 512, 0).extra["reached"][..., -1, :].reshape(-1, 2)
        rows.append({"noise": noise, "steps": steps, "difference": energy_distance(found, expected)})
    return exact(rows, 0.01)


@claim(
    "flow-substrate.3",
    sentence="Flow-GRPO finds the mode that each prompt wants: the reward rises from 0.22 to 0.8 in 60 steps.",
    criterion="mean reward of the last batch above 0.35, 95% interval included (4 runs, G = 32, learning rate 0.004)",
    note="Smaller and faster than the lab's default, with which it reaches 0.99 after 200 steps (G = 64, learning rate "
    "0.001). Without: each advantage is given to another rollout of the group.",
    without={"advantage:flow-grpo": _rolled},
)
def flow_grpo(seed: int) -> Measurement:
    """Mean reward after Flow-GRPO."""
    return above(learnt("flow-grpo", runs(seed, 4), 60, group_size=32, lr=0.004)["flow-grpo"], 0.35)


@claim(
    "flow-substrate.4",
    sentence="DiffusionNFT does so without any density of a step, and sooner: 0.7 after 40 steps.",
    criterion="mean reward of the last batch above 0.5, 95% interval included (4 runs, G = 32, learning rate 0.004)",
    note="With the lab's default 0.85 and 0.93 after 100 steps (G = 64, learning rate 0.001). Without: each advantage "
    "is given to another rollout of the group.",
    without={"advantage:flow-grpo": _rolled},
)
def diffusion_nft(seed: int) -> Measurement:
    """Mean reward after DiffusionNFT."""
    return above(learnt("diffusion-nft", runs(seed, 4), 40, group_size=32, lr=0.004)["diffusion-nft"], 0.5)


@claim(
    "flow-substrate.5",
    sentence="The slope of a step's log-density in the velocity is −z √−d (1 + σ² (1 − t)/2t)/σ, z being the step's "
    "noise: late steps weigh twelve times as much as early ones.",
    criterion="Σ w ∇log π by automatic differentiation equals Σ w slope·∇v to 1e-10 of its length, in double precision",
    note="The value is the relative difference. The slopes' size per unit of z is in the rows. Twin: without the part "
    "that keeps the law.",
    without=lambda seed: _slopes(seed, kept=0.0),
)
def slopes(seed: int) -> Measurement:
    """Relative difference of the gradient from that by the closed form."""
    return _slopes(seed)


def _slopes(seed: int, kept: float = 1.0) -> Measurement:
    flow = type(world())(precision="float64")
    policy = flow.init([seed])
    drawn = flow.rollout(policy, 4, 0)
    weights = np.random.default_rng(seed).normal(size=drawn.logp.shape) * drawn.mask
    t, d = 1 - np.arange(flow.steps) / flow.steps, -1 / flow.steps
    sigma = flow.noise * np.sqrt(t / np.where(t == 1, 1 - t[1], 1 - t))
    latent, reached = drawn.extra["latent"], drawn.extra["reached"]
    at = replace(drawn, extra={"noised": latent, "noised_at": np.broadcast_to(t, drawn.logp.shape)})
    velocity = flow.scores_of(policy, at, ("velocity_x", "velocity_y"))
    size = np.sqrt(-d) * (1 + kept * sigma**2 * (1 - t) / (2 * t)) / sigma
    moved = {}
    for axis, name in enumerate(velocity):
        mean = (
            latent[..., axis] * (1 + sigma**2 * d / (2 * t)) + velocity[name] * (1 + sigma**2 * (1 - t) / (2 * t)) * d
        )
        z = (reached[..., axis] - mean) / (sigma * np.sqrt(-d))
        moved[name] = -weights * z * size
    ours, theirs = (np.asarray(flow.pull(policy, *each)) for each in ((at, moved), (drawn, {"logp": weights})))
    away = float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))
    rows = [{"step": i, "time": t[i], "slope": size[i], "difference": away} for i in range(flow.steps)]
    return exact(rows, 1e-10)


class Students(NamedTuple):
    """What distillation has made of n runs.

    Attributes:
        distance: Energy distance of their samples to the data [n].
        reward: Mean reward of their samples [n].
        unsteady: Coefficient of variation of the gradient's norm over the second half of the updates [n].
    """

    distance: Array
    reward: Array
    unsteady: Array


@cached
def distilled(norm: str, seeds: range, **options: Any) -> Students:
    """Students of two steps after 50 small updates."""
    from simulators.flow.distillation import distil
    from simulators.flow.mixture import energy_distance

    flow = world()
    made = distil(flow, norm, seeds=seeds, **{**_SMALL_UPDATES, **options})
    data = flow.mixture.sample(1024, np.random.default_rng(seeds[0]))
    away = np.array([energy_distance(each.reshape(-1, 2), data) for each in made.samples])
    later = made.norms[:, made.norms.shape[1] // 2 :]
    mean = np.maximum(later.mean(1), 1e-12)
    return Students(away, flow.reward(made.samples).mean((1, 2)), later.std(1) / mean)


@claim(
    "flow-substrate.6",
    sentence="A student of two steps learns the teacher's law by DMD: its energy distance to the data falls from 0.16 "
    "to 0.03 in 50 small updates.",
    criterion="energy distance below 0.06, 95% interval over 4 runs included (batches of 32)",
    note="With batches of 128 and 256 and 200 updates it is 0.011. Twin: the model that stands for the student's law "
    "does not follow it.",
    without=lambda seed: _student(seed, follow=0),
)
def student(seed: int) -> Measurement:
    """Energy distance of the student's samples."""
    return _student(seed)


def _student(seed: int, **options: Any) -> Measurement:
    return below(distilled("sample", runs(seed, 4), **options).distance, 0.06)
