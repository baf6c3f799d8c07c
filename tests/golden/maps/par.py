"""PAR's shapings, batch after batch, float64; null is an infinity or no number, where the lab is finite."""

from __future__ import annotations

from typing import Any

import numpy as np

import lab
from lab.registry import find
from tests.golden.compare import FLOAT64, Tally, Tolerance, UnknownOutputError
from tests.golden.maps.shared import Case

_RULES: dict[str, tuple[str, dict[str, Any]]] = {
    "par": ("par", {}), "par_ref1": ("par-ref1", {}), "par_k2": ("par-k2", {}), "par_k3": ("par-k3", {}),
    "sigmoid": ("sigmoid", {}), "sigmoid_k3": ("sigmoid", {"k": 3.0}), "tanh": ("tanh", {}),
    "tanh_centered": ("tanh-centered", {}), "fittedpoly": ("poly", {}), "fittedpoly_centered": ("poly-centered", {}),
    "centered": ("centered", {}), "sgfc_k1": ("sgfc", {}), "sgfc_k3": ("sgfc", {"k": 3.0}), "meanstd": ("meanstd", {}),
    "clip": ("clip-meanstd", {}), "minmax": ("minmax", {}), "ceil4": ("ceil", {"c": 4.0}), "lsc": ("lsc-transform", {}),
}  # fmt: skip


def compare(tally: Tally, where: str, case: Case) -> None:
    """Every shaping that the file has."""
    for output, theirs in case["outputs"].items():
        if output not in _RULES:
            raise UnknownOutputError(f"{where}: output {output!r}")
        shaped(tally, f"{where} {output}", case, output, theirs)


def shaped(tally: Tally, where: str, case: Case, output: str, theirs: list[list[float | None]]) -> None:
    """A prompt for each reward, one rollout each; running statistics are carried from batch to batch."""
    name, options = _RULES[output]
    rule, given = find("reward", name), case["inputs"]
    memory = None if rule.memory is None else rule.memory(1)
    for batch, (raw, beside, expected) in enumerate(
        zip(given["reward_batches"], given["reference_rewards"], theirs, strict=True)
    ):
        rewards = np.array(raw, dtype=np.float64)[:, None]
        if case["options"]["penalize_length"]:
            lengths = np.array(given["lengths"][batch], dtype=np.float64)[:, None]
            rewards = _paid(rewards, lengths, case["options"], output)
        if memory is not None:
            ours, memory = rule.function(rewards[None, ..., None], memory=memory, **{**rule.options, **options})
        else:
            fields = {"reference_rewards": np.array(beside)} if "reference_rewards" in rule.fields else {}
            ours = lab.rewards.apply(name, rewards, **fields, **options)
        _beside(tally, f"{where} batch {batch}", np.ravel(ours), expected, beside)


def _paid(rewards: Any, lengths: Any, options: dict[str, Any], output: str) -> Any:
    """A ceiling stands in front of the price on length as well."""
    free, price = options["gen_valid_len"], options["len_penalty"]
    before = lab.rewards.apply("ceil", rewards, c=4.0) if output == "ceil4" else rewards
    return lab.rewards.apply("long-answers", before, lengths=lengths, free=float(free), price=price)[..., 0]


def _beside(tally: Tally, where: str, ours: Any, theirs: list[float | None], beside: Any) -> None:
    known = np.array([each is not None for each in theirs])
    size = float(np.abs(beside).max())
    tolerance = Tolerance(1e-9, 1e-12 * max(size, 1.0), "leads over references of that size") if size > 1e3 else FLOAT64
    if known.any():
        tally.compare(where, ours[known], [each for each in theirs if each is not None], tolerance)
    if not known.all():
        tally.finite(where, ours[~known])
