"""What stands behind a spike, on a step that is known in full."""

import numpy as np
import polars as pl
import pytest

import lab
from lab.errors import InputError
from lab.experiment import replay
from lab.measures.agents import agent_prompts, agent_rows, agent_spikes, agent_tails
from lab.measures.causes import cause, cause_rows, prompt_shares, spike_counts, worst_spikes
from lab.world_registry import world
from simulators.bandit.families import graded

ROLLOUTS = pl.DataFrame(
    {
        "slot": [0, 0, 1, 1, 1],
        "prompt": [40, 40, 718, 718, 718],
        "rollout": [0, 1, 0, 1, 2],
        "reward": [1.0, 0.0, 9.0, 1.0, -50.0],
        "advantage": [0.7, -0.7, 8.0, -0.5, -60.0],
        "true_advantage": [0.1, -0.1, -0.2, 0.0, 0.3],
        "keep": [True, True, True, True, False],
    }
)


def test_the_cause_is_the_loudest_rollout_of_the_loudest_prompt_that_takes_part():
    found = cause(ROLLOUTS, [0.1, 0.9])
    assert (found.slot, found.prompt, found.rollout, found.reward, found.advantage) == (1, 718, 0, 9.0, 8.0)
    assert found.share == pytest.approx(0.9) and found.flipped
    assert not cause(ROLLOUTS, [0.9, 0.1]).flipped


def test_shares_of_no_gradient_are_zero():
    assert prompt_shares([0.0, 0.0])["share"].to_list() == [0, 0]


def test_a_prompt_has_a_slot_and_a_name():
    named = prompt_shares([0.1, 0.3], ROLLOUTS)
    assert named.select("slot", "prompt", "largest").rows() == [(0, 40, False), (1, 718, True)]
    assert prompt_shares([0.1, 0.3])["prompt"].to_list() == [0, 1]


def test_a_cause_without_a_truth_or_without_a_rollout_that_takes_part_is_told_all_the_same():
    unknown = ROLLOUTS.with_columns(true_advantage=pl.lit(None, pl.Float64), keep=pl.lit(False))
    found = cause(unknown, [0.1, 0.9])
    assert (found.rollout, found.true_advantage, found.flipped) == (2, None, False)


@pytest.mark.parametrize("name", ["grpo", "grqo", "dino-r1"])
def test_a_scene_that_moved_the_policy_is_found_by_its_slot(name):
    place = lab.world("queries")
    seen = replay(place, name, seed=0, step=3, group_size=8)
    found = cause(seen.frame, seen.prompt_norm)
    assert found.slot == int(np.argmax(seen.prompt_norm)) and found.prompt == 3 * place.prompts + found.slot
    own = seen.frame.filter(pl.col("slot") == found.slot)
    assert found.advantage == own["advantage"][own["advantage"].abs().arg_max()]
    assert cause_rows(seen.frame, found.slot).height == 3 * 8


def test_rows_mark_wrong_signs_and_leave_out_what_takes_no_part():
    given = cause_rows(ROLLOUTS, 1).filter(pl.col("row") == "advantage")
    assert given["value"].to_list() == [8.0, -0.5, None]
    assert given["wrong"].to_list() == [True, False, False], "an advantage without a true sign is not wrong"


def test_worst_spikes_come_first_and_infinite_scores_before_them():
    marked = pl.DataFrame({"variant": ["a", "a", "b", "b"], "seed": 0, "step": [1, 2, 1, 2],
                           "spike": [True, False, True, True], "score": [8.0, 99.0, np.inf, np.inf],
                           "grad_norm": [5.0, 1.0, 1.0, 2.0]})  # fmt: skip
    assert worst_spikes(marked).select("variant", "step").rows() == [("b", 2), ("b", 1), ("a", 1)]
    assert spike_counts(marked).select("variant", "spikes", "share").rows() == [("b", 2, 1.0), ("a", 1, 0.5)]


def test_a_replayed_spike_has_the_norm_of_the_trace_and_its_prompts_tell_where_it_came_from():
    world, options = graded(law="student_t", noise=0.2), {"group_size": 8, "lr": 2.0}
    trace = lab.train(world, ["dr_grpo", "mc-grpo"], steps=120, seeds=4, **options)
    worst = worst_spikes(lab.measures.spikes(trace.frame)).row(0, named=True)
    seen = replay(world, worst["variant"], seed=worst["seed"], step=worst["step"], **options)
    found = cause(seen.frame, seen.prompt_norm)
    assert np.sqrt((np.asarray(seen.prompt_norm) ** 2).sum()) == pytest.approx(worst["grad_norm"], rel=1e-9)
    assert found.share > 1 / world.prompts
    assert (
        abs(found.advantage)
        == seen.frame.filter(pl.col("keep") & (pl.col("prompt") == found.prompt))["advantage"].abs().max()
    )


def test_every_agent_has_spikes_of_its_own() -> None:
    """A leap of one agent's norm is found in its column and in no other."""
    steps = np.arange(60)
    quiet = 1 + 0.01 * (steps % 3)
    frame = pl.DataFrame({
        "variant": "grpo", "seed": 0, "step": steps, "grad_norm_agent_0": quiet,
        "grad_norm_agent_1": np.where(steps == 40, 50.0, quiet),
    })  # fmt: skip
    marked = agent_spikes(frame, ["solver", "helper", "nobody"])
    assert marked.filter("spike").select("agent", "step").rows() == [("helper", 40)]
    tails = {row["agent"]: row for row in agent_tails(marked).iter_rows(named=True)}
    assert [tails[a]["spikes"] for a in ("solver", "helper")] == [0, 1]
    norm = frame["grad_norm_agent_1"].to_numpy()
    expected = np.percentile(norm, 99) / np.median(norm)
    assert tails["helper"]["tail"] == pytest.approx(expected)
    with pytest.raises(InputError, match="measure='full'"):
        agent_spikes(frame.select("variant", "seed", "step"), ["solver"])


def test_what_an_agent_got_is_the_mean_over_its_calls():
    agents = world("agents", prompts=2)
    seen = replay(agents, "dr-mas-global", seed=3, step=2, group_size=4)
    m = seen.moment
    rows = agent_rows(m, seen.truth.advantage, 1, agents.agents)
    assert rows["row"].unique(maintain_order=True).to_list() == [
        "reward", "true advantage", "solver's", "checker's", "helper's"]  # fmt: skip
    for n, name in enumerate(agents.agents):
        for g, value in enumerate(rows.filter(pl.col("row") == f"{name}'s")["value"].to_list()):
            own = m.credit.advantage[0, 1, g][m.rollouts.mask[0, 1, g] & (m.rollouts.agent[0, 1, g] == n)]
            assert value == (pytest.approx(own.mean()) if own.size else None)
    wrong = rows.filter("wrong")
    deserved = seen.truth.advantage[0, 1]
    assert all((v > 0) != (deserved[g] > 0) for g, v in wrong.select("rollout", "value").iter_rows())


def test_an_agents_prompts_make_up_its_gradient():
    agents = world("agents", prompts=3)
    gradient = replay(agents, "dr-mas", seed=1, step=0).moment.gradient
    for n in range(3):
        found = agent_prompts(gradient, agents.agent_axis, n)
        assert found == pytest.approx(np.linalg.norm(gradient[0, :, n], axis=-1))
