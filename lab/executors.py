"""Where pieces of work run: threads or processes of this machine. What comes out does not depend on it."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Protocol

__all__ = ["Executor", "Processes", "Threads"]

_TICK = 0.05


class Executor(Protocol):
    """One method; an engine for many machines needs no more."""

    def map(self, work: Callable[[Any], Any], items: Sequence[Any]) -> Generator[Any, None, None]:
        """Results of `work(item)` in the order in which they come, and None whenever none came for a moment.

        Closing the iterator gives up what has not begun. An error of `work` is raised here.
        """
        ...


class Threads:
    """Threads of this process; closing waits for the work that has begun.

    Args:
        width: Number of threads; None: one per core.
    """

    def __init__(self, width: int | None = None) -> None:
        self.width = width or os.cpu_count() or 1

    def map(self, work: Callable[[Any], Any], items: Sequence[Any]) -> Generator[Any, None, None]:
        """As `Executor.map`."""
        pool = ThreadPoolExecutor(self.width)
        try:
            pending: set[Future[Any]] = {pool.submit(work, item) for item in items}
            while pending:
                finished, pending = wait(pending, timeout=_TICK, return_when="FIRST_COMPLETED")
                yield from (future.result() for future in finished) if finished else [None]
        finally:
            pool.shutdown(cancel_futures=True)


class Processes:
    """Processes of this machine; closing ends them at once.

    Work and items are sent to fresh interpreters, which know the rules of `lab` and none that was defined elsewhere.

    Args:
        width: Number of processes; None: one per core.
    """

    def __init__(self, width: int | None = None) -> None:
        self.width = width or os.cpu_count() or 1

    def map(self, work: Callable[[Any], Any], items: Sequence[Any]) -> Generator[Any, None, None]:
        """As `Executor.map`."""
        with multiprocessing.get_context("spawn").Pool(min(self.width, len(items) or 1)) as pool:
            results = pool.imap_unordered(work, items)
            while True:
                try:
                    yield results.next(timeout=_TICK)
                except multiprocessing.TimeoutError:
                    yield None
                except StopIteration:
                    return
