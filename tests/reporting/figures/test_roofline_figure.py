"""Figure `roofline`."""

from __future__ import annotations

import pytest
from factories.pictures import picture, plotted
from factories.tables import kernels_table, limits_table


def test_points_are_where_their_times_put_them() -> None:
    rows = plotted("roofline", kernels=kernels_table(), limits=limits_table())
    ours = rows[(rows["series"] == "2:4 INT4") & (rows["m"] == 16)].iloc[0]
    assert ours["rate"] == pytest.approx(16 * 4096 * 4096 / 2 / (480 * 4.0) * 1e6)
    assert ours["intensity"] == pytest.approx(16 * 4096 * 4096 / 2 / ours["weight_bytes"])
    limits = rows[rows["kind"] == "limit"].set_index("name")["rate"]
    assert dict(limits) == {"memory": pytest.approx(4096 * 4096 / 2 / 450e-6), "int8_peak": 1000e9}  # of two threads
    assert "baseline" not in set(rows["family"])


def test_the_limit_is_the_slope_of_memory_up_to_the_peak() -> None:
    axes = picture("roofline", kernels=kernels_table(), limits=limits_table()).axes[0]
    line = next(line for line in axes.lines if len(line.get_xdata()) > 1)
    memory, peak = 4096 * 4096 / 2 / 450e-6 / 1e9, 1000.0
    for x, y in zip(*line.get_data(), strict=True):
        assert y == pytest.approx(min(x * memory, peak))
    assert pytest.approx(peak / memory) in [float(x) for x in line.get_xdata()]


def test_no_point_lies_beyond_a_limit() -> None:
    kernels = kernels_table()
    fast = kernels["family"].eq("nmforge")
    for table in (kernels, kernels.assign(median_us=kernels["median_us"].where(~fast, kernels["median_us"] / 1.7))):
        rows = plotted("roofline", kernels=table, limits=limits_table())
        limits = rows[rows["kind"] == "limit"].set_index("name")["rate"]
        points = rows[(rows["kind"] == "kernel") & (rows["m"] == 1)]
        assert len(points) and (points["rate"] <= points["intensity"] * limits["memory"] * (1 + 1e-9)).all()
