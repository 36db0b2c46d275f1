"""Figure `error_by_layer`."""

from __future__ import annotations

import pytest
from factories.pictures import picture, plotted, words
from factories.tables import layers_table


def test_the_closest_point_of_each_format_and_every_layer_of_it() -> None:
    rows = plotted("error_by_layer", layers=layers_table())
    assert list(dict.fromkeys(rows["design_id"])) == ["gptq-int4", "gptq-int3", "sparsegpt-2of4-int4"]
    figure = picture("error_by_layer", layers=layers_table())
    stream, *maps, _bar = figure.axes
    drawn = [[float(y) for y in line.get_ydata()] for line in stream.lines]
    assert drawn == [pytest.approx([e * (1 + b) for b in range(30)]) for e in (0.01, 0.05, 0.2)]
    assert [axes.images[0].get_array().shape for axes in maps] == [(7, 30)] * 3
    assert float(maps[2].images[0].get_array()[6, 29]) == pytest.approx(0.2 * 30)
    assert len({axes.images[0].get_clim() for axes in maps}) == 1  # one scale of shades


def test_kinds_of_layers_are_those_of_the_model() -> None:
    layers = layers_table()
    other = layers.replace({"kind": {"gate_proj": "fc1", "up_proj": "fc2"}})[lambda rows: rows["kind"] != "down_proj"]
    *_, last, _bar = picture("error_by_layer", layers=other).axes
    assert [label.get_text() for label in last.get_yticklabels()] == ["q", "k", "v", "o", "fc1", "fc2"]


def test_layers_that_cannot_be_compared_are_explained() -> None:
    layers = layers_table()
    assert "White:" not in words(picture("error_by_layer", layers=layers))
    layers.loc[layers["kind"] == "v_proj", "output_error"] = float("nan")
    assert "White: channels in another order or scale." in words(picture("error_by_layer", layers=layers))
