"""Builds simulators with Verilator: one program for each engine, testbench and set of sources."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path

from nmforge.fpga.model.engine import Engine
from nmforge.fpga.sim.protocol import protocol_header
from nmforge.fpga.sources import (
    DEVICE_TESTBENCH,
    ENGINE_TESTBENCH,
    TRACE_CODECS,
    rtl_sources,
    run_make,
    run_verilator,
    verilator_version,
)

# Nothing of the system is linked: the codecs of a trace are headers of our own.
MAKE_FLAGS = ["OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1", "LDLIBS="]
LARGE, LARGE_MAKE_FLAGS = 128, ["OPT_FAST=-O2"]  # from this many multipliers on: twice the build, a sixth off a run
FLAGS = ["--cc", "--exe", "-O3", "--x-assign", "unique", "--x-initial", "unique"]


class Watch(Enum):
    """What a simulator writes besides the sums; a build of its own for each, several times slower."""

    NOTHING = ()
    WAVEFORM = ("--trace-fst", "-CFLAGS", f"-DTRACE -I{TRACE_CODECS}")
    TOGGLES = ("--coverage-toggle", "-CFLAGS", "-DTOGGLES")


def build_simulator(engine: Engine, build_dir: Path, watch: Watch = Watch.NOTHING) -> Path:
    """Program that simulates a core or a device; built in `build_dir` unless the same sources were built before."""
    testbench = DEVICE_TESTBENCH if engine.kind == "device" else ENGINE_TESTBENCH
    program = build_dir / f"{engine.kind}-{_build_key(engine, testbench, watch)}"
    if not program.exists():
        parameters = [f"-G{name}={value}" for name, value in engine.parameters.items()]
        options = ["-CFLAGS", "-DGEMV"] if engine.kind == "gemv" else []
        options = ["-Wall", *parameters, *options, *watch.value]
        compile_simulator(engine.top, rtl_sources(), options, program, testbench, _make_flags(engine))
    return program


def compile_simulator(
    top: str, sources: Sequence[Path], options: Sequence[str], program: Path, testbench: Path = ENGINE_TESTBENCH,
    make_flags: Sequence[str] = MAKE_FLAGS,
) -> None:  # fmt: skip
    """Compile a top module with a testbench into `program`, which appears only once it is complete.

    options: further ones for Verilator.
    """
    program.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="verilate-", dir=program.parent) as folder:
        work = Path(folder)
        (work / "protocol.hpp").write_text(protocol_header())
        run_verilator(
            [*FLAGS, "--prefix", "Vengine", "--Mdir", ".", "--top-module", top, "-CFLAGS", f"-I{testbench.parent}",
             *options, *(str(source.absolute()) for source in sources), str(testbench)],
            work,
        )  # fmt: skip
        with _library(program.parent, work, f"{verilator_version()} {make_flags} {_compiler_options(options)}"):
            run_make(["-f", "Vengine.mk", "-j", str(os.cpu_count() or 1), *make_flags, "Vengine"], work)
        shutil.move(work / "Vengine", work.with_suffix(".program"))
        work.with_suffix(".program").replace(program)


def _compiler_options(options: Sequence[str]) -> list[str]:
    """Verilator's options without sources and parameters of a design: those that its own library may depend on."""
    return [option for option in options if not option.startswith(("-G", "/"))]


@contextmanager
def _library(folder: Path, work: Path, key: str) -> Iterator[None]:
    """Lend a build the objects of Verilator's own library, two thirds of its time; keep them if it made them.

    folder: where builds are kept; key: all that the objects depend on.
    """
    kept = folder / f"library-{hashlib.sha256(key.encode()).hexdigest()[:20]}"
    if kept.exists():
        shutil.copytree(kept, work, copy_function=shutil.copy, dirs_exist_ok=True)  # newer than their sources
    yield
    if not kept.exists():
        made = work / "library"
        made.mkdir()
        for path in work.glob("verilated*.o"):
            shutil.copy(path, made)
        with suppress(OSError):  # another build was first
            made.rename(kept)


def testbench_digest(testbench: Path) -> bytes:
    """Hash of a testbench and all it includes."""
    digest = hashlib.sha256(protocol_header().encode())
    for path in (testbench, *sorted(testbench.parent.glob("*.hpp"))):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.digest()


def _make_flags(engine: Engine) -> list[str]:
    """What the C++ of an engine's simulator is compiled with."""
    return [*MAKE_FLAGS, *(LARGE_MAKE_FLAGS if engine.multipliers >= LARGE else [])]


def _build_key(engine: Engine, testbench: Path, watch: Watch) -> str:
    """Hash of everything a build depends on."""
    tools = f"{FLAGS} {_make_flags(engine)} {verilator_version()}"
    digest = hashlib.sha256(f"{engine.top} {engine.parameters} {watch.name} {tools}".encode())
    digest.update(testbench_digest(testbench))
    codecs = sorted(TRACE_CODECS.glob("*.h")) if watch is Watch.WAVEFORM else []
    for path in (*rtl_sources(), *codecs):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:20]
