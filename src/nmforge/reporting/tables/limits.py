"""Table `limits`."""

from __future__ import annotations

from nmforge.reporting.tables import _columns as shared
from nmforge.reporting.tables.registry import REGISTRY, Column, Table

COLUMNS = {
    "quantity": Column("`read_streamed` (memory), `read_resident` (cache) or `int8_peak` (multiply-adds)"),
    "value": Column("median rate", "see `unit`"),
    "unit": Column("unit of `value` and `spread`"),
    "spread": Column("half the distance between the quartiles", "see `unit`"),
    "repeats": Column("times measured"),
    "threads": Column("threads used", "threads"),
    "device": Column("processor"),
    "isa": Column("instruction set"),
    **shared.RUN_ID,
    **shared.PROVENANCE,
}
SUMMARY = "one limit of this machine, with one number of threads"
REGISTRY.add(Table("limits", SUMMARY, "benchmarks", COLUMNS, order=60))
