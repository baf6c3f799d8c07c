"""Work that may take longer than a click: it runs beside the page, tells how far it is, and can be stopped.

Several readers may look at the same work: it goes on as long as one of them does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

__all__ = ["Job"]

PATIENCE = 120.0  # seconds after which one who has not asked is no reader any more; work without readers stops


class Job:
    """One call of a door that takes `progress` and `stop`, on a thread of its own.

    Args:
        door: called as `door(progress=..., stop=...)`.
    """

    def __init__(self, door: Callable[..., Any]) -> None:
        self.done, self.total, self.tells = 0, 1, False
        self._answer: Any = None
        self._error: Exception | None = None
        self._halt = threading.Event()
        self._asked = {"": time.monotonic()}
        self._thread = threading.Thread(target=self._run, args=(door,), daemon=True)
        self._thread.start()

    def wait(self, seconds: float, reader: str = "") -> bool:
        """Whether the work has ended, after waiting for it for at most so long on behalf of a reader."""
        self._asked.pop("", None)
        self._asked[reader] = time.monotonic()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    @property
    def readers(self) -> int:
        """How many look at the work."""
        return sum(time.monotonic() - asked <= PATIENCE for asked in list(self._asked.values()))

    def left(self, reader: str) -> bool:
        """A reader moves on; whether the work is cut short by it, because nobody else looks at it."""
        self._asked.pop(reader, None)
        if self._thread.is_alive() and not self.readers:
            self.stop()
            return True
        return False

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
        self.done, self.total, self.tells = done, total, True

    def _forsaken(self) -> bool:
        if not self.readers:
            self.stop()
        return self._halt.is_set()
