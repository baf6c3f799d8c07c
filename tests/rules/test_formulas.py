"""Every rule against its definition, written in plain Python with one loop per sum."""

import math
from collections.abc import Callable
from itertools import product
from statistics import fmean, median_low, stdev
from typing import Any

import numpy as np
import pytest

from lab import advantages
from lab.advantages.statistics import RESOLUTION, whiten_tokens
from tests.rules.cases import TOKENS, Array, fields, rewards

Group = list[float]
Batch = list[list[float]]


def centred(group: Group) -> Group:
    return [r - fmean(group) for r in group]


def grpo(group: Group, eps: float = 1e-4) -> Group:
    return [d / (stdev(group) + eps) for d in centred(group)]


def leave_one_out(group: Group) -> Group:
    out = []
    for i, r in enumerate(group):
        others = group[:i] + group[i + 1 :]
        spread = stdev(others) if len(others) > 1 else 0.0
        out.append((r - fmean(others)) / (spread + 1e-6 if spread else 1))
    return out


def rloo(group: Group) -> Group:
    return [r - fmean(group[:i] + group[i + 1 :]) for i, r in enumerate(group)]


def passk(group: Group) -> Group:
    best, second = sorted(group)[-1:-3:-1]
    return [(best - second) / (stdev(group) + 1e-6) if r == best else 0.0 for r in group]


def mc_grpo(group: Group) -> Group:
    middle = median_low(group)
    mad = median_low([abs(r - middle) for r in group])
    return [(r - middle) / (mad + 1e-3) for r in group]


def mc_grpo_gsm(group: Group) -> Group:
    plain = mc_grpo(group)
    return [a * len(group) / max(sum(abs(b) > 1e-6 for b in plain), 1) for a in plain]


def ngrpo(group: Group) -> Group:
    virtual = [*group, 1.0]
    return [(r - fmean(virtual)) / (stdev(virtual) + 1e-6) for r in group]


BY_GROUP: dict[str, Callable[[Group], Group]] = {
    "grpo": grpo,
    "grpo_leave_one_out": leave_one_out,
    "dr_grpo": centred,
    "rloo": rloo,
    "grpo_passk": passk,
    "mc-grpo": mc_grpo,
    "mc-grpo@gsm": mc_grpo_gsm,
    "mc-grpo-control": grpo,
    "ngrpo": ngrpo,
    "psr": list,
    "nsr": lambda group: [r - 1 for r in group],
    "w-reinforce": lambda group: [0.1 * r if r > 0 else -1.0 for r in group],
}


@pytest.mark.parametrize("name", BY_GROUP)
@pytest.mark.parametrize("size", [2, 3, 5, 8])
def test_rules_of_one_group(name: str, size: int) -> None:
    values = np.concatenate([rewards(20, size), np.random.default_rng(1).normal(size=(20, size)), np.ones((1, size))])
    expected = [BY_GROUP[name](group) for group in values.tolist()]
    assert advantages.compute(name, values) == pytest.approx(np.array(expected), rel=1e-12, abs=1e-12)


def whiten(values: Batch, counts: list[list[int]]) -> Batch:
    """(x − μ)/√(σ² + 1e−8) over tokens, each rollout's value standing on every token that it has."""
    tokens = [x for row, n in zip(values, counts, strict=True) for x, k in zip(row, n, strict=True) for _ in range(k)]
    mean = sum(tokens) / (len(tokens) + 1e-8)
    variance = sum((x - mean) ** 2 for x in tokens) / (len(tokens) + 1e-8) * len(tokens) / (len(tokens) - 1)
    return [[(x - mean) / math.sqrt(variance + 1e-8) for x in row] for row in values]


def test_whitening_has_its_small_numbers_where_they_belong() -> None:
    """To more digits than 1e-8 leaves alone; in units of reward that are as small."""
    values, counts = [[0.0, 3e-4], [1e-4, 5e-4]], [[1, 2], [3, 1]]
    found = whiten_tokens(np.array(values), np.array(counts))
    assert found == pytest.approx(np.array(whiten(values, counts)), rel=1e-11)


def gpg(batch: Batch) -> Batch:
    flat = [r for group in batch for r in group]
    factor = len(flat) / max(sum(r != 0 for r in flat), 1)
    return [[factor * d for d in centred(group)] for group in batch]


