"""`advlab bench` shows figures, and nothing that other packages say."""

import logging
import warnings

import pytest

from lab.bench import harness
from lab.bench.harness import Benchmark, Row


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
