"""What an objective declares of itself, tried on an example."""

from __future__ import annotations

from typing import Any

import numpy as np

from lab.errors import LabError
from lab.objectives.door import call
from lab.objectives.tokens import Array
from lab.registry import FIELDS, Field, Rule, find

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
        parts = _weights(rule, {f: _alone(f, x) for f, x in fields.items()})
    except LabError:  # it has no answer for a rollout alone
        return True
    return any(not np.allclose(whole[n].reshape(w.shape), w, rtol=1e-9, atol=0.0) for n, w in parts.items())


def _weights(rule: Rule, fields: dict[str, Array]) -> dict[str, Array]:
    given: dict[str, Any] = {f: x for f, x in fields.items() if f in rule.fields or f == "logp_ref"}
    if "scores" in rule.fields:
        given["scores"] = {name: fields["logp"] * (2 + i) for i, name in enumerate(rule.extras.get("scores", ()))}
    return call(rule, fields["logp_new"], fields["advantage"], **given)


def _alone(name: str, array: Array) -> Array:
    """A field with each rollout in a group by itself."""
    if name in FIELDS and "G" not in FIELDS[name].axes:
        return np.repeat(array, _GROUP, axis=0)
    return array.reshape(_PROMPTS * _GROUP, 1, *array.shape[2:])


def _example() -> dict[str, Array]:
    """Two groups of four rollouts, a step away from the sampling policy, with every field that an objective may read.

    Fields that pair the rollouts of a group are left out: there is no such pair of one.
    """
    p, g, t = np.indices((_PROMPTS, _GROUP, _TOKENS))
    wave = np.sin(7.0 * p + 3.0 * g + t)
    advantage, logp = wave[..., 0] - wave[..., 0].mean(-1, keepdims=True), -1.0 - 0.5 * wave
    known = {name: field for name, field in FIELDS.items() if name not in ("scores", "clip_scale")}
    return {name: _filled(field) for name, field in known.items() if field.axes.count("G") < 2} | {
        "logp_new": logp + 0.01 * np.cos(p + 2.0 * g + 5.0 * t), "advantage": advantage, "logp": logp,
        "logp_ref": logp - 0.02 * wave, "mask": (t == 0) | (t < 1 + (p + g) % 3), "rewards": wave[..., :1],
    }  # fmt: skip


def _filled(field: Field) -> Array:
    """An array of a field without S: whole numbers 0 and 1, others around 1."""
    sizes = {"P": _PROMPTS, "G": _GROUP, "T": _TOKENS, "K": 1}
    places = sum(np.indices([sizes.get(axis, 2) for axis in field.axes.removeprefix("S")]))
    return np.asarray(1 + 0.4 * np.sin(3.0 * places)) if field.kind is float else np.asarray(places % 2, field.kind)
