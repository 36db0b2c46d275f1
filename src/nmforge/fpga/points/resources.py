"""Resources of an engine on an FPGA family, from synthesis."""

from __future__ import annotations

from pathlib import Path

from nmforge.fpga.model.engine import Engine
from nmforge.fpga.model.rows import build_name, engine_columns
from nmforge.fpga.synth.yosys import synthesize
from nmforge.io.records import write_point


def synthesize_point(engine: Engine, target: str, build_dir: Path, out: Path) -> None:
    """Count the resources of one engine on an FPGA family; no clock is claimed."""
    counts = synthesize(engine, target, build_dir)
    write_point(out, "fpga", [engine_columns(engine, build_name(engine.window), target, "synthesis") | counts])
