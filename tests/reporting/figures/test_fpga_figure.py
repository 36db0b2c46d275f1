"""Figure `fpga`."""

from __future__ import annotations

import pandas as pd
import pytest
from factories.pictures import plotted
from factories.tables import fpga_table


def test_the_median_of_seeds_and_the_ideal() -> None:
    rows = plotted("fpga", fpga=fpga_table())
    work = rows[rows["quantity"] == "work"].set_index("pattern")
    assert list(work.index) == ["1:1", "4:8", "2:4", "1:4"]
    assert work.loc["1:1", "value"] == 64 * 4211
    assert work.loc["1:1", "ideal"] == 64 * round(4210 * 0.95)
    assert work.loc["2:4", "over_dense"] == pytest.approx(4211 / 2131)
    clock = rows[rows["quantity"] == "clock"].set_index("window")
    assert dict(clock["value"]) == {1: 160, 4: 155, 8: 130}
    assert (clock.loc[4, "low"], clock.loc[4, "high"]) == (140, 165)


def test_every_build_is_compared_with_dense_of_its_own_target_and_array() -> None:
    table = fpga_table()
    synthesis = table[table["stage"] == "synthesis"]
    other = synthesis.assign(target="xcup", lut=synthesis["lut"] / 2)
    bigger = synthesis.assign(rows=16, lut=99999)
    twice = table[table["stage"] == "rtl"].assign(lanes=2, cycles=1)
    rows = plotted("fpga", fpga=pd.concat([table, other, bigger, twice.iloc[:2]], ignore_index=True))
    luts = rows[rows["quantity"] == "lut ecp5"].set_index("window")
    assert dict(luts["value"]) == {1: 9100, 4: 10010, 8: 11830}
    assert dict(luts["over_dense"].round(3)) == {1: 1.0, 4: 1.1, 8: 1.3}
    assert list(rows[rows["quantity"] == "lut xcup"]["value"]) == [4550, 5005, 5915]


def test_a_dense_int3_build_is_drawn_next_to_the_int4_ones() -> None:
    table = fpga_table()
    dense = table[(table["stage"] == "synthesis") & (table["window"] == 1)]
    rows = plotted("fpga", fpga=pd.concat([table, dense.assign(bits=3, lut=7280)], ignore_index=True))
    luts = rows[rows["quantity"] == "lut ecp5"]
    assert list(luts["series"]) == ["dense", "dense INT3", "any N:4", "any N:8"]
    assert list(luts["over_dense"].round(2)) == [1, 0.8, 1.1, 1.3]


def test_a_pattern_run_on_two_builds_is_drawn_on_its_own() -> None:
    table = fpga_table()
    rtl = table[(table["stage"] == "rtl") & (table["pattern"] == "2:4")].assign(window=8, cycles=9999)
    rows = plotted("fpga", fpga=pd.concat([rtl, table], ignore_index=True))
    work = rows[rows["quantity"] == "work"].set_index("pattern")
    assert work.loc["2:4", "value"] == 64 * 2131
