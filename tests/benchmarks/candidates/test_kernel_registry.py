"""The registry of kernels: those supported here multiply right, the others say why not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from nmforge.benchmarks.candidates import onnxruntime as onnx
from nmforge.benchmarks.candidates import torch_cuda
from nmforge.benchmarks.candidates.registry import REGISTRY, Kernel
from nmforge.benchmarks.kernels import check
from nmforge.benchmarks.problem import Problem, in_sequence
from nmforge.core import reference
from nmforge.core.compressed_linear import random_linear
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import DENSE, GemmShape, Pattern, QuantScheme

LISTING = """
import sys
from nmforge.core.registry import registry
entries = [(entry.name, entry.summary) for kind in ("kernel", "library") for entry in registry(kind)]
assert all(summary and "\\n" not in summary for _, summary in entries)
print(len(entries), sorted({"torch", "pandas", "matplotlib", "onnx", "onnxruntime", "triton"} & set(sys.modules)))
"""
NUMPY_KERNEL = """
from nmforge.benchmarks.candidates.registry import REGISTRY, Kernel
from nmforge.benchmarks.problem import Prepared
from nmforge.core import reference
from nmforge.core.formats import DENSE


def prepare(problem):
    weight = reference.dequantize(problem.linear)
    return Prepared(lambda: problem.x @ weight.T, lambda: problem.x @ weight.T, weight.nbytes)


