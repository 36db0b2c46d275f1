"""Claims `fpga_patterns` and `routed_array`."""

from __future__ import annotations

from factories.ledgers import entries_of
from factories.rows import Row, routed_row, rtl_row


def simulated(mismatches: int) -> list[Row]:
    """Dense, 1:4 and 4:8 on the build for windows of 8."""
    return [
        rtl_row("1:1", 800, window=8),
        rtl_row("1:4", 200, window=8),
        rtl_row("4:8", 400, mismatches=mismatches),
    ]


def test_patterns_beyond_2of4_need_exact_outputs_and_fewer_cycles_per_multiplier() -> None:
    rows = entries_of("fpga_patterns", fpga=simulated(0))
    assert list(rows["ours_value"]) == [4.0, 2.0] and set(rows["verdict"]) == {"reproduced"}
    assert "0 of 64 outputs differ, 90% of ideal" in rows["ours"].iloc[0]
    assert list(entries_of("fpga_patterns", fpga=simulated(1))["verdict"]) == ["reproduced", "not reached"]
    assert list(entries_of("fpga_patterns", fpga=simulated(0)[1:])["verdict"]) == ["not measurable here"] * 2


def test_twice_the_multipliers_are_no_gain() -> None:
    fpga = [rtl_row("1:1", 800), rtl_row("1:4", 400, lanes=2)]
    row = entries_of("fpga_patterns", fpga=fpga).iloc[0]
    assert row["ours_value"] == 1.0 and row["verdict"] == "not reached"


def device_row(pattern: str, m: int, cycles: int) -> Row:
    """A random layer of M tokens through the whole device in simulation."""
    return rtl_row(pattern, cycles, engine="device", stage="random", m=m)


def test_the_routed_gain_is_cycles_times_median_clock_and_per_lut() -> None:
    core = [rtl_row("1:1", 8000), rtl_row("2:4", 10)]  # cycles of a core that was not routed do not count
    devices = [device_row(*row) for row in [("1:1", 8, 800), ("2:4", 8, 400), ("1:1", 1, 90), ("2:4", 1, 120)]]
    rtl = [*core, *devices]
    clocks = [routed_row(1, mhz, 1000) for mhz in (100, 160, 200)] + [
        routed_row(4, mhz, 1100) for mhz in (90, 120, 150)
    ]
    other = [routed_row(1, 500, 10, rows=4), routed_row(4, 1, 900, rows=4), routed_row(1, 999, 1, bits=3)]
    rows = entries_of("routed_array", fpga=[*rtl, *clocks, *other])
    assert list(rows["ours_value"])[:2] == [0.75 * 120 / 160, 2 * 120 / 160]
    assert rows["ours"].iloc[1] == "1.50x faster, 1.36x per LUT (+10 % LUTs)"
    assert list(rows["verdict"]) == ["not reached", "reproduced", "not measurable here"]
    assert list(rows["headline"]) == [False, True, False]  # the most tokens that were simulated
    assert "M=1, 8x8 device" in rows["platform"].iloc[0]
