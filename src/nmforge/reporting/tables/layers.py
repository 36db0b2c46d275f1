"""Table `layers`."""

from __future__ import annotations

from nmforge.reporting.tables import _columns as shared
from nmforge.reporting.tables.registry import REGISTRY, Column, Table

COLUMNS = {
    **shared.DESIGN_ID,
    **shared.MODE,
    **shared.MODEL,
    **shared.DATASET_REVISION,
    **shared.FORMAT,
    **shared.METHOD,
    **shared.RECOVERY_TOKENS,
    "tokens": Column("tokens on which the errors are measured", "tokens"),
    "layer": Column("name of the layer, or of the block for the residual stream"),
    "block": Column("index of the block"),
    "kind": Column("last part of the layer's name, or `residual stream`"),
    "input_error": Column("squared difference of inputs from the dense model's, over their squared size"),
    "output_error": Column("the same of outputs; empty where channels have another order or scale"),
    "input_peak": Column("largest input over the root mean square of the inputs"),
    **shared.PROVENANCE,
}
SUMMARY = "how far one layer or block of a design point is from the dense model"
REGISTRY.add(Table("layers", SUMMARY, "evaluation", COLUMNS, order=20))
