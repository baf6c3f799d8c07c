"""Which rows were evaluated: how near a mean must be to the logged one, whatever the size of the rewards."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import lab
from lab.logs.contract import Known
from lab.logs.evaluations import evaluation_rows
from tests.logs.logs import write_log

REWARDS = np.random.default_rng(3).normal(size=(3, 12))


def kept_apart(metrics: pl.DataFrame, scale: float, *, parts: bool) -> int:
    """Evaluation rows of three steps of three prompts with four rollouts each."""
    frame = pl.DataFrame({
        "step": np.repeat([1, 2, 3], 12), "prompt": [f"{s}, {p}" for s in range(3) for p in range(3) for _ in range(4)],
        "completion": [str(i) for i in range(36)], "score": REWARDS.ravel() * scale,
    })  # fmt: skip
    given = metrics.rename({"eval_reward": "eval_rewards/score/mean"}) if parts else metrics
    return evaluation_rows(frame, ["score"], [1.0], given, Known())[1].height


def logged(evaluated: float, scale: float) -> pl.DataFrame:
    """Metrics of three steps: after the second one an evaluation with this mean, its own mean another one."""
    own = [float(REWARDS[0].mean()) * scale, 9.0 * scale, float(REWARDS[2].mean()) * scale]
    return pl.DataFrame({"step": [1, 2, 3], "reward": own, "eval_reward": [None, evaluated, None]})


@pytest.mark.parametrize("parts", [True, False])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize(("off", "found"), [(0.9e-5, 4), (-0.9e-5, 4), (1.1e-5, 0), (-1.1e-5, 0)])
def test_how_near_a_mean_must_be(parts: bool, scale: float, off: float, found: int) -> None:
    mean, largest = REWARDS[1, 8:].mean() * scale, np.abs(REWARDS[1]).max() * scale
    assert kept_apart(logged(mean + off * largest, scale), scale, parts=parts) == found


def test_each_reward_is_measured_by_its_own_size() -> None:
    rng = np.random.default_rng(0)
    scores = {"large": rng.random(12) * 1000, "small": rng.random(12) * 1e-3}
    frame = pl.DataFrame({"step": [1] * 12, "prompt": [f"{p}" for p in range(3) for _ in range(4)],
                          "completion": [str(i) for i in range(12)], **scores})  # fmt: skip
    means = {f"eval_rewards/{name}/mean": [values[8:].mean()] for name, values in scores.items()}
    metrics = pl.DataFrame({"step": [1], **means})
    assert evaluation_rows(frame, list(scores), [1.0, 1.0], metrics, Known())[1].height == 4
    wrong = metrics.with_columns(pl.col("eval_rewards/small/mean") * 1.01)
    assert evaluation_rows(frame, list(scores), [1.0, 1.0], wrong, Known())[1].is_empty()


def test_means_in_single_precision_are_near_enough(tmp_path: Path) -> None:
    rewards = (REWARDS * 100 + 1000).reshape(3, 3, 4, 1)
    single = rewards.astype(np.float32).reshape(3, 12)
    entries = [{"step": s + 1, "reward": float(row.mean()), "rewards/score/mean": float(row.mean())}
               for s, row in enumerate(single)]  # fmt: skip
    evaluated = float(single[1, 4:].mean())
    entries.append({"step": 2, "eval_reward": evaluated, "eval_rewards/score/mean": evaluated})
    table = lab.load(write_log(tmp_path, rewards, state={"log_history": entries}))
    assert (table.frame.height, table.evaluation.height) == (28, 8)
    assert table.evaluation["step"].unique().to_list() == [2]
