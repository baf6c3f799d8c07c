"""The JSON files beside a training log: the trainer's `trainer_state.json`, and `run_info.json` with the settings."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lab.errors import InputError

__all__ = ["MAX_JSON", "RunInfo", "TrainerState", "find_trainer_state", "read_json"]

#: Largest JSON file that is read, in bytes (a run of 200 steps has 140 KB).
MAX_JSON = 256 * 2**20

Model = TypeVar("Model", bound=BaseModel)


class RunInfo(BaseModel):
    """Settings of a run, as far as they are written down; anything else in the file is left alone.

    Attributes:
        run: The run's name.
        num_generations: Rollouts per prompt.
        reward_funcs: Names of the reward functions, in their order.
        reward_weights: Weight of each reward function.
        overrides: Settings that differ from the defaults; `reward_weights`, `num_generations` may stand here.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    run: str | None = None
    num_generations: int | None = Field(default=None, ge=1)
    reward_funcs: list[str] | None = None
    reward_weights: list[float] | None = None
    overrides: dict[str, Any] = Field(default_factory=dict)

    @property
    def group_size(self) -> int | None:
        """Rollouts per prompt, from the settings or their overrides."""
        size = self.overrides.get("num_generations", self.num_generations)
        return size if isinstance(size, int) and size >= 1 else None

    @property
    def weights(self) -> list[float] | None:
        """Weight of each reward function, None where none are written down."""
        given = self.overrides.get("reward_weights", self.reward_weights)
        if not isinstance(given, list):
            return None
        weights = [_number(w) for w in given]
        return (
            [w for w in weights if w is not None] if all(w is not None and math.isfinite(w) for w in weights) else None
        )


class TrainerState(BaseModel):
    """`trainer_state.json`: what the trainer logged, one entry per logged step.

    Attributes:
        log_history: One dictionary per entry; "step" names the step.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    log_history: list[dict[str, Any]]

    def rewards(self) -> list[str]:
        """Names of the reward functions, from the keys `rewards/<name>/mean`."""
        keys = dict.fromkeys(key for entry in self.log_history for key in entry)
        parts = [
            key[len("rewards/") : -len("/mean")] for key in keys if key.startswith("rewards/") and key.endswith("/mean")
        ]
        return [name for name in parts if name]

    def frame(self) -> pl.DataFrame:
        """Tidy frame: step (Int64) and one Float64 column per metric; a step's entries are merged, the last wins."""
        steps: dict[int, dict[str, float]] = {}
        for entry in self.log_history:
            step = _number(entry.get("step"))
            if step is not None and step.is_integer():
                numbers = {key: _number(value) for key, value in entry.items() if key != "step"}
                steps.setdefault(int(step), {}).update({k: v for k, v in numbers.items() if v is not None})
        names = sorted({name for entry in steps.values() for name in entry})
        ordered = sorted(steps)
        columns = {name: pl.Series([steps[s].get(name) for s in ordered], dtype=pl.Float64) for name in names}
        return pl.DataFrame({"step": pl.Series(ordered, dtype=pl.Int64), **columns})


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def read_json(path: Path, model: type[Model]) -> Model | None:
    """The file as `model`; None where there is no file.

    Raises:
        InputError: The file is too large, no JSON, or not of the model's form; the message names the place.
    """
    try:
        if not path.is_file():
            return None
        size = path.stat().st_size
        if size > MAX_JSON:
            raise InputError(f"{path} has {size} bytes; files up to {MAX_JSON} bytes are read")
        return model.model_validate_json(path.read_bytes())
    except ValidationError as reason:
        first = reason.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(f"{path}: {place}: {first['msg']}") from None
    except OSError as reason:
        raise InputError(f"{path} cannot be read: {reason.strerror or reason}") from None


def find_trainer_state(run: Path) -> Path | None:
    """`trainer_state.json` of the run's folder, else that of its latest checkpoint."""
    if (run / "trainer_state.json").is_file():
        return run / "trainer_state.json"
    checkpoints = [p.parent for p in run.glob("checkpoint-*/trainer_state.json") if p.parent.name[11:].isdigit()]
    return max(checkpoints, key=lambda p: int(p.name[11:])) / "trainer_state.json" if checkpoints else None
