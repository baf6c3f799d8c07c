"""Whether an objective couples rollouts is tried with every field that the table has, a declared one included."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from lab import objectives
from lab.registry import register
from simulators import Rollouts
from simulators.recorded.world import Recorded
from simulators.records import FIELDS, declare_field


@pytest.fixture
def noise() -> Iterator[None]:
    declare_field("noise", "SPGTD", "noise of each step")
    declare_field("stage", "SPG", "which of two stages", int)
    yield
    del FIELDS["noise"], FIELDS["stage"]


@pytest.mark.usefixtures("noise")
def test_fields_of_ones_own_are_filled_as_they_are_declared(own_rule: Any) -> None:
    seen = []

    @register("objective", "by_noise")
    def by_noise(logp_new: Any, advantage: Any, *, noise: Any, stage: Any, task: Any) -> Any:
        seen.append((noise.shape[:3], noise.dtype.kind, set(stage.ravel().tolist()), stage.dtype.kind, len(task)))
        return advantage[..., None] * noise.mean(axis=-1) * (1 + stage[..., None]) * (1 + task[:, None, None])

    @register("objective", "centred_noise")
    def centred_noise(logp_new: Any, advantage: Any, *, noise: Any) -> Any:
        return advantage[..., None] * (noise - noise.mean(axis=1, keepdims=True)).sum(axis=-1)

    assert not objectives.couples("by_noise") and objectives.couples("centred_noise")
    assert seen == [((2, 4, 3), "f", {0, 1}, "i", 2), ((8, 1, 3), "f", {0, 1}, "i", 8)]


def test_recorded_rollouts_provide_every_field_that_was_written_down() -> None:
    drawn = {"rewards": np.zeros((1, 2, 3, 1)), "actions": np.zeros((1, 2, 3, 4), int), "logp": np.zeros((1, 2, 3, 4))}
    more = {"turn": drawn["actions"], "greedy_rewards": np.zeros((1, 2, 1)), "mask": drawn["actions"] == 0}
    assert Recorded(Rollouts(**drawn)).provides == ()
    assert set(Recorded(Rollouts(**drawn, **more)).provides) == {"turn", "greedy_rewards"}
    assert (FIELDS["turn"].kind, FIELDS["mask"].kind, FIELDS["lengths"].kind) == (int, bool, float)
