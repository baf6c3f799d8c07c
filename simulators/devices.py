"""Where torch computes: a device by name, and arrays that come back from it."""

from __future__ import annotations

import torch
from torch import Tensor

from simulators.records import Floats

__all__ = ["device_of", "on_host"]


def device_of(name: str) -> torch.device:
    """The device "cpu", "cuda" or "cuda:1", or "auto": a GPU where there is one.

    Raises:
        ValueError: No such device, or torch does not see it here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f'device={name!r}; it is one of "cpu", "cuda", "cuda:1" and "auto"') from None
    if device.type == "cuda" and not (torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()):
        raise ValueError(f'device={name!r}; torch sees {torch.cuda.device_count()} GPU(s) here: "cpu" or "auto" work')
    return device


def on_host(values: Tensor) -> Floats:
    """A tensor without a gradient as an array of float64."""
    found: Floats = values.double().cpu().numpy()
    return found
