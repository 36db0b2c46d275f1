"""Table `scaling`."""

from __future__ import annotations

from nmforge.reporting.tables import _columns as shared
from nmforge.reporting.tables.registry import REGISTRY, Column, Table

COLUMNS = {
    "platform": Column("`CPU`, `GPU` or `FPGA`"),
    "design_id": Column("format, such as `2of4-int4`; no pruning method"),
    "context": Column("tokens in the cache; 0 where attention is not counted", "tokens"),
    **shared.SPEED,
    "us_error": Column("standard error of the time per token, from the repeats of each kernel", "us"),
    "us_of_2of4": Column("time per token of the 2:4 INT4 that was alternated with this row", "us"),
    **shared.COST,
    "speedup_vs_dense": Column("over dense weights of the same bits; on an FPGA at equal clock and multipliers"),
    "source": Column("measured here, recorded elsewhere, or modelled"),
    **shared.DEVICE,
    "kernel": Column("kernel, or candidate of table `decode`"),
    "family": Column("`nmforge`, `library` or `baseline`"),
    **shared.FORMAT,
    **shared.CODE,
    "stage": Column("what is timed: `matmul`, `end_to_end` or `decode`"),
    "cache": Column("`streamed`: weights come from memory"),
    **{name: column for name, column in shared.ARRAY.items() if name != "lanes"},
    **shared.MULTIPLIERS,
    "clock_mhz": Column("median post-route clock of the same engine and array; empty where it was not routed", "MHz"),
    "scope": Column("what of the model is counted"),
}
SUMMARY = "LLaMA-7B per token with one format on one machine"
REGISTRY.add(Table("scaling", SUMMARY, "reporting", COLUMNS, derived=True, order=100))
