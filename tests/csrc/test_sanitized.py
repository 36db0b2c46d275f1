"""The extension built under AddressSanitizer and UndefinedBehaviorSanitizer, through every case."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not on the path")
def test_sanitizers_report_nothing() -> None:
    done = subprocess.run([ROOT / "tests/csrc/sanitize.sh"], check=False, capture_output=True, text=True, cwd=ROOT)
    if "no libasan" in done.stderr:
        pytest.skip("the compiler has no libasan")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "nothing reported" in done.stdout
