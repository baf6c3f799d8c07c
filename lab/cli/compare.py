"""`advlab compare`."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli.screen import interval, plain, progress_bar, table

__all__ = ["compare"]


def compare(
    variant: Annotated[
        list[str],
        typer.Option(help='Variant, with options if any: "grpo:eps=1e-6"; repeat it; leads are over the first.'),
    ],
    world: Annotated[str, typer.Option(help='World, with settings if any: "bandit:law=normal,noise=0.5".')] = "bandit",
    fair: Annotated[
        bool, typer.Option("--fair", help="Each at its own best learning rate, chosen on other runs.")
    ] = False,
    lr: Annotated[float, typer.Option(help="Learning rate of all, without --fair.")] = 1.0,
    seeds: Annotated[int, typer.Option(min=2, help="Number of runs to judge on.")] = 16,
    steps: Annotated[int, typer.Option(min=1, help="Steps.")] = 100,
    group_size: Annotated[int, typer.Option(min=1, help="Rollouts per prompt.")] = 8,
    epochs: Annotated[int, typer.Option(min=1, help="Gradient steps per batch.")] = 1,
    metric: Annotated[str, typer.Option(help="What is judged at the last step; more is better.")] = "value",
) -> None:
    r"""Compare variants by where they end, on the same draws.

    \b
    Example:
      advlab compare --variant grpo --variant ngrpo --variant mc-grpo --fair
    """
    import lab
    from lab.config import options_of

    place = options_of(world)
    chosen = [lab.variant(one["name"], label=text, **one["options"]) for text in variant for one in [options_of(text)]]
    with progress_bar("Comparing") as progress:
        found = lab.compare(
            lab.world(place["name"], **place["options"]), chosen, fair=fair, lr=lr, seeds=seeds, steps=steps,
            group_size=group_size, epochs=epochs, metric=metric, progress=progress,
        )  # fmt: skip
    if found.curve is not None:
        curve = [
            (r["variant"], f"{r['lr']:g}" + " *" * r["best"], interval(r["mean"], r["low"], r["high"]))
            for r in found.curve.iter_rows(named=True)
        ]
        table(["variant", "learning rate", f"{metric}, other runs"], curve)
    ends = [
        (r["variant"], f"{r['lr']:g}", interval(r["mean"], r["low"], r["high"]),
         interval(r["lead"], r["lead_low"], r["lead_high"]))
        for r in found.frame.iter_rows(named=True)
    ]  # fmt: skip
    table(["variant", "learning rate", metric, f"above {chosen[0].name}"], ends)
    print(plain(found.sentence))
