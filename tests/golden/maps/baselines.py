"""verl 0.9.1 and TRL 1.16: advantages, objectives, KL, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

import lab
from tests.golden.compare import FLOAT64, Tally, Tolerance, UnknownOutputError
from tests.golden.maps.shared import TRL, Case, conditioned, loss_and_gradient, mask, one


def _advantages(tally: Tally, where: str, case: Case) -> None:
    rewards, options = case["inputs"]["rewards"], case["options"]
    tokens, greedy = mask(case["inputs"]["lengths"]), case["inputs"].get("greedy_rewards")
    eps, gamma = options["epsilon"], options["gamma"]
    given: dict[str, tuple[str, dict[str, Any]]] = {
        "grpo": ("grpo@verl", {"eps": eps}), "dr_grpo": ("dr_grpo@verl", {}), "rloo": ("rloo", {}),
        "opo": ("opo", {"mask": tokens}), "gpg": ("gpg@verl", {}), "grpo_passk": ("grpo_passk", {"eps": eps}),
        "reinforce_pp_baseline": ("reinforce_pp_baseline", {"mask": tokens}),
        "reinforce_pp": ("reinforce_pp", {"mask": tokens, "gamma": gamma}),
        "remax": ("remax", {"mask": tokens, "greedy_rewards": greedy}),
    }  # fmt: skip
    for name, theirs in case["outputs"].items():
        if name not in given:
            raise UnknownOutputError(f"{where}: output {name!r}")
        rule, fields = given[name]
        single = SINGLE if np.shape(rewards)[-1] == 1 else conditioned(rewards, eps)
        tolerance = GPG if name == "gpg" else single
        one(
            tally,
            f"{where} {name}",
            lambda r=rule, f=fields: lab.advantages.compute(r, rewards, **f),
            theirs,
            tolerance,
        )


#: verl's factor B/m is float32.
GPG = Tolerance(1e-6, 1e-6, "gpg's factor B/m is float32 in the source, all else float64")


#: verl's deviation of a group of one is torch.tensor(1.0), float32.
SINGLE = Tolerance(1e-7, 1e-9, "verl adds epsilon to a float32 deviation of 1 for a group of one")


_VERL_AGG = {"seq-mean (fixed)": None}


def _objective(tally: Tally, where: str, case: Case) -> None:
    """verl: loss, gradient and clip share."""
    i, o = case["inputs"], case["options"]
    new, name = np.asarray(i["logp_new"]), o["objective"]
    given: dict[str, Any] = {"logp": i["logp_old"], "mask": mask(i["lengths"], new.shape[-1])}
    if name != "gpg":
        given |= {"clip_low": o["clip_low"], "clip_high": o["clip_high"]}
    if name == "ppo_clip":
        given["dual_clip"] = o["dual_clip_c"]
    if _VERL_AGG.get(o["agg"], "named"):
        given |= {"aggregation": o["agg"], "floor": 1e-8}
    loss_and_gradient(tally, where, name, new, i["advantage"], given, case["outputs"])


def _kl(tally: Tally, where: str, case: Case) -> None:
    i = case["inputs"]
    new, reference = np.asarray(i["logp_new"]), np.asarray(i["logp_ref"])
    doors = {"kl": lab.objectives.kl_value, "grad_logp_new": lab.objectives.kl_gradient}
    for output, by_kind in case["outputs"].items():
        if output not in doors:
            raise UnknownOutputError(f"{where}: output {output!r}")
        for kind, theirs in by_kind.items():
            tally.compare(f"{where} {output} {kind}", doors[output](kind, new, reference), theirs, FLOAT64)


_TRL_ADVANTAGE = {
    "sum_then_normalize/group": "grpo@trl",
    "sum_then_normalize/batch": "grpo@trl-batch",
    "sum_then_normalize/none": "grpo@trl-none",
    "normalize_then_sum/group": "gdpo@trl",
}


def _trl_advantages(tally: Tally, where: str, case: Case) -> None:
    rewards, weights = case["inputs"]["rewards"], case["inputs"]["weights"]
    missing = "skip" if np.isnan(np.asarray(rewards, dtype=np.float64)).any() else "error"
    for output, theirs in case["outputs"].items():
        if output not in _TRL_ADVANTAGE:
            raise UnknownOutputError(f"{where}: output {output!r}")
        rule = _TRL_ADVANTAGE[output]
        one(
            tally, f"{where} {output}",
            lambda r=rule: lab.advantages.compute(r, rewards, weights=weights, missing=missing), theirs,
            TRL,
        )  # fmt: skip


_TRL_LOSS = {
    "grpo": ("ppo_clip", "seq-mean-token-mean"), "bnpo": ("ppo_clip", "token-mean"),
    "dr_grpo": ("ppo_clip", "seq-mean-token-sum-norm"), "dapo": ("ppo_clip", "token-mean"),
    "cispo": ("cispo", "token-mean"), "sapo": ("sapo", "seq-mean-token-mean"), "luspo": ("luspo", None),
    "vespo": ("vespo", "token-mean"),
}  # fmt: skip


def _trl_objective(tally: Tally, where: str, case: Case) -> None:
    i, o = case["inputs"], case["options"]
    new = np.asarray(i["logp_new"])
    if o["loss_type"] not in _TRL_LOSS:
        raise UnknownOutputError(f"{where}: loss_type {o['loss_type']!r}")
    name, aggregation = _TRL_LOSS[o["loss_type"]]
    if o["importance_sampling_level"] == "sequence" and name == "ppo_clip":
        name = "gspo"
    given: dict[str, Any] = {"logp": i["logp_old"], "mask": mask(i["lengths"], new.shape[-1])}
    if aggregation:
        given["aggregation"] = aggregation
    if aggregation == "seq-mean-token-sum-norm":
        given["max_length"] = o["max_completion_length"]
    if name in ("ppo_clip", "gspo", "luspo"):
        given |= {"clip_low": o["clip_low"], "clip_high": o["clip_high"]}
    if name == "cispo":
        given |= {"clip_low": 1.0, "clip_high": o["clip_high"] - 1}
    if name == "vespo":
        given["through_phi"] = True
    if o["delta"] is not None:
        given["delta"] = o["delta"]
    if o["kl_beta"]:
        given |= {"kl": "k3", "kl_beta": o["kl_beta"], "logp_ref": i["logp_ref"]}
    tolerance = SAPO if name == "sapo" else FLOAT64
    loss_and_gradient(tally, where, name, new, i["advantage"], given, case["outputs"], tolerance)


#: TRL holds SAPO's temperatures in float32.
SAPO = Tolerance(1e-7, 1e-9, "the temperature 1.05 is a float32 number in the source, off by 2e-8 of itself")


_BASELINES = {
    "advantage": _advantages, "objective": _objective, "kl": _kl, "trl_advantage": _trl_advantages,
    "trl_objective": _trl_objective,
}  # fmt: skip


def compare(tally: Tally, where: str, case: Case) -> None:
    """verl 0.9.1 and TRL 1.16, float64."""
    kind = case["options"].get("kind")
    if kind not in _BASELINES:
        raise UnknownOutputError(f"{where}: kind {kind!r}")
    _BASELINES[kind](tally, where, case)
