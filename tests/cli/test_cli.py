"""`advlab` as it is typed."""

import errno
import json
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from lab import bench, papers
from lab.cli import app, main
from lab.config import Config
from lab.experiment import run
from lab.measures.metrics import AGAINST_EXPECTED
from lab.pages import server
from lab.papers import recorded
from lab.papers.record import Result
from lab.papers.recorded import making
from lab.store import Run

DEMO = "run --set prompts=2 --set arms=3 --variant grpo --variant mc-grpo --seeds 3 --steps 7 --chunk 3 --name demo"
Advlab = Callable[[str], tuple[int, str, str]]


@pytest.fixture
def advlab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Advlab:
    """Type a line in an empty folder: exit status, stdout, stderr. An argument may stand in double quotes."""
    monkeypatch.chdir(tmp_path)

    def typed(line: str) -> tuple[int, str, str]:
        words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', line)]
        monkeypatch.setattr("sys.argv", ["advlab", *words])
        with pytest.raises(SystemExit) as end:
            main()
            raise SystemExit(0)
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return typed


def test_matrices_have_one_thread_unless_told_otherwise(advlab: Advlab, monkeypatch: pytest.MonkeyPatch) -> None:
    for given, kept in ((None, "1"), ("3", "3")):
        monkeypatch.delenv("OPENBLAS_NUM_THREADS") if given is None else monkeypatch.setenv(
            "OPENBLAS_NUM_THREADS", given
        )
        assert advlab("worlds bandit")[0] == 0 and os.environ["OPENBLAS_NUM_THREADS"] == kept


def test_a_run_from_start_to_table(advlab: Advlab, tmp_path: Path) -> None:
    status, out, _ = advlab(DEMO)
    assert status == 0
    assert Run(tmp_path / "runs" / "demo").complete
    for words in ("grpo", "mc-grpo", "expected reward", "groups without signal", "gradient norm", AGAINST_EXPECTED):
        assert words in out
    assert re.search(r"mc-grpo +0\.\d+ ± 0\.\d+ ", out)
    status, shown, _ = advlab("show demo")
    assert status == 0
    assert "grpo, mc-grpo in bandit (prompts=2, arms=3); 7 steps, 3 seeds, group size 8, lr 1, sgd" in shown
    assert out.splitlines()[1:4] == shown.splitlines()[2:5]
    assert re.search(r"demo +grpo, mc-grpo +3 +7 +complete", advlab("show")[1])


def test_every_option_reaches_the_configuration(advlab: Advlab, tmp_path: Path) -> None:
    line = (
        'run --world bandit:prompts=9 --set "success=0.2,0.5; 0.1,0.9" --set law=normal --set noise=0.25 '
        '--variant grpo:eps=1e-6 --seeds "3,5-6" --steps 4 --group-size 5 --lr 0.5 --optimizer adam --momentum 0.8 '
        "--max-grad-norm 2 --epochs 2 --measure none --every 2 --chunk 3 --name x --runs elsewhere --threads 1"
    )
    assert advlab(line)[0] == 0
    expected = Config(
        world={
            "name": "bandit",
            "options": {"prompts": 9, "law": "normal", "noise": 0.25, "success": "0.2,0.5; 0.1,0.9"},
        },
        variants=["grpo:eps=1e-6"], seeds=[3, 5, 6], steps=4, group_size=5, lr=0.5, optimizer="adam", momentum=0.8,
        max_grad_norm=2.0, epochs=2, measure=None, every=2, chunk=3,
    )  # fmt: skip
    assert Run(tmp_path / "elsewhere" / "x").config.differences(expected) == []
    assert "Nothing was measured." in advlab("show x --runs elsewhere")[1]


