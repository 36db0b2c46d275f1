"""The kernels without Python: built for 64-bit Arm, run under an emulator, against the reference and against x86."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from factories.cpu_cases import extreme_cases, random_cases

from nmforge.core import reference
from nmforge.core.compressed_linear import CompressedLinear
from nmforge.kernels.cpu.repack import tile_linear

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64"
CROSS = ["-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64", f"-DCMAKE_CXX_COMPILER={COMPILER}"]
needs_cmake = pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not on the path")
needs_arm = pytest.mark.skipif(
    shutil.which(COMPILER) is None or shutil.which(EMULATOR) is None,
    reason=f"{COMPILER} or {EMULATOR} is not installed (Debian packages g++-aarch64-linux-gnu and qemu-user)",
)


def case_bytes(linear: CompressedLinear, xq: np.ndarray) -> bytes:
    """One case of the driver's file; `driver.cpp` lists its parts."""
    tiled = tile_linear(linear)
    steps = tiled.steps
    arrays = [
        tiled.planes, tiled.mult, tiled.bias_correction, tiled.row_scale, steps.gather_base,
        np.ascontiguousarray(steps.lane_base).view("<u4"), steps.segment_end, steps.segment_group,
    ]  # fmt: skip
    sizes = [tiled.n, tiled.k, steps.groups, tiled.bits, steps.index_bits, len(xq), *(a.size for a in arrays)]
    parts = [np.array(sizes, dtype=np.int32), *arrays, xq, reference.accumulate(linear, xq)]
    return b"".join(part.tobytes() for part in parts)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every case of `cpu_cases` in one file."""
    path = tmp_path_factory.mktemp("native") / "cases"
    with path.open("wb") as file:
        for linear, x in random_cases():
            file.write(case_bytes(linear, reference.quantize_activations(x)[0]))
        for linear, xq in extreme_cases():
            file.write(case_bytes(linear, xq))
            file.write(case_bytes(linear, xq[:1]))
    return path


def build(folder: Path, options: list[str]) -> Path:
    """Compile the driver as CMakeLists.txt says."""
    configure = ["cmake", "-S", str(ROOT), "-B", str(folder), "-DNMFORGE_DRIVER=ON", *options]
    subprocess.run(configure, check=True, capture_output=True)
    built = subprocess.run(["cmake", "--build", str(folder), "-j2"], check=False, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "driver"


def run(command: list[str]) -> dict[str, tuple[int, int, str]]:
    """Instruction set -> sums compared, sums wrong, digest of its float32 functions."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    return {name: (int(compared), int(wrong), digest) for name, compared, wrong, digest in lines}


@pytest.fixture(scope="module")
def arm_driver(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(build(tmp_path_factory.mktemp("arm"), CROSS))


@needs_cmake
@needs_arm
def test_arm_equals_the_reference(arm_driver: str, cases: Path) -> None:
    found = run([EMULATOR, "-cpu", "max", arm_driver, str(cases)])
    assert list(found) == ["portable", "neon_dotprod", "neon_i8mm"]
    assert {name: wrong for name, (_, wrong, _) in found.items() if wrong} == {}
    assert min(compared for compared, _, _ in found.values()) > 10_000


@needs_cmake
@needs_arm
@pytest.mark.parametrize(
    ("processor", "names"), [("cortex-a72", ["portable"]), ("neoverse-n1", ["portable", "neon_dotprod"])]
)
def test_a_processor_is_asked_for_its_extensions(
    processor: str, names: list[str], arm_driver: str, tmp_path: Path
) -> None:
    none = tmp_path / "none"
    none.touch()
    assert list(run([EMULATOR, "-cpu", processor, arm_driver, str(none)])) == names


@needs_cmake
@needs_arm
def test_float_functions_have_the_same_bits_on_arm_and_here(arm_driver: str, tmp_path: Path) -> None:
    none = tmp_path / "none"
    none.touch()
    here = run([str(build(tmp_path / "here", [])), str(none)])
    arm = run([EMULATOR, "-cpu", "max", arm_driver, str(none)])
    assert len({digest for _, _, digest in [*here.values(), *arm.values()]}) == 1, (here, arm)
