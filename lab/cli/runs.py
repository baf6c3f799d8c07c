"""`advlab run` and `advlab show`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.cli.flags import flagged, values
from lab.cli.screen import interval, plain, progress_bar, table
from lab.errors import InputError, LabError, UnwrittenError

if TYPE_CHECKING:
    from lab.config import Config
    from lab.store import Run

__all__ = ["run", "show"]

Folder = Annotated[Path, typer.Option("--runs", help="Folder of all runs.")]


@flagged()
def run(
    world: Annotated[
        str | None,
        typer.Option(
            help='World, with settings if any: "bandit:law=normal,noise=0.5"; `advlab worlds` lists them. '
            "[default: bandit]"
        ),
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
    *,
    chunk: Annotated[int | None, typer.Option(help="Steps of one file. [default: 1000]")] = None,
    save_seconds: Annotated[float | None, typer.Option(help="Seconds between two saves. [default: 20.0]")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run. [default: run-1, run-2, ...]")] = None,
    resume: Annotated[str | None, typer.Option(metavar="NAME", help="Go on with a run that was stopped.")] = None,
    folder: Folder = Path("runs"),
    threads: Annotated[int | None, typer.Option(min=1, help="Threads. [default: one per core]")] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="Processes, in place of threads.")] = None,
    **given: Any,
) -> None:
    r"""Train variants in a world and keep the run in runs/NAME/.

    It is saved every few seconds and when it is stopped; `--resume` goes on from there.

    \b
    Examples:
      advlab run --variant grpo --variant mc-grpo --seeds 64 --steps 500 --name demo
      advlab run --world small-lm --set model=./SmolLM2-135M-Instruct --set task=tools --seeds 1 --steps 20
      advlab run --variant grpo:eps=1e-6 --world bandit:law=student_t,noise=0.5 --lr 4
      advlab run --resume demo
    """
    given |= {"chunk": chunk, "save_seconds": save_seconds, "variants": variant, "world": world}
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
        table(["run", "variants", "seeds", "steps", "done"], map(_row, store.runs(folder)))
        return
    found = store.find(name, folder)
    print(plain(f"{found.path}: {_settings(found.config)}"))
    _outcome(found)
    if found.unsealed:
        print(f"{len(found.unsealed)} of its files were written before files had checksums: a bit of them that has "
              "flipped would not be noticed.")  # fmt: skip
    if not found.complete:
        print(f"{_state(found)} steps, those of all seeds of all variants, are there; {_go_on(name, folder)} goes on.")


def _row(found: Run) -> tuple[object, ...]:
    """A run in the list of all; one that is damaged says so and hides no other."""
    try:
        return found.name, _labels(found.config), len(found.config.numbers), found.config.steps, _state(found)
    except (LabError, OSError) as error:
        return found.name, str(error), "", "", "damaged"


def _train(
    config: Config, name: str, folder: Path, resume: bool, threads: int | None, processes: int | None
) -> None:  # fmt: skip
    """Train with a bar, end in a table; Ctrl-C leaves a run that can be resumed."""
    try:
        from lab import executors, experiment, plugins
        from lab.methods import variant
        from lab.training.train import notes_of

        plugins.require(config.plugins)
        chosen = [variant(v.name, v.label, **v.options) for v in config.variants]
        for note in notes_of(chosen, config.group_size):
            typer.echo(f"Note: {note}.", err=True)
        executor = executors.Processes(processes) if processes else executors.Threads(threads)
        with progress_bar(f"Training {name}") as progress:
            done = experiment.run(config, name, resume=resume, runs=folder, progress=progress, executor=executor)
    except KeyboardInterrupt:
        typer.echo(f"Stopped; {_kept(name, folder)}", err=True)
        raise typer.Exit(130) from None
    except UnwrittenError as error:
        raise LabError(f"{error}; {_kept(name, folder)}") from None
    _outcome(done)
    again = f"advlab show {name}{_where(folder)}"
    print(f"{done.path} holds the run; `{again}` shows this table again.")


def _kept(name: str, folder: Path) -> str:
    """How much of a run is on the disk, and how to go on with it."""
    from lab import store

    try:
        there = _state(store.find(name, folder))
    except (LabError, OSError):
        return "nothing was trained yet."
    return f"{there} steps are kept, nothing of them is lost: {_go_on(name, folder)} goes on."


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

    chosen = values(given)
    place = options_of(chosen.get("world", "bandit"))
    known = declaration(place["name"]).settings
    for pair in settings:
        key, equals, text = (part.strip() for part in pair.partition("="))
        if not (key and equals and text) or key in place["options"]:
            raise InputError(f"--set {pair!r}; it should be key=value, each key once, as in --set prompts=16")
        place["options"][key] = text if key in known and known[key].kind is str else value_of(text)
    return Config(**{**chosen, "variants": chosen.get("variants") or ["grpo"], "world": place})


def _free(folder: Path) -> str:
    taken = {path.name for path in folder.glob("run-*")}
    return next(name for i in range(1, len(taken) + 2) if (name := f"run-{i}") not in taken)


def _outcome(found: Run) -> None:
    """The table at the end of a run."""
    from lab.measures.metrics import HELD_OUT, metric
    from lab.trace import OUTCOME

    cells: dict[str, dict[str, str]] = {}
    for row in found.outcome().iter_rows(named=True):
        cells.setdefault(row["variant"], {})[row["metric"]] = interval(row["mean"], row["low"], row["high"])
    if not any(set(OUTCOME) & set(of) for of in cells.values()):
        print("Nothing was measured.")
        return
    shown = [m for m in OUTCOME if any(m in of for of in cells.values())]
    table(
        ["variant", *(metric(m).label.replace(" against ", "\nagainst ") for m in shown)],
        [[v, *(of.get(m, "") for m in shown)] for v, of in cells.items()],
    )
    ends = ", ".join(metric(m).label for m in shown if m in ("value", *HELD_OUT))
    print(f"{f'At the last step: {ends}; the others: mean' if ends else 'Mean'} over all steps; ± 95% over the seeds.")


def _labels(config: Config) -> str:
    return ", ".join(v.label or v.name for v in config.variants)


def _settings(config: Config) -> str:
    options = ", ".join(f"{k}={v}" for k, v in config.world.options.items())
    where = f"{config.world.name} ({options})" if options else config.world.name
    return (
        f"{_labels(config)} in {where}; {config.steps} steps, {len(config.numbers)} seeds, "
        f"group size {config.group_size}, lr {_shown(config.lr)}, {_shown(config.optimizer)}"
    )


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_shown(one)}" for name, one in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _state(found: Run) -> str:
    done, total = found.progress
    return "complete" if found.complete else f"{done} of {total} ({done / total:.0%})"


def _go_on(name: str, folder: Path) -> str:
    return f"`advlab run --resume {name}{_where(folder)}`"


def _where(folder: Path) -> str:
    return "" if folder == Path("runs") else f" --runs {folder}"
