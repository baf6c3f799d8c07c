"""What is found in rewards, each threshold at its edge, in small logs made by hand."""

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import lab
from lab.logs import Finding
from lab.logs.findings import contract
from tests.logs.logs import write_log

Found = Callable[..., Finding | None]


@pytest.fixture
def found(tmp_path: Path) -> Found:
    """`found(kind, rewards, thresholds, **options)` writes a log into a folder of its own and asks one check."""
    folders = (tmp_path / str(i) for i in itertools.count())

    def of(kind: str, rewards: Any = None, thresholds: Any = None, **options: Any) -> Finding | None:
        log = lab.load(write_log(next(folders), rewards, **options), group_size=np.shape(rewards)[2])
        return contract.checks()[kind].run(lab.diagnose(log, []), **(thresholds or {}))

    return of


def texts(*given: str) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Completions of a step, again and again in this order."""
    return lambda frame: frame.with_columns(completion=pl.Series([given[i % len(given)] for i in range(frame.height)]))


def by_step(*given: Any) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Columns of each step: one dictionary for each, with lists of the step's rows."""
    return lambda frame: frame.with_columns(pl.Series(n, v) for n, v in given[frame["step"][0] - 1].items())


def sentence(finding: Finding | None) -> str:
    assert finding is not None
    if finding.evidence:
        figure = getattr(lab.figures, finding.evidence.figure)
        assert figure(finding.evidence.frame, **finding.evidence.options).data
    return str(finding)


def spread(steps: int = 1, prompts: int = 8, size: int = 8) -> np.ndarray:
    """Rewards of 0, 1/7, ... 1 in each group [S, P, G, 1]."""
    return np.tile(np.linspace(0, 1, size)[:, None], (steps, prompts, 1, 1))


PROMPTS = "abcdefgh"


@pytest.mark.parametrize(("value", "seen"), [(20.9, False), (21.1, True), (-19.9, False), (-20.1, True)])
def test_an_outlier_at_the_edge(found: Found, value: float, seen: bool) -> None:
    rewards = spread()
    rewards[0, 3, 2, 0] = value
    finding = found("rewards.outlier", rewards, prompts=PROMPTS)
    assert (finding is not None) is seen
    if finding:
        assert f"1 of 64 rewards are far from all others (score): {value:g} in step 1, group 3, rollout 2" in str(
            finding
        )
        assert finding.rows.row(0) == (1, 3, 2, "score", value)
        assert (finding.severity, finding.share, finding.first_step) == ("warning", 1 / 64, 1)


def test_a_rare_success_is_no_outlier(found: Found) -> None:
    rewards = np.zeros((1, 8, 8, 1))
    rewards[0, 0, 0] = 1.0
    assert found("rewards.outlier", rewards, prompts=PROMPTS) is None
    assert found("rewards.outlier", np.array([[[[0.0], [1.0], [2.0], [1e6]]]]), prompts="a") is None, "too few to tell"


@pytest.mark.parametrize(("gone", "severity"), [(1, "note"), (15, "note"), (16, "warning")])
def test_missing_rewards_at_the_edge(found: Found, gone: int, severity: str) -> None:
    rewards = spread()
    rewards.reshape(-1)[-gone:] = np.nan
    finding = found("rewards.missing", rewards, prompts=PROMPTS)
    assert f"{gone} of 64 rollouts ({gone / 64:.1%}) have no reward" in sentence(finding)
    assert finding is not None and (finding.severity, finding.rows.height) == (severity, gone)


def test_a_mean_reward_that_is_nan(found: Found) -> None:
    state = {"log_history": [{"step": s, "reward": float("nan") if s > 2 else 0.5} for s in (1, 2, 3, 4)]}
    finding = found("rewards.missing", spread(), prompts=PROMPTS, state=state)
    assert sentence(finding) == "The mean reward is nan in 2 of 4 steps, first in step 3."
    assert finding is not None and (finding.severity, finding.share, finding.first_step) == ("alarm", 0.5, 3)
    assert found("rewards.missing", spread(), prompts=PROMPTS) is None


