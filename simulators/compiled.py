"""The decorator of compiled kernels, and where their machine code is kept.

Plain loops without `parallel` and `fastmath`: two threads of a web server inside a parallel kernel can abort the
process, and fastmath drops NaN tests.

Numba looks only at the file that holds a kernel when it decides whether kept code is fresh, so a change of a function
that the kernel has inlined from another file would leave the old code in use. The folder of kept code is therefore
named after the sources of all kernels.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import numba

__all__ = ["digest", "kernel"]

_HERE = Path(__file__).resolve().parent
_KEPT = 3


def digest() -> str:
    """A short name for the present state of all sources of the project that hold kernels."""
    name = hashlib.sha256()
    for folder in (_HERE, _HERE.parent / "lab"):
        for path in sorted(folder.rglob("*.py")):
            text = path.read_bytes()
            if b"simulators.compiled" in text:
                name.update(path.name.encode() + b"\0" + text)
    return name.hexdigest()[:16]


def _use_folder() -> None:
    """Point Numba at the folder of this state, unless NUMBA_CACHE_DIR says otherwise; older states are tidied away."""
    if "NUMBA_CACHE_DIR" in os.environ:
        return
    folder = _home() / digest()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        for old in sorted(folder.parent.iterdir(), key=lambda path: path.stat().st_mtime)[:-_KEPT]:
            shutil.rmtree(old, ignore_errors=True)
    except OSError:
        return
    numba.config.CACHE_DIR = str(folder)


def _home() -> Path:
    """Beside the sources in a clone, in the user's cache where the package is installed."""
    clone = _HERE.parent
    if (clone / "pyproject.toml").is_file() and os.access(clone, os.W_OK):
        return clone / "build" / "kernels"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "advantage-lab" / "kernels"


_use_folder()

#: Decorator of every kernel: compiled once, kept on disk, without the interpreter's lock.
kernel: Any = numba.njit(cache=True, nogil=True)
