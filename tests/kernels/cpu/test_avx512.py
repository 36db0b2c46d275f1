"""The AVX-512 sources, compiled against SIMDe's emulation and run on every case, where the processor lacks them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nmforge.kernels.cpu import available_isas

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
HEADER = Path("/usr/include/simde/x86/avx512.h")
PROGRAM = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("nmforge.kernels._native", sys.argv[1])
module = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = module
spec.loader.exec_module(module)
sys.path.insert(0, sys.argv[2])
from factories.cpu_cases import check_isa
print(check_isa("avx512vnni") + check_isa("avx512vbmi"))
"""


@pytest.mark.skipif({"avx512vnni", "avx512vbmi"} <= set(available_isas()), reason="this processor runs both itself")
@pytest.mark.skipif(not HEADER.exists(), reason="SIMDe is not installed (Debian package libsimde-dev)")
@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not on the path")
def test_emulated_avx512_equals_the_reference(tmp_path: Path) -> None:
    configure = ["cmake", "-S", str(ROOT), "-B", str(tmp_path), f"-DPython_EXECUTABLE={sys.executable}"]
    subprocess.run([*configure, "-DNMFORGE_EMULATE_AVX512=ON"], check=True, capture_output=True)
    built = subprocess.run(["cmake", "--build", str(tmp_path), "-j2"], check=False, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    (extension,) = tmp_path.glob("_native*.so")
    run = [sys.executable, "-c", PROGRAM, str(extension), str(ROOT / "tests")]
    done = subprocess.run(run, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 2000
