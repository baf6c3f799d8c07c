"""What every advantage rule does, whoever wrote it."""

import inspect
import math
import re

import numpy as np
import pytest

from lab import advantages
from lab.errors import InputError, LabError
from lab.registry import PROPERTIES, Shape
from tests.rules.cases import NAMES, fields, only, rewards, run

SHAPES = [(3, 4, 1), (1, 4, 1), (3, 2, 1), (2, 5, 2), (1, 2, 1), (7, 8, 3)]

every_rule = pytest.mark.parametrize("name", NAMES)


@every_rule
def test_declared_properties_are_those_that_are_found(name: str) -> None:
    reports = advantages.check(name)
    assert [r.name for r in reports] == list(PROPERTIES)
    assert [
        f"{r.name}: declared {r.declared}, but {r.counterexample or 'it holds'}" for r in reports if not r.agrees
    ] == []


@every_rule
@pytest.mark.parametrize("shape", SHAPES)
def test_advantages_are_finite_float64_and_repeatable(name: str, shape: tuple[int, ...]) -> None:
    values = rewards(*shape)
    advantage = run(name, values)
    assert advantage.dtype == np.float64
    assert advantage.shape[:2] == shape[:2]
    assert advantage.ndim in (2, 3)
    assert np.isfinite(advantage).all()
    assert np.array_equal(advantage, run(name, values))


@every_rule
def test_inputs_are_left_alone_and_may_be_read_only_or_strided(name: str) -> None:
    values, given = rewards(3, 4, 2), fields(name, (3, 4))
    before = values.copy(), {k: v.copy() for k, v in given.items()}
    expected = advantages.compute(name, values, **given)
    for array in (values, *given.values()):
        array.setflags(write=False)
    assert np.array_equal(advantages.compute(name, values, **given), expected)
    assert np.array_equal(values, before[0])
    assert all(np.array_equal(given[k], v) for k, v in before[1].items())
    strided = np.asfortranarray(np.repeat(values, 2, axis=1))[:, ::2]
    assert not strided.flags.c_contiguous
    assert np.array_equal(advantages.compute(name, strided, **given), expected)


@every_rule
def test_every_kind_of_number_is_taken_and_computed_in_float64(name: str) -> None:
    values = np.random.default_rng(1).integers(0, 2, (4, 6, 1))
    expected = run(name, values.astype(np.float64))
    for kind in (np.float32, np.int64, np.int8, np.bool_, np.float16):
        assert np.array_equal(run(name, values.astype(kind)), expected)
    assert np.array_equal(advantages.compute(name, values.tolist(), **fields(name, (4, 6))), expected)
    single = run(name, values, precision="float32")
    assert single.dtype == np.float32
    assert single == pytest.approx(expected, rel=1e-4, abs=1e-4)


@every_rule
def test_runs_side_by_side_are_runs_one_by_one(name: str) -> None:
    """To the last bit: a leading axis S is a loop, and blocks of it are the whole."""
    values, given = rewards(5, 3, 4, 2), fields(name, (5, 3, 4))
    together = advantages.compute(name, values, **given)
    for s in range(5):
        alone = advantages.compute(name, values[s], **{k: v[s] for k, v in given.items()})
        assert np.array_equal(together[s], alone)
    blocks = [
        advantages.compute(name, values[b], **{k: v[b] for k, v in given.items()}) for b in (slice(2), slice(2, 5))
    ]
    assert np.array_equal(together, np.concatenate(blocks))


@every_rule
def test_one_group_is_a_batch_of_one_prompt(name: str) -> None:
    values, given = rewards(1, 6, 1), fields(name, (1, 6))
    alone = advantages.compute(name, values[0, :, 0], **{k: v[0] for k, v in given.items()})
    assert np.array_equal(alone, advantages.compute(name, values, **given)[0])
    assert np.array_equal(alone, advantages.compute(name, values[..., 0], **given)[0])


