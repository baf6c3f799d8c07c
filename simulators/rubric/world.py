"""A judge as a policy: it thinks (a trace), then gives a mark; its reward is how near that is to an annotator's.

A sample has eight features, a gold mark clip(3 + w · x + 0.6 tanh(2 x_0 x_1), 1, 5), and an annotated one: gold plus
noise, rounded to halves. Samples come in pairs, whose sides stand side by side: slots 2i and 2i + 1. The distribution
of the mark is a score whose gradient can be taken directly, beside that of log π.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.errors import check_count, unknown_name
from simulators.random import DRAWS, uniforms
from simulators.records import Floats, Ints, Policy, Rollouts, World
from simulators.rubric.marks import MARKS
from simulators.rubric.scorer import Scorer
from simulators.runs import asked, seeded

__all__ = ["Rubric", "gold_mark"]

_FEATURES, _TESTED, _APART = 8, 4096, 1_000_003  # numbers of a sample; test pairs, and the seed that sets them apart


def gold_mark(x: Floats) -> Floats:
    """What samples [..., 8] deserve [...]."""
    w = 1.6 * np.linspace(1, -1, _FEATURES) / math.sqrt(_FEATURES)
    return np.clip(3 + x @ w + 0.6 * np.tanh(2 * x[..., 0] * x[..., 1]), 1, 5)


class Rubric(World):
    """Pairs of annotated samples, and a judge that learns to mark them.

    Args:
        pairs: annotated pairs N, of each run its own.
        batch: pairs of a step; a prompt is one side, so P is twice that.
        traces: lines of thought.
        width: of the judge's hidden layer.
        noise: deviation of the annotated marks.
        teacher: a world with judges, one for each seed, whose probabilities of the marks are "teacher_marks"; None: how
            an annotator would mark the sample.

    Raises:
        ValueError: sizes below one, a noise that is negative or not finite.

    Source: gdso card, small-scale reproduction.
    """

    name = "rubric"
    provides: tuple[str, ...] = ("annotated", "expected_mark", "teacher_marks")
    components: tuple[str, ...] = ("near",)
    scores: tuple[str, ...] = ("log_marks",)
    fresh = True

    def __init__(
        self, pairs: int = 512, *, batch: int = 32, traces: int = 4, width: int = 32, noise: float = 0.5,
        teacher: tuple[Rubric, Policy] | None = None,
    ) -> None:  # fmt: skip
        if not 0 <= noise < np.inf:
            raise ValueError(f"noise={noise}; it must be at least 0 and finite")
        self.pairs, self.prompts = check_count("pairs", pairs, least=1), 2 * check_count("batch", batch, least=1)
        self.model = Scorer(_FEATURES, check_count("traces", traces, least=1), check_count("width", width, least=1))
        self.noise, self._teacher = noise, teacher

    def __repr__(self) -> str:
        return f"Rubric(pairs={self.pairs}, batch={self.prompts // 2}, parameters={self.model.size})"

    def init(self, seeds: Sequence[int] | NDArray[Any]) -> Policy:
        """Fresh judges [S, N] for S seeds, each of its own seed."""
        keys = seeded(seeds)
        return Policy(np.stack([self.model.initial(np.random.default_rng(int(seed))) for seed in keys]), keys)

    def rollout(
        self, policy: Policy, group_size: int, step: int, *, attempt: int = 0, fields: Sequence[str] = ()
    ) -> Rollouts:
        """G times a trace and a mark for both sides of each pair; the reward is 1 − |mark − annotated|/4.

        Args:
            policy: Judges and seeds of the runs.
            group_size: G.
            step: This and `attempt` tell the pairs and the draws.
            attempt: Number of the draw, for a step that samples again.
            fields: "annotated" [S, P], "expected_mark" [S, P, G], "teacher_marks" [S, P, G, marks].
        """
        groups, step, attempt = asked(self, policy, group_size, step, attempt, fields, each=20 * len(MARKS))
        chosen = self._chosen(policy, step, attempt)
        traces, marks = self.model(policy.parameters, self._samples(policy, chosen))
        u = uniforms(policy.seeds[:, None, None, None], step=step, attempt=attempt, draw=np.arange(2),
                     prompt=np.arange(self.prompts)[:, None, None], rollout=np.arange(groups)[:, None])  # fmt: skip
        trace = _drawn(traces[:, :, None], u[..., 0])
        after = _at(marks, trace)
        mark, annotated = _drawn(after, u[..., 1]), self._data(policy)[1].reshape(len(chosen), -1)
        annotated = np.take_along_axis(annotated, chosen, axis=1)
        ways: dict[str, Callable[[], Any]] = {
            "annotated": lambda: annotated, "expected_mark": lambda: np.exp(after) @ MARKS,
            "teacher_marks": lambda: np.repeat(self._taught(policy, chosen)[:, :, None], groups, axis=2),
        }  # fmt: skip
        extra = {"sample": chosen} | {name: ways[name]() for name in fields}
        actions = np.stack((trace, mark), axis=-1)
        rewards = 1 - np.abs(MARKS[mark] - annotated[..., None]) / (MARKS[-1] - MARKS[0])
        return Rollouts(rewards[..., None], actions, self._logp(traces, after, actions), extra=extra)

    def log_prob(self, policy: Policy, rollouts: Rollouts) -> Floats:
        """Log-probability of each trace and mark [S, P, G, 2], nats."""
        traces, marks = self.model(policy.parameters, self._samples(policy, rollouts.extra["sample"]))
        return self._logp(traces, _at(marks, rollouts.actions[..., 0]), rollouts.actions)

    def _logp(self, traces: Floats, after: Floats, actions: Ints) -> Floats:
        thought = np.take_along_axis(traces, actions[..., 0], axis=-1)
        marked = np.take_along_axis(after, actions[..., 1:], axis=-1)
        return np.concatenate((thought[..., None], marked), axis=-1)

    def gradient(self, policy: Policy, rollouts: Rollouts, weights: Floats) -> Floats:
        """Σ w ∇log π [S, N], of weights [S, P, G, 2]."""
        return self.pull(policy, rollouts, {"logp": weights})

    def scores_of(self, policy: Policy, rollouts: Rollouts, names: Sequence[str]) -> dict[str, Floats]:
        """Scores by name: "logp" [S, P, G, 2]; "log_marks", of every mark after the trace [S, P, G, marks]."""
        for name in set(names) - {"logp", *self.scores}:
            raise unknown_name("score of the rubric world", name, ("logp", *self.scores))
        traces, marks = self.model(policy.parameters, self._samples(policy, rollouts.extra["sample"]))
        after = _at(marks, rollouts.actions[..., 0])
        return {n: self._logp(traces, after, rollouts.actions) if n == "logp" else after for n in names}

    def pull(self, policy: Policy, rollouts: Rollouts, weights: Mapping[str, Floats]) -> Floats:
        """Σ w ∇score [S, N] over "logp" [S, P, G, 2] and "log_marks" [S, P, G, marks]."""
        x, actions = self._samples(policy, rollouts.extra["sample"]), rollouts.actions
        traces, marks = self.model(policy.parameters, x)
        thought = np.eye(self.model.traces)[actions[..., 0]]
        on_marks = np.zeros((*actions.shape[:-1], len(MARKS))) + weights.get("log_marks", 0.0)
        on_traces = np.zeros(traces.shape)
        if "logp" in weights:
            on_marks = on_marks + weights["logp"][..., 1:] * np.eye(len(MARKS))[actions[..., 1]]
            on_traces = (weights["logp"][..., :1] * thought).sum(2)
        by_trace = np.swapaxes(thought, -1, -2) @ on_marks
        return self.model.pull(policy.parameters, x, _logits(on_traces, traces), _logits(by_trace, marks))

    def probabilities(self, parameters: Floats, x: Floats) -> Floats:
        """Probability of each mark [S, M, marks] of samples [S, M, 8], over the traces of judges [S, N]."""
        traces, marks = self.model(parameters, x)
        return np.asarray((np.exp(traces)[..., None] * np.exp(marks)).sum(axis=2))

    def agreement(self, policy: Policy) -> dict[str, Floats]:
        """How the expected mark agrees with gold on 4096 pairs apart [S].

        "pairs": share of the pairs that it puts in the right order; "error": mean |mark − gold|; "correlation".
        """
        x = np.random.default_rng(_APART).standard_normal((1, 2 * _TESTED, _FEATURES))
        found = self.probabilities(policy.parameters, np.broadcast_to(x, (len(policy.seeds), *x.shape[1:]))) @ MARKS
        gold = gold_mark(x)
        lead, right = (each[:, ::2] - each[:, 1::2] for each in (found, gold))
        apart = right[0] != 0
        return {
            "pairs": (lead * right > 0)[:, apart].mean(1), "error": np.abs(found - gold).mean(1),
            "correlation": np.array([np.corrcoef(one, gold[0])[0, 1] if one.std() else 0.0 for one in found]),
        }  # fmt: skip

    def gold(self, policy: Policy) -> Floats:
        """Share of the pairs apart whose sides the expected mark puts in the right order [S]."""
        return self.agreement(policy)["pairs"]

    def _chosen(self, policy: Policy, step: int, attempt: int) -> Ints:
        """Which samples stand in the slots [S, P]."""
        u = uniforms(
            policy.seeds[:, None], step=step, attempt=attempt, draw=DRAWS - 2, prompt=np.arange(self.prompts // 2)
        )
        first = 2 * np.minimum((u * self.pairs).astype(np.int64), self.pairs - 1)
        return np.stack((first, first + 1), axis=-1).reshape(len(first), -1)

    def _samples(self, policy: Policy, chosen: Ints) -> Floats:
        x = self._data(policy)[0]
        return np.take_along_axis(x, chosen[..., None], axis=1)

    def _data(self, policy: Policy) -> tuple[Floats, Floats]:
        """Features [S, 2N, 8] and annotated marks [S, 2N] of each run."""
        if "rubric" not in policy.memo:
            drawn = [np.random.default_rng([_APART, int(seed)]) for seed in policy.seeds]
            x = np.stack([rng.standard_normal((2 * self.pairs, _FEATURES)) for rng in drawn])
            erred = np.stack([rng.normal(0, self.noise, 2 * self.pairs) for rng in drawn])
            policy.memo["rubric"] = x, np.clip(np.round(2 * (gold_mark(x) + erred)) / 2, 1, 5)
        found: tuple[Floats, Floats] = policy.memo["rubric"]
        return found

    def _taught(self, policy: Policy, chosen: Ints) -> Floats:
        """The teacher's probabilities [S, P, marks]."""
        x = self._samples(policy, chosen)
        if self._teacher is None:
            return annotator(x, self.noise)
        world, judges = self._teacher
        known = {int(seed): place for place, seed in enumerate(judges.seeds)}
        for seed in policy.seeds.tolist():
            if seed not in known:
                raise ValueError(f"seed {seed} has no teacher; there are those of seeds {', '.join(map(str, known))}")
        return world.probabilities(judges.parameters[[known[seed] for seed in policy.seeds.tolist()]], x)


