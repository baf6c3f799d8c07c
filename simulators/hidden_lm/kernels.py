"""Compiled loops of the language model with a hidden state; `simulators.hidden_lm.world` checks what it hands over.

Contexts N = (prompt, position, previous token) stand in rows: features [N, D], logits [N, V].
"""

from __future__ import annotations

from typing import Any

from simulators.compiled import kernel
from simulators.sums import inner

__all__ = ["pull_back", "unembed"]


@kernel
def unembed(features: Any, weights: Any, fixed: Any, out: Any) -> None:
    """out[s, n, v] = W[s, v] · h[n] + b[n, v]."""
    for s in range(out.shape[0]):
        for n in range(out.shape[1]):
            for v in range(out.shape[2]):
                out[s, n, v] = inner(weights[s, v], features[n]) + fixed[n, v]


@kernel
def pull_back(features: Any, gradient: Any, out: Any) -> None:
    """Add gradient[s, n, v] h[n] to out[s, v]."""
    for s in range(gradient.shape[0]):
        for n in range(gradient.shape[1]):
            for v in range(gradient.shape[2]):
                g = gradient[s, n, v]
                if g != 0:
                    for d in range(features.shape[1]):
                        out[s, v, d] += g * features[n, d]
