"""Frames of a log for its pictures, against the log itself."""

import numpy as np
import polars as pl
import pytest

import lab
from lab.errors import InputError
from lab.logs.frames import group_map_frame, group_rows, nearest_group, recomputed


@pytest.fixture(scope="module")
def found():
    return lab.diagnose(lab.load(lab.logs.bundled()["two_rewards"]))


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """The same log without its advantages."""
    home = tmp_path_factory.mktemp("bare")
    for file in (lab.logs.bundled()["two_rewards"] / "completions").iterdir():
        pl.read_parquet(file).drop("advantage").write_parquet(home / file.name)
    return lab.diagnose(lab.load(home))


def test_recomputed_advantages_are_those_of_the_rule_found(found):
    again = recomputed(found)
    assert again.height == found.table.frame.height
    assert np.abs(again["logged"] - again["recomputed"]).max() <= found.best["max_error"] + 1e-12
    assert again["rule"][0] == found.best["rule"] == "grpo@trl"


def test_without_logged_advantages_nothing_is_recomputed(bare):
    assert recomputed(bare).is_empty()
    rows = group_rows(bare, 1, 0, ["grpo"])
    assert "logged" not in rows["row"].to_list() and not rows["wrong"].any()


def test_kinds_of_groups_are_those_of_the_diagnosis():
    equal = lab.diagnose(lab.load(lab.logs.bundled()["equal_rewards"]))
    assert group_map_frame(equal)["kind"].unique().to_list() == ["phantom"]


def test_rows_of_a_group_are_the_logs_own(found):
    rows = group_rows(found, 3, 2, ["gdpo", "unheard-of"])
    here = found.table.frame.filter((pl.col("step") == 3) & (pl.col("group") == 2))
    assert rows["row"].unique(maintain_order=True).to_list() == [
        "digit_fraction",
        "starts_with_digit",
        "reward",
        "logged",
        "gdpo",
    ]
    for row, column in {"reward": "reward", "logged": "advantage", "digit_fraction": "digit_fraction"}.items():
        assert rows.filter(pl.col("row") == row)["value"].to_list() == here[column].to_list()
    gdpo, logged = (rows.filter(pl.col("row") == name) for name in ("gdpo", "logged"))
    opposite = gdpo["value"] * logged["value"] < 0
    assert gdpo["wrong"].to_list() == opposite.to_list()


def test_a_group_that_is_not_there_is_an_error(found):
    with pytest.raises(InputError, match="no group 9 in step 3"):
        group_rows(found, 3, 9, [])


@pytest.mark.parametrize(("asked", "given"), [((0, 0), (1, 0)), ((5, 3), (5, 3)), ((99, 99), (12, 7))])
def test_the_nearest_group(found, asked, given):
    assert nearest_group(found, *asked) == given
