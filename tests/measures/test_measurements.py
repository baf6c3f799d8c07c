"""Every measurement against its definition, in plain Python."""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

import lab
from lab import measures
from lab.errors import InputError, UnknownNameError
from lab.measures import advantage as measured
from lab.measures.gradient import robust_score
from lab.measures.metrics import METRICS, columns, metric
from lab.trace import mean_interval, student_quantile, summarise
from lab.world_registry import world
from simulators import Bandit

RNG = np.random.default_rng(0)
S, P, G = 4, 6, 5
ADVANTAGE = RNG.normal(size=(S, P, G)) * (RNG.random((S, P, G)) < 0.8)
ADVANTAGE[0, 0], ADVANTAGE[1] = 0.0, 0.0
ADVANTAGE[2, 1] = 1e-10  # below what counts as signal
TRUTH = np.where(RNG.random((S, P, G)) < 0.2, 0.0, RNG.normal(size=(S, P, G)))
KEEP = RNG.random((S, P, G)) < 0.7
KEEP[3, 2] = False


def rollouts(run: int, keep: Any) -> Iterator[tuple[int, float, float]]:
    """Prompt, advantage and true advantage of each rollout that takes part."""
    for p, g in itertools.product(range(P), range(G)):
        if keep is None or keep[run, p, g]:
            yield p, ADVANTAGE[run, p, g], TRUTH[run, p, g]


def flips(run: int, keep: Any) -> float:
    pairs = [(a, t) for _, a, t in rollouts(run, keep) if abs(a) > 1e-9 and abs(t) > 1e-12]
    return sum(a * t < 0 for a, t in pairs) / len(pairs) if pairs else math.nan


def silence(run: int, keep: Any) -> float:
    return 1 - len({p for p, a, _ in rollouts(run, keep) if abs(a) > 1e-9}) / P


@pytest.mark.parametrize("keep", [None, KEEP], ids=["all", "some"])
def test_signs_and_silence(keep: Any) -> None:
    expected = np.array([[flips(s, keep), silence(s, keep)] for s in range(S)])
    assert measures.sign_flip_rate(ADVANTAGE, TRUTH, keep) == pytest.approx(expected[:, 0], nan_ok=True)
    assert measures.no_signal_share(ADVANTAGE, keep) == pytest.approx(expected[:, 1])
    reward = RNG.normal(size=(S, P, G))
    row = measured.basic(ADVANTAGE, TRUTH, reward, keep)
    largest = [max((abs(a) for _, a, _ in rollouts(s, keep) if abs(a) > 1e-9), default=0.0) for s in range(S)]
    means = [sum(reward[s].ravel().tolist()) / (P * G) for s in range(S)]
    wanted = dict(
        zip(("sign_flip", "no_signal", "advantage_max", "reward"), (*expected.T, largest, means), strict=True)
    )
    assert row.keys() == wanted.keys()
    for name, values in wanted.items():
        assert row[name] == pytest.approx(values, nan_ok=True), name


def test_sizes_and_spreads() -> None:
    flat = [row.ravel().tolist() for row in ADVANTAGE]
    assert measures.largest_advantage(ADVANTAGE) == pytest.approx([max(map(abs, row)) for row in flat])
    spread = [math.sqrt(sum((a - sum(row) / len(row)) ** 2 for a in row) / len(row)) for row in flat]
    assert measures.advantage_spread(ADVANTAGE) == pytest.approx(spread)


def test_effective_rollouts() -> None:
    """n rollouts of one size count as n, whatever their signs; one of eight that alone is far off counts as a few."""
    assert measures.effective_rollouts(np.array([[[1.0, -1.0, 1.0, -1.0]]])) == pytest.approx([4])
    assert measures.effective_rollouts(np.array([[[3.0, 0, 0, 0]]])) == pytest.approx([1])
    assert measures.effective_rollouts(np.zeros((1, 2, 3))).tolist() == [0.0]
    assert measures.effective_rollouts(np.full((1, 1, 4), 1e-6)) == pytest.approx([4])  # small, and no rounding
    grpo = lab.advantages.compute("grpo", [[1] + [0] * 7], eps=0.0)
    assert measures.effective_rollouts(grpo) == pytest.approx((2 * 7 / 8) ** 2 / (7 / 8))


def test_distinct_levels() -> None:
    groups = np.array([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 2.0], [0.0, 5e-7, 1.0]])
    assert measures.distinct_levels(groups).tolist() == [1, 2, 3, 2]


def test_advantages_per_token_are_averaged_over_valid_tokens() -> None:
    by_token, mask = RNG.normal(size=(2, 3, 4, 5)), RNG.random((2, 3, 4, 5)) < 0.6
    mask[0, 0, 0] = False
    found = measured.per_rollout(by_token, mask)
    for place in np.ndindex(2, 3, 4):
        tokens = by_token[place][mask[place]]
        assert found[place] == pytest.approx(tokens.mean() if tokens.size else 0.0)
    assert measured.per_rollout(by_token).shape == (2, 3, 4)
    assert measured.per_rollout(ADVANTAGE) is ADVANTAGE


