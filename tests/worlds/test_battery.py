"""The battery for worlds: all worlds of the lab pass it, and each check catches a world that is broken in its way."""

import threading
from dataclasses import replace

import numpy as np
import pytest

import lab
from lab.errors import InputError, UnknownNameError
from lab.world_registry import declaration, names
from simulators import Bandit
from simulators.records import Policy

SMALL = {
    "small-lm": {"layers": 1, "width": 8, "heads": 1, "accuracy": 0.0, "prompts": 2},
    "learned-reward": {"comparisons": 64, "prompts": 2},
    "flow": {"width": 8, "pretraining": 0, "prompts": 2, "denoising": 3},
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if declaration(n).heavy else n for n in names()]
)
def test_every_world_keeps_its_promises(name):
    if declaration(name).extra:
        pytest.importorskip("torch", exc_type=ImportError)
    report = lab.check_world(lab.world(name, **SMALL.get(name, {})))
    assert report.holds, report
    assert report.table["name"].to_list()[:3] == ["shapes", "fields", "seeds"]
    assert report.table["holds"].drop_nulls().all() and report.table["holds"].drop_nulls().len() >= 7


class Shape(Bandit):
    """Rewards of one component without their axis."""

    def rollout(self, *given, **more):
        r = super().rollout(*given, **more)
        return replace(r, rewards=r.rewards[..., 0])


class Fields(Bandit):
    """Promises a field that it never fills."""

    provides = ("greedy_rewards", "lengths")

    def rollout(self, policy, group_size, step, *, attempt=0, fields=()):
        return super().rollout(policy, group_size, step, attempt=attempt, fields=[f for f in fields if f != "lengths"])


class Deaf(Bandit):
    """Gives every seed the same numbers."""

    def init(self, seeds):
        policy = super().init(seeds)
        return Policy(policy.parameters, np.zeros_like(policy.seeds))


class Negative(Bandit):
    """Takes a seed below 0 for one from above."""

    def init(self, seeds):
        return super().init(np.abs(seeds))


class Crowded(Bandit):
    """Gives other rewards in a thread than outside of one."""

    def rollout(self, policy, group_size, step, *, attempt=0, fields=()):
        r = super().rollout(policy, group_size, step, attempt=attempt, fields=fields)
        outside = threading.current_thread() is not threading.main_thread()
        return replace(r, rewards=1 - r.rewards) if outside else r


class Counting(Bandit):
    """Counts its steps by itself, so that a run that is taken up again goes another way."""

    def rollout(self, policy, group_size, step, *, attempt=0, fields=()):
        policy.memo["drawn"] = policy.memo.get("drawn", 0) + 1
        return super().rollout(policy, group_size, 1000 * policy.memo["drawn"], attempt=attempt, fields=fields)


class Other(Bandit):
    """Says another log-probability than the one that it sampled with."""

    def log_prob(self, policy, rollouts):
        return super().log_prob(policy, rollouts) - 0.01


class Unnormalised(Bandit):
    """Its log-probabilities are logits."""

    def log_prob(self, policy, rollouts):
        return super().log_prob(policy, rollouts) - 0.5

    def rollout(self, *given, **more):
        r = super().rollout(*given, **more)
        return replace(r, logp=r.logp - 0.5)


class Biased(Bandit):
    """Samples by flatter probabilities than it says."""

    def rollout(self, policy, group_size, step, *, attempt=0, fields=()):
        flat = Policy(np.zeros_like(policy.parameters), policy.seeds)
        r = super().rollout(flat, group_size, step, attempt=attempt, fields=fields)
        return replace(r, logp=self.log_prob(policy, r))


class Halved(Bandit):
    """Half of the gradient."""

    def gradient(self, policy, rollouts, weights):
        return super().gradient(policy, rollouts, weights) / 2


class Boasting(Bandit):
    """A truth that lies above the rewards."""

    def truth(self, *given, **more):
        truth = super().truth(*given, **more)
        return replace(truth, value=truth.value + 0.2)


class Astray(Bandit):
    """A true gradient of the sum over prompts in place of the mean."""

    def truth(self, *given, **more):
        truth = super().truth(*given, **more)
        return truth if truth.gradient is None else replace(truth, gradient=truth.gradient * self.prompts)


class Distant(Bandit):
    """A KL that is no distance."""

    def kl(self, policy, other):
        return super().kl(policy, other) + 0.1


@pytest.mark.parametrize(
    ("broken", "check", "said"),
    [
        (Shape, "shapes", "not [S, P, G, K]"),
        (Fields, "fields", "lengths is not filled"),
        (Deaf, "seeds", "give the same rollouts"),
        (Negative, "seeds", "seed -1 is taken"),
        (Crowded, "threads", "rewards is another one in threads"),
        (Counting, "resume", "is taken up again"),
        (Other, "log-probability", "differ by 0.01"),
        (Unnormalised, "sum to one", "add up to 0.606"),
        (Biased, "sampling", "times, not about"),
        (Halved, "gradient", "differences say"),
        (Boasting, "true value", "beside the truth"),
        (Astray, "true gradient", "differences say"),
        (Distant, "entropy and KL", "KL to itself is 0.1"),
    ],
)
def test_each_check_catches_a_world_that_is_broken_in_its_way(broken, check, said):
    report = lab.check_world(broken(success=[[0.1, 0.9, 0.4], [0.3, 0.2, 0.8]], logits=[0.0, 1.5, -1.0]))
    found = {row["name"]: row for row in report.table.iter_rows(named=True)}
    assert found[check]["holds"] is False and said in found[check]["found"], report
    assert not report.holds and "FAILS" in repr(report) and found[check]["promise"] in repr(report)


def test_the_world_that_was_broken_in_those_ways_is_whole():
    report = lab.check_world(Bandit(success=[[0.1, 0.9, 0.4], [0.3, 0.2, 0.8]], logits=[0.0, 1.5, -1.0]))
    assert report.holds and "all holds" in repr(report), report


def test_what_is_no_world_is_refused():
    with pytest.raises(InputError, match="it must be a world"):
        lab.check_world(3)
    with pytest.raises(UnknownNameError, match="nearest: 'bandit'"):
        lab.check_world("bandid")
