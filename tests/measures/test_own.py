"""A measurement is declared beside its function: the lab's, a user's and a world's own, as many as the world has."""

from collections.abc import Iterator

import numpy as np
import pytest
from polars.testing import assert_frame_equal

import lab
from lab.config import Config
from lab.errors import InputError, UnknownNameError
from lab.measures.metrics import METRICS, columns, known, metric
from simulators import Agents, Bandit
from simulators.agents.tasks import Orchestra
from simulators.stride import MEASURES

WORLD = Bandit([[0.2, 0.5, 0.8]])
OF_THE_LAB = dict(METRICS)


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    METRICS.clear()
    METRICS.update(OF_THE_LAB)


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
    with pytest.raises(InputError, match=r"'wrong' returned shape \(2,.*\); .* each run, shape \(2,\)"):
        lab.train(WORLD, "grpo", steps=1, seeds=2, measure=["wrong"])
    for name in ("value", "a b", "step", "reward_7", "grad_norm_agent_0"):
        with pytest.raises(InputError, match="a name that is not taken"):
            lab.measurement(name)(lambda moment: moment.rewards[:, 0, 0, 0])
    with pytest.raises(UnknownNameError, match=r"'odd' reads, 'moments'; nearest: 'moment'"):
        lab.measurement("odd")(lambda moments: moments)
    with pytest.raises(InputError, match=r"each='heads'; it must be one of agents, components"):
        lab.measurement("head_{n}", each="heads")(lambda moment, n: moment)
    assert not known("odd")


def test_a_basic_one_of_ones_own_has_its_column_and_the_labs_keep_theirs() -> None:
    before = lab.train(WORLD, "grpo", steps=6, seeds=3).frame
    assert before.columns[3:] == list(MEASURES)
    lab.measurement("spread", level="basic")(lambda used: used.std(axis=(1, 2)))
    after = lab.train(WORLD, "grpo", steps=6, seeds=3, measure="basic").frame
    assert after.columns[3:] == [*MEASURES, "spread"]
    assert_frame_equal(after.drop("spread"), before, rel_tol=1e-12)
    full = lab.train(WORLD, "grpo", steps=6, seeds=3, measure="full").frame
    assert np.allclose(full["spread"], full["advantage_std"], rtol=1e-12)


def test_a_world_has_a_measurement_of_its_own_by_a_method_that_no_other_has() -> None:
    class Casino(Bandit):
        name = "casino"

        def losses(self, policy):
            return 1 - self.truth(policy, self.rollout(policy, 2, 0), gradient=False).value.mean(axis=-1)

    lab.measurement("losses", level="full", needs="losses")(lambda world, policy: world.losses(policy))
    own = lab.train(Casino([[0.2, 0.5, 0.8]]), "grpo", steps=3, seeds=2, measure="full").frame
    assert np.allclose(own["losses"], 1 - own["value"])
    assert "losses" not in lab.train(WORLD, "grpo", steps=3, seeds=2, measure="full").frame.columns


def test_every_component_and_every_agent_has_its_column() -> None:
    heads = Bandit(np.linspace(0.1, 0.9, 18).reshape(1, 6, 3))
    heads.components = tuple("abcdef")
    frame = lab.train(heads, "grpo", steps=2, seeds=2, measure="full").frame
    parts = [f"reward_{k}" for k in range(1, 7)]
    assert [c for c in frame.columns if c in parts] == parts
    assert np.allclose(frame.select(parts).sum_horizontal(), frame["reward"])

    follow = np.eye(5, 7, k=1)[:, None].repeat(2, axis=1)  # one after the other; the last one's call counts
    follow[4, 1] = np.eye(7)[6]
    chain = Orchestra("chain", tuple("abcde"), np.arange(5), follow)
    five = Agents(chain, skill=np.linspace(0.2, 0.8, 30).reshape(2, 5, 3))
    found = lab.train(five, "dr-mas", steps=2, seeds=2, group_size=4, measure="full").frame
    norms = [f"grad_norm_agent_{n}" for n in range(5)]
    assert [c for c in found.columns if c in norms] == norms
    assert np.allclose(sum(found[c] ** 2 for c in norms), found["grad_norm"] ** 2)
    asked = lab.train(five, "dr-mas", steps=1, seeds=1, group_size=4, measure=["grad_norm_agent_4", "reward"]).frame
    assert asked.columns[3:] == ["reward", "grad_norm_agent_4"]
    every = lab.train(five, "dr-mas", steps=1, seeds=1, group_size=4, measure=["grad_norm_agent_{n}"]).frame
    assert every.columns[3:] == norms


def test_names_of_agents_and_components() -> None:
    assert metric("reward_12").label == "reward component 12"
    assert metric("grad_norm_agent_4").definition.startswith("Euclidean norm of the part of the estimate that moves a")
    assert columns(["reward_10", "reward_2", "value"]) == ["value", "reward_2", "reward_10"]
    for wrong in ("reward_0", "reward_01", "grad_norm_agent_-1", "reward_"):
        with pytest.raises(UnknownNameError):
            metric(wrong)
