"""Where the tests of training logs write theirs."""

from pathlib import Path

import pytest

from tests.logs.logs import Write, write_log


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write(rewards, **options)` writes a log into a folder of the test and returns it."""
    return lambda rewards=None, **options: write_log(tmp_path / "run", rewards, **options)
