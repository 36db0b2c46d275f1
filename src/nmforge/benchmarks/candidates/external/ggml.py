"""llama.cpp's products: ggml's CPU backend, as llama.cpp computes a linear layer, through ctypes."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nmforge.benchmarks.candidates.external.protocol import Task
from nmforge.benchmarks.candidates.external.registry import REGISTRY, Library, Offer

GGML_TYPES = {"f32": 0, "f16": 1, "q4_0": 2, "q4_k": 12}
P, SIZE, INT, I64 = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int64


class InitParams(ctypes.Structure):
    """`struct ggml_init_params`."""

    _fields_ = (("mem_size", SIZE), ("mem_buffer", P), ("no_alloc", ctypes.c_bool))


SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "ggml_init": (P, [InitParams]),
    "ggml_free": (None, [P]),
    "ggml_tensor_overhead": (SIZE, []),
    "ggml_graph_overhead_custom": (SIZE, [SIZE, ctypes.c_bool]),
    "ggml_new_tensor_2d": (P, [P, INT, I64, I64]),
    "ggml_mul_mat": (P, [P, P, P]),
    "ggml_new_graph_custom": (P, [P, SIZE, ctypes.c_bool]),
    "ggml_build_forward_expand": (None, [P, P]),
    "ggml_nbytes": (SIZE, [P]),
    "ggml_quantize_chunk": (SIZE, [INT, P, P, I64, I64, I64, P]),
    "ggml_backend_alloc_ctx_tensors_from_buft": (P, [P, P]),
    "ggml_backend_tensor_set": (None, [P, P, SIZE, SIZE]),
    "ggml_backend_tensor_get": (None, [P, P, SIZE, SIZE]),
    "ggml_backend_buffer_free": (None, [P]),
    "ggml_backend_buft_name": (ctypes.c_char_p, [P]),
    "ggml_backend_cpu_init": (P, []),
    "ggml_backend_cpu_set_n_threads": (None, [P, INT]),
    "ggml_backend_cpu_buffer_type": (P, []),
    "ggml_backend_get_device": (P, [P]),
    "ggml_backend_dev_backend_reg": (P, [P]),
    "ggml_backend_dev_supports_op": (ctypes.c_bool, [P, P]),
    "ggml_backend_reg_get_proc_address": (P, [P, ctypes.c_char_p]),
    "ggml_backend_graph_compute": (INT, [P, P]),
    "ggml_backend_free": (None, [P]),
}


class Ggml:
    """The functions of SIGNATURES as attributes, from the shared libraries that llama-cpp-python installs."""

    def __init__(self) -> None:
        spec = importlib.util.find_spec("llama_cpp")
        folder = Path(str(spec and spec.origin)).parent / "lib"
        suffix = "dylib" if sys.platform == "darwin" else "so"
        names = ("libggml-base", "libggml-cpu", "libggml")
        libraries = [ctypes.CDLL(str(folder / f"{name}.{suffix}"), ctypes.RTLD_GLOBAL) for name in names]
        for name, (result, arguments) in SIGNATURES.items():
            function = getattr(next(library for library in libraries if hasattr(library, name)), name)
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{name} is not among the functions of ggml that are bound")

    def context(self, tensors: int, graph: int = 0) -> Any:
        """A context for `tensors` tensors, whose data are stored elsewhere, and for a graph of `graph` nodes."""
        size = (tensors + 1) * self.ggml_tensor_overhead() + self.ggml_graph_overhead_custom(graph + 1, False)
        return self.ggml_init(InitParams(size + 1024, None, True))

    def buffer_types(self, backend: Any) -> list[Any]:
        """Buffer types of the CPU in the order in which llama.cpp tries them on a weight: those that repack it for a
        faster product (AMX, KleidiAI, CPU_REPACK) as far as this build has them, then plain memory."""
        device = self.ggml_backend_get_device(backend)
        registry = self.ggml_backend_dev_backend_reg(device)
        address = self.ggml_backend_reg_get_proc_address(registry, b"ggml_backend_dev_get_extra_bufts")
        found: list[Any] = []
        if address:
            listed = ctypes.CFUNCTYPE(ctypes.POINTER(P), P)(address)(device)
            while listed and listed[len(found)]:
                found.append(listed[len(found)])
        return [*found, self.ggml_backend_cpu_buffer_type()]


class GgmlProduct:
    """`copies` nodes `ggml_mul_mat` in one graph on ggml's CPU backend, as llama.cpp computes a linear layer.

    Weights are quantized by `ggml_quantize_chunk` from the dense float32 matrix and stored in the first buffer type
    whose product the backend supports, as llama.cpp stores them: on x86 with AVX2 that is CPU_REPACK for Q4_0 and Q4_K
    (eight rows interleaved, gemv and gemm in 8x8 tiles) where N % 8 == 0, and plain memory for F16. The backend keeps
    its work buffer and, built with OpenMP, its threads between calls.
    """

    def __init__(self, kind: str, task: Task, threads: int, copies: int) -> None:
        self.ggml = ggml = Ggml()
        self.shape = (task.m, task.n)
        self.backend = ggml.ggml_backend_cpu_init()
        ggml.ggml_backend_cpu_set_n_threads(self.backend, threads)
        for buffer_type in ggml.buffer_types(self.backend):
            self._build(kind, task, copies, buffer_type)
            if ggml.ggml_backend_dev_supports_op(ggml.ggml_backend_get_device(self.backend), self.outputs[0]):
                break
            self._free()
        self.path = ggml.ggml_backend_buft_name(buffer_type).decode()
        self._fill(kind, task)

    def _build(self, kind: str, task: Task, copies: int, buffer_type: Any) -> None:
        """Tensors without values: weights in `buffer_type`, x float32[M, K] and the outputs in plain memory."""
        g = self.ggml
        self.stores = [g.context(copies), g.context(copies + 1, copies)]
        self.tensors = [g.ggml_new_tensor_2d(self.stores[0], GGML_TYPES[kind], task.k, task.n) for _ in range(copies)]
        self.x = g.ggml_new_tensor_2d(self.stores[1], GGML_TYPES["f32"], task.k, task.m)
        self.outputs = [g.ggml_mul_mat(self.stores[1], tensor, self.x) for tensor in self.tensors]
        self.graph = g.ggml_new_graph_custom(self.stores[1], copies + 1, False)
        for output in self.outputs:
            g.ggml_build_forward_expand(self.graph, output)
        types = [buffer_type, g.ggml_backend_cpu_buffer_type()]
        self.buffers = [
            g.ggml_backend_alloc_ctx_tensors_from_buft(*pair) for pair in zip(self.stores, types, strict=True)
        ]
        self.weight_bytes = g.ggml_nbytes(self.tensors[0])

    def _fill(self, kind: str, task: Task) -> None:
        dense = task.dense()
        stored = np.empty(self.weight_bytes, dtype=np.uint8)
        if kind == "f16":
            stored = dense.astype(np.float16)
        else:
            size = (task.n, task.k)
            self.ggml.ggml_quantize_chunk(GGML_TYPES[kind], dense.ctypes.data, stored.ctypes.data, 0, *size, None)
        rows = stored.reshape(task.n, -1)
        for i, tensor in enumerate(self.tensors):
            rotated = np.roll(rows, i, axis=0)
            self.ggml.ggml_backend_tensor_set(tensor, rotated.ctypes.data, 0, rotated.nbytes)
        x = np.ascontiguousarray(task.x, dtype=np.float32)
        self.ggml.ggml_backend_tensor_set(self.x, x.ctypes.data, 0, x.nbytes)

    def run(self) -> None:
        """Compute the graph."""
        if self.ggml.ggml_backend_graph_compute(self.backend, self.graph) != 0:
            raise RuntimeError("ggml_backend_graph_compute failed")

    def output(self, copy: int) -> np.ndarray:
        """float32[M, N]."""
        self.run()
        y = np.empty(self.shape, dtype=np.float32)
        self.ggml.ggml_backend_tensor_get(self.outputs[copy], y.ctypes.data, 0, y.nbytes)
        return y

    def _free(self) -> None:
        for buffer in self.buffers:
            self.ggml.ggml_backend_buffer_free(buffer)
        for store in self.stores:
            self.ggml.ggml_free(store)

    def close(self) -> None:
        """Give the memory back."""
        self._free()
        self.ggml.ggml_backend_free(self.backend)


REGISTRY.add(
    Library(
        name="ggml",
        summary="llama.cpp's matrix products",
        package="llama-cpp-python",
        module="llama_cpp",
        file=__file__,
        kernels=(
            Offer("llamacpp-f16", "llama.cpp, dense float16", 16, 1, partial(GgmlProduct, "f16")),
            Offer("llamacpp-q4_0", "llama.cpp, Q4_0: blocks of 32", 4, 32, partial(GgmlProduct, "q4_0")),
            Offer("llamacpp-q4_k", "llama.cpp, Q4_K: blocks of 256", 4, 256, partial(GgmlProduct, "q4_k")),
        ),
    )
)
