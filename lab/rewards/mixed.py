"""Mixed-R1: one reward per kind of task (matching, chart, box, open answer), and a format bit."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import ArrayLike

from lab.advantages.statistics import Array
from lab.composites import method
from lab.errors import InputError
from lab.registry import register

__all__ = ["bmas", "box_overlap", "chart", "keeps_format", "matching", "mixed_reward"]

_CHOICE = re.compile(r"\(([A-Za-z])\)|\b([A-Z])(?=[.):,]|$)")
_FRAME = re.compile(r"\s*<think>((?!<answer>|</?think>).)*</think>\s*<answer>((?!</?answer>).)*</answer>\s*", re.DOTALL)


def _plain(text: str) -> str:
    """Stripped, lower case, without a final full stop."""
    return text.strip().rstrip(".").strip().lower()


def _letter(text: str) -> str | None:
    """The choice that an answer names: its first letter in parentheses or alone, "(B) it is", "B. Paris" or "b"."""
    cleaned = text.strip().rstrip(".").strip()
    found = cleaned if len(cleaned) == 1 and cleaned.isalpha() else next(map(_named, _CHOICE.finditer(cleaned)), None)
    return None if found is None else found.lower()


def _named(choice: re.Match[str]) -> str:
    return choice[1] or choice[2]


def matching(answer: str, truth: str) -> float:
    """1 if both say the same once normalised, else 0; where the truth is a letter, the answer's first choice counts.

    Source: arXiv 2505.24164, matching reward; the normalisation is the lab's.
    """
    if len(_plain(truth).strip("()")) == 1 and (letter := _letter(truth)):
        return float(_letter(answer) == letter)
    return float(_plain(answer) == _plain(truth))


def _number(text: str) -> float | None:
    try:
        return float(text.strip().rstrip(".").replace(",", "").replace("%", ""))
    except ValueError:
        return None


def chart(answer: str, truth: str, tolerance: float = 0.05) -> float:
    """1 if two numbers differ by at most `tolerance` times the true one, else 0; texts are matched.

    Source: arXiv 2505.24164, chart reward; the tolerance of 5% is the usual one, the paper's is not known.
    """
    a, b = _number(answer), _number(truth)
    if a is None or b is None:
        return matching(answer, truth)
    return float(abs(a - b) <= tolerance * abs(b))


def box_overlap(box: ArrayLike, truth: ArrayLike) -> float:
    """Intersection over union of two boxes [x1, y1, x2, y2]; 0 for a malformed box or an empty union.

    Source: arXiv 2505.24164, IoU reward.
    """
    boxes = [np.asarray(b, dtype=float) for b in (box, truth)]
    if any(b.shape != (4,) or not np.isfinite(b).all() or (b[2:] < b[:2]).any() for b in boxes):
        return 0.0
    a, b = boxes
    inter = np.prod(np.maximum(0.0, np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])))
    union = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - inter
    return float(inter / union) if union > 0 else 0.0


def bmas(response: Array, truth: Array) -> tuple[float, float, float]:
    """BMAS: how well each token of the response is supported by the truth, and the truth by the response.

    Args:
        response: Token embeddings [n, d].
        truth: Token embeddings [m, d].

    Returns:
        (forward + backward)/2, forward = mean over the response of its best cosine, backward = mean over the truth;
        within [-1, 1], all 0 if either side has no token. Order and repetition do not matter.

    Raises:
        InputError: The embeddings are not two tables of the same width.

    Source: arXiv 2505.24164, open-ended reward (tokenizer embedding matching).
    """
    e, f = (np.asarray(x, dtype=float) for x in (response, truth))
    if not len(e) or not len(f):
        return 0.0, 0.0, 0.0
    if e.ndim != 2 or f.ndim != 2 or e.shape[1] != f.shape[1]:
        raise InputError(f"bmas: embeddings have shapes {e.shape} and {f.shape}; they must be [n, d] and [m, d]")
    e, f = (x / (np.linalg.norm(x, axis=1, keepdims=True) + 1e-12) for x in (e, f))
    cosine = e @ f.T
    forward, backward = float(cosine.max(axis=1).mean()), float(cosine.max(axis=0).mean())
    return (forward + backward) / 2, forward, backward


def keeps_format(text: str) -> float:
    """1 if a response is one <think>...</think> followed by one <answer>...</answer>, else 0.

    Source: arXiv 2505.24164, format reward as summaries describe it.
    """
    return float(_FRAME.fullmatch(text) is not None)


@register("reward", "mixed-r1", paper="mixed-r1", equation="R = r_task + w·r_fmt")
def mixed_reward(rewards: Array, *, format_weight: float = 0.5) -> Array:
    """Mixed-R1's total: the task's reward and the weighted format bit, normalised by GRPO together.

    Args:
        rewards: The task's reward and, for K >= 2, the format bit [..., P, G, K].
        format_weight: Weight of the format bit.

    Returns:
        Totals [..., P, G, 1].

    Source: arXiv 2505.24164; the format's weight is the lab's choice.
    """
    form = rewards[..., 1:2] * format_weight if rewards.shape[-1] > 1 else 0.0
    return np.asarray(rewards[..., :1] + form)


method("mixed-r1", reward="mixed-r1", paper="mixed-r1", note="the task's reward and half the format bit, added")
