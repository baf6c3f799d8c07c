"""A run diagnosed while it trains, by the trainer itself: a TRL callback, a tracking backend of verl.

trainer = GRPOTrainer(..., callbacks=[lab.integrations.following.diagnosing()])     # log_completions=True

lab.integrations.following.track("rollouts", every=10)      # verl: where trainer.rollout_data_dir writes
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.errors import check_whole
from lab.logs.diagnosis import Diagnosis, diagnose
from lab.logs.loading import load
from lab.reports.facts import at_least
from lab.text import printable

__all__ = ["Follower", "diagnosing", "track"]


class Follower:
    """Diagnoses a growing log when it is told to, and says each alarm and warning once.

    Args:
        folder: Where the trainer writes.
        stop_on: "alarm", "warning" or "note": `look` answers True from there on; "" never.
        say: Takes each sentence.
        **options: As `lab.load` takes them.

    Attributes:
        found: The last diagnosis.

    Raises:
        InputError: There is no such severity.
    """

    def __init__(
        self, folder: str | Path, *, stop_on: str = "", say: Callable[[str], object] = print, **options: Any
    ) -> None:
        if stop_on:
            at_least((), stop_on)
        self.folder, self.stop_on, self.say, self.options = folder, stop_on, say, options
        self.found: Diagnosis | None = None
        self._said: set[str] = set()

    def look(self) -> bool:
        """Diagnose what is written so far; whether something is as bad as `stop_on`. It never raises."""
        try:
            self.found = diagnose(load(self.folder, growing=True, **self.options))
            findings = self.found.findings
        except Exception as reason:  # a run must not end because its log cannot be read
            self._once("unread", f"the log cannot be diagnosed yet: {reason}")
            return False
        for finding in findings:
            if finding.severity != "note":
                self._once(f"{finding.kind} {finding.severity}", f"{finding.severity.upper()}: {finding}")
        return bool(self.stop_on) and at_least(findings, self.stop_on)

    def _once(self, key: str, sentence: str) -> None:
        if key not in self._said:
            self._said.add(key)
            self.say(printable(f"advlab: {sentence}"))


def diagnosing(*, every: int = 10, stop_on: str = "", say: Callable[[str], object] = print) -> Any:
    """A callback for TRL's GRPOTrainer, set to `log_completions=True`.

    It writes `trainer_state.json` beside the completions, so that the metrics are there before the first checkpoint.

    Args:
        every: Steps with metrics between two looks; the last one is at the end of the training.
        stop_on: End the training, on all processes, at the first finding as bad as that; "" never.
        say: Takes each sentence.

    Raises:
        InputError: A number below one, or no such severity.
    """
    from torch import distributed
    from transformers import TrainerCallback

    check_whole("every", every, least=1)
    Follower("", stop_on=stop_on)

    class Diagnosing(TrainerCallback):
        follower: Follower | None = None
        logged = 0

        def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.logged += 1
            if self.logged % every:
                return
            found = [state.is_world_process_zero and self.look(args, state)]
            if stop_on and args.world_size > 1:
                distributed.broadcast_object_list(found, src=0)  # all processes end at the same step
            if found[0]:
                control.should_training_stop = True

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.is_world_process_zero and self.logged % every:
                self.look(args, state)

        def look(self, args: Any, state: Any) -> bool:
            self.follower = self.follower or Follower(args.output_dir, stop_on=stop_on, say=say)
            Path(args.output_dir).mkdir(parents=True, exist_ok=True)
            state.save_to_json(str(Path(args.output_dir) / "trainer_state.json"))
            return self.follower.look()

    return Diagnosing()


def track(
    folder: str | Path, *, every: int = 10, say: Callable[[str], object] = print, into: type | None = None
) -> None:
    """Add the lab to the trackers of verl: call it before the trainer starts, in the process that runs it.

    Args:
        folder: Where verl writes its rollouts (`trainer.rollout_data_dir`).
        every: Steps between two looks; the last one is at the end of the run.
        say: Takes each sentence.
        into: verl's class `Tracking`; imported from verl by default.

    Raises:
        InputError: A number below one.
    """
    check_whole("every", every, least=1)
    if into is None:
        from verl.utils.tracking import Tracking as into  # type: ignore[no-redef]
    assert into is not None
    before = into.__init__  # type: ignore[misc]

    def started(self: Any, *given: Any, **named: Any) -> None:
        before(self, *given, **named)
        tracker = self.logger["advlab"] = _Tracker(Follower(folder, say=say, reader="verl"), every)
        weakref.finalize(self, tracker.finish)  # verl ends by name the trackers that it knows

    into.__init__ = started  # type: ignore[misc]


class _Tracker:
    """What verl calls with the metrics of each step."""

    def __init__(self, follower: Follower, every: int) -> None:
        self.follower, self.every = follower, every

    def log(self, data: Any, step: int) -> None:
        if step % self.every == 0:
            self.follower.look()

    def finish(self, exit_code: int = 0) -> None:
        self.follower.look()
