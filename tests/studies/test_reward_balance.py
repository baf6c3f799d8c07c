"""Several rewards in a step: cosines and weights against their definitions, whose gradient is opposed, the pictures."""

import numpy as np
import polars as pl
import pytest

import lab
from lab.errors import InputError
from lab.explorers.flow import opposition
from lab.figures.reward_balance import opposed_rewards, opposed_share, reward_sectors
from lab.studies import balance_study
from lab.training.loop import Settings, Walk
from simulators import Bandit

HEADS = Bandit(success=np.linspace(0.1, 0.9, 24).reshape(4, 2, 3))
RUN = {"group_size": 6, "lr": 2.0}


def test_cosines_and_shares_are_those_of_the_step():
    found = balance_study(HEADS, "mgda", steps=3, seeds=[4, 5], every=2, **RUN)
    assert found.select("seed", "step", "reward").rows() == [
        (seed, step, reward) for step in (0, 2) for seed in (4, 5) for reward in ("1", "2")
    ]
    moment = Walk(HEADS, lab.variant("mgda"), [4, 5], Settings(**RUN)).look()
    for s, seed in enumerate((4, 5)):
        rows = found.filter(seed=seed, step=0)
        d = moment.gradient[s].ravel()
        for k, row in enumerate(rows.iter_rows(named=True)):
            g = HEADS.gradient(Walk(HEADS, lab.variant("mgda"), [4, 5], Settings(**RUN)).policy, moment.rollouts,
                               moment.parts[k].weights["logp"])[s].ravel()  # fmt: skip
            assert row["cosine"] == pytest.approx(g @ d / np.linalg.norm(g) / np.linalg.norm(d))
            assert row["weight"] == pytest.approx(moment.shares[k, s])
            assert row["value"] == pytest.approx(moment.rewards[s, ..., k].mean())


def test_where_rewards_are_added_a_weight_is_the_part_of_the_sum():
    """Dr. GRPO is linear: each reward has its weight; GRPO divides by the spread of the sum, one factor for both."""
    each = {"dr_grpo": 0.5, "grpo": None}
    for name, weight in each.items():
        found = balance_study(Bandit(success=np.full((1, 2, 4), 0.5)), name, steps=1, seeds=3, **RUN)
        assert found.group_by("seed").agg(pl.col("weight").sum())["weight"].to_list() == pytest.approx([1, 1, 1])
        if weight:
            assert found["weight"].to_list() == pytest.approx([weight] * 6)
    trained = lab.train(HEADS, "dr_grpo", steps=4, seeds=1, measure=["reward"], **RUN).frame["reward"].to_list()
    seen = balance_study(HEADS, "dr_grpo", steps=4, seeds=1, **RUN).group_by("step", maintain_order=True).agg(
        pl.col("value").sum()
    )  # fmt: skip
    assert seen["value"].to_list() == pytest.approx(trained), "looking changes nothing of the run"


def test_a_reward_without_a_gradient_has_no_cosine_and_is_not_opposed():
    silent = Bandit(success=np.stack([np.full((2, 3), 1.0), np.linspace(0.1, 0.9, 6).reshape(2, 3)], axis=1))
    found = balance_study(silent, "mgda", steps=1, seeds=1, **RUN)
    assert found["cosine"].to_list() == [None, pytest.approx(1.0)] and opposed_share(found) == {"mgda": 0.0}


def test_bad_input_is_named():
    with pytest.raises(InputError, match="steps=-1"):
        balance_study(HEADS, "mgda", steps=-1)
    with pytest.raises(InputError, match="nothing to combine"):
        balance_study(lab.world("bandit"), "grpo", steps=1)
    assert balance_study(HEADS, "mgda", steps=2, stop=lambda: True).is_empty()


FRAME = pl.DataFrame(
    [("a", 0, 0, "x", 0.75, 0.2), ("a", 0, 0, "y", 0.25, -0.1), ("a", 0, 1, "x", 0.65, 0.3),
     ("a", 0, 1, "y", 0.35, 0.1), ("b", 0, 0, "x", 0.5, 0.4), ("b", 0, 0, "y", 0.5, None)],
    schema=["variant", "seed", "step", "reward", "weight", "cosine"], orient="row",
)  # fmt: skip


def test_sectors_are_mean_weights_and_the_middle_says_how_often_one_is_opposed():
    drawn = reward_sectors(FRAME)
    assert [list(ring.values) for ring in drawn.data] == [pytest.approx([0.7, 0.3]), [0.5, 0.5]]
    said = [note.text for note in drawn.layout.annotations]
    assert said == ["<b>50%</b><br>opposed", "a", "<b>0%</b><br>opposed", "b"]
    bars = opposed_rewards(FRAME, theme="dark").data
    assert [(bar.name, list(bar.x), list(bar.y)) for bar in bars] == [("a", ["x", "y"], [0, 0.5]), ("b", ["x"], [0])]
    assert opposition(FRAME) == (
        " The step opposes some reward's own gradient in 50% of the batches under **a**, 0% of the batches under **b**."
    )
    assert opposition(pl.DataFrame()) == ""