def batch_scale(batch: Batch) -> Batch:
    spread = stdev([r for group in batch for r in group])
    return [[d / (spread + 1e-4) for d in centred(group)] for group in batch]


def bnpo(batch: Batch) -> Batch:
    rates = [fmean(group) for group in batch]
    m, v = fmean(rates), stdev(rates) ** 2
    alpha, beta = (max(1.0, 1 + (m * (1 - m) / v - 1) * x / 3) for x in (m, 1 - m))
    norm = math.exp(math.lgamma(alpha) + math.lgamma(beta) - math.lgamma(alpha + beta))

    def weight(p: float) -> float:
        density = p ** (alpha - 1) * (1 - p) ** (beta - 1) / norm
        return min(1 / density, 1e6) if density else 1e6

    return [[weight(p) * (r - p) for r in group] for p, group in zip(rates, batch, strict=True)]


@pytest.mark.parametrize(("name", "rule"), [("gpg", gpg), ("grpo@trl-batch", batch_scale), ("bnpo", bnpo)])
@pytest.mark.parametrize("seed", range(5))
def test_rules_of_a_batch(name: str, rule: Callable[[Batch], Batch], seed: int) -> None:
    values = rewards(6, 5, seed=seed)
    assert advantages.compute(name, values) == pytest.approx(np.array(rule(values.tolist())), rel=1e-10, abs=1e-12)


