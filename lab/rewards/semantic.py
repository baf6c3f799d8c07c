"""Rewards for explanations: likeness of meaning by a sentence encoder, its baseline ROUGE-L, correctness and format."""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import ArrayLike

from lab.advantages.statistics import Array
from lab.composites import method
from lab.errors import InputError
from lab.registry import register

__all__ = ["cosine", "rouge_l", "script_total", "semantic_reward"]

_WORD = re.compile("[a-z0-9]+")


def cosine(generated: ArrayLike, reference: ArrayLike, eps: float = 1e-8) -> Array:
    """a·b / (|a||b| + eps) of embeddings [..., d] that broadcast together, within [-1, 1].

    Source: arXiv 2509.13081, semantic reward; eps as in a co-author's script.
    """
    a, b = (np.asarray(x, dtype=np.float64) for x in (generated, reference))
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return np.asarray((a * b).sum(axis=-1) / (lengths + eps))


def rouge_l(generated: str, reference: str) -> float:
    """ROUGE-L: F1 of the longest common subsequence of words, in [0, 1]; 0 if either text has no word.

    Words are runs of letters and digits in lower case.

    Source: Lin 2004; the baseline of arXiv 2509.13081.
    """
    a, b = (_WORD.findall(text.lower()) for text in (generated, reference))
    row = [0] * (len(b) + 1)
    for word in a:
        before, row = row, [0]
        for j, other in enumerate(b):
            row.append(before[j] + 1 if word == other else max(before[j + 1], row[j]))
    return 2 * row[-1] / (len(a) + len(b)) if row[-1] else 0.0


def script_total(semantic: float, generated: str, reference: str) -> float:
    """0.7 · semantic + 0.2 · min(n/10, 1) + 0.1 · exp(−|log(n/m)|) for texts of n and m characters.

    An empty text counts as one character.

    Source: a co-author's script, not the paper.
    """
    n, m = (max(len(text), 1) for text in (generated, reference))
    return 0.7 * semantic + 0.2 * min(len(generated) / 10, 1.0) + 0.1 * math.exp(-abs(math.log(n / m)))


@register("reward", "semantic-reward", paper="semantic-reward", equation="R = r_sem + w_c·r_correct + w_f·r_format")
def semantic_reward(rewards: Array, *, correct_weight: float = 1.0, format_weight: float = 1.0) -> Array:
    """Likeness of meaning, correctness and format, added and normalised by GRPO together.

    Args:
        rewards: Likeness [..., P, G, K], for K >= 2 the correctness bit behind it, for K = 3 the format bit.
        correct_weight: Weight of the correctness bit.
        format_weight: Weight of the format bit.

    Returns:
        Totals [..., P, G, 1].

    Raises:
        InputError: There are more than three components.

    Source: arXiv 2509.13081; its weights are not known, and ones are the lab's choice.
    """
    if rewards.shape[-1] > 3:
        raise InputError(f"semantic-reward: {rewards.shape[-1]} components; likeness, correctness and format are three")
    weights = np.array([1.0, correct_weight, format_weight])[: rewards.shape[-1]]
    return np.asarray((rewards * weights).sum(axis=-1, keepdims=True))


method("semantic-reward", advantage=("grpo", {"ddof": 0, "eps": 1e-8}), reward="semantic-reward",
       paper="semantic-reward", note="likeness of meaning, correctness and format, added")  # fmt: skip
