"""Cycle-accurate simulation of the GEMM engine: build once per configuration, run per layer."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmforge.errors import NmforgeError
from nmforge.fpga.engine import TOP, Engine, engine_group
from nmforge.fpga.generate import activation_image, kept_weights, tiles, weight_image
from nmforge.fpga.toolchain import HARNESS, rtl_sources, run_make, run_verilator, verilator_root
from nmforge.linear import CompressedLinear, Int8
from nmforge.spec import Pattern

BUILD_FLAGS = ["OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1"]
DONE, INDEX_ERROR, NO_PROGRESS = range(3)


class Stalls(NamedTuple):
    """Percent chance, each cycle, that an idle stream holds back its next beat; `sink`: that a result is not taken.

    One rate for each stream: with a common one, the streams wait for each other and some orders never happen.
    """

    code: int = 0
    offsets: int = 0
    mult: int = 0
    act: int = 0
    sink: int = 0


CALM = Stalls()


@dataclass(frozen=True)
class SimulationResult:
    """acc int32[M, N]; cycles from the first offered window to the last accepted sum."""

    acc: NDArray[np.int32]
    cycles: int
    ideal_cycles: int  # tiles * K/of: every PE takes one window each cycle, no fill, no drain

    @property
    def efficiency(self) -> float:
        """Share of the cycles in which the array could not have done better."""
        return self.ideal_cycles / self.cycles


def build_simulator(engine: Engine, build_dir: Path) -> Path:
    """Program that simulates `engine`; built in `build_dir` unless the same sources were built before."""
    program = build_dir / f"gemm-{_build_key(engine)}"
    if program.exists():
        return program
    build_dir.mkdir(parents=True, exist_ok=True)
    parameters = [f"-G{name}={value}" for name, value in engine.parameters.items()]
    sources = [str(path) for path in (*rtl_sources(), HARNESS)]
    with tempfile.TemporaryDirectory(prefix="verilate-", dir=build_dir) as folder:
        work = Path(folder)
        run_verilator(
            ["--cc", "--exe", "-Wall", "-O3", "--x-assign", "unique", "--x-initial", "unique", "--prefix", "Vgemm",
             "--Mdir", ".", "--top-module", TOP, *parameters, *sources],
            work,
        )  # fmt: skip
        run_make(["-f", "Vgemm.mk", "-j", str(os.cpu_count() or 1), *BUILD_FLAGS, "Vgemm"], work)
        shutil.move(work / "Vgemm", work.with_suffix(".program"))
        work.with_suffix(".program").replace(program)
    return program


def simulate_gemm(
    linear: CompressedLinear,
    xq: Int8,
    rows: int,
    cols: int,
    build_dir: Path,
    stalls: Stalls = CALM,
    seed: int = 0,
    pattern: Pattern | None = None,
) -> SimulationResult:
    """Run int8[M, K] through a rows x cols engine built for the layer; any N and M.

    `seed` draws the stalls. `pattern` picks a dense engine such as 2:2 for a dense layer.
    """
    chosen = pattern or linear.pattern
    engine = Engine(chosen, linear.bits, rows, cols, engine_group(linear.group_size, chosen))
    kept = kept_weights(linear, engine)
    image = weight_image(kept, engine)
    row_tiles, column_tiles = tiles(linear.n, rows), tiles(xq.shape[0], cols)
    header = stimulus_header(engine, linear.k, row_tiles, column_tiles, stalls, seed)
    beats, cycles = run_simulator(
        build_simulator(engine, build_dir), header + image.tobytes() + activation_image(xq, engine).tobytes()
    )
    acc = beats.reshape(column_tiles, row_tiles, cols, rows).transpose(0, 2, 1, 3)
    acc = acc.reshape(column_tiles * cols, row_tiles * rows)[: xq.shape[0], : linear.n]
    return SimulationResult(acc, cycles, row_tiles * column_tiles * (linear.k // chosen.of))


def stimulus_header(engine: Engine, k: int, row_tiles: int, column_tiles: int, stalls: Stalls, seed: int) -> bytes:
    """The 17 little-endian u32 in front of the images, as struct Header of the testbench reads them."""
    for stream, percent in stalls._asdict().items():
        if not 0 <= percent < 100:
            raise NmforgeError(f"{percent} % of stalls on stream {stream} leave no progress; choose 0..99")
    return struct.pack(
        "<17I", k // engine.group, engine.windows_per_group, engine.groups_per_block, row_tiles, column_tiles,
        engine.code_bytes, engine.index_bytes, engine.rows, engine.act_bytes, 4 * engine.rows,
        engine.cols, seed, *stalls,
    )  # fmt: skip


def run_simulator(program: Path, stimulus: bytes) -> tuple[NDArray[np.int32], int]:
    """Run one stimulus; returns the sums in the order of arrival, int32[beats * rows], and the cycles."""
    with tempfile.TemporaryDirectory(prefix="nmforge-sim-") as folder:
        source, result = Path(folder) / "stimulus.bin", Path(folder) / "result.bin"
        source.write_bytes(stimulus)
        done = subprocess.run([program, source, result], capture_output=True, text=True)
        if done.returncode:
            raise NmforgeError(f"the simulation {program} ended with status {done.returncode}; delete it and run again")
        data = result.read_bytes()
    cycles, status, launched = struct.unpack_from("<3Q", data)
    if status == INDEX_ERROR:
        raise NmforgeError(
            f"the loader rejected window {launched - 1} of the weight stream: its indices do not ascend; "
            "make the weight image again from the artifact"
        )
    if status == NO_PROGRESS:
        raise NmforgeError(f"the simulation stood still after {launched} windows; the image does not fit the engine")
    return np.frombuffer(data, dtype="<i4", offset=24).astype(np.int32), int(cycles)


def _build_key(engine: Engine) -> str:
    """Hash of everything a build depends on."""
    digest = hashlib.sha256(f"{engine.parameters} {BUILD_FLAGS} {verilator_root()}".encode())
    for path in (*rtl_sources(), HARNESS):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:20]
