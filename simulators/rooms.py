"""What the rooms of this package hold, found by looking into them."""

from __future__ import annotations

from importlib import import_module

__all__ = ["providers", "warm"]

_WORLDS = (
    "Agents",
    "Bandit",
    "Captions",
    "Delayed",
    "Graphs",
    "HiddenLM",
    "Judged",
    "Lengths",
    "Preferences",
    "Queries",
    "ToyLM",
    "Turns",
)
_TORCH = {"small-lm": ("mask", "greedy_rewards", "hidden", "prediction_error")}
"""What a world of torch provides, which is not imported for it."""


def providers(field: str) -> list[str]:
    """Names of the worlds that can fill an optional field of `Rollouts`, or have a score of that name, sorted."""
    package = import_module("simulators")
    worlds = [getattr(package, name) for name in _WORLDS]
    of_torch = {name for name, provided in _TORCH.items() if field in provided}
    return sorted({w.name for w in worlds if field in (*w.provides, *w.scores)} | of_torch)


def warm() -> None:
    """Compile every kernel, or load it from the disk cache, so that the first click is quick."""
    for room in (
        "agents.world",
        "bandit.world",
        "hidden_lm.world",
        "reward_laws",
        "toy_lm.world",
        "turns.world",
    ):
        import_module(f"simulators.{room}").warm()
