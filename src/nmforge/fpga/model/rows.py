"""What every row of the fpga table says of its engine."""

from __future__ import annotations

from typing import Any

from nmforge.fpga.model.engine import Engine

SEED = 0  # of random weights and activations; a placer has seeds of its own
MEASURED = ("cycles", "ideal_cycles", "efficiency", "lut", "ff", "dsp", "fmax_mhz")


def engine_columns(engine: Engine, pattern: str, target: str, stage: str, seed: int = SEED) -> dict[str, Any]:
    """Columns that every row of the table has; what a stage does not measure stays empty.

    target: the FPGA family, or the program that simulated or proved.
    """
    return dict.fromkeys(MEASURED) | {
        "engine": engine.kind, "pattern": pattern, "window": engine.window, "lanes": engine.lanes, "rows": engine.rows,
        "cols": engine.cols, "bits": engine.bits, "target": target, "seed": seed, "stage": stage,
    }  # fmt: skip


def build_name(window: int) -> str:
    """What a build runs: `dense`, or `N:4` for every keep:4 and what nests in it."""
    return "dense" if window == 1 else f"N:{window}"
