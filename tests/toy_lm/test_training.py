"""Every variant that the fields allow trains on the language model; what the token-level choices change."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

import lab
from lab.errors import InputError, LabError
from lab.methods import Variant, names, variant
from lab.training.loop import Settings, Walk
from lab.world_registry import settings
from simulators import Rollouts, ToyLM

TRUTHS = {"value", "sign_flip", "cosine", "grad_error"}


def trained(world: Any, variants: Any, **more: Any) -> lab.Trace:
    given: dict[str, Any] = {"steps": 60, "seeds": 4, "lr": 10.0, "threads": 1}
    return lab.train(world, variants, **(given | more))


def gain(frame: pl.DataFrame, name: str) -> float:
    """Rise of the mean exact value from the first to the last step."""
    mine = (
        frame.filter(pl.col("variant") == variant(name).name).group_by("step").agg(pl.col("value").mean()).sort("step")
    )
    return float(mine["value"][-1] - mine["value"][0])


@pytest.mark.parametrize("name", names())
def test_every_variant_that_the_fields_allow_walks(name: str) -> None:
    world = ToyLM(["arithmetic", "copy"], prompts=4, vocabulary=6, length=5)
    try:
        trace = trained(world, name, steps=3, seeds=2, measure="full", epochs=2, lr=0.1, group_size=4)
    except LabError as error:
        assert any(words in str(error) for words in ("toy-lm", "reads a world of", "each category has two"))
        return
    assert np.isfinite(trace.frame["value"].to_numpy()).all()
    assert np.isfinite(trace.parameters(name)).all()


@pytest.mark.parametrize("task", ["arithmetic", "brackets", "copy", "reverse", "length", "targets", "tool-call"])
def test_training_raises_the_expected_reward(task: str) -> None:
    chosen = ["grpo", "dr-grpo", "gspo", "dapo", "gdpo", "rloo"]
    frame = trained(ToyLM(task, prompts=4, vocabulary=6, length=5), chosen).frame
    for name in chosen:
        assert gain(frame, name) > 0.2, name


def test_epochs_more_than_one() -> None:
    world = ToyLM("copy", prompts=4, vocabulary=6, length=5)
    frame = trained(world, ["grpo", "gspo"], epochs=3, lr=4.0, measure="full").frame
    assert gain(frame, "grpo") > 0.3
    assert gain(frame, "gspo") > 0.1
    assert frame["clip_share"].max() > 0  # type: ignore[operator]


def test_fast_and_separate_calls_give_one_trace() -> None:
    world = ToyLM(["brackets", "copy"], prompts=4, vocabulary=5, length=5)
    fast = trained(world, ["grpo", "gspo", "dr-grpo"], steps=25).frame
    slow = trained(world, ["grpo", "gspo", "dr-grpo"], steps=25, measure="full").frame.select(fast.columns)
    for column in ("reward", "value", "entropy", "grad_norm", "sign_flip", "no_signal", "advantage_max"):
        left, right = (f[column].fill_null(np.nan).to_numpy() for f in (fast, slow))
        assert np.allclose(left, right, rtol=1e-10, atol=1e-12, equal_nan=True), column


def test_blocks_of_seeds_do_not_matter() -> None:
    world = ToyLM("length", prompts=4, vocabulary=6, length=5)
    whole = trained(world, "grpo", steps=15).parameters("grpo")
    alone = trained(world, "grpo", steps=15, seeds=[2]).parameters("grpo")
    assert np.array_equal(whole[2], alone[0])


def weights(**options: Any) -> tuple[Rollouts, np.ndarray, np.ndarray]:
    world = ToyLM("length", prompts=3, vocabulary=5, length=6)
    moment = Walk(world, variant("grpo", **options), [0], Settings(group_size=6)).look()
    return moment.rollouts, moment.advantage, moment.weights["logp"]


@pytest.mark.parametrize("aggregation", ["token-mean", "seq-mean-token-mean"])
def test_aggregation_shares_by_tokens_or_by_responses(aggregation: str) -> None:
    """Equal weight of every token of the batch, or of every response."""
    rollouts, advantage, w = weights(aggregation=aggregation)
    assert rollouts.mask is not None
    lengths = rollouts.mask.sum(-1)
    assert len(np.unique(lengths)) > 2
    share = 1 / lengths.sum() if aggregation == "token-mean" else 1 / (lengths * lengths.size)
    wanted = (advantage * share)[..., None] * rollouts.mask
    assert np.allclose(w, wanted, atol=1e-15)


def test_nothing_behind_the_end_token_is_weighed() -> None:
    world = ToyLM(["arithmetic", "copy"], prompts=4, vocabulary=6, length=6)
    for name in names(presets=False):
        try:
            moment = Walk(world, variant(name), [0], Settings(group_size=6)).look()
        except LabError:
            continue
        assert moment.rollouts.mask is not None
        assert (moment.weights["logp"][~moment.rollouts.mask] == 0).all(), name


def test_the_overlong_reward_shortens_responses() -> None:
    """Same draws, same rewards but for the penalty: responses end earlier."""
    world = ToyLM("length", prompts=8, vocabulary=4, length=8, logits=[-3.0, 0, 0, 0])
    penalty = {"buffer": 7, "factor": 5.0}
    chosen = [Variant("plain"), Variant("overlong", reward=("overlong", penalty))]
    trace, lengths = trained(world, chosen, lr=100.0, steps=100), {}
    for one in chosen:
        policy = world.init(range(4))
        policy.parameters[...] = trace.parameters(one.name)
        mask = world.rollout(policy, 50, 0).mask
        assert mask is not None
        lengths[one.name] = mask.sum(-1).mean()
    assert lengths["overlong"] < lengths["plain"] - 0.5


class Unknowing:
    """A world that can't know its truth, and has no fast lane."""

    def __init__(self, world: ToyLM) -> None:
        self._world = world

    def __getattr__(self, name: str) -> Any:
        if name in ("stride", "truth", "_world"):
            raise AttributeError(name)
        return getattr(self._world, name)


