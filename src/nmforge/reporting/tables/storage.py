"""Table `storage`."""

from __future__ import annotations

from nmforge.reporting.tables import _columns as shared
from nmforge.reporting.tables.registry import REGISTRY, Column, Table

COLUMNS = {
    **shared.MODEL,
    **shared.FORMAT,
    **shared.GROUP_SIZE,
    **shared.DESIGN_ID,
    "scope": Column("`linear` (all linear layers) or `model` (the whole file)"),
    "encoding": Column("encoding of the indices; `none` stores the zeros, or has none"),
    "bytes": Column("bytes on disk", "bytes"),
    "bits_per_weight": Column("bits on disk per weight before pruning", "bits/weight"),
    "ratio_to_fp16": Column("bytes of the same in fp16 over `bytes`"),
    **shared.PROVENANCE,
}
SUMMARY = "bytes of one design point under one index encoding"
REGISTRY.add(Table("storage", SUMMARY, "artifact", COLUMNS, order=40))
