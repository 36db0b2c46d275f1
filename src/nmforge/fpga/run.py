"""Rows of the fpga table: cycles from the RTL, resources from synthesis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nmforge.artifact import load_linear
from nmforge.errors import NmforgeError
from nmforge.fpga.cycle_model import gemm_cycles
from nmforge.fpga.engine import Engine
from nmforge.fpga.simulate import simulate_gemm
from nmforge.fpga.synthesize import synthesize
from nmforge.records import write_point
from nmforge.reference import accumulate
from nmforge.spec import GemmShape, Pattern

SEED = 0
SYNTHESIS_GROUP = 64


def simulate_point(
    artifact: Path, layer: str, pattern: str | None, rows: int, cols: int, tile_rows: int, tokens: int,
    build_dir: Path, out: Path,
) -> None:  # fmt: skip
    """Run the first `tile_rows` output channels of a layer through one engine and compare every sum.

    `pattern` names the engine: the layer's own, or a dense one such as 2:2 for a dense layer. Activations are seeded
    int8[tokens, K]. Raises NmforgeError where a sum differs from the reference.
    """
    linear = load_linear(artifact, layer).take_rows(slice(tile_rows))
    engine = Pattern.parse(pattern) if pattern else linear.pattern
    xq = np.random.default_rng(SEED).integers(-127, 128, (tokens, linear.k), dtype=np.int8)
    found = simulate_gemm(linear, xq, rows, cols, build_dir, pattern=engine)
    mismatches = int((found.acc != accumulate(linear, xq)).sum())
    if mismatches:
        raise NmforgeError(
            f"{artifact} layer {layer}: {mismatches} of {found.acc.size} sums of the {engine} engine differ from the "
            "reference; the RTL or its image is wrong"
        )
    shape = GemmShape(tokens, linear.n, linear.k)
    model = gemm_cycles(shape, engine, rows, cols, linear.group_size)
    row = engine_columns(engine, rows, cols, "verilator", "rtl") | {
        "m": shape.m, "n": shape.n, "k": shape.k,
        "cycles": found.cycles, "ideal_cycles": found.ideal_cycles, "efficiency": found.efficiency,
        "model_cycles": model, "model_error": model / found.cycles - 1,
        "outputs_compared": found.acc.size, "mismatches": mismatches,
    }  # fmt: skip
    write_point(out, "fpga", [row])


def synthesize_point(pattern: str, rows: int, cols: int, target: str, build_dir: Path, out: Path) -> None:
    """Count the resources of one INT4 engine; no clock is claimed."""
    engine = Engine(Pattern.parse(pattern), 4, rows, cols, SYNTHESIS_GROUP)
    counts = synthesize(engine, target, build_dir)
    write_point(out, "fpga", [engine_columns(engine.pattern, rows, cols, target, "synthesis") | counts])


def engine_columns(pattern: Pattern, rows: int, cols: int, target: str, stage: str) -> dict[str, Any]:
    """Columns that every row of the table has; what a stage does not measure stays empty."""
    empty = dict.fromkeys(("cycles", "ideal_cycles", "efficiency", "lut", "ff", "dsp", "fmax_mhz"))
    return empty | {
        "engine": "gemm", "pattern": str(pattern), "rows": rows, "cols": cols, "target": target, "seed": SEED,
        "stage": stage,
    }  # fmt: skip