def test_gradients() -> None:
    estimate, truth = RNG.normal(size=(5, 2, 3)), RNG.normal(size=(5, 2, 3))
    estimate[1], estimate[2], estimate[3] = 3 * truth[1], -truth[2], 0
    lengths = [math.sqrt(sum(x * x for x in g.ravel().tolist())) for g in estimate]
    assert measures.norm(estimate) == pytest.approx(lengths)
    cosine = measures.cosine(estimate, truth)
    for s in (0, 1, 2, 4):
        inner = sum(a * b for a, b in zip(estimate[s].ravel(), truth[s].ravel(), strict=True))
        assert cosine[s] == pytest.approx(inner / lengths[s] / np.linalg.norm(truth[s]))
    assert math.isnan(cosine[3])
    error = measures.relative_error(estimate, truth)
    assert error[1] == pytest.approx(0, abs=1e-7)
    assert np.isnan(error[[2, 3]]).all()
    for s in np.flatnonzero(cosine > 0):
        along = (estimate[s] * truth[s]).sum() / (truth[s] ** 2).sum() * truth[s]
        assert error[s] == pytest.approx(np.linalg.norm(estimate[s] - along) / np.linalg.norm(along), abs=1e-7)


def median(values: list[float]) -> float:
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def score(values: list[float], t: int, window: int, floor: float) -> float:
    past = [x for x in values[max(t - window, 0) : t] if not math.isnan(x)]
    if t < window or not past or math.isnan(values[t]):
        return math.nan
    middle = median(past)
    scale = 1.4826 * median([abs(x - middle) for x in past]) + floor * abs(middle)
    if scale == 0:
        return math.inf if values[t] > middle else 0.0
    return (values[t] - middle) / scale


@pytest.mark.parametrize("window", [1, 4, 7])
@pytest.mark.parametrize("floor", [0.0, 0.05])
def test_robust_scores(window: int, floor: float) -> None:
    values = np.round(RNG.gamma(1.0, size=40), 1)
    values[[3, 11, 12, 13, 14, 15, 39]] = np.nan
    values[20:30] = 0.0
    expected = [score(values.tolist(), t, window, floor) for t in range(40)]
    assert robust_score(values, window, floor) == pytest.approx(expected, nan_ok=True)


def test_spikes_of_each_run_by_itself() -> None:
    quiet = [1.0 + 0.01 * (t % 3) for t in range(30)]
    frame = pl.DataFrame(
        [
            {"variant": v, "seed": s, "step": t, "grad_norm": 50.0 if (v, s, t) == ("a", 1, 25) else x}
            for v, s in (("b", 0), ("a", 1), ("a", 0))
            for t, x in reversed(list(enumerate(quiet)))
        ]
    )
    marked = measures.spikes(frame, window=10, threshold=6.0)
    assert marked.filter("spike").select("variant", "seed", "step").rows() == [("a", 1, 25)]
    assert marked["score"].null_count() == 3 * 10
    assert marked["step"].to_list() == list(range(30)) * 3
    assert measures.spikes(frame.clear()).is_empty()
    assert measures.spikes(frame.with_columns(grad_norm=pl.lit(2.0)))["spike"].sum() == 0