def test_help_tells_the_defaults_of_the_configuration(advlab: Advlab) -> None:
    said = re.sub(r"\s+", " ", advlab("run --help")[1])
    for option, field in {"steps": "steps", "seeds": "seeds", "group-size": "group_size", "lr": "lr",
                          "optimizer": "optimizer", "momentum": "momentum", "epochs": "epochs", "measure": "measure",
                          "every": "every", "chunk": "chunk"}.items():  # fmt: skip
        default = Config.model_fields[field].default
        assert re.search(rf"--{option} <\w+> [^\[]*\[default: (the world's, else )?{default}\]", said), option


@pytest.mark.parametrize("name", ["run", "show", "worlds", "variants", "claims", "bench", "app"])
def test_help_shows_each_example_on_a_line(advlab: Advlab, name: str) -> None:
    out = advlab(f"{name} --help")[1]
    assert "\\b" not in out
    assert "\b" not in out
    written = re.findall(r"^ +advlab .*", get_command(app).commands[name].help, flags=re.MULTILINE)  # type: ignore[attr-defined]
    assert [line.strip() for line in re.findall(r"^ {4}advlab .*", out, flags=re.MULTILINE)] == [
        line.strip() for line in written
    ]


def test_a_damaged_run_hides_no_other(advlab: Advlab, tmp_path: Path) -> None:
    advlab(DEMO)
    for name, content in (("a", "{"), ("z", "[" * 100_000)):
        (tmp_path / "runs" / name).mkdir()
        (tmp_path / "runs" / name / "config.json").write_text(content)
    status, out, err = advlab("show")
    assert (status, err) == (0, "")
    assert re.search(r"demo +grpo, mc-grpo +3 +7 +complete", out)
    assert len(re.findall(r"is damaged, it is not JSON.* damaged", out)) == 2


def test_a_full_disk_says_what_is_kept_and_how_to_go_on(advlab: Advlab, monkeypatch: pytest.MonkeyPatch) -> None:
    written = 0
    fsync = os.fsync

    def full(handle: int) -> None:
        nonlocal written
        written += 1
        if written > 14:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    monkeypatch.setattr("os.fsync", full)
    status, _, err = advlab(f"{DEMO} --threads 1 --runs here")
    assert status == 2
    said = r"advlab: here/demo/\S+ cannot be written: No space left on device; 18 of 42 \(43%\) steps are kept, nothing"
    assert re.match(said, err)
    assert "`advlab run --resume demo --runs here` goes on." in err
    monkeypatch.setattr("os.fsync", fsync)
    assert "`advlab show demo --runs here` shows this table again." in advlab("run --resume demo --runs here")[1]


@pytest.mark.parametrize(
    "line",
    [
        "run --world preferences --group-size 8 --steps 2", "run --world turns:task=5", "run --lr 1e999",
        "run --group-size 1000000000 --steps 1", "run --set arms=9223372036854775808", "run --reward-weights 1,x",
    ],
)  # fmt: skip
def test_no_mistake_ends_in_a_traceback(advlab: Advlab, line: str) -> None:
    status, _, err = advlab(line)
    assert status == 2
    assert re.fullmatch(r"advlab: [^\n]+\n", err), err


def test_measurements_and_weights_are_joined_by_commas(advlab: Advlab, tmp_path: Path) -> None:
    assert (
        advlab("run --set prompts=1 --seeds 2 --steps 2 --measure value,cosine --reward-weights 0.5 --name x")[0] == 0
    )
    config = Run(tmp_path / "runs" / "x").config
    assert (config.measure, config.reward_weights) == (["value", "cosine"], [0.5])
    assert Run(tmp_path / "runs" / "x").frame.columns == ["variant", "seed", "step", "value", "cosine"]


def test_each_command_has_an_example_that_it_understands() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    own = ["run", "show", "compare", "worlds", "variants", "claims", "bench", "app", "diagnose", "watch", "lint"]
    assert sorted(commands) == sorted(own)
    for name, command in commands.items():
        examples = re.findall(r"^ *advlab (.*)", command.help, flags=re.MULTILINE)
        assert examples, name
        for line in examples:
            first, *rest = line.split()
            assert first == name
            command.make_context(name, rest)


