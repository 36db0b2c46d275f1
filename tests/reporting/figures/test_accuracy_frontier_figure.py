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


def test_names_in_the_right_panel_do_not_overlap() -> None:
    figure = picture("accuracy_frontier", accuracy=accuracy_table())
    figure.draw_without_rendering()
    for align in ("left", "right"):
        texts = [text for text in figure.axes[1].texts if text.get_ha() == align]
        columns = {round(text.get_position()[0], 2) for text in texts}
        for column in columns:
            names = [text for text in texts if round(text.get_position()[0], 2) == column]
            boxes = sorted((text.get_window_extent() for text in names), key=lambda box: box.y0)
            assert all(above.y0 >= below.y1 - 3 for below, above in pairwise(boxes))
