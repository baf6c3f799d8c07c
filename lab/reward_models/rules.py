"""A fitted reward model as a reward rule: what it says of the responses is what every variant is trained on."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any

import numpy as np

from lab.registry import register
from lab.reward_models.door import Score

__all__ = ["reward_rule"]


def reward_rule(name: str, score: Score, *, responses: str = "response", note: str = "") -> Callable[..., Any]:
    """Register a reward model as a reward rule, for all worlds that have what it reads.

    Args:
        name: What users write, as in `lab.variant("grpo", reward=name)`.
        score: As `lab.reward_models.fit` gives it: of one seed for all runs alike, of several for as many runs.
        responses: Field of the rollouts with the features [..., P, G, D]; its context is read off the fields of the
            names in `score.reads`.
        note: A word on what it was fitted to.

    Returns:
        The rule, rewards [..., P, G, K] -> [..., P, G, 1]: the world's own rewards are replaced.

    Raises:
        InputError: The name is another rule's, or no world has such a field.
    """

    def rule(rewards: Any, **fields: Any) -> Any:
        return np.asarray(score(fields[responses], {each: fields[each] for each in score.reads}))[..., None]

    read = [Parameter(each, Parameter.KEYWORD_ONLY) for each in dict.fromkeys((responses, *score.reads))]
    rule.__signature__ = Signature([Parameter("rewards", Parameter.POSITIONAL_OR_KEYWORD), *read])  # type: ignore[attr-defined]
    return register("reward", name, note=note)(rule)
