"""Work that may take longer than a click: it runs beside the page, tells how far it is, and can be stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

__all__ = ["Job"]

PATIENCE = 120.0  # seconds without anybody asking, after which a job stops itself


class Job:
    """One call of a door that takes `progress` and `stop`, on a thread of its own.

    Args:
        door: called as `door(progress=..., stop=...)`.
    """

    def __init__(self, door: Callable[..., Any]) -> None:
        self.done, self.total = 0, 1
        self._answer: Any = None
        self._error: Exception | None = None
        self._halt = threading.Event()
        self._asked = time.monotonic()
        self._thread = threading.Thread(target=self._run, args=(door,), daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Whether the work has ended, after waiting for it for at most so long."""
        self._asked = time.monotonic()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Asks the work to end where it is."""
        self._halt.set()

    @property
    def stopped(self) -> bool:
        """Whether somebody stopped it before its end."""
        return self._halt.is_set() and self.done < self.total

    @property
    def share(self) -> float:
        """How much of it is done, from 0 to 1."""
        return min(self.done / max(self.total, 1), 1.0)

    def answer(self) -> Any:
        """What the door answered, or its error, raised here."""
        if self._error is not None:
            raise self._error
        return self._answer

    def _run(self, door: Callable[..., Any]) -> None:
        try:
            self._answer = door(progress=self._progress, stop=self._forsaken)
        except Exception as error:
            self._error = error

    def _progress(self, done: int, total: int) -> None:
        self.done, self.total = done, total

    def _forsaken(self) -> bool:
        if time.monotonic() - self._asked > PATIENCE:
            self._halt.set()
        return self._halt.is_set()
