"""The small tasks whose path is the point: where they start, and that what moves them is the registered rules."""

import numpy as np
import pytest

from lab.stand_ins import replaced
from lab.studies.brevity import brevity_study
from lab.studies.difficulty_shift import shift_study
from lab.studies.drift import drift_study
from lab.studies.tool_learning import tool_study, tool_world


def test_a_generator_starts_at_its_prompt_and_drifts_to_its_references() -> None:
    references, prompt = drift_study(0)
    assert references.shape == prompt.shape == (401, 32)
    assert prompt[0] == pytest.approx(1.0)
    assert (references[-1] > references[0]).all() and (prompt[-1] < prompt[0]).all()
    assert (drift_study(0, preference=True)[0][-1] < references[-1]).all()


def test_prompts_that_are_moved_towards_the_middle_keep_more_groups_apart() -> None:
    none, moved, away = (shift_study(0, form).mean() for form in ("none", "relative", "away"))
    assert moved / none == pytest.approx(0.737, abs=0.005)
    assert away > none


def test_nothing_is_learnt_from_advantages_of_zero() -> None:
    with replaced({"advantage:dr_grpo": lambda rewards: np.zeros(rewards.shape)}):
        accuracy, length = brevity_study(0, 1.0)
    assert accuracy.shape == length.shape == (6, 2)
    assert length == pytest.approx(8.5)


@pytest.mark.parametrize(("letters", "chance"), [(6, 1 / 6**4), (2, 1 / 2**4)])
def test_a_whole_call_comes_by_chance_as_often_as_there_are_letters(letters: int, chance: float) -> None:
    world = tool_world(0, "coarse", letters)
    policy = world.init([0])
    exact = world.truth(policy, world.rollout(policy, 1, 0), gradient=False, weights=(1, 0, 0)).value
    assert exact == pytest.approx(chance)


def test_the_reward_of_tools_is_told_every_step() -> None:
    """Two-stage is equal maxima until step 30, and only then another."""
    early = {s: tool_study(0, range(2), schedule=s, steps=30, early=20, half=30) for s in ("equal", "two-stage")}
    late = {s: tool_study(0, range(2), schedule=s, steps=40, half=40)["exact at 40"] for s in early}
    assert np.array_equal(*(found["exact at 30"] for found in early.values()))
    assert not np.array_equal(*late.values())
