"""Damaged artifacts are refused with a sentence or do no harm: never a crash, a hang or another exception."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

FUZZER = Path(__file__).parent / "artifact_fuzz.py"
COUNT = int(os.environ.get("NMFORGE_FUZZ", "300"))


def test_damaged_artifacts_do_no_harm() -> None:
    run = [sys.executable, str(FUZZER), "0", str(COUNT)]
    done = subprocess.run(run, check=False, capture_output=True, text=True, timeout=60 + COUNT)
    *seeds, last = done.stdout.splitlines()
    assert done.returncode == 0, f"seed {last}: {done.stderr[-3000:]}"
    ends = json.loads(last)
    assert len(seeds) == sum(ends.values()) == COUNT
    assert len(ends) > 20 and ends["unharmed"] < COUNT / 2  # many checks were reached