def test_infinite_rewards(found: Found) -> None:
    here = (pl.col("step") == 2) & (pl.int_range(pl.len()) // 2 == 10)
    infinite = pl.when(here).then(pl.lit(np.inf)).otherwise("score").alias("score")
    finding = found("rewards.missing", spread(2), prompts=PROMPTS, columns=lambda f: f.with_columns(infinite))
    assert sentence(finding) == "2 rewards of 128 rollouts are infinite, first in step 2."
    assert finding is not None and finding.severity == "alarm"
    assert finding.rows.select("step", "group", "rollout", "value").rows() == [(2, 2, 4, "inf"), (2, 2, 5, "inf")]


def parts(fall: float) -> np.ndarray:
    """Nine steps in which one part rises by 0.6 and the other falls by `fall`; both are spread by 1/7 ... 1."""
    rewards = np.repeat(spread(9), 2, axis=-1)
    along = np.repeat([0.0, 0.5, 1.0], 3)[:, None, None]
    rewards[..., 0] += 0.6 * along
    rewards[..., 1] -= fall * along
    return rewards


@pytest.mark.parametrize(("fall", "seen"), [(0.07, False), (0.12, True)])
def test_a_part_that_falls_while_another_rises(found: Found, fall: float, seen: bool) -> None:
    finding = found("rewards.parts", parts(fall), names=("format", "answer"), prompts=PROMPTS)
    assert (finding is not None) is seen
    if finding:
        assert sentence(finding).startswith("format rises while answer falls")
        assert f"answer from 0.5 to {0.5 - fall:.4g}" in str(finding)
        assert finding.severity == "warning"
    few = found("rewards.parts", parts(0.4)[[0, 4, 8]], names=("format", "answer"), prompts=PROMPTS)
    assert "answer from 0.5 to 0.1" in sentence(few), "of three steps the groups tell"
    assert found("rewards.parts", parts(0.4)[:1], names=("format", "answer"), prompts=PROMPTS) is None


def long_paid(pay: float, growth: float) -> tuple[np.ndarray, list[dict[str, list[str]]]]:
    """Six steps whose texts grow in all by `growth`; the rewards go along with the length within groups by `pay`."""
    rng = np.random.default_rng(0)
    letters = np.tile(np.arange(8), 8)
    steps, columns = [], []
    for step in range(6):
        noise = rng.permuted(np.tile(np.arange(8.0), (8, 1)), axis=1).ravel()
        steps.append((pay * letters + (1 - pay) * noise).reshape(8, 8, 1) / 7 + step)
        longer = round(100 * (1 + growth * (step >= 2)))
        columns.append({"completion": ["x" * (longer + int(n)) for n in letters]})
    return np.array(steps), columns


@pytest.mark.parametrize(("pay", "growth", "seen"), [(0.5, 0.5, True), (0.0, 0.5, False), (0.5, 0.15, False)])
def test_length_that_is_paid(found: Found, pay: float, growth: float, seen: bool) -> None:
    rewards, columns = long_paid(pay, growth)
    finding = found("rewards.length", rewards, prompts=PROMPTS, columns=by_step(*columns))
    assert (finding is not None) is seen
    if finding:
        assert "Longer responses are paid more within groups" in sentence(finding)
        assert finding.severity == "warning"
        strict = {"correlation": 0.99}
        assert found("rewards.length", rewards, strict, prompts=PROMPTS, columns=by_step(*columns)) is None
    assert found("rewards.length", rewards[::-1], prompts=PROMPTS, columns=by_step(*columns)) is None, "it pays no more"


def gamed(share: int, size: int = 64) -> dict[str, list[Any]]:
    """A step in which `share` of 64 rollouts say one thing and are paid 1; the others say their own, for 0 or 1."""
    said = ["I agree." if i < share else f"text {i}" for i in np.random.default_rng(1).permutation(size)]
    return {"completion": said, "score": [1.0 if s == "I agree." else float(i % 2) for i, s in enumerate(said)]}


@pytest.mark.parametrize(("late", "severity"), [(31, None), (32, "warning"), (47, "warning"), (48, "alarm")])
def test_one_completion_for_everything_at_the_edge(found: Found, late: int, severity: str | None) -> None:
    steps = by_step(gamed(4), gamed(16), gamed(late))
    finding = found("rewards.identical", spread(3), prompts=PROMPTS, columns=steps)
    assert (finding and finding.severity) == severity
    if finding:
        assert f"{late / 64:.1%} of the completions are one and the same, 'I agree.'" in sentence(finding)
        assert "given to 8 prompts and paid 1 on average (the others 0." in str(finding)
        assert (finding.first_step, finding.rows.height) == (1, 4 + 16 + late)


def test_one_completion_that_is_no_gaming(found: Found) -> None:
    rising = by_step(gamed(4), gamed(16), gamed(64))
    assert found("rewards.identical", spread(3), prompts=PROMPTS, columns=rising) is not None
    assert found("rewards.identical", spread(3), prompts="aabb" * 2, columns=rising) is None, "two prompts only"
    constant = by_step(gamed(60), gamed(60), gamed(64))
    assert found("rewards.identical", spread(3), prompts=PROMPTS, columns=constant) is None, "it was so from the start"
    once = by_step(gamed(48))
    assert found("rewards.identical", spread(1), prompts=PROMPTS, columns=once) is None, "one step shows no rise"
    unpaid = by_step(
        *({**gamed(n), "score": [float(s != "I agree.") for s in gamed(n)["completion"]]} for n in (4, 60))
    )
    assert found("rewards.identical", spread(2), prompts=PROMPTS, columns=unpaid) is None
    assert found("rewards.identical", spread(3), prompts=PROMPTS, columns=texts("c")) is None, "no text was logged"


@pytest.mark.parametrize(("times", "severity"), [(0, None), (1, "warning"), (6, "warning"), (7, "alarm")])
@pytest.mark.parametrize("nothing", ["", " \n", "<answer></answer>", "assistant: <think>\n</think>"])
def test_empty_completions_at_the_edge(found: Found, times: int, severity: str | None, nothing: str) -> None:
    said = {"completion": [nothing if i < times else f"x = {i}" for i in range(64)]}
    said["score"] = [1.0 if i < times else float(i % 2) for i in range(64)]  # type: ignore[misc]
    finding = found("rewards.empty", spread(), prompts=PROMPTS, columns=by_step(said))
    assert (finding and finding.severity) == severity
    if finding:
        assert f"{times} of 64 completions ({times / 64:.1%}) are empty but for tags and are paid 1" in sentence(
            finding
        )
    said["score"] = [0.0 if i < times else float(i % 2) for i in range(64)]  # type: ignore[misc]
    assert found("rewards.empty", spread(), prompts=PROMPTS, columns=by_step(said)) is None, "they are not paid"


def test_a_text_that_was_not_written_down_is_no_empty_answer() -> None:
    log = lab.load(lab.logs.bundled()["tinker"])
    untold = log.frame.filter((pl.col("completion") == "") & (pl.col("prompt") == ""))
    assert (untold.height, log.frame.height) == (96, 128)
    assert contract.checks()["rewards.empty"].run(lab.diagnose(log, [])) is None


def judged(flips: int, noise: float = 0.0) -> tuple[np.ndarray, dict[str, Any]]:
    """Each of 32 prompts gets its right answer four times and a wrong one four times; some verdicts are flipped."""
    right = np.tile([1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0], 32)
    right[:flips] = 0.0
    right += noise * np.random.default_rng(0).random(256)
    said = [f"it is {2 * (i // 8) + (i % 8 > 3)}" for i in range(256)]
    options = {"prompts": [f"{i}+{i}=" for i in range(32)], "columns": texts(*said)}
    return right.reshape(1, 32, 8, 1), options


def test_a_verifier_that_disagrees_with_itself(found: Found) -> None:
    rewards, options = judged(1)
    finding = found("rewards.noise", rewards, {"warns": 3 / 384}, **options)
    assert "different rewards in 0.8% of 384 pairs (a verdict that is wrong in 0.4% of cases" in sentence(finding)
    assert "'it is 0' got 0 and 1" in str(finding)
    assert finding is not None and (finding.rows.height, finding.share) == (4, 3 / 384)
    assert found("rewards.noise", rewards, {"warns": 3.1 / 384}, **options) is None
    assert found("rewards.noise", rewards, {"warns": 3 / 384, "least": 385}, **options) is None


def test_a_long_text_for_everything_shows_no_noise(found: Found) -> None:
    rewards, options = judged(2)
    assert found("rewards.noise", rewards, {"warns": 0.01}, **options) is not None
    options["columns"] = texts(*("round in circles, " * 5 if i % 8 < 4 else f"it is {i}" for i in range(256)))
    assert found("rewards.noise", rewards, {"warns": 0.01}, **options) is None


def test_rounding_is_no_noise(found: Found) -> None:
    rewards, options = judged(0, noise=0.01)
    assert found("rewards.noise", rewards, **options) is None
    assert found("rewards.noise", rewards, {"apart": 0.001}, **options) is not None


def test_a_part_named_after_format_makes_the_reward(found: Found) -> None:
    rewards = np.zeros((1, 8, 8, 2))
    rewards[..., :4, 0] = 1.0
    rewards[0, 0, :4, 1] = 0.5
    share = 8 * 0.25 / (8 * 0.25 + 0.25 * 0.25)
    options: dict[str, Any] = {"names": ("format_reward", "accuracy"), "prompts": PROMPTS}
    finding = found("rewards.format", rewards, {"most": share - 1e-9}, **options)
    assert "format_reward makes 97.0% of the differences" in sentence(finding)
    assert "accuracy differs in 1 of 8 groups" in str(finding)
    assert finding is not None and finding.share == pytest.approx(share)
    assert found("rewards.format", rewards, {"most": share + 1e-9}, **options) is None
    assert found("rewards.format", rewards, {"least": 9}, **options) is None
    assert found("rewards.format", rewards, **options | {"names": ("length", "accuracy")}) is None


def test_format_by_the_metrics_alone(tmp_path: Path) -> None:
    entry = {"rewards/xml_format/mean": 0.5, "rewards/xml_format/std": 0.5, "rewards/task/mean": 0.0, "reward": 0.5}
    history = [{"step": s, **entry, "rewards/task/std": 0.1 * (s == 3)} for s in range(1, 9)]
    log = tmp_path / "run"
    log.mkdir()
    (log / "trainer_state.json").write_text(json.dumps({"log_history": history}))
    finding = contract.checks()["rewards.format"].run(lab.diagnose(log, []))
    assert "xml_format makes 99.5% of the differences between rewards within steps; task differs in 1 of 8 steps" in (
        sentence(finding)
    )
    assert finding is not None and finding.share == pytest.approx(8 * 0.25 / (8 * 0.25 + 0.01))


def test_tags_make_the_reward(found: Found) -> None:
    said = [f"<think>{i}</think><answer>{i}</answer>" if i % 2 else f"it is {i}" for i in range(64)]
    columns = {"completion": said, "score": [float(i % 2) for i in range(64)]}
    finding = found("rewards.format", spread(), prompts=PROMPTS, columns=by_step(columns))
    assert "The tags of a completion explain 100.0% of its reward: 32 different texts" in sentence(finding)
    one_mind = columns | {"completion": [re.sub(r"answer>\d+", f"answer>{i // 8}", s) for i, s in enumerate(said)]}
    assert found("rewards.format", spread(), prompts=PROMPTS, columns=by_step(one_mind)) is None, "all may be right"
    judged = columns | {"score": [float(i % 4 == 1) for i in range(64)]}
    assert found("rewards.format", spread(), prompts=PROMPTS, columns=by_step(judged)) is None
    plain = columns | {"completion": [f"it is {i}" for i in range(64)]}
    assert found("rewards.format", spread(), prompts=PROMPTS, columns=by_step(plain)) is None
