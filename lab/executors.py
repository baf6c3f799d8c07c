"""Where pieces of work run: threads or processes of this machine. What comes out does not depend on it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Protocol

__all__ = ["Executor", "Processes", "Threads", "halted"]

Work = Callable[[Any], Any]
_TICK = 0.05


class Executor(Protocol):
    """One method; an engine for many machines needs no more."""

    def map(self, work: Work, items: Sequence[Any], halt: Callable[[], None]) -> Generator[Any, None, None]:
        """Results of `work(item)` in the order in which they come, and None whenever none came for a moment.

        An error of `work` is raised here. Whatever ends the iteration, closing it included, `halt` is called, and
        nothing is at work any more when this returns.
        """
        ...


class Threads:
    """Threads of this process; work that has begun has to end by itself when it is halted.

    Args:
        width: Number of threads; None: one per core.
    """

    def __init__(self, width: int | None = None) -> None:
        self.width = width or os.cpu_count() or 1

    def map(self, work: Work, items: Sequence[Any], halt: Callable[[], None]) -> Generator[Any, None, None]:
        """As `Executor.map`."""
        pool = ThreadPoolExecutor(self.width)
        try:
            pending: set[Future[Any]] = {pool.submit(work, item) for item in items}
            while pending:
                finished, pending = wait(pending, timeout=_TICK, return_when="FIRST_COMPLETED")
                yield from (future.result() for future in finished) if finished else [None]
        finally:
            halt()
            pool.shutdown(cancel_futures=True)


class Processes:
    """Processes of this machine; as with threads, work that has begun has to end by itself: it asks `halted`.

    Work and items are sent to fresh interpreters, which know the rules of `lab` and none that was defined elsewhere.

    Args:
        width: Number of processes; None: one per core.
    """

    def __init__(self, width: int | None = None) -> None:
        self.width = width or os.cpu_count() or 1

    def map(self, work: Work, items: Sequence[Any], halt: Callable[[], None]) -> Generator[Any, None, None]:
        """As `Executor.map`."""
        spawn, width = multiprocessing.get_context("spawn"), min(self.width, len(items) or 1)
        event = spawn.Event()
        with spawn.Pool(width, initializer=_follow_the_parent, initargs=(event,)) as pool:
            results = pool.imap_unordered(work, items)
            try:
                while True:
                    try:
                        yield results.next(timeout=_TICK)
                    except multiprocessing.TimeoutError:
                        yield None
                    except StopIteration:
                        return
            finally:
                halt()
                event.set()
                pool.close()
                pool.join()


_EVENTS: list[Any] = []


def halted() -> bool:
    """In a worker process: whether the process that started it wants it to end."""
    return any(event.is_set() for event in _EVENTS)


def _follow_the_parent(event: Any) -> None:
    """In a worker: leave interrupts to the process that started it, and end when that one does, even if killed."""
    _EVENTS.append(event)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(multiprocessing.parent_process(),), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)
