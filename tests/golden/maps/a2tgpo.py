"""A²TGPO and IGPO, float32 in the source.

Two habits of the source are met by the turns that are handed over: a gain of exactly 0 is no turn there (its tokens
join the next one), and neighbouring turns of equal advantage share a ratio.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import lab
from tests.golden.compare import Tally, Tolerance, UnknownOutputError
from tests.golden.maps.shared import Case, loss_and_gradient

_RULES = {
    "a2tgpo_advantage": "a2tgpo", "a2tgpo_advantage_alpha1": "a2tgpo", "igpo_joint": "igpo",
    "igpo_separate": "igpo@separate",
}  # fmt: skip


def _arrays(prompts: list[list[Case]], width: int) -> dict[str, Any]:
    """Groups of unequal size as arrays [P, G, T], padded with unscored rollouts without tokens."""
    size = max(len(group) for group in prompts)
    shape = (len(prompts), size)
    out = {
        "rewards": np.full(shape, np.nan), "mask": np.zeros((*shape, width), dtype=bool),
        "turn": np.zeros((*shape, width), dtype=int), "turn_rewards": np.zeros((*shape, width)),
    }  # fmt: skip
    for p, group in enumerate(prompts):
        for g, rollout in enumerate(group):
            gains = [*rollout["ig"], 0.0]
            lengths = rollout["turn_tokens"]
            kept = [k for k, gain in enumerate(gains) if gain != 0.0 or k == len(gains) - 1]
            turn = np.repeat([sum(j < k for j in kept) for k in range(len(gains))], lengths)
            out["rewards"][p, g] = rollout["outcome"]
            out["mask"][p, g, : turn.size], out["turn"][p, g, : turn.size] = True, turn
            out["turn_rewards"][p, g, : turn.size] = np.array([gains[k] for k in kept])[turn]
    return out


def _flat(rollouts: Any, prompts: list[list[Case]]) -> list[float]:
    """Values of all turns behind one another, [P][G][turns] or an array over tokens [P, G, T]."""
    found = []
    for p, group in enumerate(prompts):
        for g, rollout in enumerate(group):
            row, lengths = rollouts[p][g], rollout["turn_tokens"]
            found += (
                list(row) if isinstance(row, list) else [row[sum(lengths[: k + 1]) - 1] for k in range(len(lengths))]
            )
    return found


def _tolerance(prompts: list[list[Case]]) -> Tolerance:
    """A gain's last place in float32 over the smallest deviation of the case."""
    gains = [[g for r in group for g in r["ig"]] for group in prompts]
    largest = max((abs(g) for group in gains for g in group), default=0.0)
    by_turn = [[r["ig"][k] for r in group if len(r["ig"]) > k] for group in prompts for k in range(8)]
    spread = min((float(np.std(c)) for c in by_turn if len(c) > 1), default=1.0)
    error = 4 * 2.0**-24 * largest / (np.sqrt(spread**2 + 1e-8) + 1e-6)
    return Tolerance(2e-6 + error, 2e-6 + error, "float32 in the source: the gain's last place over its deviation")


def compare(tally: Tally, where: str, case: Case) -> None:
    """Advantages, clip scales, and the objective with its gradient."""
    prompts, o = case["inputs"]["prompts"], case["options"]
    if o["kind"] == "advantage":
        _advantages(tally, where, case)
    elif o["kind"] == "objective":
        width = len(case["inputs"]["logp_old"][0])
        _objective(tally, where, case, _arrays(prompts, width))
    else:
        raise UnknownOutputError(f"{where}: kind {o['kind']!r}")


def _advantages(tally: Tally, where: str, case: Case) -> None:
    prompts, o = case["inputs"]["prompts"], case["options"]
    width = max(sum(r["turn_tokens"]) for group in prompts for r in group)
    given = _arrays(prompts, width)
    rewards, tolerance = given.pop("rewards"), _tolerance(prompts)
    for output, theirs in case["outputs"].items():
        own = {"gamma": o["gamma"], "eps": o["eps"]}
        if output in ("a2tgpo_advantage", "clip_scale"):
            own |= {"alpha": o["alpha"], "beta": o["beta"]}
        elif output not in _RULES:
            raise UnknownOutputError(f"{where}: output {output!r}")
        found = lab.advantages.credit(_RULES.get(output, "a2tgpo"), rewards, missing="skip", **given, **own)
        ours = found.clip_scale if output == "clip_scale" else found.advantage
        tally.compare(f"{where} {output}", _flat(ours, prompts), _flat(theirs, prompts), tolerance)


def _objective(tally: Tally, where: str, case: Case, given: dict[str, Any]) -> None:
    i, o, outputs = case["inputs"], case["options"], dict(case["outputs"])
    real = ~np.isnan(given["rewards"])

    def groups(rows: Any) -> Any:
        whole = np.zeros(given["mask"].shape)
        whole[real] = np.asarray(rows)
        return whole

    own = {"alpha": o["alpha"], "beta": o["beta"], "gamma": o["gamma"]}
    credit = lab.advantages.credit("a2tgpo", given.pop("rewards"), missing="skip", **given, **own)
    tolerance = _tolerance(i["prompts"])
    tally.compare(f"{where} advantage", credit.advantage, groups(outputs.pop("advantage_tokens")), tolerance)
    scales = groups(outputs.pop("clip_scale_tokens"))
    tally.compare(
        f"{where} clip scale",
        np.where(given["mask"], credit.clip_scale, 0),
        np.where(given["mask"], scales, 0),
        tolerance,
    )
    a = credit.advantage
    changes = np.diff(a, axis=-1, prepend=a[..., :1]) != 0
    call = {
        "logp": groups(i["logp_old"]), "mask": given["mask"], "turn": np.cumsum(changes, axis=-1),
        "clip_scale": credit.clip_scale if o["dynamic_clip"] else None,
        "clip_low": o["clip_low"], "clip_high": o["clip_high"], "aggregation": o["agg"],
    }  # fmt: skip
    outputs["grad_logp_new"] = groups(outputs["grad_logp_new"])
    loss_and_gradient(
        tally, where, "a2tgpo", groups(i["logp_new"]), a, call, outputs, Tolerance(1e-5, 1e-5, "float32 in the source")
    )
