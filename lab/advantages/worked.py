"""The formula filled in with the numbers of one rollout."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lab.advantages.door import as_rewards, compute
from lab.advantages.statistics import Array, leave_one_out, mean_std, median, weighted_total
from lab.errors import InputError
from lab.registry import Rule, find

__all__ = ["explain"]


def explain(
    name: str,
    rewards: ArrayLike,
    *,
    prompt: int = 0,
    rollout: int = 0,
    weights: ArrayLike | None = None,
    **given: Any,
) -> str:
    """The rule's equation with the numbers of one rollout put in, for example `(1 − 0.125) / (0.354 + 0.0001) = 2.474`.

    Args:
        name: A registered rule.
        rewards: As in `lab.advantages.compute`, for one run: [G], [P, G] or [P, G, K].
        prompt: Index of the prompt.
        rollout: Index of the rollout in its group.
        weights: Weight of each component [K].
        **given: Fields and options, as in `compute`.

    Returns:
        One line of text; the bare equation and the result for a rule that has no template, and for a group of one
        where the rule has only a template.
    """
    rule = find("advantage", name)
    advantage = compute(name, rewards, weights=weights, **given)
    here = (prompt, rollout) if np.ndim(rewards) > 1 else (rollout,)
    if any(not -n <= i < n for i, n in zip(here, advantage.shape, strict=False)):
        raise InputError(f"prompt={prompt}, rollout={rollout}; the advantages have shape {advantage.shape}")
    value = np.atleast_1d(advantage[here])
    result = ", ".join(_short(v) for v in value)
    if callable(rule.worked):
        options = {**rule.options, **given, "weights": weights}
        text = rule.worked(as_rewards(rewards), prompt, rollout, options)
        return f"{text} = {result}".replace("-", "−")
    if rule.worked is None or np.shape(rewards)[-1 if np.ndim(rewards) < 3 else 1] == 1:
        return f"{rule.equation}; here A = {result}" if rule.equation else f"A = {result}"
    total = weighted_total(as_rewards(rewards), weights)
    numbers = _numbers(total, prompt, rollout, {**rule.options, **given}, rule)
    return f"{rule.worked.format(**numbers)} = {result}"


def _numbers(total: Array, prompt: int, rollout: int, options: dict[str, Any], rule: Rule) -> dict[str, str]:
    """Every name that a template may use. total [P, G]."""
    group = total[prompt]
    mean, std = mean_std(group, int(options.get("ddof", 1)), str(options.get("single", "zero")))
    others_mean, others_std = leave_one_out(group)
    ordered = np.sort(group)
    numbers: dict[str, Any] = {
        "r": group[rollout], "G": len(group), "B": total.size, "mean": mean[0], "std": std[0],
        "others_mean": others_mean[rollout], "others_std": others_std[rollout],
        "median": median(group)[0], "mad": median(np.abs(group - median(group)))[0],
        "best": ordered[-1], "second": ordered[-2:][0], "nonzero": max(int((total != 0).sum()), 1),
    }  # fmt: skip
    if "n_virtual" in rule.options:
        virtual = np.append(group, np.full(options["n_virtual"], options["r_max"]))
        numbers["virtual_mean"], numbers["virtual_std"] = (float(x[0]) for x in mean_std(virtual))
    numbers |= {k: v for k, v in options.items() if isinstance(v, int | float) and k not in numbers}
    return {k: _short(v) for k, v in numbers.items()}


def _short(value: Any) -> str:
    return str(value) if isinstance(value, int) else f"{float(value) + 0.0:.4g}".replace("-", "−")
