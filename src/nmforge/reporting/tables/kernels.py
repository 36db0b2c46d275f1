"""Table `kernels`."""

from __future__ import annotations

from nmforge.reporting.tables import _columns as shared
from nmforge.reporting.tables.registry import REGISTRY, Column, Table

COLUMNS = {
    "kernel": Column("name of the kernel"),
    "family": Column("`nmforge`, `library`, `baseline` (the paper's path) or `roofline` (a plain read of the bytes)"),
    **shared.FORMAT,
    **shared.GROUP_SIZE,
    "stage": Column("what is timed: `matmul`, `end_to_end` (with dequantization) or `read`"),
    **shared.DEVICE,
    **shared.CODE,
    **shared.SHAPE,
    "cache": Column("`resident` (weights stay in the cache) or `streamed` (weights come from memory)"),
    "copies": Column("copies of the weights used in turn, so that a cache does not hold them"),
    **shared.TIMING,
    "weight_bytes": Column("bytes of the weights as the kernel reads them", "bytes"),
    **shared.RUN_ID,
    **shared.PROVENANCE,
}
SUMMARY = "time of one kernel on one shape, cache state and number of threads"
REGISTRY.add(Table("kernels", SUMMARY, "benchmarks", COLUMNS, order=50))
