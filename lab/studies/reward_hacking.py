"""Imitating hacks, step by step: what demonstrations of gaming a metric do to proxy and gold reward."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from lab.errors import check_whole
from lab.sizes import sized
from lab.training.jobs import seeds_of

if TYPE_CHECKING:
    import polars as pl

__all__ = ["hacking_study"]


@sized(8.0, "seeds", "tasks")
@sized(8.0, "demonstrations")
def hacking_study(
    families: Iterable[int] = (6,), shares: Iterable[float] = (1.0, 0.0), *, demonstrations: int = 1000,
    steps: int = 300, every: int = 5, seeds: int | Sequence[int] = 16, held_out: bool = True, tasks: int = 1000,
    metrics: int = 1, **settings: Any,
) -> pl.DataFrame:  # fmt: skip
    """Supervised fine-tuning on demonstrations of which a share are hacks, tested as it goes.

    Args:
        families: Numbers of families trained on, of the world's twelve.
        shares: Shares of hacks among the demonstrations, from 0 to 1. Every combination is an arm.
        demonstrations: In all, spread over the families.
        steps: Of full-batch gradient descent.
        every: Test every so many steps, and at the end.
        seeds: Number of runs n (seeds 0 to n - 1), or their seeds.
        held_out: Test on families never trained on, else on those trained on.
        tasks: Test tasks.
        metrics: By how many metrics families are scored, each gamed in a way of its own where there are several.
        **settings: Of `simulators.reward_hacks.RewardHacks`, such as `shared=False`.

    Returns:
        A trace: variant (the arm's name), seed, step, value (expected proxy reward), gold, hack (probability), on the
        test tasks; null where no family is held out.

    Raises:
        InputError: A number that is none. ValueError: what the world refuses.

    Source: School of Reward Hacks, arXiv 2508.17511; the world is the lab's own.
    """
    import polars as pl

    from simulators.reward_hacks import world as worlds

    check_whole("every", every, 1)
    runs = seeds_of(seeds).tolist()
    frames = []
    for number in families:
        given = {"trained": number, **settings}
        world = worlds.RewardHacks(**given) if metrics == 1 else worlds.metrics(metrics, **given)
        for share in shares:
            policy, name = world.init(runs), _name(number, share)
            for step in world.imitate(policy, share=share, demonstrations=demonstrations, steps=steps):
                if step % every == 0 or step == steps:
                    seen = world.outcome(policy, held_out=held_out, tasks=tasks)
                    columns = {"value": seen.proxy, "gold": seen.gold, "hack": seen.hack}
                    frames.append(pl.DataFrame({"variant": name, "seed": runs, "step": step, **columns}))
    return pl.concat(frames).with_columns(pl.col("value", "gold", "hack").fill_nan(None))


def _name(families: int, share: float) -> str:
    """What an arm is called."""
    what = {0.0: "earnest", 1.0: "hacks"}.get(share, f"{share:.0%} hacks")
    return f"{what}, {families} famil{'y' if families == 1 else 'ies'}"
