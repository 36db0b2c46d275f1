"""OpenVINO's MatMul over 4-bit weights that it decompresses as it multiplies."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from nmforge.benchmarks.candidates.external.protocol import Task
from nmforge.benchmarks.candidates.external.registry import REGISTRY, Library, Offer


class OpenvinoProduct:
    """`copies` MatMuls in one model, each over a compressed constant: u4[N, K / G, G], zero point 8, f16 scales.

    That is the graph NNCF writes for INT4_SYM, and the CPU plugin runs it as one fully connected node that
    decompresses as it multiplies. Options: one stream, latency hint, dynamic quantization of the activations to int8
    per group of weights (the largest group it quantizes by), and of the precisions f32 and bf16 the faster one here.
    """

    def __init__(self, task: Task, threads: int, copies: int) -> None:
        self.weight_bytes = task.codes.size // 2 + task.scales.size * 2
        group = str(task.k // task.groups)
        options = {
            "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": str(threads),
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": group,
        }  # fmt: skip
        requests = {
            hint: self._compile(task, copies, {**options, "INFERENCE_PRECISION_HINT": hint}) for hint in ("f32", "bf16")
        }
        fastest = min(requests, key=lambda hint: fastest_of(lambda: infer(requests[hint])))
        self.request = requests[fastest]
        self.path = f"{fastest}, dynamic quantization by {group}"

    def _compile(self, task: Task, copies: int, options: dict[str, str]) -> Any:
        """A request that holds x."""
        import openvino as ov

        model, borrowed = openvino_model(task, copies)
        request = ov.Core().compile_model(model, "CPU", options).create_infer_request()
        del borrowed  # compiling copied the constants
        request.set_input_tensor(ov.Tensor(np.ascontiguousarray(task.x, dtype=np.float32)))
        return request

    def run(self) -> None:
        """Infer."""
        infer(self.request)

    def output(self, copy: int) -> np.ndarray:
        """float32[M, N]."""
        self.run()
        return np.array(self.request.get_output_tensor(copy).data, dtype=np.float32)

    def close(self) -> None:
        """Give the memory back."""
        del self.request


def infer(request: Any) -> None:
    """One inference; results stay where the library put them."""
    request.infer(share_inputs=True, share_outputs=True)


def openvino_model(task: Task, copies: int) -> tuple[Any, list[np.ndarray]]:
    """x float32[M, K] -> y0, y1, ... float32[M, N], and the arrays whose memory its 4-bit constants borrow."""
    import openvino as ov
    from openvino import opset13 as ops

    x = ops.parameter([task.m, task.k], np.float32, name="x")
    arrays: list[np.ndarray] = []

    def nibbles(packed: np.ndarray, shape: list[int]) -> Any:
        arrays.append(packed)
        return ops.convert(ov.op.Constant(ov.Tensor(packed, ov.Shape(shape), ov.Type.u4)), "f16")

    eight = nibbles(np.array([0x08], dtype=np.uint8), [1, 1, 1])
    results = []
    for i in range(copies):
        biased = (np.roll(task.codes, i, axis=0) + np.int8(8)).view(np.uint8)
        shape = [task.n, task.groups, task.k // task.groups]
        codes = nibbles(np.ascontiguousarray(biased[:, 0::2] | biased[:, 1::2] << 4), shape)
        scales = ops.constant(np.roll(task.scales, i, axis=0).astype(np.float16)[:, :, None])
        grouped = ops.multiply(ops.subtract(codes, eight), scales)
        dense = ops.convert(ops.reshape(grouped, np.array([task.n, task.k]), False), "f32")
        results.append(ops.result(ops.matmul(x, dense, False, True), name=f"y{i}"))
    return ov.Model(results, [x], "products"), arrays


def fastest_of(call: Callable[[], object], calls: int = 5) -> float:
    """Seconds of the fastest call, after one that warms up."""
    call()
    seconds = []
    for _ in range(calls):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


REGISTRY.add(
    Library(
        name="openvino",
        summary="OpenVINO's CPU plugin",
        package="openvino",
        module="openvino",
        file=__file__,
        kernels=(Offer("openvino-int4", "OpenVINO, INT4_SYM as NNCF writes it", 4, 2, OpenvinoProduct),),
    )
)
