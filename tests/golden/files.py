"""How each golden file maps onto the public doors. A file is known by its name; its tolerance stands beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import lab
from lab.advantages.statistics import leave_one_out, mean_std, median
from tests.golden.compare import FLOAT32, FLOAT64, Tally, Tolerance, UnknownOutputError

Case = dict[str, Any]


def _mask(lengths: Any, width: int | None = None) -> np.ndarray:
    lengths = np.asarray(lengths)
    return np.arange(width or max(int(lengths.max()), 1)) < lengths[..., None]


def _raises(value: Any) -> bool:
    return isinstance(value, dict) and "raises" in value


def _one(tally: Tally, where: str, call: Callable[[], Any], theirs: Any, tolerance: Tolerance) -> None:
    """One output: a number or array, an exception, or null for what the source leaves undefined."""
    if _raises(theirs):
        tally.raises(where, call)
    elif np.isnan(np.asarray(theirs, dtype=np.float64)).any():
        tally.finite(where, call())
    else:
        tally.compare(where, call(), theirs, tolerance)


# ------------------------------------------------------------------------------------------ baselines


def _advantages(tally: Tally, where: str, case: Case) -> None:
    rewards, options = case["inputs"]["rewards"], case["options"]
    mask, greedy = _mask(case["inputs"]["lengths"]), case["inputs"].get("greedy_rewards")
    eps, gamma = options["epsilon"], options["gamma"]
    given: dict[str, tuple[str, dict[str, Any]]] = {
        "grpo": ("grpo@verl", {"eps": eps}), "dr_grpo": ("dr_grpo@verl", {}), "rloo": ("rloo", {}),
        "opo": ("opo", {"mask": mask}), "gpg": ("gpg@verl", {}), "grpo_passk": ("grpo_passk", {"eps": eps}),
        "reinforce_pp_baseline": ("reinforce_pp_baseline", {"mask": mask}),
        "reinforce_pp": ("reinforce_pp", {"mask": mask, "gamma": gamma}),
        "remax": ("remax", {"mask": mask, "greedy_rewards": greedy}),
    }  # fmt: skip
    for name, theirs in case["outputs"].items():
        if name not in given:
            raise UnknownOutputError(f"{where}: output {name!r}")
        rule, fields = given[name]
        single = SINGLE if np.shape(rewards)[-1] == 1 else _conditioned(rewards, eps)
        tolerance = GPG if name == "gpg" else single
        _one(
            tally,
            f"{where} {name}",
            lambda r=rule, f=fields: lab.advantages.compute(r, rewards, **f),
            theirs,
            tolerance,
        )


#: verl's factor B/m is float32.
GPG = Tolerance(1e-6, 1e-6, "gpg's factor B/m is float32 in the source, all else float64")


#: torch divides two integer tensors in float32.
TRL = Tolerance(5e-8, 5e-8, "TRL multiplies the variance by n/(n-1) taken in float32 (off by up to 6e-8 of itself)")
#: verl's deviation of a group of one is torch.tensor(1.0), float32.
SINGLE = Tolerance(1e-7, 1e-9, "verl adds epsilon to a float32 deviation of 1 for a group of one")


def _conditioned(rewards: Any, floor: float) -> Tolerance:
    """Differences of rewards of size |R| carry a rounding of |R| 2^-53, divided by at least the floor."""
    noise = 4 * np.abs(np.asarray(rewards, dtype=np.float64)).max() * 2.0**-53 / max(floor, 1e-8)
    reason = "the mean's last place over the numerical floor, beside float64"
    return Tolerance(FLOAT64.relative, max(FLOAT64.of_largest, min(noise, 1e-7)), reason)


_VERL_AGG = {"seq-mean (fixed)": None}


def _objective(tally: Tally, where: str, case: Case) -> None:
    """verl: loss, gradient and clip share."""
    i, o = case["inputs"], case["options"]
    new, name = np.asarray(i["logp_new"]), o["objective"]
    given: dict[str, Any] = {"logp": i["logp_old"], "mask": _mask(i["lengths"], new.shape[-1])}
    if name != "gpg":
        given |= {"clip_low": o["clip_low"], "clip_high": o["clip_high"]}
    if name == "ppo_clip":
        given["dual_clip"] = o["dual_clip_c"]
    if _VERL_AGG.get(o["agg"], "named"):
        given |= {"aggregation": o["agg"], "floor": 1e-8}
    _loss_and_gradient(tally, where, name, new, i["advantage"], given, case["outputs"])


def _loss_and_gradient(
    tally: Tally, where: str, name: str, new: Any, advantage: Any, given: dict[str, Any], outputs: Case,
    tolerance: Tolerance = FLOAT64,
) -> None:  # fmt: skip
    for output, theirs in outputs.items():
        if output == "loss":
            tally.compare(f"{where} loss", lab.objectives.loss(name, new, advantage, **given), theirs, tolerance)
        elif output == "grad_logp_new":
            ours = -lab.objectives.weights(name, new, advantage, **given)
            tally.compare(f"{where} grad", ours, theirs, tolerance)
        elif output == "clip_frac":
            _clip_share(tally, f"{where} clip_frac", name, new, advantage, given, theirs)
        elif output != "advantage":
            raise UnknownOutputError(f"{where}: output {output!r}")


#: verl divides by the number of tokens + 1e-8.
CLIP_SHARE = Tolerance(1e-8, 1e-9, "verl's masked mean divides by the token count + 1e-8")


def _clip_share(
    tally: Tally, where: str, name: str, new: Any, advantage: Any, given: dict[str, Any], theirs: Any
) -> None:
    ours = lab.objectives.clip_share(name, new, advantage, **given)
    if theirs is None or ours is None:
        tally.same(where, ours, theirs)
    else:
        tally.compare(where, ours, theirs, CLIP_SHARE)


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
        _one(
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
    given: dict[str, Any] = {"logp": i["logp_old"], "mask": _mask(i["lengths"], new.shape[-1])}
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
    _loss_and_gradient(tally, where, name, new, i["advantage"], given, case["outputs"], tolerance)


#: TRL holds SAPO's temperatures in float32.
SAPO = Tolerance(1e-7, 1e-9, "the temperature 1.05 is a float32 number in the source, off by 2e-8 of itself")


_BASELINES = {
    "advantage": _advantages, "objective": _objective, "kl": _kl, "trl_advantage": _trl_advantages,
    "trl_objective": _trl_objective,
}  # fmt: skip


def baselines(tally: Tally, where: str, case: Case) -> None:
    """verl 0.9.1 and TRL 1.16, float64."""
    kind = case["options"].get("kind")
    if kind not in _BASELINES:
        raise UnknownOutputError(f"{where}: kind {kind!r}")
    _BASELINES[kind](tally, where, case)


# ----------------------------------------------------------------------------------------------- gdpo

_GDPO: dict[str, tuple[str, Tolerance]] = {
    "nvlabs_trl_pre_batch_norm": ("gdpo@no-batch-norm", FLOAT64), "nvlabs_trl": ("gdpo@trl", FLOAT64),
    "trl": ("gdpo@trl", TRL), "verl": ("gdpo@verl", FLOAT32), "nemo_rl": ("gdpo@nemo-rl", FLOAT32),
    "nemo_rl_leave_one_out": ("gdpo@nemo-rl-leave-one-out", FLOAT32), "grpo_sum_then_normalize_trl": ("grpo@trl", TRL),
}  # fmt: skip


#: The file's rewards are written with eight decimals, and a normalised reward carries that over its deviation.
WRITTEN = Tolerance(1e-9, 5e-9, "the inputs themselves are rounded to eight decimals")


def _nemo(rewards: Any, leave_out: bool) -> Tolerance:
    """NeMo-RL takes the variance as E[x^2] - E[x]^2 in float32: it loses 2^-24 E[x^2]/var."""
    parts = np.moveaxis(rewards, -1, 0)
    std = (leave_one_out(parts) if leave_out else mean_std(parts))[1]
    ratio = (parts**2).max(axis=-1, keepdims=True) / np.where(std > 1e-3, std, np.inf) ** 2
    noise = min(4 * 2.0**-24 * float(ratio.max()), 1e-3)
    return Tolerance(max(2e-6, noise), max(2e-6, noise), "float32, variance as a difference of squares")


def gdpo(tally: Tally, where: str, case: Case) -> None:
    """Four implementations side by side; verl and NeMo-RL cast the rewards to float32."""
    i, o = case["inputs"], case["options"]
    for output, theirs in case["outputs"].items():
        if output not in _GDPO:
            raise UnknownOutputError(f"{where}: output {output!r}")
        rule, tolerance = _GDPO[output]
        rewards, given = np.asarray(i["rewards"], dtype=np.float64), {}
        if output == "verl":
            given = {"mask": _mask(i["lengths"]), "eps": o["eps_verl"]}
        elif "nemo" not in output:
            given = {"eps": o["eps_trl"]}
        if tolerance is FLOAT32:
            rewards = rewards.astype(np.float32).astype(np.float64)
            tolerance = _nemo(rewards, "leave" in output) if "nemo" in output else tolerance
        elif tolerance is FLOAT64:
            tolerance = WRITTEN
        _one(
            tally, f"{where} {output}",
            lambda r=rule, x=rewards, g=given: lab.advantages.compute(r, x, weights=i["weights"], **g), theirs, tolerance,
        )  # fmt: skip


# -------------------------------------------------------------------------------------------- mc-grpo

_MC = {"mc_gsm": "mc-grpo@gsm", "mc_math": "mc-grpo", "mean_baseline_gsm": "mc-grpo-control"}


def mc_grpo(tally: Tally, where: str, case: Case) -> None:
    """float64. Which of several rollouts at the median is the pivot is torch's affair: its reward must agree."""
    rewards, o = np.asarray(case["inputs"]["rewards"], dtype=np.float64), case["options"]
    for output, parts in case["outputs"].items():
        if output not in _MC:
            raise UnknownOutputError(f"{where}: output {output!r}")
        eps = o["eps_std"] if output == "mean_baseline_gsm" else o["eps_mad"]
        ours = lab.advantages.credit(_MC[output], rewards, eps=eps)
        for part, theirs in parts.items():
            _mc_part(tally, f"{where} {output} {part}", part, rewards, ours, theirs, eps)