def annotator(x: Floats, noise: float) -> Floats:
    """How often an annotator gives each mark [..., marks] to samples [..., 8]."""
    gold, edges = gold_mark(x)[..., None], (MARKS[1:] + MARKS[:-1]) / 2
    if not noise:
        return np.eye(len(MARKS))[np.round(2 * gold[..., 0]).astype(np.int64) - 2]
    below = np.vectorize(math.erf, otypes=[float])((edges - gold) / (noise * math.sqrt(2))) / 2 + 0.5
    return np.diff(np.pad(below, [(0, 0)] * (below.ndim - 1) + [(1, 1)], constant_values=(0, 1)), axis=-1)


def _drawn(log_p: Floats, u: Floats) -> Ints:
    """Indices [S, P, G] by probabilities [S, P, G or 1, n] and uniforms [S, P, G]."""
    below = np.cumsum(np.exp(log_p), axis=-1)[..., :-1]
    return np.asarray((below < u[..., None]).sum(axis=-1), dtype=np.int64)


def _at(marks: Floats, trace: Ints) -> Floats:
    """Log-probabilities of the marks after each trace [S, P, G, marks], of [S, P, R, marks]."""
    return np.take_along_axis(marks, trace[..., None], axis=2)


def _logits(weights: Floats, log_p: Floats) -> Floats:
    """Weights on logits, of weights on their log-softmax."""
    return np.asarray(weights - weights.sum(axis=-1, keepdims=True) * np.exp(log_p))
