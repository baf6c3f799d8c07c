"""`advlab run` and `advlab show`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.cli.screen import interval, plain, progress_bar, table
from lab.errors import InputError

if TYPE_CHECKING:
    from lab.config import Config
    from lab.store import Run

__all__ = ["run", "show"]

METRICS = (
    "value", "reward", "greedy", "pass_at_1", "pass_at_8", "sign_flip", "no_signal", "grad_norm", "cosine_reference",
)  # fmt: skip
Folder = Annotated[Path, typer.Option("--runs", help="Folder of all runs.")]


def run(
    world: Annotated[
        str | None, typer.Option(help='World, with settings if any: "bandit:law=normal,noise=0.5". [default: bandit]')
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Setting of the world; repeat it for several. `advlab worlds NAME` lists them.",
        ),
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(help='Variant, with options if any: "grpo:eps=1e-6"; repeat it for several. [default: grpo]'),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(help='Number of runs, or their seeds: "3,5,9" or "10-19". [default: 16]')
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps. [default: 300]")] = None,
    group_size: Annotated[int | None, typer.Option(help="Rollouts per prompt. [default: the world's, else 8]")] = None,
    lr: Annotated[
        float | None, typer.Option(help="Learning rate on the mean objective. [default: the world's, else 1.0]")
    ] = None,
    optimizer: Annotated[
        str | None, typer.Option(help="sgd, momentum or adam. [default: the world's, else sgd]")
    ] = None,
    momentum: Annotated[float | None, typer.Option(help="First decay of momentum and adam. [default: 0.9]")] = None,
    max_grad_norm: Annotated[float | None, typer.Option(help="Scale larger gradients down to this norm.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Gradient steps per batch. [default: 1]")] = None,
    measure: Annotated[str | None, typer.Option(help="basic, full or none. [default: basic]")] = None,
    every: Annotated[int | None, typer.Option(help="Measure every so many steps. [default: 1]")] = None,
    evaluate: Annotated[
        int | None,
        typer.Option(help="Try held-out problems every so many steps; 0: never. [default: the world's, else 0]"),
    ] = None,
    reference_rollouts: Annotated[
        int | None,
        typer.Option(help="Rollouts of a reference gradient at each measured step, where none is exact. [default: 0]"),
    ] = None,
    chunk: Annotated[int | None, typer.Option(help="Steps between two saves. [default: 1000]")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run. [default: run-1, run-2, ...]")] = None,
    resume: Annotated[str | None, typer.Option(metavar="NAME", help="Go on with a run that was stopped.")] = None,
    folder: Folder = Path("runs"),
    threads: Annotated[int | None, typer.Option(min=1, help="Threads. [default: one per core]")] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="Processes, in place of threads.")] = None,
) -> None:
    r"""Train variants in a world and keep the run in runs/NAME/.

    \b
    Examples:
      advlab run --variant grpo --variant mc-grpo --seeds 64 --steps 500 --name demo
      advlab run --world small-lm --set model=./SmolLM2-135M-Instruct --set task=tools --seeds 1 --steps 20
      advlab run --variant grpo:eps=1e-6 --world bandit:law=student_t,noise=0.5 --lr 4
      advlab run --resume demo
    """
    given = {
        "steps": steps, "group_size": group_size, "lr": lr, "optimizer": optimizer, "momentum": momentum,
        "max_grad_norm": max_grad_norm, "epochs": epochs, "measure": measure, "every": every, "evaluate": evaluate,
        "reference_rollouts": reference_rollouts, "chunk": chunk, "variants": variant, "seeds": seeds, "world": world,
    }  # fmt: skip
    if resume:
        config, name = _resumed(resume, folder, name, given | {"set": settings})
    else:
        config = _config(given, settings or [])
    _train(config, name or _free(folder), folder, bool(resume), threads, processes)


def show(
    name: Annotated[str | None, typer.Argument(help="Name of a run; all runs are listed without it.")] = None,
    folder: Folder = Path("runs"),
) -> None:
    r"""Show a run: its settings, how far it is, and what came out.

    \b
    Example:
      advlab show demo
    """
    from lab import store

    if name is None:
        rows = [
            (r.name, _labels(r.config), len(r.config.numbers), r.config.steps, _state(r)) for r in store.runs(folder)
        ]
        table(["run", "variants", "seeds", "steps", "rows"], rows)
        return
    found = store.find(name, folder)
    print(plain(f"{found.path}: {_settings(found.config)}"))
    _outcome(found)
    if not found.complete:
        print(f"{_state(found)} steps are there; {_go_on(name, folder)} goes on.")


def _train(
    config: Config, name: str, folder: Path, resume: bool, threads: int | None, processes: int | None
) -> None:  # fmt: skip
    """Train with a bar, end in a table; Ctrl-C leaves a run that can be resumed."""
    try:
        from lab import executors, experiment

        executor = executors.Processes(processes) if processes else executors.Threads(threads)
        with progress_bar(f"Training {name}") as progress:
            done = experiment.run(config, name, resume=resume, runs=folder, progress=progress, executor=executor)
    except KeyboardInterrupt:
        typer.echo(f"Stopped; nothing that was written is lost: {_go_on(name, folder)} goes on.", err=True)
        raise typer.Exit(130) from None
    _outcome(done)
    print(f"{done.path} holds the run; `advlab show {name}` shows this table again.")


def _resumed(name: str, folder: Path, new_name: str | None, given: Mapping[str, Any]) -> tuple[Config, str]:
    from lab import store

    further = [key for key, value in {**given, "name": new_name}.items() if value not in (None, [])]
    if further:
        flag = further[0].replace("variants", "variant").replace("_", "-")
        raise InputError(f"--resume {name} takes every setting from the run; leave out --{flag}")
    return store.find(name, folder).config, name


def _config(given: Mapping[str, Any], settings: Sequence[str]) -> Config:
    from lab.config import Config, options_of, value_of
    from lab.world_registry import declaration

    chosen = {key: value for key, value in given.items() if value is not None}
    if "seeds" in chosen:
        chosen["seeds"] = _seeds(chosen["seeds"])
    if chosen.get("measure") == "none":
        chosen["measure"] = None
    place = options_of(chosen.get("world", "bandit"))
    known = declaration(place["name"]).settings
    for pair in settings:
        key, equals, text = (part.strip() for part in pair.partition("="))
        if not (key and equals and text) or key in place["options"]:
            raise InputError(f"--set {pair!r}; it should be key=value, each key once, as in --set prompts=16")
        place["options"][key] = text if key in known and known[key].kind is str else value_of(text)
    return Config(**{**chosen, "variants": chosen.get("variants") or ["grpo"], "world": place})


def _seeds(text: str) -> int | list[int]:
    if text.strip().lstrip("-").isdecimal():
        return int(text)
    seeds: list[int] = []
    for part in text.split(","):
        ends = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if not ends:
            raise InputError(f'--seeds {text!r}; write a number of runs, such as 64, or seeds: "3,5,9" or "10-19"')
        seeds += range(int(ends[1]), int(ends[2] or ends[1]) + 1)
    return seeds


def _free(folder: Path) -> str:
    taken = {path.name for path in folder.glob("run-*")}
    return next(name for i in range(1, len(taken) + 2) if (name := f"run-{i}") not in taken)


def _outcome(found: Run) -> None:
    """The table at the end of a run."""
    from lab.measures.metrics import HELD_OUT
    from lab.measures.metrics import METRICS as KNOWN

    cells: dict[str, dict[str, str]] = {}
    for row in found.outcome().iter_rows(named=True):
        cells.setdefault(row["variant"], {})[row["metric"]] = interval(row["mean"], row["low"], row["high"])
    if not any(set(METRICS) & set(of) for of in cells.values()):
        print("Nothing was measured.")
        return
    shown = [m for m in METRICS if any(m in of for of in cells.values())]
    table(
        ["variant", *(KNOWN[m].label.replace(" against ", "\nagainst ") for m in shown)],
        [[v, *(of.get(m, "") for m in shown)] for v, of in cells.items()],
    )
    ends = ", ".join(KNOWN[m].label for m in shown if m in ("value", *HELD_OUT))
    print(f"{f'At the last step: {ends}; the others: mean' if ends else 'Mean'} over all steps; ± 95% over the seeds.")


def _labels(config: Config) -> str:
    return ", ".join(v.label or v.name for v in config.variants)


def _settings(config: Config) -> str:
    options = ", ".join(f"{k}={v}" for k, v in config.world.options.items())
    where = f"{config.world.name} ({options})" if options else config.world.name
    return (
        f"{_labels(config)} in {where}; {config.steps} steps, {len(config.numbers)} seeds, "
        f"group size {config.group_size}, lr {config.lr:g}, {config.optimizer}"
    )


def _state(found: Run) -> str:
    done, total = found.progress
    return "complete" if found.complete else f"{done} of {total}"


def _go_on(name: str, folder: Path) -> str:
    where = "" if folder == Path("runs") else f" --runs {folder}"
    return f"`advlab run --resume {name}{where}`"
