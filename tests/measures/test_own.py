"""A measurement of one's own is one of the lab's: in traces, lists and configurations."""

from collections.abc import Iterator

import numpy as np
import pytest

import lab
from lab.config import Config
from lab.errors import InputError
from lab.measures.metrics import METRICS, OWN
from simulators import Bandit

WORLD = Bandit([[0.2, 0.5, 0.8]])


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    for name in list(OWN):
        del OWN[name], METRICS[name]


def test_it_is_measured_and_listed() -> None:
    @lab.measurement("best", label="best reward", unit="reward", better="higher")
    def best(moment, policy, world):
        """The largest reward of the batch."""
        return moment.rewards.max(axis=(1, 2, 3))

    trace = lab.train(WORLD, "grpo", steps=4, seeds=3, measure=["reward", "best"])
    assert trace.frame.columns == ["variant", "seed", "step", "reward", "best"]
    assert set(trace.frame["best"]) <= {0.0, 1.0}
    assert np.array_equal(trace.frame["best"] > 0, trace.frame["reward"] > 0)
    row = lab.metrics().filter(name="best").row(0, named=True)
    assert (row["label"], row["unit"], row["better"]) == ("best reward", "reward", "higher")
    assert row["definition"] == "The largest reward of the batch."
    assert Config(variants="grpo", measure=["best"]).measure == ["best"]
    assert "best" not in lab.train(WORLD, "grpo", steps=1, seeds=1, measure="full").frame.columns


def test_a_wrong_shape_or_name_is_said() -> None:
    lab.measurement("wrong")(lambda moment, policy, world: moment.rewards)
    with pytest.raises(InputError, match=r"'wrong' returned shape \(2, 1, 8, 1\); .* each run, shape \(2,\)"):
        lab.train(WORLD, "grpo", steps=1, seeds=2, measure=["wrong"])
    for name in ("value", "a b", "step"):
        with pytest.raises(InputError, match="a name that is not taken"):
            lab.measurement(name)
