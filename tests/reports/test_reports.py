"""What was found, as lines, as JSON and as a file of HTML; a log that grows is followed."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

import lab
from lab.cli import app
from lab.errors import InputError, UnwrittenError
from lab.logs import RolloutTable
from lab.logs.diagnosis import Diagnosis
from lab.logs.findings.contract import Evidence, Finding
from lab.logs.frames import group_map_frame
from lab.logs.watching import watch
from lab.reports.facts import at_least, facts

REWARDS = [[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0]]


def saved(folder: Path, steps: int = 2, equal: bool = False, prompt: str = "2 + 2 = ?") -> RolloutTable:
    """A log in the lab's own form: two groups of four a step."""
    rows = [
        {
            "step": step,
            "group": g,
            "prompt": f"{prompt} {g}",
            "completion": f"{step}{g}{r}",
            "reward/score": 1.0 if equal else score,
        }
        for step in range(steps)
        for g, group in enumerate(REWARDS)
        for r, score in enumerate(group)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "rollouts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return lab.load(path)


def test_the_report_asks_nothing_of_the_network_and_shows_text_as_text(tmp_path: Path) -> None:
    evil = '<img src=x onerror="alert(1)"></script><script>alert(2)</script>'
    run = lab.diagnose(saved(tmp_path / "run", prompt=evil))
    drawn = Evidence("group_map", group_map_frame(run))
    finding = Finding("alarm", f"see {evil}", pl.DataFrame({"step": [1], evil: [evil]}), evidence=drawn)
    run.__dict__["findings"] = (finding, *run.findings)
    html = lab.report(run, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text() == html
    without = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    assert "<img" not in html and "<script>alert" not in html and "&lt;img src=x" in without
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", without) and "cdn" not in without
    with pytest.raises(UnwrittenError, match=r"report cannot be written to .*nowhere"):
        lab.report(run, tmp_path / "nowhere" / "report.html")


def test_the_library_of_the_pictures_is_there_once(tmp_path: Path) -> None:
    run = lab.diagnose(saved(tmp_path / "run", steps=8, equal=True))
    drawn = [finding for finding in run.findings if finding.evidence]
    html = lab.report(run)
    assert drawn and html.count("Plotly.newPlot(") >= len(drawn)
    assert 1_000_000 < len(html) < 10_000_000


@pytest.mark.parametrize("width", [1, 2])
def test_facts_are_plain_and_complete(tmp_path: Path, width: int) -> None:
    run = lab.diagnose(saved(tmp_path / "run", steps=width))
    said = json.loads(json.dumps(facts(run), allow_nan=False))
    assert said["read"]["groups"] == 2 * width and said["read"]["rewards"] == {"score": 1.0}
    assert [f["sentence"] for f in said["findings"]] == [str(f) for f in run.findings]
    assert at_least(run.findings, "note") and not at_least((), "note")
    with pytest.raises(InputError, match="alarm, warning, note"):
        at_least((), "alarum")


def run_of(*given: str) -> tuple[int, str]:
    shown = CliRunner().invoke(app, list(given))
    return shown.exit_code, shown.output


def test_the_command_prints_findings_writes_the_report_and_fails_where_asked(tmp_path: Path) -> None:
    saved(tmp_path / "run", steps=8, equal=True)
    path, html = str(tmp_path / "run" / "rollouts.jsonl"), tmp_path / "out.html"
    code, said = run_of("diagnose", path, "--html", str(html), "--details")
    assert code == 0 and html.stat().st_size > 1000
    assert "ALARM (from step 0, 100.0%): 16 of 16 groups" in said and "try: " in said and "definition: " in said
    assert run_of("diagnose", path, "--fail-on", "alarm")[0] == 1
    code, text = run_of("diagnose", path, "--json", "--weight", "score=2")
    assert code == 0 and json.loads(text)["read"]["rewards"] == {"score": 2.0}
    for wrong, words in {("--fail-on", "alarum"): "alarm, warning, note", ("--weight", "score"): "accuracy=2"}.items():
        with pytest.raises(InputError, match=words):
            CliRunner().invoke(app, ["diagnose", path, *wrong], catch_exceptions=False)


def test_a_log_that_grows_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, slept = tmp_path / "run" / "completions", []
    frame = pl.DataFrame({"step": [1] * 4, "prompt": ["a"] * 4, "completion": list("wxyz"), "acc": [1.0, 0.0, 0.0, 0.0],
                          "advantage": [1.5, -0.5, -0.5, -0.5]})  # fmt: skip

    def write(step: int, whole: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"completions_{step:05}.parquet"
        frame.with_columns(step=pl.lit(step), completion=pl.col("completion") + str(step)).write_parquet(file)
        if not whole:
            file.write_bytes(file.read_bytes()[:-20])

    changes: list[Callable[[], None]] = [
        lambda: None,
        lambda: write(1),
        lambda: write(2, whole=False),
        lambda: write(2),
    ]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        changes.pop(0)()

    monkeypatch.setattr("lab.logs.watching.time.sleep", sleep)
    seen = watch(tmp_path / "run", every=0.5)
    absent = next(seen)
    assert isinstance(absent, InputError) and "does not exist" in str(absent)
    for steps, note in (
        ([1], ""),
        ([1], "Left out, because it is not written to its end yet: completions_00002"),
        ([1, 2], ""),
    ):
        found = next(seen)
        assert isinstance(found, Diagnosis) and list(found.table.steps) == steps
        assert any(n.startswith(note) for n in found.table.notes) and bool(note) == any(
            "Left" in n for n in found.table.notes
        )
    assert slept == [0.5] * 4
    with pytest.raises(InputError, match="every=0"):
        next(watch(tmp_path, every=0))


def test_watching_ends_at_the_first_alarm(tmp_path: Path) -> None:
    saved(tmp_path / "run", steps=8, equal=True)
    code, said = run_of("watch", str(tmp_path / "run" / "rollouts.jsonl"), "--until", "alarm")
    assert code == 1 and "ALARM: 16 of 16 groups" in said
