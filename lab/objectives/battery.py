"""What an objective declares of itself, tried on an example."""

from __future__ import annotations

from typing import Any

import numpy as np

from lab.errors import LabError
from lab.objectives.door import call
from lab.objectives.tokens import Array
from lab.registry import Rule, find

__all__ = ["couples"]

_PROMPTS, _GROUP, _TOKENS = 2, 4, 3


def couples(name: str | Rule) -> bool:
    """Whether a rollout's weight depends on which others share its group: on groups cut apart it is another.

    The mean over the batch is none of it: that is the same wherever the groups end.

    Args:
        name: A registered objective, one's own included, or its record.
    """
    rule = name if isinstance(name, Rule) else find("objective", name)
    fields = _example()
    whole = _weights(rule, fields)
    try:
        parts = _weights(rule, {f: x.reshape(_PROMPTS * _GROUP, 1, *x.shape[2:]) for f, x in fields.items()})
    except LabError:  # it has no answer for a rollout alone
        return True
    return any(not np.allclose(whole[n].reshape(w.shape), w, rtol=1e-9, atol=0.0) for n, w in parts.items())


def _weights(rule: Rule, fields: dict[str, Array]) -> dict[str, Array]:
    given: dict[str, Any] = {f: x for f, x in fields.items() if f in rule.fields or f == "logp_ref"}
    if "scores" in rule.fields:
        given["scores"] = {name: fields["logp"] * (2 + i) for i, name in enumerate(rule.extras.get("scores", ()))}
    return call(rule, fields["logp_new"], fields["advantage"], **given)


def _example() -> dict[str, Array]:
    """Two groups of four rollouts, a step away from the sampling policy, with every field that an objective reads."""
    p, g, t = np.indices((_PROMPTS, _GROUP, _TOKENS))
    wave = np.sin(7.0 * p + 3.0 * g + t)
    advantage, logp = wave[..., 0] - wave[..., 0].mean(-1, keepdims=True), -1.0 - 0.5 * wave
    return {
        "logp_new": logp + 0.01 * np.cos(p + 2.0 * g + 5.0 * t), "advantage": advantage, "logp": logp,
        "logp_ref": logp - 0.02 * wave, "mask": (t == 0) | (t < 1 + (p + g) % 3), "actions": (p + g + t) % 2,
        "agent": (g + t) % 2, "turn": t // 2, "token_rewards": 0.4 * wave, "rewards": wave[..., :1],
        "lengths": 1.0 + (p + g)[..., 0] % 3,
    }  # fmt: skip