def test_runs_without_a_name_are_numbered(advlab: Advlab, tmp_path: Path) -> None:
    for name in ("run-1", "run-2"):
        assert advlab("run --set prompts=1 --set arms=2 --seeds 2 --steps 2")[0] == 0
        assert (tmp_path / "runs" / name).is_dir()


def test_a_stopped_run_is_shown_and_resumed(advlab: Advlab, tmp_path: Path) -> None:
    advlab(DEMO)
    whole = Run(tmp_path / "runs" / "demo").frame
    config = Run(tmp_path / "runs" / "demo").config
    part = run(config, "part", runs=tmp_path / "runs")
    for path in part.path.glob("*-mc-grpo-*"):
        path.unlink()
    status, out, _ = advlab("show part")
    assert status == 0
    assert (
        "21 of 42 (50%) steps, those of all seeds of all variants, are there; `advlab run --resume part` goes on."
        in out
    )
    assert advlab("run --resume part")[0] == 0
    assert part.complete
    assert part.frame.equals(whole)


def test_an_interrupt_says_how_to_go_on(advlab: Advlab, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lab.experiment.run", interrupted)
    status, _, err = advlab("run --name demo --runs here")
    assert status == 130
    assert err.strip() == "Stopped; nothing was trained yet."


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("run --name ../x", "run name '../x'; it may have"),
        ("run --name a/b", "run name 'a/b'"),
        ('run --name "a b"', "run name 'a b'"),
        ("run --variant grop", "unknown variant 'grop'; nearest: 'grqo', 'grpo'"),
        ("run --variant grpo:epz=1", "nearest: 'eps'"),
        ("run --variant grpo:eps", "should be option=value"),
        ("run --variant grpo --variant grpo", "'grpo' stands twice"),
        ("run --steps -5", "steps=-5: it should be a whole number of at least 0"),
        ("run --seeds 0", "seeds=0: it should be a number of runs, at least 1"),
        ("run --seeds -3", "seeds=-3"),
        ("run --seeds 1,1", "all different"),
        ("run --seeds many", "--seeds 'many'; write a number of runs, such as 64, or seeds:"),
        ("run --group-size 0", "group_size=0"),
        ("run --lr nan", "lr=nan: it should be a finite number"),
        ("run --optimizer sdg", "it should be one of sgd, momentum, adam"),
        ("run --measure all", "measure='all'"),
        ("run --world bandid", "unknown world 'bandid'; nearest: 'bandit'"),
        ("run --world bandit:arm=3", "nearest: 'arms'"),
        ("run --set law=cauchy", "law='cauchy'; it must be one of bernoulli, normal"),
        ("run --set arms=1", "arms=1; it must be a whole number from 2"),
        ('run --set "success=0.2,high"', "success='0.2,high': could not convert"),
        ('run --set "success=0.2,1.5"', "1.5"),
        ("run --resume demo", "unknown run 'demo'; nothing similar is known; looked in runs"),
        ("run --resume demo --steps 3", "leave out --steps"),
        ("run --resume demo --variant grpo", "leave out --variant"),
        ("run --resume demo --set seed=3", "leave out --set"),
        ("run --resume demo --name demo", "leave out --name"),
        ("run --resume ../demo", "run name '../demo'"),
        ("show demo", "unknown run 'demo'"),
        ("claims gdpo.99", "unknown paper or claim 'gdpo.99'"),
        ("bench bandid", "unknown benchmark 'bandid'; nearest: 'bandit'"),
    ],
)
def test_mistakes_are_one_readable_line(advlab: Advlab, tmp_path: Path, line: str, said: str) -> None:
    status, out, err = advlab(line)
    assert status == 2
    assert out == ""
    assert re.fullmatch(r"advlab: [^\n]+\n", err), err
    assert said in err
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_tells_both_ways_out(advlab: Advlab) -> None:
    advlab(DEMO)
    status, _, err = advlab(DEMO)
    assert status == 2
    assert "go on with it (`advlab run --resume demo`, resume=True), or take another name" in err


