"""What the explorers of sign flips and of collapse share: groups from a law of rewards, or from any world."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

import lab
from lab.experiment import by_group_size
from lab.explorers.kept import kept, watched
from lab.explorers.places import about, made, places
from lab.explorers.runs import closed_by_default, made_by, usual
from lab.methods import names
from lab.studies.groups import makes_nothing, needs
from lab.training.train import Refusal
from lab.world_registry import suited

BATCHES, SHORT = 32, 60  # batches of a share by group size, steps of a short run

LAW = "law"  # rewards of a law, beside worlds that know their truth and take groups of any size


def homes() -> dict[str, str]:
    """Where groups may come from, with the words for it."""
    worlds = {name: each.label for name, each in places().items()
              if not each.here.heavy and "group_size" not in suited(name)}  # fmt: skip
    return {LAW: "rewards of a law"} | worlds


def words_of(home: str, law: str) -> str:
    """What a home is, in a sentence; `law` says it of the rewards of a law."""
    return law if home == LAW else about(home)


def closed_to(name: str) -> dict[str, Refusal]:
    """Variants that are not possible in a world, or with nothing but rewards of a law."""
    return rewards_only() if name == LAW else closed_by_default(name)


@kept(2)
def rewards_only() -> dict[str, Refusal]:
    """Variants that read more than rewards, or make nothing of one reward for each rollout."""
    found = {}
    for v in map(lab.variant, names()):
        if fields := needs(v):
            found[v.name] = Refusal("", fields)
        elif makes_nothing(v):
            found[v.name] = Refusal("Gives no advantage where a rollout has one reward that is right or wrong.", ())
    return found


@kept(32)
def by_size(name: str, variants: list[str], sizes: list[int], metric: str, seed: int) -> pl.DataFrame:
    """A share by group size in a world."""
    return by_group_size(made(usual(name)), variants, sizes, metric, seeds=range(seed, seed + BATCHES))


@kept(32)
def short_run(name: str, variants: list[str], group_size: int, metrics: tuple[str, ...], seed: int) -> pl.DataFrame:
    """Summary of a short run in a world."""
    options = {"steps": SHORT, "seeds": range(seed, seed + 8), "group_size": group_size, "lr": usual(name)["lr"]}
    return lab.train(made(usual(name)), variants, measure=metrics, every=2, **options, **watched()).summary()


def short_code(
    name: str, variants: list[str], sizes: list[int], group_size: int, metrics: Sequence[str], seed: int
) -> str:
    """Lines that repeat a share by group size and a short run."""
    return "\n".join(
        [
            "import lab",
            "from lab.experiment import by_group_size",
            "",
            f"world = {made_by(usual(name))}",
            f"variants = {variants!r}",
            f"rates = by_group_size(world, variants, {sizes}, {metrics[0]!r}, seeds=range({seed}, {seed + BATCHES}))",
            f"trace = lab.train(world, variants, steps={SHORT}, seeds=range({seed}, {seed + 8}),",
            f"                  group_size={group_size}, lr={usual(name)['lr']:g}, measure={tuple(metrics)}, every=2)",
            "summary = trace.summary()",
        ]
    )