def decoupled(batch: Array, weights: list[float], eps: float) -> Batch:
    out = np.zeros(batch.shape[:2])
    for p, k in product(range(batch.shape[0]), range(batch.shape[2])):
        group = batch[p, :, k].tolist()
        if max(group) > min(group):
            out[p] += weights[k] * np.array(grpo(group, eps))
    return out.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_gdpo(seed: int) -> None:
    values, weights = rewards(5, 4, 3, seed=seed), [1.0, 0.5, 2.0]
    summed = decoupled(values, weights, 1e-4)
    flat = [a for row in summed for a in row]
    expected = [[(a - fmean(flat)) / (stdev(flat) + 1e-4) for a in row] for row in summed]
    assert advantages.compute("gdpo", values, weights=weights) == pytest.approx(np.array(expected), abs=1e-12)
    assert advantages.compute("gdpo@no-batch-norm", values, weights=weights) == pytest.approx(
        np.array(summed), abs=1e-12
    )
    mask = fields("gdpo@verl", (5, 4))["mask"]
    by_token = whiten(decoupled(values, weights, 1e-6), mask.sum(-1).tolist())
    found = advantages.compute("gdpo@verl", values, weights=weights, mask=mask)
    assert found == pytest.approx(np.array(by_token), abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_rules_that_count_tokens(seed: int) -> None:
    values, mask = rewards(4, 3, seed=seed), fields("opo", (4, 3), seed)["mask"]
    lengths = mask.sum(-1)
    opo = [
        [r - sum(n * x for n, x in zip(row, group, strict=True)) / sum(row) for r in group]
        for group, row in zip(values.tolist(), lengths.tolist(), strict=True)
    ]
    assert advantages.compute("opo", values, mask=mask) == pytest.approx(np.array(opo), abs=1e-12)
    baseline = whiten([centred(group) for group in values.tolist()], lengths.tolist())
    found = advantages.compute("reinforce_pp_baseline", values, mask=mask)
    assert found == pytest.approx(np.array(baseline), abs=1e-9)


@pytest.mark.parametrize("gamma", [1.0, 0.9])
def test_rules_per_token(gamma: float) -> None:
    """A return at a token is what its reward on the last valid token is worth there; gaps in the mask are no steps."""
    values, mask = rewards(3, 4), np.random.default_rng(3).random((3, 4, TOKENS)) < 0.7
    mask[..., 0] = True
    returns = np.zeros(mask.shape)
    for (p, g, t), valid in np.ndenumerate(mask):
        if valid:
            returns[p, g, t] = values[p, g] * gamma ** mask[p, g, t + 1 :].sum()
    tokens = returns[mask]
    variance = np.var(tokens, ddof=1)
    expected = np.where(mask, (returns - tokens.mean()) / math.sqrt(variance + 1e-8), 0)
    found = advantages.compute("reinforce_pp", values, mask=mask, gamma=gamma)
    assert found == pytest.approx(expected, abs=1e-7)
    greedy = [0.25, 0.5, 1.0]
    plain = np.where(mask, values[..., None] - np.array(greedy)[:, None, None], 0)
    assert advantages.compute("remax", values, mask=mask, greedy_rewards=greedy) == pytest.approx(plain)


def test_a_group_of_one() -> None:
    one = [[0.5], [2.0]]
    table: dict[str, list[float]] = {
        "grpo": [0, 0], "grpo@verl": [0.5 / (1 + 1e-6), 2 / (1 + 1e-6)], "grpo@trl": [0, 0], "dr_grpo": [0, 0],
        "dr_grpo@verl": [0.5, 2], "rloo": [0.5, 2], "opo": [0.5, 2], "gpg@verl": [0.5, 2], "gdpo@nemo-rl": [0, 0],
        "ngrpo": [0.5 / (1 + 1e-6), 2 / (1 + 1e-6)], "mc-grpo": [0, 0], "grpo_leave_one_out": [0, 0],
    }  # fmt: skip
    for name, expected in table.items():
        assert advantages.compute(name, one)[:, 0] == pytest.approx(expected, rel=1e-12), name


@pytest.mark.parametrize("name", [n for n in advantages.names() if "silent" in advantages.rule(n).properties])
def test_rewards_that_differ_by_rounding_are_equal(name: str) -> None:
    """0.1 + 0.2 is not 0.3 in floating point, and teaches nothing all the same."""
    values = np.array([[0.3, 0.1 + 0.2, 0.3, 0.3], [0.3, 0.3, 0.3, 0.3 - 1e-16]])
    given: dict[str, Any] = fields(name, (2, 4))
    assert np.abs(advantages.compute(name, values, **given)).max() < 1e-9
    assert abs(values[0, 1] - 0.3) < RESOLUTION


def test_float32_shows_what_trainers_do() -> None:
    """Seven equal rewards of 0.1 get advantages of one sign in float32, and none here."""
    equal = [0.1] * 7
    single = advantages.compute("grpo@verl", equal, precision="float32")
    assert (single < -1e-3).all()
    assert np.abs(advantages.compute("grpo@verl", equal)).max() == 0.0


def test_what_frameworks_make_of_nearly_equal_rewards() -> None:
    values = [0.5, 0.5001, 0.5, 0.5]
    largest = {name: advantages.compute(name, values).max() for name in advantages.names() if name.startswith("grpo@")}
    expected = {"grpo@trl": 0.50, "grpo@verl": 1.47, "grpo@openrlhf": 1.50, "grpo@rlhf-book": 1.50,
                "grpo@nano-aha-moment": 0.52, "grpo@grpo-zero": 0.52, "grpo@grpo-advantage": 1.73}  # fmt: skip
    assert {name: round(float(largest[name]), 2) for name in expected} == expected


@pytest.mark.parametrize("ddof", [0, 1])
def test_the_deviation_of_the_batch_takes_its_degrees_of_freedom(ddof: int) -> None:
    """Rewards 0, 2 | 0, 6 have the mean 2 and squares about it that add up to 24: deviation √(24/4) or √(24/3)."""
    found = advantages.compute("grpo", [[0.0, 2.0], [0.0, 6.0]], scale="batch", ddof=ddof, eps=0.5)
    spread = np.sqrt(24 / (4 - ddof)) + 0.5
    assert found == pytest.approx(np.array([[-1, 1], [-3, 3]]) / spread, rel=1e-12)


def test_groups_without_a_spread_need_no_case_of_their_own() -> None:
    level = [[0.1 + 0.2] * 3, [0.7] * 3]
    mask = np.ones((2, 3, 4))
    mask[0, 1, 2:] = 0
    for name, given in (("opo", {"mask": mask}), ("grpo_passk", {})):
        assert np.abs(advantages.compute(name, level, **given)).max() < 1e-15, name
    best = advantages.compute("grpo_passk", [[np.nan, 0.5], [np.nan, np.nan]], missing="skip")
    assert best.tolist() == [[0, 0], [0, 0]]
