"""Reward models by name, as the world knows them; whoever has more enters them here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from simulators.bigrams.tables import Policies

__all__ = ["FITTERS", "Fitter"]

#: A pool of policies and one seed -> a model, of responses [1, ..., G, D] and "reference_response" [1, ..., D].
Fitter = Callable[[Policies, Sequence[int]], Any]

#: Name -> how it is fitted; None: nothing is, tokens are matched.
FITTERS: dict[str, Fitter | None] = {"token-match": None}
