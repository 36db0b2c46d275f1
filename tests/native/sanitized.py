"""Kernels and decoder of one built extension, for a build under sanitizers: `sanitized.py EXTENSION`.

A sanitizer ends the process at its first report; wrong sums end it with an AssertionError.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

NAME = "nmforge.kernels.cpu._cpu"


def load(extension: str) -> None:
    """Put this extension in the place of the installed one."""
    spec = importlib.util.spec_from_file_location(NAME, extension)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)


def main(extension: str) -> None:
    load(extension)
    sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
    from cpu_cases import check_isa

    from nmforge.bench.llama7b import LLAMA_7B, random_model
    from nmforge.kernels.cpu import available_isas

    shape = replace(LLAMA_7B, hidden=128, intermediate=272, blocks=2, heads=4, kv_heads=2, head_size=32, vocabulary=90)
    checked = 0
    for isa in available_isas():
        checked += check_isa(isa)
        for name in ("2:4-int4", "dense-bf16"):
            with tempfile.TemporaryDirectory() as scratch:
                model = random_model(name, Path(scratch), shape, isa)
            for count in (1, 3, 17, 40):
                assert np.isfinite(model.forward(range(count), 2)).all()
            model.fill(model.context - 1)
            assert np.isfinite(model.forward([1], 2)).all()
    print(f"{checked} products on {', '.join(available_isas())}, nothing reported")


if __name__ == "__main__":
    main(sys.argv[1])