def test_a_disk_that_refuses_is_one_line(advlab: Advlab, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    status, _, err = advlab(DEMO)
    assert status == 2
    assert re.fullmatch(r"advlab: [^\n]*runs[^\n]*\n", err)


def test_labels_are_shown_as_they_are(advlab: Advlab, tmp_path: Path) -> None:
    label = "[red]<b>x</b>\x1b[31m"
    config = Config(world="bandit:prompts=1,arms=2", variants=[{"name": "grpo", "label": label}], seeds=2, steps=2)
    run(config, "odd", runs=tmp_path / "runs")
    out = advlab("show odd")[1]
    assert "[red]<b>x</b>" in out
    assert "\x1b" not in out


def test_variants_are_listed(advlab: Advlab) -> None:
    assert "grpo@verl" in advlab("variants")[1]
    out = advlab("variants --no-presets")[1]
    assert "mc-grpo" in out
    assert not re.search(r"^ *\S+@", out, flags=re.MULTILINE)


def results(*verdicts: str) -> Callable[..., list[Result]]:
    def claims(*names: str, seed: int, counter: bool, progress: Callable[[int, int], None]) -> list[Result]:
        progress(0, len(verdicts))
        without = 0.125 if counter else None
        return [
            Result(f"p.{i}", "p", "claim", f"{names} {seed}", 0.5, (0.4, 0.6), "above 0", verdict, 0.1, without)
            for i, verdict in enumerate(verdicts, 1)
        ]

    return claims


def test_claims_as_a_table_and_as_json(advlab: Advlab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(papers, "claims", results("holds", "holds"))
    status, out, _ = advlab("claims p --seed 3")
    assert status == 0
    assert re.search(r"p\.1 +holds +0\.5 \[0\.4, 0\.6\]", out)
    assert "2 of 2 hold." in out
    monkeypatch.setattr(papers, "claims", results("holds", "fails"))
    status, out, _ = advlab("claims p --seed 3 --json")
    assert status == 1
    assert json.loads(out)[1] == {
        "id": "p.2", "paper": "p", "kind": "claim", "sentence": "('p',) 3", "value": 0.5, "interval": [0.4, 0.6],
        "criterion": "above 0", "verdict": "fails", "seconds": 0.1, "without": None,
    }  # fmt: skip


def test_full_claims_are_measured_with_five_seeds_and_without_what_they_are_about(
    advlab: Advlab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(papers, "claims", results("holds"))
    status, out, _ = advlab("claims p --seed 2 --full --json")
    assert status == 0
    assert [(r["sentence"], r["without"]) for r in json.loads(out)] == [(f"('p',) {s}", 0.125) for s in range(2, 7)]
    monkeypatch.setattr(papers, "claims", results("holds", "does not distinguish"))
    status, out, _ = advlab("claims p --full")
    assert status == 1
    assert "5 of 10 hold." in out


def test_what_the_record_lacks_is_listed_and_measured(advlab: Advlab, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []
    why = {"ngrpo.1": "code that it runs has changed", "nobody.1": "there is no such claim any more"}
    monkeypatch.setattr(recorded, "stale", lambda entries: why)
    monkeypatch.setattr(making, "record", lambda chosen, **more: asked.append({"chosen": chosen, **more}) or {})
    status, out, _ = advlab("claims --stale")
    assert status == 1 and not asked
    assert re.search(r"ngrpo\.1 +code that it runs", out) and "nobody.1" in out and "2 are stale" in out
    assert advlab("claims gdpo --stale")[0] == 0
    assert advlab("claims ngrpo.1 --record --all --jobs 2")[0] == 1
    assert [(a["chosen"], a["again"], a["jobs"]) for a in asked] == [({"ngrpo.1"}, True, 2)]
    monkeypatch.setattr(recorded, "stale", lambda entries: {})
    status, out, _ = advlab("claims ngrpo bnpo.1 --record")
    assert status == 0 and re.search(r"has (\d+) of \1 claims", out) and asked[-1]["again"] is False
    assert advlab("claims --jobs 2")[0] == 2


def test_bench_as_a_table_and_as_json(advlab: Advlab, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"name": "a", "value": 1.5, "unit": "M/s", "reference": "", "ratio": None, "runs": 3}]
    monkeypatch.setattr(bench, "run", lambda names, *_: rows)
    assert re.search(r"a +1\.5 +M/s", advlab("bench")[1])
    assert json.loads(advlab("bench --json")[1]) == rows


def test_the_dashboard_answers_this_machine_or_those_it_is_opened_to(
    advlab: Advlab, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[tuple[object, ...]] = []
    monkeypatch.setattr(server, "serve", lambda hosts, port, *, headless: served.append((hosts, port, headless)))
    assert advlab("app --port 8600 --headless")[0] == advlab("app --host 0.0.0.0 --host lab.example")[0] == 0
    assert served == [(["127.0.0.1"], 8600, True), (["0.0.0.0", "lab.example"], 8501, False)]


def test_a_dashboard_says_whom_it_answers() -> None:
    alone = server.words(["127.0.0.1"], "http://127.0.0.1:8501")
    assert alone == "Advantage Lab: http://127.0.0.1:8501 (it answers this computer alone; Ctrl-C ends it)"
    others = server.words(["0.0.0.0", "lab.example"], "http://localhost:8501")
    assert "under every address of this computer and lab.example: whoever reaches it may use it" in others


def test_a_port_that_is_taken_and_an_address_of_elsewhere_are_said(advlab: Advlab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, _, err = advlab(f"app --port {port}")
    assert status == 2 and f"127.0.0.1, port {port}: " in err and f"--port {port + 1}" in err
    status, _, err = advlab("app --host 192.0.2.1")
    assert status == 2 and "192.0.2.1" in err and "--host" in err


def test_variants_are_compared_at_one_learning_rate_or_each_at_its_own(advlab: Advlab) -> None:
    quick = "compare --world bandit:prompts=2 --variant dr_grpo --variant mapo --seeds 2 --steps 3"
    status, _, err = advlab(quick)
    assert status == 2 and "mapo" in err and "turn" in err
    status, out, _ = advlab(quick.replace("mapo", "grpo:eps=0.5"))
    assert status == 0
    assert re.search(r"grpo:eps=0\.5 +1 +0\.\d+ ± \S+ +\S+ ± ", out) and "learning rate" in out
    status, out, _ = advlab(quick.replace("mapo", "grpo:eps=0.5") + " --fair")
    assert status == 0
    assert len(re.findall(r"\d \*", out)) == 2 and "chosen on other runs" in out


def test_a_group_of_one_is_trained_with_a_note(advlab: Advlab) -> None:
    status, _, err = advlab("run --variant grpo --variant psr --group-size 1 --steps 1 --seeds 1 --name one")
    assert status == 0
    assert "Note: a group of 1 has no baseline: grpo's advantages are all zero." in err
    assert "psr" not in err


def test_compare_takes_the_settings_of_a_run(advlab: Advlab) -> None:
    quick = "compare --world bandit:prompts=2 --variant grpo --variant rloo --steps 3"
    once = advlab(f"{quick} --seeds 2")[1]
    assert once == advlab(f"{quick} --seeds 0-1 --optimizer sgd --lr 1 --group-size 8")[1]
    assert once != advlab(f"{quick} --seeds 2 --optimizer adam")[1]
    _, words, _ = advlab("compare --help")
    assert "--max-grad-norm" in words and "--reward-weights" in words and "--every" not in words
    status, _, err = advlab(f"{quick} --seeds 2 --steps 0")
    assert status == 2 and "steps=0" in err
