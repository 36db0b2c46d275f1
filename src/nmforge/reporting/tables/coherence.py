"""Table `coherence`."""

from __future__ import annotations

from nmforge.reporting.tables import _columns as shared
from nmforge.reporting.tables.registry import REGISTRY, Column, Table

COLUMNS = {
    **shared.DESIGN_ID,
    "layer": Column("name of the layer; `all` for a text"),
    "backend": Column("`cpu`, `gpu`, `rtl`, `rtl-text`, `ecp5-synthesis` or `ecp5-route`"),
    "note": Column("instruction set, device, or what was simulated"),
    "compared": Column("INT32 accumulators compared"),
    "mismatches": Column("those that differ from the reference"),
    **shared.PROVENANCE,
}
SUMMARY = "one comparison of a backend's integers with the reference"
REGISTRY.add(Table("coherence", SUMMARY, "evaluation", COLUMNS, order=90))