@every_rule
def test_groups_of_one_rollout_give_numbers_or_say_why_not(name: str) -> None:
    try:
        advantage = run(name, rewards(3, 1, 1))
    except InputError as reason:
        assert "G" in str(reason)
    else:
        assert advantage.shape[:2] == (3, 1)
        assert np.isfinite(advantage).all()


@every_rule
@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1e-3, 1e6, 1e100])
def test_tiny_huge_and_negative_rewards_stay_finite(name: str, scale: float) -> None:
    values = rewards(3, 4, 1) * scale
    given = {"low": -scale, "high": scale} if "low" in advantages.rule(name).options else {}
    for array in (values, -values):
        assert np.isfinite(run(name, array, **given)).all()


@every_rule
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("size", [2, 3, 7, 8])
def test_equal_rewards_give_exactly_nothing_where_a_rule_is_silent(name: str, value: float, size: int) -> None:
    if "silent" in advantages.rule(name).properties:
        assert np.abs(run(name, np.full((3, size, 1), value))).max() == 0.0


@pytest.mark.parametrize("name", [n for n in NAMES if "permutation" in advantages.rule(n).properties])
def test_permuting_rollouts_permutes_their_advantages(name: str) -> None:
    values, given = rewards(3, 5, 1), fields(name, (3, 5))
    order = np.array([3, 0, 4, 1, 2])
    moved = only(given, np.tile(order, (3, 1)))
    expected = advantages.compute(name, values, **given)[:, order]
    assert advantages.compute(name, values[:, order], **moved) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@every_rule
def test_a_weight_of_zero_removes_a_component_and_ones_change_nothing(name: str) -> None:
    values = rewards(4, 5, 2)
    assert np.array_equal(run(name, values, weights=[1.0, 1.0]), run(name, values))
    alone, removed = run(name, values[..., :1]), run(name, values, weights=[1.0, 0.0])
    share = 2 if name == "bnpo" else 1  # the mean over components
    assert removed * share == pytest.approx(alone, rel=1e-12, abs=1e-12)


@every_rule
def test_bounds_are_reached_by_nothing_and_known_where_declared(name: str) -> None:
    rule = advantages.rule(name)
    assert ("bounded" in rule.properties) == (rule.bound is not None)
    if rule.bound is not None:
        outlier = np.zeros((2, 6, 1))
        outlier[:, 0] = 1.0
        assert np.abs(run(name, outlier)).max() <= rule.bound(Shape(2, 6, 1, 4)) * (1 + 1e-9)


@every_rule
def test_the_rule_names_what_it_reads(name: str) -> None:
    rule = advantages.rule(name)
    taken = set(inspect.signature(rule.function).parameters) - {"rewards"}
    assert taken == {*rule.fields, *rule.options}
    assert rule.equation
    assert rule.paper


@every_rule
@pytest.mark.parametrize("shape", [(2, 4, 1), (3, 5, 2), (2, 1, 1)])
def test_the_formula_filled_in_is_true(name: str, shape: tuple[int, ...]) -> None:
    """Every side of every equation sign, read as arithmetic, comes to the advantage, as far as its digits go."""
    values, given = rewards(*shape, seed=3), fields(name, shape[:2])
    try:
        advantage = advantages.compute(name, values, **given)
    except InputError:
        return
    text = advantages.explain(name, values, prompt=1, rollout=shape[1] - 1, **given)
    assert "\n" not in text
    assert "nan" not in text
    value = np.atleast_1d(advantage[1, -1])[0]
    *sides, result = text.rsplit("; ", 1)[-1].split(" = ")
    assert float(result.split(",")[0].replace("−", "-")) == pytest.approx(value, rel=1e-3, abs=1e-12)
    for side in sides:
        term = side.replace("−", "-").replace("·", "*").replace("√", "sqrt")
        if re.fullmatch(r"(sqrt|[-\d.e+*/() ])+", term):
            assert eval(term, {"sqrt": math.sqrt}) == pytest.approx(value, rel=5e-3, abs=5e-3)


def test_errors_are_the_labs_own() -> None:
    assert issubclass(InputError, LabError)
    assert issubclass(InputError, ValueError)