REGISTRY.add(Kernel("numpy-fp32", "NumPy, dense float32", "library", DENSE, 32, prepare))
"""


def problem(kernel: Kernel, m: int = 3, copies: int = 1) -> Problem:
    rng = np.random.default_rng(0)
    linear = random_linear(rng, 48, 128, kernel.pattern, kernel.code_bits, 64)
    return Problem(linear, rng.standard_normal((m, 128), dtype=np.float32), 2, copies)


def reason(kernel: Kernel, group_size: int = 64) -> str | None:
    scheme = QuantScheme(kernel.code_bits, group_size)
    return kernel.unsupported_reason(kernel.pattern, scheme, GemmShape(3, 48, 128))


@pytest.mark.parametrize("name", REGISTRY.names())
@pytest.mark.parametrize("copies", [1, 3])
def test_products(name: str, copies: int) -> None:
    kernel = REGISTRY.get(name)
    if reason(kernel):
        pytest.skip(str(reason(kernel)))
    for m in (1, 5):
        task = problem(kernel, m, copies)
        prepared = kernel.prepare(task)
        prepared.run()
        assert prepared.output().shape == (m, 48) and prepared.weight_bytes > 0
        check(kernel, task, prepared.output())


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_reason_without_a_gpu() -> None:
    gpu = [kernel for kernel in REGISTRY if kernel.on_gpu]
    assert gpu
    assert {reason(kernel) for kernel in gpu} == {"torch finds no CUDA device on this machine"}


def test_reasons_of_onnxruntime() -> None:
    def why(bits: int, group_size: int) -> str | None:
        return onnx.unsupported_reason(DENSE, QuantScheme(bits, group_size), GemmShape(3, 48, 128))

    assert why(4, 0) is None  # one group of 128
    assert why(4, 96) == "MatMulNBits has no blocks of 96; it has (16, 32, 64, 128, 256)"
    assert why(3, 64) == "MatMulNBits is measured with 4-bit codes, not 3"


def test_reasons_of_torchs_int4_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def why(bits: int, group_size: int, k: int) -> str | None:
        return torch_cuda.int4pack_unsupported_reason(DENSE, QuantScheme(bits, group_size), GemmShape(1, 4096, k))

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert why(4, 128, 4096) is None
    assert "not 3 bits in groups of 128" in str(why(3, 128, 4096))
    assert "K % 128 == 0, not 4096 x 576" in str(why(4, 64, 576))


def test_smaller_blocks_hold_the_same_weights() -> None:
    linear = random_linear(np.random.default_rng(3), 8, 128, Pattern(1, 1), 4, 64)
    small = onnx.regrouped(linear, 32)
    assert small.group_mult.shape == (8, 4)
    np.testing.assert_array_equal(reference.dequantize(small), reference.dequantize(linear))


def test_onnxruntime_gets_the_same_weights() -> None:
    linear = random_linear(np.random.default_rng(3), 8, 128, Pattern(2, 4), 4, 64)
    codes, scales = onnx.pack_blocks(linear)
    values = np.stack([codes & 15, codes >> 4], axis=3).reshape(8, 2, 64).astype(np.float64) - 8
    exact = reference.dequantize(linear).astype(np.float64)
    np.testing.assert_allclose((values * scales[:, :, None]).reshape(8, 128), exact, rtol=2**-22)


def test_the_roofline_reads_what_the_product_reads() -> None:
    read, ours = REGISTRY.get("read-2:4-int4"), REGISTRY.get("ours-2:4-int4")
    one = GemmShape(1, 48, 128)
    assert read.unsupported_reason(read.pattern, QuantScheme(4, 64), one) is None
    assert reason(read) == "memory bounds a product of one token only"
    task = problem(read, m=1, copies=3)
    prepared = read.prepare(task)
    prepared.run()
    assert prepared.weight_bytes == ours.prepare(task).weight_bytes


def test_roles_and_stages() -> None:
    assert {(kernel.role, kernel.stage) for kernel in REGISTRY} == {
        ("nmforge", "matmul"),
        ("library", "matmul"),
        ("baseline", "matmul"),
        ("baseline", "end_to_end"),
        ("roofline", "read"),
    }
    assert all(kernel.exact == (kernel.role == "nmforge") for kernel in REGISTRY)


def test_a_wrong_exact_product_is_an_error() -> None:
    kernel = REGISTRY.get("ours-2:4-int4")
    task = problem(kernel)
    y = kernel.prepare(task).output().copy()
    y[2, 5] = np.nextafter(y[2, 5], np.float32(np.inf))
    with pytest.raises(NmforgeError, match="ours-2:4-int4: 1 of 96 outputs differ from the reference"):
        check(kernel, task, y)


def test_a_wrong_library_product_is_an_error() -> None:
    kernel = REGISTRY.get("torch-fp32")
    task = problem(kernel)
    y = kernel.prepare(task).output()
    with pytest.raises(NmforgeError, match="torch-fp32: relative error 1 against float64"):
        check(kernel, task, np.zeros_like(y))


def test_runs_touch_every_copy() -> None:
    calls: list[int] = []
    in_sequence([lambda: calls.append(1), lambda: calls.append(2)])()
    assert calls == [1, 2]


def test_listing_kernels_imports_no_large_library() -> None:
    found = subprocess.run([sys.executable, "-c", LISTING], capture_output=True, text=True, check=True)
    assert found.stdout.split(" ", 1)[1] == "[]\n"


def test_a_kernel_is_one_new_file(tmp_path: Path) -> None:
    """One more file in the package of kernels: a config can name the kernel, and `nmforge bench` measures it."""
    (tmp_path / "numpy_dense.py").write_text(NUMPY_KERNEL)
    config = {
        "model": {"name": "toy", "source": "toy"},
        "text": {"source": "a.md"},
        "designs": [{"id": "dense"}, {"id": "rtn", "quantizer": "rtn", "bits": 4}],
        "kernels": {"m": [2], "shapes": [[48, 128]], "model_shapes": False, "threads": [1], "llama7b": False,
                    "seconds_per_kernel": 0.001, "names": ["numpy-fp32", "ours-dense-int4"]},
    }  # fmt: skip
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    one_more = f"from nmforge.benchmarks import candidates; candidates.__path__.append({str(tmp_path)!r})"
    script = f"{one_more}; from nmforge.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", script, "--config", "config.yaml", "bench", "--out", "bench.json"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    rows = json.loads((tmp_path / "bench.json").read_text())["rows"]
    found = {(row["kernel"], row["family"], row["m"], row["n"], row["k"]) for row in rows}
    assert found == {("numpy-fp32", "library", 2, 48, 128), ("ours-dense-int4", "nmforge", 2, 48, 128)}
