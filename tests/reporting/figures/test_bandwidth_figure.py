"""Figure `bandwidth`."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from factories.pictures import picture
from factories.tables import fpga_table


def test_simulated_points_are_on_the_line_of_their_bound() -> None:
    axes = picture("bandwidth", fpga=fpga_table()).axes[0]
    points = [line for line in axes.lines if line.get_marker() == "o"]
    bounds = [line for line in axes.lines if line.get_marker() != "o"]
    drawn = [[(float(x), float(y)) for x, y in zip(*line.get_data(), strict=True)] for line in points]
    assert drawn == [[(1, pytest.approx(45)), (8, 100)], [(1, pytest.approx(30)), (8, 100)]]
    for line, needed in zip(bounds, (2, 3), strict=True):
        x, y = (np.asarray(values, float) for values in line.get_data())
        assert list(x) == [0, pytest.approx(needed / 0.9), 8]
        assert y == pytest.approx(100 * np.minimum(1, 0.9 * x / needed))


def test_two_patterns_with_one_bound_share_its_dashes() -> None:
    fpga = fpga_table()
    dense = fpga[(fpga["stage"] == "random") & (fpga["pattern"] == "1:1")]
    axes = picture("bandwidth", fpga=pd.concat([dense, dense.assign(pattern="4:8")])).axes[0]
    dashed = [line.get_linestyle() for line in axes.lines if line.get_marker() != "o"]
    sizes = [line.get_markersize() for line in axes.lines if line.get_marker() == "o"]
    assert dashed == ["--", "--"] and len(set(sizes)) == 2
