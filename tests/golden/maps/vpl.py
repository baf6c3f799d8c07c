"""VPL's losses, annealing and the language version's forward pass, float64; accuracies are means in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lab.reward_models import vpl
from tests.golden.compare import FLOAT32, FLOAT64, Tally, UnknownOutputError
from tests.golden.maps.shared import Case


def _tensors(given: dict[str, Any]) -> dict[str, Tensor | None]:
    return {n: None if x is None else torch.tensor(x, dtype=torch.float64) for n, x in given.items()}


def _latent(given: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    mean, log_var, *prior = _tensors(given).values()
    return {"kl_sum": vpl.latent_loss(mean, log_var, None if prior[0] is None else tuple(prior)).sum()}


def _categorical(given: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    loss, chance = vpl.categorical_loss(*_tensors(given).values())
    return {"loss": loss.mean(), "accuracy": (chance > 0.5).double().mean()}


def _moments(given: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    loss, z = vpl.mean_variance_loss(*_tensors(given).values())
    return {"loss": loss.mean(), "accuracy": (z > 0).double().mean()}


def _annealed(given: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    kept = {name: options[name] for name in ("shape", "baseline", "cyclical")}
    return {"slopes": [vpl.annealed(step, given["total_steps"], **kept) for step in range(given["n_calls"])]}


def _sphere(given: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    return {"z": vpl.on_sphere(*_tensors(given).values())}


def _forward(given: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Users one by one, for their contexts differ in size."""
    kept = _tensors(given["state_dict"])
    layers = [(kept[f"{name}.weight"][None], kept[f"{name}.bias"][None]) for name in _LAYERS]
    net = vpl.Network(tuple(layers[:3]), tuple(layers[3:6]), *layers[6:8], tuple(layers[8:]))
    rows = _tensors({name: given[name] for name in given if name[:7] in ("context", "target_")})
    found: dict[str, list[Any]] = {"reward_chosen": [], "reward_rejected": [], "mean": [], "log_var": []}
    for user, (start, end) in enumerate(given["seq_start_end"]):
        mean, log_var = vpl.encoded(net, *(rows[f"context_{n}"][None, None, start:end] for n in _BOTH), bound=1.0)
        for n in _BOTH:
            found[f"reward_{n}"].append(vpl.decoded(net, rows[f"target_{n}"][None, user, None, None], mean)[0, 0])
        found["mean"].append(mean[0, 0])
        found["log_var"].append(log_var[0, 0])
    return {name: torch.stack(each) for name, each in found.items()}


_BOTH = ("chosen", "rejected")
_LAYERS = [*(f"pair_encoder._model.{k}" for k in (0, 2, 4)), *(f"sequence_encoder.w_{n}" for n in "qkv"),
           "sequence_encoder.mean_layer", "sequence_encoder.log_var_layer",
           *(f"decoder._model.{k}" for k in (0, 2, 4))]  # fmt: skip
_KNOWN = {
    "latent_loss": _latent, "categorical_loss": _categorical, "mean_variance_loss": _moments,
    "annealer_slope": _annealed, "reparameterize_std0": _sphere, "llm_forward_eval": _forward,
}  # fmt: skip


def compare(tally: Tally, where: str, case: Case) -> None:
    """Every output of one function."""
    ours = _KNOWN.get(case["options"]["fn"])
    if ours is None:
        raise UnknownOutputError(f"{where}: function {case['options']['fn']!r}")
    found = ours(case["inputs"], case["options"])
    for output, theirs in case["outputs"].items():
        tolerance = FLOAT32 if output == "accuracy" else FLOAT64
        tally.compare(f"{where} {output}", np.asarray(found[output]), theirs, tolerance)
