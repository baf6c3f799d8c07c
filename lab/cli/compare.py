"""`advlab compare`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lab.cli.flags import flagged, values
from lab.cli.screen import interval, plain, progress_bar, table

__all__ = ["compare"]


@flagged(without=("measure", "every"), lr=1.0, steps=100)
def compare(
    variant: Annotated[
        list[str],
        typer.Option(help='Variant, with options if any: "grpo:eps=1e-6"; repeat it; leads are over the first.'),
    ],
    world: Annotated[str, typer.Option(help='World, with settings if any: "bandit:law=normal,noise=0.5".')] = "bandit",
    fair: Annotated[
        bool, typer.Option("--fair", help="Each at its own best learning rate, chosen on other runs.")
    ] = False,
    *,
    metric: Annotated[str, typer.Option(help="What is judged at the last step; more is better.")] = "value",
    **given: Any,
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
            lab.world(place["name"], **place["options"]), chosen, fair=fair, metric=metric, progress=progress,
            **values(given),
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
