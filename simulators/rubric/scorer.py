"""The judge of S runs at once: a trace from a linear softmax, then marks from a small network that sees it."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from simulators.records import Floats
from simulators.rubric.marks import MARKS

__all__ = ["Scorer", "log_softmax"]


def log_softmax(x: Floats) -> Floats:
    """Of the last axis."""
    moved = x - x.max(axis=-1, keepdims=True)
    return np.asarray(moved - np.log(np.exp(moved).sum(axis=-1, keepdims=True)))


class Scorer:
    """Parameters are rows of a buffer [S, N]; a layer of tanh takes features and trace, and gives logits of the marks.

    Args:
        features: numbers of a sample D.
        traces: lines of thought R.
        width: of the hidden layer H.

    Attributes:
        size: N.
    """

    def __init__(self, features: int, traces: int, width: int) -> None:
        self.features, self.traces = features, traces
        self._parts = [(features + 1, traces), (features + traces + 1, width), (width + 1, len(MARKS))]
        self._ends = np.cumsum([0, *map(math.prod, self._parts)])
        self.size = int(self._ends[-1])

    def initial(self, rng: np.random.Generator) -> Floats:
        """Fresh parameters [N]: uniform within 1/√fan-in, the trace's 0."""
        drawn = [rng.uniform(-1, 1, part) / math.sqrt(part[0] - 1) for part in self._parts]
        return np.concatenate([0 * drawn[0].ravel(), *(part.ravel() for part in drawn[1:])])

    def _matrices(self, parameters: Floats) -> list[Floats]:
        """Matrices [S, inputs + 1, outputs], the last row the offset; views of the parameters."""
        cut = zip(pairwise(self._ends), self._parts, strict=True)
        return [parameters[:, a:b].reshape(-1, *part) for (a, b), part in cut]

    def _hidden(self, matrix: Floats, x: Floats) -> Floats:
        d = self.features
        return np.tanh((x @ matrix[:, :d])[:, :, None] + (matrix[:, d:-1] + matrix[:, -1:])[:, None])

    def __call__(self, parameters: Floats, x: Floats) -> tuple[Floats, Floats]:
        """Log-probabilities of the traces [S, M, R] and of the marks after each [S, M, R, marks] at x [S, M, D]."""
        think, hide, mark = self._matrices(parameters)
        marks = self._hidden(hide, x) @ mark[:, None, :-1] + mark[:, None, -1:]
        return log_softmax(x @ think[:, :-1] + think[:, -1:]), log_softmax(marks)

    def pull(self, parameters: Floats, x: Floats, traces: Floats, marks: Floats) -> Floats:
        """Σ w ∇logit [S, N], of weights on the logits of traces [S, M, R] and of marks [S, M, R, marks]."""
        _, hide, mark = self._matrices(parameters)
        h = self._hidden(hide, x)
        flat, given = h.reshape(len(h), -1, h.shape[-1]), marks.reshape(len(h), -1, marks.shape[-1])
        back = (marks @ np.swapaxes(mark[:, None, :-1], -1, -2)) * (1 - h**2)
        over_traces, over_samples, turned = back.sum(2), back.sum(1), np.swapaxes(x, 1, 2)
        parts = [
            np.concatenate((turned @ traces, traces.sum(1, keepdims=True)), axis=1),
            np.concatenate((turned @ over_traces, over_samples, over_samples.sum(1, keepdims=True)), axis=1),
            np.concatenate((np.swapaxes(flat, 1, 2) @ given, given.sum(1, keepdims=True)), axis=1),
        ]
        return np.concatenate([part.reshape(len(x), -1) for part in parts], axis=1)
