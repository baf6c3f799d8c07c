"""Where variants end over the learning rate, as data."""

import polars as pl

from lab.figures.theme import style
from lab.figures.tuning import tuning


def curve():
    rows = [("grpo", 1.0, 0.2), ("grpo", 2.0, 0.6), ("ngrpo", 1.0, 0.5), ("ngrpo", 2.0, 0.1)]
    frame = pl.DataFrame(rows, schema=["variant", "lr", "mean"], orient="row")
    best = pl.col("mean") == pl.col("mean").max().over("variant")
    return frame.with_columns(low=pl.col("mean") - 0.1, high=pl.col("mean") + 0.2, best=best)


def test_a_line_per_variant_with_its_intervals_and_the_best_larger():
    ours, theirs = tuning(curve(), label="value").data
    assert (ours.name, theirs.name) == ("grpo", "ngrpo")
    assert list(ours.y) == [0.2, 0.6] and list(theirs.y) == [0.5, 0.1]
    assert [round(float(up), 9) for up in ours.error_y.array] == [0.2, 0.2]
    assert [round(float(down), 9) for down in ours.error_y.arrayminus] == [0.1, 0.1]
    assert ours.marker.size[0] < ours.marker.size[1] and theirs.marker.size[0] > theirs.marker.size[1]
    assert ours.line.color == style("grpo").color


def test_learning_rates_stand_at_their_places_on_a_logarithmic_axis_and_lines_beside_one_another():
    drawn = tuning(curve())
    assert drawn.layout.xaxis.type == "log" and list(drawn.layout.xaxis.ticktext) == ["1", "2"]
    assert all(a < lr < b for a, lr, b in zip(drawn.data[0].x, (1.0, 2.0), drawn.data[1].x, strict=True))
    (alone,) = tuning(curve().filter(variant="grpo")).data
    assert list(alone.x) == [1.0, 2.0]
