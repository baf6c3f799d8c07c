"""`advlab bench` shows figures, and nothing that other packages say."""

import logging
import warnings
from dataclasses import replace

import pytest

from lab import explorers
from lab.bench import explorers as bench
from lab.bench import harness
from lab.bench.harness import Benchmark, Row
from lab.explorers.contract import Picture, State
from lab.explorers.properties import Rewards, Text


def test_what_other_packages_say_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def measure() -> list[Row]:
        warnings.warn("this will be removed", FutureWarning, stacklevel=1)
        logging.getLogger("jax").warning("no GPU was found")
        return [Row("loud", 1.5, "M/s", "", None, 3)]

    monkeypatch.setitem(harness._BENCHMARKS, "loud", Benchmark("loud", "a loud one", measure))
    assert [row["value"] for row in harness.run(["loud"])] == [1.5]
    assert caplog.records == []
    logging.getLogger("jax").warning("heard again")
    assert [record.message for record in caplog.records] == ["heard again"]


@pytest.mark.parametrize("name", explorers.names())
def test_a_moved_control_gives_another_state_of_the_explorer(name: str) -> None:
    asked = explorers.explorer(name)
    state = asked.state()
    moves = list(bench.moved(asked, state))
    shown = {each.name for each in asked.properties if each.drawn and each.matters(state)}
    edited = {each.name for each in asked.properties if isinstance(each, Text | Rewards)}
    assert shown - edited <= {name for changes in moves for name in changes}
    for changes in moves:
        assert asked.state(**changes) == {**state, **changes} != state


def test_the_time_until_the_new_picture_is_measured_for_each_control() -> None:
    seen, start = [], explorers.explorer("start")

    def draw(state: State) -> Picture:
        seen.append((state["right"], state["rule"]))
        return start.draw(state)

    seconds = bench.answers(replace(start, draw=draw))
    assert seen == [(2, "grpo"), (3, "grpo"), (2, "dr_grpo")]
    assert len(seconds) == 2 and min(seconds) > 0
