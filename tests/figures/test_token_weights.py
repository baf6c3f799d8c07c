"""The weights of a group's tokens: the numbers, and how they are drawn."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import lab
from lab.errors import InputError
from lab.figures.coloured_text import coloured_text
from lab.figures.theme import PALETTES, diverging, palette
from lab.figures.token_weights import token_weights
from lab.measures.tokens import token_weights as table
from lab.training.loop import Moment, Settings, Walk
from simulators import Bandit, Queries, Turns, World


def look(world: World, name: str) -> Moment:
    return Walk(world, lab.variant(name), [3, 4], Settings(group_size=5)).look()


@pytest.fixture
def frame() -> pl.DataFrame:
    world = Turns("search", prompts=3)
    return pl.concat(
        table(look(world, name), world, variant=name, run=1, prompt=2) for name in ("dr_grpo", "igpo", "a2tgpo")
    )


def test_rows_are_the_valid_tokens_with_their_words() -> None:
    world = Turns("search", prompts=3)
    moment = look(world, "a2tgpo")
    found = table(moment, world, run=1, prompt=2)
    assert moment.mask is not None
    assert found.height == moment.mask[1, 2].sum()
    scale = np.abs(moment.weights["logp"][1])[moment.mask[1]].mean()
    assert set(found["score"]) == {"logp"}
    for rollout, position, token, weight, reward in found.drop("variant", "score").iter_rows():
        assert token == world.task.actions[moment.rollouts.actions[1, 2, rollout, position]]
        assert weight * scale == pytest.approx(moment.weights["logp"][1, 2, rollout, position])
        assert reward == moment.rewards[1, 2, rollout, 0]


def test_an_objective_on_scores_has_a_row_for_each_with_its_name() -> None:
    world = Queries(2)
    moment = look(world, "dino-r1")
    moment = replace(moment, weights=moment.weights | {"logp": -2 * moment.weights["match"]})
    found = table(moment, world, run=1, prompt=1)
    assert tuple(moment.weights) == ("match", "reward", "logp")
    assert found.filter(rollout=3).select("position", "token", "score").rows() == [
        (0, "match", "match"), (1, "reward", "reward"), (2, "0", "logp"),
    ]  # fmt: skip
    scale = np.abs(np.stack([w[1] for w in moment.weights.values()])).mean()
    for rollout, score, weight in found.select("rollout", "score", "weight").iter_rows():
        assert weight * scale == pytest.approx(moment.weights[score][1, 1, rollout, 0])
    assert token_weights(found).data


def test_a_world_without_words_shows_numbers_and_a_silent_batch_zeros() -> None:
    world = Bandit(success=[1.0, 1.0])
    moment = look(world, "grpo")
    found = table(moment, world)
    assert found["token"].to_list() == [str(a) for a in moment.rollouts.actions[0, 0, :, 0]]
    assert found["weight"].to_list() == [0.0] * 5
    drawn = token_weights(found)
    assert (drawn.layout.coloraxis.cmin, drawn.layout.coloraxis.cmax) == (-1, 1)


@pytest.mark.parametrize("theme", PALETTES)
def test_zero_has_the_colour_of_the_panel_and_both_signs_one_scale(frame: pl.DataFrame, theme: str) -> None:
    axis = token_weights(frame, theme=theme).layout.coloraxis
    assert axis.cmax == -axis.cmin == sorted(frame["weight"].abs())[round(0.95 * (frame.height - 1))]
    assert [tuple(stop) for stop in diverging(theme)] == list(axis.colorscale)
    assert axis.colorscale[1] == (0.5, palette(theme).panel)


def test_every_method_has_a_panel_with_a_cell_for_each_token(frame: pl.DataFrame) -> None:
    drawn = token_weights(frame, unit="turn")
    maps = [trace for trace in drawn.data if trace.type == "heatmap"]
    assert [a.text for a in drawn.layout.annotations] == ["dr_grpo", "igpo", "a2tgpo"]
    for cells, name in zip(maps, ("dr_grpo", "igpo", "a2tgpo"), strict=True):
        one = frame.filter(variant=name)
        assert np.isfinite(cells.z).sum() == one.height
        assert len(cells.y) == 5
        for rollout, position, token, weight in one.select("rollout", "position", "token", "weight").iter_rows():
            assert cells.z[rollout, position] == weight
            assert cells.customdata[rollout, position] == token
    assert drawn.layout.xaxis3.title.text == "turn"
    assert {trace.mode for trace in drawn.data if trace.type == "scatter"} == {"text"}


def test_credit_for_the_whole_rollout_is_one_colour_along_a_row(frame: pl.DataFrame) -> None:
    spread = frame.group_by("variant", "rollout").agg(pl.col("weight").std().fill_null(0)).group_by("variant").max()
    found = dict(spread.select("variant", "weight").iter_rows())
    assert found["dr_grpo"] == pytest.approx(0, abs=1e-12)
    assert found["a2tgpo"] > 0.01


def test_long_rows_leave_their_words_to_the_pointer(frame: pl.DataFrame) -> None:
    wide = frame.with_columns(position=pl.col("position") * 5)
    assert all(trace.type == "heatmap" for trace in token_weights(wide).data)


def test_a_word_cannot_bring_in_markup(frame: pl.DataFrame) -> None:
    drawn = token_weights(frame.with_columns(token=pl.lit("<b>")))
    assert "<b>" not in str(drawn.data[0].customdata)


def test_a_frame_that_does_not_fit_is_refused(frame: pl.DataFrame) -> None:
    with pytest.raises(InputError, match="weight missing"):
        token_weights(frame.drop("weight"))


def text(token: str = "<b>", count: int = 3) -> pl.DataFrame:
    rows = [(g, t, token, (-1.0) ** g * (t + 1), 0.5) for g in range(2) for t in range(count)]
    return pl.DataFrame(rows, schema=["rollout", "position", "token", "weight", "reward"], orient="row")


def test_text_is_shown_as_text_in_boxes_as_wide_as_it_is() -> None:
    (boxes,) = coloured_text(text()).data
    assert set(boxes.text) == {"&lt;b&gt;"}
    assert boxes.base[1] == pytest.approx(boxes.base[0] + boxes.x[0]) and boxes.base[3] == boxes.base[0] == 0
    assert list(boxes.marker.color) == [1, 2, 3, -1, -2, -3]
    assert "␣" in coloured_text(text("a b")).data[0].text[0]


def test_pictures_that_are_compared_share_their_scales_and_long_lines_keep_their_words_for_the_pointer() -> None:
    long = text("a" * 40).with_columns(pl.col("weight") * 10)
    both = pl.concat([part.with_columns(when=pl.lit(w)) for w, part in (("before", text()), ("after", long))])
    drawn = [coloured_text(part, among=both) for part in (text(), long)]
    assert drawn[0].layout.xaxis.range == drawn[1].layout.xaxis.range
    assert drawn[0].layout.coloraxis.cmax == drawn[1].layout.coloraxis.cmax
    assert coloured_text(long).data[0].text is None
    assert "a" * 40 in coloured_text(long).data[0].customdata[0]
