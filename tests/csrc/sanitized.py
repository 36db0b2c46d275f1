"""Kernels, decoder and bf16 products of a build under sanitizers: `sanitized.py EXTENSION`.

A sanitizer ends the process at its first report; wrong sums end it with an AssertionError.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

SIZES = [(1, 1, 1), (8, 48, 32), (9, 50, 37), (131, 97, 66), (260, 3, 95)]  # full tiles, and none


def load(extension: str) -> None:
    """Use this extension instead of the installed one."""
    name = "nmforge.kernels._native"
    spec = importlib.util.spec_from_file_location(name, extension)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


def multiply(products: Any) -> int:
    """Products whose sums float32 holds exactly, with numbers of threads that change from call to call; how many."""
    if not products.available():
        return 0
    random, count = np.random.default_rng(0), 0
    for m, n, k in SIZES:
        for threads in (1, 5, 2):
            x, w, y = (random.integers(-8, 9, size).astype(np.float32) for size in ((m, k), (n, k), (m, n)))
            out = np.empty((m, n), np.float32)
            products.multiply_rows(x, w, out, threads)
            total, gram = np.ones((n, k), np.float32), np.zeros((k, k), np.float32)
            products.add_outer_products(y, x, False, total, threads)
            products.add_outer_products(x, x, True, gram, threads)
            assert (out == x @ w.T).all()
            assert (total == 1 + y.T @ x).all()
            assert (np.triu(gram) == np.triu(x.T @ x)).all()
            count += 3
    return count


def main(extension: str) -> None:
    load(extension)
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from factories.cpu_cases import check_isa

    from nmforge.benchmarks.llama7b_artifact import LLAMA_7B, random_model
    from nmforge.kernels._native import bf16
    from nmforge.kernels.cpu import available_isas

    shape = replace(LLAMA_7B, hidden=128, intermediate=272, blocks=2, heads=4, kv_heads=2, head_size=32, vocabulary=90)
    products, checked = multiply(bf16), 0
    for isa in available_isas():
        checked += check_isa(isa)
        for name in ("2:4-int4", "dense-bf16"):
            with tempfile.TemporaryDirectory() as scratch:
                model = random_model(name, Path(scratch), shape, isa)
            for count in (1, 3, 17, 40):
                assert np.isfinite(model.forward(range(count), 2)).all()
            model.fill(model.context - 1)
            assert np.isfinite(model.forward([1], 2)).all()
    print(f"{checked} products on {', '.join(available_isas())}, {products} of bf16 numbers, nothing reported")


if __name__ == "__main__":
    main(*sys.argv[1:])
