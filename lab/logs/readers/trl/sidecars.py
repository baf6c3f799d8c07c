"""The JSON files beside TRL's completions: `trainer_state.json`, and `run_info.json` with the settings."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lab.errors import InputError
from lab.logs.readers.trl.files import STATE
from lab.logs.scalars import number, per_step, scalar_name
from lab.text import listed

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
    def rewards(self) -> list[str]:
        """Names of the reward functions."""
        return self.reward_funcs or []

    @property
    def weight_of(self) -> Mapping[str, float]:
        """Weight of each reward function by its name; none where one of them is no finite number."""
        given = self.overrides.get("reward_weights", self.reward_weights)
        weights = [number(w) for w in given] if isinstance(given, list) else []
        if not all(w is not None and math.isfinite(w) for w in weights):
            return {}
        return {name: w for name, w in zip(self.rewards, weights, strict=False) if w is not None}


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
        return [part[1] for key in keys if (part := _PART.fullmatch(key))]

    def metrics(self) -> tuple[pl.DataFrame, list[str]]:
        """One row per step (`lab.logs.scalars.per_step`), and what was left out."""
        return per_step(self.log_history, scalar_name)


_PART = re.compile(r"rewards/(.+)/mean", re.DOTALL)


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


def find_trainer_state(run: Path) -> tuple[Path | None, list[str]]:
    """`trainer_state.json` of the run's folder, else that of its latest checkpoint; and which folders are none."""
    if (run / STATE).is_file():
        return run / STATE, []
    found = {p.parent.name: p for p in run.glob(f"checkpoint-*/{STATE}")}
    numbered = {int(name[11:]): p for name, p in found.items() if re.fullmatch(r"checkpoint-[0-9]{1,18}", name)}
    stray = sorted(name for name, p in found.items() if p not in numbered.values())
    said = [f"Folders that are no checkpoints of a step are left out: {listed(stray)}."] if stray else []
    return (numbered[max(numbered)] if numbered else None), said
