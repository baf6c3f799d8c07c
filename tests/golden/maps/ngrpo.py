"""NGRPO, its comparators, filters and objective."""

from __future__ import annotations

from typing import Any

import numpy as np

import lab
from tests.golden.compare import FLOAT32, Tally, Tolerance, UnknownOutputError
from tests.golden.maps.shared import Case, loss_and_gradient, mask, one


def compare(tally: Tally, where: str, case: Case) -> None:
    """float32 in the source."""
    i, o = case["inputs"], case["options"]
    rewards = np.asarray(i["rewards"], dtype=np.float32).astype(np.float64)
    if o["kind"] == "objective":
        advantage = lab.advantages.compute("ngrpo", rewards, r_max=o["r_max"])
        tally.compare(f"{where} advantage", advantage, case["outputs"]["advantage"], FLOAT32)
        new = np.asarray(i["logp_new"])
        given = {
            "logp": i["logp_old"], "mask": mask(i["lengths"], new.shape[-1]), "clip_low": o["clip_low"],
            "clip_high": o["clip_high"], "aggregation": o["agg"],
        }  # fmt: skip
        loss_and_gradient(tally, where, "ppo_clip", new, advantage, given, case["outputs"], FLOAT32)
        return
    rules: dict[str, tuple[str, dict[str, Any]]] = {
        "ngrpo": ("ngrpo", {"r_max": o["r_max"], "n_virtual": o["n_virtual"], "eps": o["eps"]}),
        "grpo": ("grpo@verl", {"eps": o["eps"]}), "psr_nsr_positive": ("psr", {}), "psr_nsr_negative": ("nsr", {}),
        "psr_nsr_weighted": ("w-reinforce", {"positive_weight": o["w_reinforce_positive_weight"]}),
    }  # fmt: skip
    for output, theirs in case["outputs"].items():
        if output == "keep_group":
            _keep(tally, where, rewards, theirs)
        elif output in rules:
            rule, given = rules[output]
            one(
                tally,
                f"{where} {output}",
                lambda r=rule, g=given: lab.advantages.compute(r, rewards, **g),
                theirs,
                _ngrpo_tolerance(rewards),
            )
        else:
            raise UnknownOutputError(f"{where}: output {output!r}")


def _keep(tally: Tally, where: str, rewards: Any, theirs: Case) -> None:
    filters = {"all": "uniform", "all_correct": "all_correct", "all_incorrect": "all_incorrect"}
    for strategy, kept in theirs.items():
        if strategy not in filters:
            raise UnknownOutputError(f"{where}: filter {strategy!r}")
        tally.same(f"{where} keep_group {strategy}", lab.sampling.keep(filters[strategy], rewards), kept)


def _ngrpo_tolerance(rewards: Any) -> Tolerance:
    """float32 differences of rewards that nearly agree: one unit of 2^-24 of the rewards over floor plus deviation."""
    spread = float(np.ptp(rewards, axis=-1)[np.ptp(rewards, axis=-1) > 0].min(initial=1.0))
    noise = 2.0**-24 * float(np.abs(rewards).max()) / (1e-6 + spread)
    return Tolerance(2e-6, max(2e-6, min(noise, 0.1)), "float32, and the cancellation of nearly equal float32 rewards")
