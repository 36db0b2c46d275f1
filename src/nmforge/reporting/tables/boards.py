"""Table `boards`."""

from __future__ import annotations

from nmforge.reporting.tables import _columns as shared
from nmforge.reporting.tables.registry import REGISTRY, Column, Table

COLUMNS = {
    "platform": Column("`FPGA board`"),
    "board": Column("name of the board"),
    "device": Column("its FPGA"),
    "phase": Column("`decode` or `prefill`"),
    "m": Column("tokens at once", "tokens"),
    "context": Column("tokens in the cache", "tokens"),
    "design_id": Column("format, or the model of a published design"),
    **shared.FORMAT,
    **shared.SPEED,
    **shared.COST,
    "bandwidth_tokens_per_s": Column("speed that the memory alone would allow", "tokens/s"),
    "speedup_vs_dense": Column("over dense INT4 of the same board and phase"),
    "bound": Column("what limits the speed: `bandwidth` or `compute`"),
    "reason": Column("why there is no value"),
    "name": Column("name of a published design"),
    "source": Column("modelled and how, or published and where"),
    **shared.ARRAY,
    "arrays": Column("copies of the engine"),
    **shared.MULTIPLIERS,
    "clock_mhz": Column("clock of the engine", "MHz"),
    "clock_source": Column("`assumed` or `routed`"),
    "memory": Column("kind of memory"),
    "bandwidth_gb_s": Column("peak bandwidth of the memory", "GB/s"),
    "efficiency": Column("share of the peak that long bursts reach"),
    "share": Column("share of the chip that engines may take"),
    "note": Column("remark about the board"),
    "stage": Column("`matmul`"),
    "scope": Column("what of the model is counted"),
}
SUMMARY = "LLaMA-7B modelled on one board in one format, or a published design"
REGISTRY.add(Table("boards", SUMMARY, "reporting", COLUMNS, derived=True, order=110))
