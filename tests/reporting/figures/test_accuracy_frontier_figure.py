"""Figure `accuracy_frontier`."""

from __future__ import annotations

from itertools import pairwise

from factories.pictures import picture, words
from factories.tables import accuracy_table
from matplotlib.colors import to_hex

from nmforge.reporting import style


def test_accuracy_shows_the_unusable_model_and_what_2of4_is_compared_with() -> None:
    figure = picture("accuracy_frontier", accuracy=accuracy_table())
    left, right = figure.axes
    assert left.get_xscale() == "log" and right.get_yscale() == "log"
    assert left.get_xlim()[1] > 1.31e6
    assert "1,310,000" in words(figure) and "paper-2of4 62,679x" in words(figure)
    colours = {to_hex(str(line.get_color())) for line in left.lines}
    assert {style.COLOURS[s].lower() for s in ("dense 16-bit", "dense INT4", "dense INT3")} <= colours


def test_names_of_points_of_one_height_are_pushed_apart() -> None:
    accuracy = accuracy_table()
    crowd = accuracy["design_id"].isin(["gptq-int3", "wanda-2of4-int4", "sparsegpt-2of4-int4"])
    accuracy.loc[crowd, "ratio_to_dense"] = 2.0  # all at 3.125 b/w, where the published points are as well
    figure = picture("accuracy_frontier", accuracy=accuracy)
    axes = figure.axes[1]
    places = [axes.transData.transform(text.get_position()) for text in axes.texts if text.get_ha() == "right"]
    inches = sorted(float(y) / figure.dpi for _, y in places)
    assert len(inches) == 6
    assert all(above - below > 0.12 for below, above in pairwise(inches))
