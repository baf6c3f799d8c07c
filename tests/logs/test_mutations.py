"""A damaged log is a table or an error of the lab's own, whatever trainer wrote it."""

import pytest

import lab
from lab.logs.contract import reader_of
from tests.logs.mutations import broken, opened


@pytest.mark.parametrize("name", lab.logs.bundled())
def test_a_damaged_log_is_a_table_or_an_error_of_the_lab(tmp_path, name):
    reader = reader_of(lab.logs.bundled()[name]).name
    answers = {opened(path, reader) for path in broken(lab.logs.bundled()[name], 5, 7, tmp_path / "run")}
    assert answers and all(answer == "table" or str(tmp_path) in answer for answer in answers)
