"""ToolRL: rewards of a tool call for its frame and for the names, parameters and values that match the true ones."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lab.advantages.statistics import Array
from lab.composites import method
from lab.errors import UnknownNameError
from lab.registry import register

__all__ = [
    "GRANULARITIES",
    "SCHEDULES",
    "Scales",
    "ToolScore",
    "correctness",
    "keeps_format",
    "match_score",
    "matched",
    "scales",
    "score",
    "thinking_length",
    "toolrl",
]

#: How much of a call must be right for a part of the reward.
GRANULARITIES = {
    "fine": "names, parameter names and values each count",
    "strict": "names and parameter names count only where all of them match (REFINEDREWARD)",
    "intermediate": "one point for each call that is right as a whole (INTERMEDIATEREWARD)",
    "coarse": "all or nothing (COARSEREWARD)",
}

#: How the ranges of the two rewards move during training.
SCHEDULES = {
    "fixed": "format 0 to 1, correctness -3 to 3",
    "equal": "format 0 to 1, correctness -1 to 1 (CORRECTMAX1)",
    "two-stage": "equal before step 30, then format 0 to 1/2 and correctness -3 to 3 (MAX1STEP30MAX3)",
    "smooth": "format from ±2 to ±1 (its lowest by step 75), correctness from ±2 to ±3, by step 150 (SCHEDULEREWARD)",
}


class Scales(NamedTuple):
    """Lowest and highest format reward and correctness reward."""

    format_low: float
    format_high: float
    low: float
    high: float


class ToolScore(NamedTuple):
    """The rewards of one response and their sum."""

    total: float
    format: float
    correctness: float
    length: float


def scales(schedule: str = "fixed", step: int = 0) -> Scales:
    """The ranges of the rewards at a training step.

    Args:
        schedule: A key of `SCHEDULES`.
        step: Index of the training step.

    Raises:
        UnknownNameError: No such schedule.

    Source: arXiv 2504.13958, reward scale and schedules; golden file toolrl.json.
    """
    if schedule not in SCHEDULES:
        raise UnknownNameError("schedule of toolrl", schedule, SCHEDULES)
    if schedule == "smooth":
        high = min(2 + step / 150, 3.0)
        return Scales(min(-2 + step / 75, -1.0), max(2 - step / 150, 1.0), -high, high)
    high = 1.0 if schedule == "equal" or (schedule == "two-stage" and step < 30) else 3.0
    return Scales(0.0, 0.5 if schedule == "two-stage" and step >= 30 else 1.0, -high, high)


def match_score(first: Sequence[Any], second: Sequence[Any], *, strict: bool = False) -> float:
    """Jaccard similarity of two lists as multisets, I / (|a| + |b| - I); order does not matter.

    Args:
        first: Any values that can be compared.
        second: The same.
        strict: 1 for equal lists, order included, else 0.

    Returns:
        From 0 to 1; two empty lists match.

    Source: arXiv 2504.13958, matching; golden file toolrl.json (`match_score`).
    """
    if list(first) == list(second):
        return 1.0
    if strict or not first or not second:
        return 0.0
    left, common = list(second), 0
    for value in first:
        if value in left:
            left.remove(value)
            common += 1
    return common / (len(first) + len(second) - common)


def _best_match(call: Any, candidates: list[Any], strict: bool) -> float:
    """Points of the unused call of the same name that fits best, which is taken out of `candidates`."""
    best, chosen, wanted = 0.0, None, call["parameters"]
    for k, other in enumerate(candidates):
        if other["name"] == call["name"]:
            given = other["parameters"]
            equal = sum(1 for key, value in wanted.items() if key in given and given[key] == value)
            points = match_score(list(wanted), list(given), strict=strict) + equal
            if points > best:
                best, chosen = points, k
    if chosen is not None:
        del candidates[chosen]
    return best


def _whole_match(call: Any, candidates: list[Any]) -> float:
    """1 if an unused call has the same name and parameters, which is taken out of `candidates`."""
    if call not in candidates:
        return 0.0
    candidates.remove(call)
    return 1.0


def matched(truth: Sequence[Any], calls: Sequence[Any], granularity: str = "fine") -> float:
    """Share of the points that a list of calls gets: one for the names, and one for each call's keys and values.

    Args:
        truth: True calls, mappings with "name" and "parameters"; at least one.
        calls: The response's calls.
        granularity: A key of `GRANULARITIES`.

    Returns:
        From 0 to 1. True calls are served in order, each by the best unused call (not an optimal assignment).

    Raises:
        UnknownNameError: No such granularity.

    Source: arXiv 2504.13958, correctness reward; golden file toolrl.json (`compute_tool_call_reward`).
    """
    if granularity not in GRANULARITIES:
        raise UnknownNameError("granularity of toolrl", granularity, GRANULARITIES)
    if list(truth) == list(calls):
        return 1.0
    if granularity == "coarse":
        return 0.0
    strict, whole = granularity == "strict", granularity == "intermediate"
    points = match_score([c["name"] for c in truth], [c["name"] for c in calls], strict=strict)
    most, left = 1.0, [{"name": c["name"], "parameters": c["parameters"]} for c in calls]
    for call in truth:
        most += 1 if whole else 1 + len(call["parameters"])
        points += _whole_match(call, left) if whole else _best_match(call, left, strict)
    return points / most


def correctness(
    truth: Sequence[Any], calls: Sequence[Any], granularity: str = "fine", low: float = -3.0, high: float = 3.0
) -> float:
    """(high - low) matched + low; arguments as in `matched`."""
    return (high - low) * matched(truth, calls, granularity) + low


def keeps_format(response: str, truth: str) -> float:
    """1 if the response has the frame of the truth: <think>, then <tool_call> and <response> as the truth has them.

    Each demanded pair of tags must occur exactly once, on lines of their own, and nothing may stand around the frame.

    Source: arXiv 2504.13958, format reward; golden file toolrl.json.
    """
    form, tags = r"<think>.*?</think>", []
    if "<tool_call>" in truth:
        form += r"\n<tool_call>\n.*?\n</tool_call>"
        tags.append("tool_call")
    if "<response>" in truth:
        form += r"\n<response>.*?</response>"
        tags.append("response")
    once = all(response.count(f"<{tag}>") == response.count(f"</{tag}>") == 1 for tag in tags)
    return float(once and re.search(f"^{form}$", response, re.DOTALL) is not None)


def _calls(text: str) -> list[Any] | None:
    """The calls of the first <tool_call> block, one JSON object a line; None if there is none or one is malformed."""
    if "<tool_call>" not in text or "</tool_call>" not in text:
        return None
    block = text.split("<tool_call>", 2)[1].split("</tool_call>", 1)[0].strip()
    try:
        calls = [json.loads(line) for line in block.split("\n")]
    except json.JSONDecodeError:
        return None
    good = all(isinstance(c, dict) and "name" in c and isinstance(c.get("parameters"), dict) for c in calls)
    return calls if good else None


def thinking_length(response: str, step: int | None = None) -> float:
    """Words between the think tags over 512, rounded to hundredths, at most 1; 0 where a tag is missing.

    Args:
        response: The text.
        step: Where given, 512 becomes 384 + 256 step/105.

    Source: arXiv 2504.13958, length reward; golden file toolrl.json.
    """
    if "<think>" not in response or "</think>" not in response:
        return 0.0
    words = response.rsplit("<think>", 1)[-1].split("</think>", 1)[0].split()
    wanted = 512 if step is None else 384 + 256 * step / 105
    return min(round(len(words) / wanted, 2), 1.0)


def score(
    response: str,
    truth: str,
    *,
    granularity: str = "fine",
    schedule: str = "fixed",
    step: int = 0,
    length: str = "none",
) -> ToolScore:
    """The rewards of a response text beside the true one.

    Args:
        response: Text with <think>, <tool_call> and <response> tags.
        truth: The true response. Without a call in it the correctness reward is 0, whatever the response does.
        granularity: A key of `GRANULARITIES`.
        schedule: A key of `SCHEDULES`.
        step: Index of the training step.
        length: "none", "fixed" (512 words of thinking) or "growing" (with the step).

    Returns:
        Total, format, correctness and length reward; a call that cannot be read gets the lowest correctness.

    Raises:
        UnknownNameError: No such granularity, schedule or length.

    Source: arXiv 2504.13958; golden file toolrl.json (`compute_score`).
    """
    if length not in ("none", "fixed", "growing"):
        raise UnknownNameError("length reward of toolrl", length, ("none", "fixed", "growing"))
    s = scales(schedule, step)
    form = s.format_low + (s.format_high - s.format_low) * keeps_format(response, truth)
    right, calls = 0.0, _calls(response)
    if (wanted := _calls(truth)) is not None:
        right = s.low if calls is None else correctness(wanted, calls, granularity, s.low, s.high)
    words = 0.0 if length == "none" else thinking_length(response, step if length == "growing" else None)
    return ToolScore(form + right + words, form, right, words)


@register("reward", paper="toolrl", equation="R = format + (high − low)·matched + low")
def toolrl(rewards: Array, *, schedule: str = "fixed", step: int = 0) -> Array:
    """ToolRL's rewards from how much of a call is right and whether its frame is.

    Args:
        rewards: Share of the call that matches, in [0, 1], and for K >= 2 the format bit [..., P, G, K]; further
            components are left out.
        schedule: A key of `SCHEDULES`.
        step: Index of the training step, for schedules; training tells it unless it is given.

    Returns:
        Correctness and format [..., P, G, 2], or the correctness alone [..., P, G, 1].

    Source: arXiv 2504.13958, reward design.
    """
    s = scales(schedule, step)
    parts = [s.low + (s.high - s.low) * rewards[..., 0]]
    if rewards.shape[-1] > 1:
        parts.append(s.format_low + (s.format_high - s.format_low) * rewards[..., 1])
    return np.stack(parts, axis=-1)


method("toolrl", advantage=("grpo", {"eps": 1e-6}), reward="toolrl", paper="toolrl",
       note="tool calls by the share of their parts that match, and their format")  # fmt: skip
