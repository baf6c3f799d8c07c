"""The lab's advantage rules as estimators in verl's registry.

import lab.integrations.verl as estimators
estimators.register()                       # then: algorithm.adv_estimator=lab/gdpo
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lab.errors import InputError
from lab.integrations.rules import Rules
from lab.methods import Variant, variant

__all__ = ["estimator", "register"]


def register(variants: Iterable[str] | None = None, *, into: Callable[[str], Callable[..., Any]] | None = None) -> None:
    """Register variants as "lab/<name>" in verl.

    Args:
        variants: Names; by default all whose advantage rule reads rewards and mask alone, and whose objective takes the
            gradient of log π.
        into: verl's `register_adv_est`; imported from verl by default.
    """
    if into is None:
        from verl.trainer.ppo.core_algos import register_adv_est as into  # type: ignore[no-redef]
    assert into is not None
    for name in _usable() if variants is None else variants:
        into(f"lab/{name}")(estimator(name))


def _usable() -> list[str]:
    from lab.registry import find, rules

    plain = [n for n, rule in rules("advantage").items() if set(rule.required) <= {"mask"} and rule.paper]
    return [n for n in plain if not find("objective", variant(n).objective).extras.get("scores")]


def estimator(wanted: str | Variant, **options: Any) -> Callable[..., tuple[Tensor, Tensor]]:
    """An estimator as verl calls them: token_level_rewards, response_mask [rows, T], index [rows] -> two of [rows, T].

    Rollouts with one index are a group; groups must be of one size. Rollouts that the rule leaves out get 0.

    Args:
        wanted: Name of a variant, or a `lab.methods.Variant`.
        **options: Options of its rules.

    Raises:
        InputError: On call, for groups of different sizes, and where verl's `algorithm` asks for what has no place in
            the rule.
    """
    as_given = Rules(wanted, **options)

    def advantages(
        token_level_rewards: Tensor, response_mask: Tensor, index: Any, config: Any = None, **_: Any
    ) -> tuple[Tensor, Tensor]:
        asked = _asked(config or {}, as_given)
        rules = Rules(as_given.variant, **asked) if asked else as_given
        order, size = _groups(np.asarray(index))
        mask = response_mask.bool().cpu().numpy()[order].reshape(-1, size, response_mask.shape[1])
        rewards = token_level_rewards.sum(-1).double().cpu().numpy()[order].reshape(-1, size, 1)
        scored = rules.score(rewards, mask)
        each = scored.advantage if scored.advantage.ndim == 3 else scored.advantage[..., None]
        flat = (each * (mask & scored.keep[..., None])).reshape(len(order), -1)
        result = torch.empty_like(token_level_rewards)
        result[torch.from_numpy(order)] = torch.from_numpy(flat).to(result)
        return result, result

    return advantages


def _asked(config: Any, rules: Rules) -> dict[str, Any]:
    """Options of the advantage rule that verl's `algorithm` sets, beside those that it leaves at their defaults."""
    rule = rules.variant.rule("advantage")
    assert rule is not None
    if config.get("gdpo_reward_keys"):
        raise InputError(
            f"algorithm.gdpo_reward_keys: verl gives these rewards to its own estimator 'gdpo' alone; advantage rule "
            f"{rule.name!r} would see their sum"
        )
    if config.get("norm_adv_by_std_in_grpo", True):
        return {}
    if "scale" in rule.options:
        return {"advantage.scale": "none"}
    if {"scale", "bounded"} & set(rule.properties):
        raise InputError(
            f"algorithm.norm_adv_by_std_in_grpo=False has no place in advantage rule {rule.name!r}, which divides by "
            "what its paper says; lab/dr_grpo divides by nothing"
        )
    return {}


def _groups(index: Any) -> tuple[Any, int]:
    """Rows ordered by group, groups in order of appearance, and their size."""
    _, first, inverse, counts = np.unique(index, return_index=True, return_inverse=True, return_counts=True)
    if len(set(counts.tolist())) != 1:
        raise InputError(f"groups of {sorted(set(counts.tolist()))} rollouts; the lab's rules need groups of one size")
    return np.argsort(first[inverse], kind="stable"), int(counts[0])