@pytest.mark.parametrize("measure", ["basic", "full"])
def test_what_needs_an_unknown_truth_is_absent(measure: str) -> None:
    world = ToyLM("copy", prompts=2, vocabulary=4, length=4)
    full = trained(world, "grpo", steps=4, measure=measure, every=2).frame
    less = trained(Unknowing(world), "grpo", steps=4, measure=measure, every=2).frame
    assert set(full.columns) - set(less.columns) == TRUTHS & set(full.columns)
    assert np.allclose(less["reward"].to_numpy(), full["reward"].to_numpy(), atol=1e-12)


def test_by_name_and_settings() -> None:
    world = lab.world("toy-lm", tasks="copy+length", prompts=4, end=-2.0)
    assert isinstance(world, ToyLM)
    assert world.tasks == ("copy", "length")
    assert np.array_equal(world.logits[0, 0, 0], [-2, *[0] * 7])
    assert settings("toy-lm")["vocabulary"] == 8


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tasks": "kopy"}, "tasks='kopy'; it must be one of .*; nearest: 'copy'"),
        ({"tasks": ""}, "tasks=''; it must be one of arithmetic, "),
        ({"tasks": "copy+length", "prompts": 1}, "prompts must be at least 2"),
        ({"vocabulary": 1}, "vocabulary=1; it must be a whole number from 4 to 128"),
        ({"length": 0}, "length=0; it must be a whole number from 4 to 128"),
        ({"end": float("nan")}, "end=nan; it must be a number from -700 to 700"),
        ({"seed": -1}, "seed=-1; it must be a whole number from 0 to "),
    ],
)
def test_worlds_that_cannot_be(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        lab.world("toy-lm", **given)


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(LabError, match="'task'; nearest: 'tasks'"):
        lab.world("toy-lm", task="copy")
