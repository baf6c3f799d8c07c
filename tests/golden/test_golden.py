"""The golden files that the project carries, through the same runner as `python -m tests.golden`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.golden.__main__ import HERE, main, run_file

FILES = sorted(HERE.glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_output_agrees(path: Path) -> None:
    tally = run_file(path)
    assert not tally.misses, "\n".join(tally.misses)
    assert tally.outputs >= tally.cases > 0


def test_a_wrong_number_is_a_miss(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = json.loads((HERE / "ngrpo.json").read_text(encoding="utf-8"))
    data["cases"][0]["outputs"]["ngrpo"][0][0] += 1e-4
    (tmp_path / "ngrpo.json").write_text(json.dumps(data), encoding="utf-8")
    assert main([str(tmp_path)]) == 1
    assert "case 0 ngrpo" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nobody.json", '{"cases": []}'),
        ("gdpo.json", '{"cases": [{"inputs": {"rewards": [[[1, 0]]]}, "options": {}, "outputs": {"news": 1}}]}'),
        ("gdpo.json", "no json"),
        ("gdpo.json", "[]"),
    ],
)
def test_what_cannot_be_compared_fails(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert main([str(tmp_path)]) == 1


def test_an_empty_folder_fails(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 1
