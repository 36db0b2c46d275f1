"""Simulation of the whole device: registers set over AXI4-Lite, banks loaded from two narrow streams."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmforge.errors import NmforgeError
from nmforge.fpga.engine import Engine
from nmforge.fpga.generate import activation_image, kept_weights, tiles, weight_image
from nmforge.fpga.simulate import SimulationResult, build_key, compile_simulator, run_simulator
from nmforge.fpga.toolchain import DEVICE_HARNESS, rtl_sources
from nmforge.linear import CompressedLinear, Int8


class DeviceStalls(NamedTuple):
    """Percent chance, each cycle, that a stream holds back its next word; `sink`: that a sum is not taken."""

    weight: int = 0
    act: int = 0
    sink: int = 0


CALM = DeviceStalls()


def build_device(engine: Engine, build_dir: Path) -> Path:
    """Program that simulates the device; built unless the same sources were built before."""
    program = build_dir / f"device-{build_key(engine, DEVICE_HARNESS)}"
    if not program.exists():
        parameters = [f"-G{name}={value}" for name, value in engine.parameters.items()]
        compile_simulator(engine.top, rtl_sources(), ["-Wall", *parameters], program, DEVICE_HARNESS)
    return program


def simulate_device(
    linear: CompressedLinear, xq: Int8, engine: Engine, build_dir: Path, stalls: DeviceStalls = CALM, seed: int = 0,
    program: Path | None = None,
) -> SimulationResult:  # fmt: skip
    """Run int8[M, K] through the device; cycles count from the first word loaded to the last sum taken.

    `program` names a simulator of the same device that was built from something else than its sources: a netlist.
    Raises NmforgeError where the layer is deeper than the banks, or the tokens are more than they hold.
    """
    kept = kept_weights(linear, engine)
    m, n = xq.shape[0], linear.n
    row_tiles, column_tiles = tiles(n, engine.rows), tiles(m, engine.cols)
    steps = linear.k // (engine.of * engine.lanes) * kept.keep
    windows = linear.k // (engine.of * engine.lanes) * column_tiles
    if max(steps, windows) > engine.depth:
        raise NmforgeError(
            f"banks of {engine.depth} rows do not hold {steps} steps and {windows} windows; build a device with depth "
            f"{1 << (max(steps, windows) - 1).bit_length()} or send fewer tokens at a time"
        )
    images = weight_image(kept, engine).tobytes(), activation_image(xq, engine).tobytes()
    header = struct.pack(
        "<13I", kept.keep, linear.k // engine.group, column_tiles, row_tiles, windows, engine.word_bits // 8,
        engine.act_bits // 8, len(images[0]), len(images[1]), seed, *stalls,
    )  # fmt: skip
    run = run_simulator(program or build_device(engine, build_dir), header + b"".join(images))
    return SimulationResult(
        _outputs(run.sums, engine, row_tiles, column_tiles)[:m, :n], run.cycles, row_tiles * column_tiles * steps,
        len(images[0]),
    )  # fmt: skip


def _outputs(sums: NDArray[np.int32], engine: Engine, row_tiles: int, column_tiles: int) -> NDArray[np.int32]:
    """Sums in the order of arrival, row tile after row tile -> int32[tokens, channels]."""
    ordered = sums.reshape(row_tiles, column_tiles, engine.cols, engine.rows).transpose(1, 2, 0, 3)
    return ordered.reshape(column_tiles * engine.cols, row_tiles * engine.rows)
