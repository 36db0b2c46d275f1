"""Table `samples`."""

from __future__ import annotations

from nmforge.reporting.tables import _columns as shared
from nmforge.reporting.tables.registry import REGISTRY, Column, Table

COLUMNS = {
    **shared.DESIGN_ID,
    **shared.MODEL,
    **shared.MODE,
    "prompt": Column("text that is continued"),
    "text": Column("greedy continuation by the C++ decoder"),
    "tokens": Column("tokens generated", "tokens"),
    "ended": Column("whether the model ended the text, not the limit"),
    **shared.PROVENANCE,
}
SUMMARY = "what one design point writes after the prompt of the config"
REGISTRY.add(Table("samples", SUMMARY, "evaluation", COLUMNS, order=30))