def test_a_trace_measures_what_its_columns_say() -> None:
    """Every full measurement of one step of one run, from the world's own truth."""
    world = Bandit(RNG.random((3, 4)))
    row = lab.train(world, "mc-grpo", steps=1, seeds=[5], group_size=4, measure="full").frame.row(0, named=True)
    policy, start = world.init([5]), world.init([5])
    drawn = world.rollout(policy, 5, 0)
    made = lab.advantages.credit("mc-grpo", drawn.rewards)
    truth = world.truth(policy, drawn)
    used = np.where(made.keep, made.advantage, 0)
    gradient = world.gradient(policy, drawn, used[..., None] / made.keep.sum())
    expected: dict[str, float] = {
        "reward": drawn.rewards.mean(), "value": truth.value.mean(), "no_signal": 1 - (used != 0).any(-1).mean(),
        "sign_flip": measures.sign_flip_rate(made.advantage, truth.advantage, made.keep)[0],
        "grad_norm": np.linalg.norm(gradient), "advantage_max": np.abs(used).max(), "entropy": math.log(4),
        "cosine": measures.cosine(gradient, truth.gradient)[0], "advantage_std": used.std(), "kept": 0.8,
        "grad_error": measures.relative_error(gradient, truth.gradient)[0], "clip_share": 0.0,
        "levels": measures.distinct_levels(made.advantage).mean(), "kl_start": world.kl(policy, start)[0],
        "effective_rollouts": np.abs(used).sum() ** 2 / (used**2).sum(),
    }  # fmt: skip
    of_others = {"gold", "grad_norm_agent_{n}", "reward_{n}"}  # a bandit has no proxy, agents or named components
    assert set(expected) == set(columns("full")) - of_others
    assert {k: row[k] for k in expected} == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_gradient_norms_of_agents_are_those_of_their_own_calls() -> None:
    """Each agent's norm is that of the gradient from its calls alone, and their squares add up to the whole."""
    agents = world("agents", prompts=3)
    trace = lab.train(agents, "dr-mas", steps=1, seeds=[5], group_size=4, measure="full")
    row = trace.frame.row(0, named=True)
    policy = agents.init([5])
    drawn = agents.rollout(policy, 4, 0)
    fields = {name: getattr(drawn, name) for name in ("agent", "mask", "turn_rewards")}
    a = lab.advantages.compute("dr-mas", drawn.rewards, **fields)
    w = lab.objectives.weights("dr-mas", drawn.logp, a, logp=drawn.logp, agent=drawn.agent, mask=drawn.mask)
    expected = [np.linalg.norm(agents.gradient(policy, drawn, np.where(drawn.agent == n, w, 0))) for n in range(3)]
    found = [row[f"grad_norm_agent_{n}"] for n in range(3)]
    assert found == pytest.approx(expected)
    assert sum(x**2 for x in found) == pytest.approx(row["grad_norm"] ** 2)
    assert "grad_norm_agent_3" not in row


def test_shares_of_clipped_tokens_are_those_of_the_last_epoch() -> None:
    world = Bandit(RNG.random((20, 4)))
    row = lab.train(world, "grpo", steps=1, seeds=[1], epochs=3, lr=20.0, measure="full").frame.row(0, named=True)
    policy = world.init([1])
    drawn = world.rollout(policy, 8, 0)
    advantage = lab.advantages.compute("grpo", drawn.rewards)
    for _ in range(2):
        new = world.log_prob(policy, drawn)
        weights = lab.objectives.weights("ppo_clip", new, advantage, logp=drawn.logp)
        policy.parameters[...] += 20.0 * world.gradient(policy, drawn, weights)
    share = lab.objectives.clip_share("ppo_clip", world.log_prob(policy, drawn), advantage, logp=drawn.logp)
    assert 0 < share < 1
    assert row["clip_share"] == pytest.approx(float(share[0]))


def test_every_metric_is_described_once() -> None:
    table = lab.metrics()
    assert table["name"].to_list() == list(METRICS)
    assert columns("full") == [m.name for m in METRICS.values() if m.level != "asked"]
    assert set(columns("basic")) < set(columns("full"))
    assert columns(None) == []
    assert table.filter(pl.col("definition").str.len_chars() < 10).is_empty()
    assert set(table["better"]) <= {"higher", "lower", ""}
    with pytest.raises(UnknownNameError, match="nearest: 'grad_norm'"):
        metric("gradnorm")


@pytest.mark.parametrize("df", [1, 2, 3, 4, 5, 7, 15, 63, 1000])
def test_student_quantiles(df: int) -> None:
    assert student_quantile(df) == pytest.approx(stats.t.ppf(0.975, df), rel=2e-4)


def test_means_and_their_intervals() -> None:
    values = RNG.normal(size=16)
    interval = stats.t.interval(0.95, 15, loc=values.mean(), scale=stats.sem(values))
    assert mean_interval(values) == pytest.approx((values.mean(), *interval), rel=1e-5)
    for bad in ([1.0], [1.0, math.nan]):
        with pytest.raises(InputError):
            mean_interval(bad)
    frame = pl.DataFrame(
        {"variant": "v", "seed": range(16), "step": 0, "value": values, "sign_flip": [None] * 15 + [1.0]}
    )
    table = {row["metric"]: row for row in summarise(frame).iter_rows(named=True)}
    assert [table["value"][k] for k in ("mean", "low", "high")] == pytest.approx(mean_interval(values))
    assert [table["sign_flip"][k] for k in ("mean", "low", "high", "runs")] == [1.0, None, None, 1]
    assert summarise(frame, ["value", "value"]).equals(summarise(frame, "value"))
    with pytest.raises(UnknownNameError, match="nearest: 'value'"):
        summarise(frame, ["valu"])


def test_names_of_the_package_are_there_and_others_are_not() -> None:
    found: list[Callable[..., Any]] = [getattr(measures, name) for name in measures.__all__]
    assert all(map(callable, found))
    with pytest.raises(AttributeError, match="attribute speed"):
        _ = measures.speed  # type: ignore[attr-defined]
