"""Pretrained weights, made once and kept on the disk."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["cached", "folder"]


def folder() -> Path:
    """Where pretrained weights are kept: ADVLAB_CACHE, or advantage-lab in the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("ADVLAB_CACHE") or Path(home) / "advantage-lab")


def cached(room: str, facts: dict[str, Any], make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """Weights of that configuration from the disk, or made and kept there.

    A file that is damaged, which its checksum tells, is named in a warning and made anew.

    Args:
        room: The world's name, a folder of its own.
        facts: Everything that decides the weights, fit for JSON.
        make: Makes them [N].
    """
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]
    path = folder() / room / f"{digest}.npz"
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            return np.asarray(kept["weights"])
    except FileNotFoundError:
        pass
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as reason:
        warnings.warn(f"{path} is damaged ({reason}) and is made anew", stacklevel=2)
    weights = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as out:
        np.savez(out, weights=weights)
    part.replace(path)
    return weights