def _mc_part(tally: Tally, where: str, part: str, rewards: Any, ours: Any, theirs: Any, eps: float) -> None:
    if part == "advantage_all":
        tally.compare(where, ours.advantage, theirs, _conditioned(rewards, eps))
    elif part == "pivot":
        tally.compare(where, rewards[~ours.keep], rewards[np.asarray(theirs)], FLOAT64)
    elif part == "dropped":
        tally.compare(where, np.abs(rewards[~ours.keep]), np.abs(rewards[np.asarray(theirs)]), FLOAT64)
    elif part == "scale":
        tally.compare(where, _mad_scale(rewards, eps), theirs, FLOAT64)
    else:
        raise UnknownOutputError(where)


def _mad_scale(rewards: Any, eps: float) -> Any:
    """The divisor MAD + eps of each prompt."""
    return (median(np.abs(rewards - median(rewards))) + eps)[..., 0]


# ---------------------------------------------------------------------------------------------- ngrpo


def ngrpo(tally: Tally, where: str, case: Case) -> None:
    """float32 in the source."""
    i, o = case["inputs"], case["options"]
    rewards = np.asarray(i["rewards"], dtype=np.float32).astype(np.float64)
    if o["kind"] == "objective":
        advantage = lab.advantages.compute("ngrpo", rewards, r_max=o["r_max"])
        tally.compare(f"{where} advantage", advantage, case["outputs"]["advantage"], FLOAT32)
        new = np.asarray(i["logp_new"])
        given = {
            "logp": i["logp_old"], "mask": _mask(i["lengths"], new.shape[-1]), "clip_low": o["clip_low"],
            "clip_high": o["clip_high"], "aggregation": o["agg"],
        }  # fmt: skip
        _loss_and_gradient(tally, where, "ppo_clip", new, advantage, given, case["outputs"], FLOAT32)
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
            _one(
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


# ----------------------------------------------------------------------------------------------- bnpo


def bnpo(tally: Tally, where: str, case: Case) -> None:
    """float32 in the source; where it gives NaN or raises for equal success rates the lab gives R - p."""
    i, o = case["inputs"], case["options"]
    given = {"low": o["min_value"], "high": o["max_value"]}
    for output, theirs in case["outputs"].items():
        if output == "batch_stats":
            _batch_stats(tally, where, i["rewards"], given, theirs)
        elif output == "bnpo":
            _bnpo_one(tally, f"{where} bnpo", i["rewards"], given, theirs)
        elif output in ("per_component", "bnpo_decomposed"):
            parts = np.moveaxis(np.asarray(i["rewards_components"], dtype=np.float64), -1, 0)
            ours = [lab.advantages.compute("bnpo", part, **given) for part in parts]
            if output == "bnpo_decomposed":
                ours = lab.advantages.compute("bnpo", i["rewards_components"], **given)
            tally.compare(f"{where} {output}", ours, theirs, BNPO)
        else:
            raise UnknownOutputError(f"{where}: output {output!r}")


#: lgamma and powers in float32 lose a few units in the last place.
BNPO = Tolerance(2e-6, 2e-6, "float32, through lgamma and powers of p")


def _bnpo_one(tally: Tally, where: str, rewards: Any, given: Case, theirs: Any) -> None:
    ours = lab.advantages.compute("bnpo", rewards, **given)
    if _raises(theirs) or np.isnan(np.asarray(theirs, dtype=np.float64)).any():
        tally.finite(where, ours)
    else:
        tally.compare(where, ours, theirs, BNPO)


def _batch_stats(tally: Tally, where: str, rewards: Any, given: Case, theirs: Case | None) -> None:
    if theirs is None:
        return
    unit = (np.asarray(rewards, dtype=np.float64) - given["low"]) / (given["high"] - given["low"])
    success = unit.mean(axis=-1)
    ours = {"p": success, "mean": success.mean(), "var_ddof1": success.var(ddof=1)}
    for name, value in theirs.items():
        if name not in ours:
            raise UnknownOutputError(f"{where}: batch_stats {name!r}")
        tally.compare(f"{where} batch_stats {name}", ours[name], value, FLOAT32)


FILES: dict[str, Callable[[Tally, str, Case], None]] = {
    "baselines": baselines, "gdpo": gdpo, "mc-grpo": mc_grpo, "ngrpo": ngrpo, "bnpo": bnpo,
}  # fmt: skip
