"""Peer libraries behind a pipe: one JSON request a line on stdin, one JSON reply a line on stdout.

The python of `.venv-peers` runs this file by itself; it imports numpy and the peers, never nmforge. A reply holds
`error` where the request failed. What the libraries print goes to stderr. Requests (`op`) and what they reply:

    hello                                     kernels, versions
    prepare  id kernel threads copies npz     weight_bytes, path (npz: codes int8[N, K], scales float32[N, K / G], x
                                              float32[M, K]; path: which code the library chose)
    output   id copy file                     -, and the product by one copy, float32[M, N], in the .npy file
    run      id calls                         seconds of one run; a run multiplies by every copy once, and copy i has
                                              its rows rotated by i, so that no library can take two for one
    release  id                               -
    quantize gguf out kind                    -, and a copy of a model in llama.cpp's format `kind` (`q4_0`, `q4_k_m`)
    load     id gguf threads context          cache_bytes (keys and values of one token), description
    context  id tokens                        seconds the prefill of that many pseudo-random tokens took
    decode   id steps                         seconds, a list: one token at a time, always behind `tokens` tokens

`run` and `decode` reply once the threads of the library are asleep, so that the caller's own kernels have the cores.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

WAKE_S = 0.004  # untimed calls before a sample; none where one call takes 20 times as long
QUIET_STEP_S, QUIET_SHARE, QUIET_STEPS = 0.011, 0.2, 20
LIBRARIES = {"llama-cpp-python": "llama_cpp", "openvino": "openvino"}
GGML_TYPES = {"f32": 0, "f16": 1, "q4_0": 2, "q4_k": 12}
MODEL_TYPES = {"f16": 1, "q4_0": 2, "q8_0": 7, "q4_k_m": 15}  # enum llama_ftype
Reply = dict[str, Any]


class Weights:
    """One problem: codes int8[N, K] in -8..7, scales float32[N, K / G], x float32[M, K]."""

    def __init__(self, path: str) -> None:
        """Read an .npz file."""
        with np.load(path) as arrays:
            self.codes, self.scales, self.x = arrays["codes"], arrays["scales"], arrays["x"]
        self.n, self.k = self.codes.shape
        self.m, self.groups = self.x.shape[0], self.scales.shape[1]

    def dense(self) -> np.ndarray:
        """float32[N, K]."""
        grouped = self.codes.reshape(self.n, self.groups, -1) * self.scales[:, :, None]
        return np.ascontiguousarray(grouped.reshape(self.n, self.k), dtype=np.float32)


# ---------------------------------------------------------------------------------------------------- llama.cpp: ggml

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
        """A context for so many tensors, whose data lie elsewhere, and for a graph of so many nodes."""
        size = (tensors + 1) * self.ggml_tensor_overhead() + self.ggml_graph_overhead_custom(graph + 1, False)
        return self.ggml_init(InitParams(size + 1024, None, True))

    def buffer_types(self, backend: Any) -> list[Any]:
        """Buffer types of the CPU in the order in which llama.cpp tries them on a weight: those that re-lay it for a
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

    def __init__(self, kind: str, weights: Weights, threads: int, copies: int) -> None:
        self.ggml = ggml = Ggml()
        self.shape = (weights.m, weights.n)
        self.backend = ggml.ggml_backend_cpu_init()
        ggml.ggml_backend_cpu_set_n_threads(self.backend, threads)
        for buffer_type in ggml.buffer_types(self.backend):
            self._build(kind, weights, copies, buffer_type)
            if ggml.ggml_backend_dev_supports_op(ggml.ggml_backend_get_device(self.backend), self.outputs[0]):
                break
            self._free()
        self.path = ggml.ggml_backend_buft_name(buffer_type).decode()
        self._fill(kind, weights)

    def _build(self, kind: str, weights: Weights, copies: int, buffer_type: Any) -> None:
        """Tensors without values: weights in `buffer_type`, x float32[M, K] and the outputs in plain memory."""
        g = self.ggml
        self.stores = [g.context(copies), g.context(copies + 1, copies)]
        self.tensors = [
            g.ggml_new_tensor_2d(self.stores[0], GGML_TYPES[kind], weights.k, weights.n) for _ in range(copies)
        ]
        self.x = g.ggml_new_tensor_2d(self.stores[1], GGML_TYPES["f32"], weights.k, weights.m)
        self.outputs = [g.ggml_mul_mat(self.stores[1], tensor, self.x) for tensor in self.tensors]
        self.graph = g.ggml_new_graph_custom(self.stores[1], copies + 1, False)
        for output in self.outputs:
            g.ggml_build_forward_expand(self.graph, output)
        types = [buffer_type, g.ggml_backend_cpu_buffer_type()]
        self.buffers = [
            g.ggml_backend_alloc_ctx_tensors_from_buft(*pair) for pair in zip(self.stores, types, strict=True)
        ]
        self.weight_bytes = g.ggml_nbytes(self.tensors[0])

    def _fill(self, kind: str, weights: Weights) -> None:
        dense = weights.dense()
        stored = np.empty(self.weight_bytes, dtype=np.uint8)
        if kind == "f16":
            stored = dense.astype(np.float16)
        else:
            size = (weights.n, weights.k)
            self.ggml.ggml_quantize_chunk(GGML_TYPES[kind], dense.ctypes.data, stored.ctypes.data, 0, *size, None)
        rows = stored.reshape(weights.n, -1)
        for i, tensor in enumerate(self.tensors):
            turned = np.roll(rows, i, axis=0)
            self.ggml.ggml_backend_tensor_set(tensor, turned.ctypes.data, 0, turned.nbytes)
        x = np.ascontiguousarray(weights.x, dtype=np.float32)
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


# ----------------------------------------------------------------------------------------------------------- OpenVINO


class OpenvinoProduct:
    """`copies` MatMuls in one model, each over a compressed constant: u4[N, K / G, G], zero point 8, f16 scales.

    That is the graph NNCF writes for INT4_SYM, and the CPU plugin runs it as one fully connected node that
    decompresses as it multiplies. Options: one stream, latency hint, dynamic quantization of the activations to int8
    per group of weights (the largest group it quantizes by), and of the precisions f32 and bf16 the faster one here.
    """

    def __init__(self, weights: Weights, threads: int, copies: int) -> None:
        self.weight_bytes = weights.codes.size // 2 + weights.scales.size * 2
        group = str(weights.k // weights.groups)
        options = {
            "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": str(threads),
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": group,
        }  # fmt: skip
        requests = {
            hint: self._compile(weights, copies, {**options, "INFERENCE_PRECISION_HINT": hint})
            for hint in ("f32", "bf16")
        }
        fastest = min(requests, key=lambda hint: fastest_of(lambda: infer(requests[hint])))
        self.request = requests[fastest]
        self.path = f"{fastest}, dynamic quantization by {group}"

    def _compile(self, weights: Weights, copies: int, options: dict[str, str]) -> Any:
        """A request that holds x."""
        import openvino as ov

        model, borrowed = openvino_model(weights, copies)
        request = ov.Core().compile_model(model, "CPU", options).create_infer_request()
        del borrowed  # compiling copied the constants
        request.set_input_tensor(ov.Tensor(np.ascontiguousarray(weights.x, dtype=np.float32)))
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


def openvino_model(weights: Weights, copies: int) -> tuple[Any, list[np.ndarray]]:
    """x float32[M, K] -> y0, y1, ... float32[M, N], and the arrays whose memory its 4-bit constants borrow."""
    import openvino as ov
    from openvino import opset13 as ops

    x = ops.parameter([weights.m, weights.k], np.float32, name="x")
    arrays: list[np.ndarray] = []

    def nibbles(packed: np.ndarray, shape: list[int]) -> Any:
        arrays.append(packed)
        return ops.convert(ov.op.Constant(ov.Tensor(packed, ov.Shape(shape), ov.Type.u4)), "f16")

    eight = nibbles(np.array([0x08], dtype=np.uint8), [1, 1, 1])
    results = []
    for i in range(copies):
        biased = (np.roll(weights.codes, i, axis=0) + np.int8(8)).view(np.uint8)
        shape = [weights.n, weights.groups, weights.k // weights.groups]
        codes = nibbles(np.ascontiguousarray(biased[:, 0::2] | biased[:, 1::2] << 4), shape)
        scales = ops.constant(np.roll(weights.scales, i, axis=0).astype(np.float16)[:, :, None])
        grouped = ops.multiply(ops.subtract(codes, eight), scales)
        dense = ops.convert(ops.reshape(grouped, np.array([weights.n, weights.k]), False), "f32")
        results.append(ops.result(ops.matmul(x, dense, False, True), name=f"y{i}"))
    return ov.Model(results, [x], "products"), arrays


# ------------------------------------------------------------------------------------------------------- whole models


class Model:
    """A GGUF model in llama.cpp on the CPU, its cache cut back to `tokens` tokens after every call."""

    def __init__(self, gguf: str, threads: int, context: int) -> None:
        import llama_cpp

        self.llama = llama_cpp.llama_cpp
        self.llama.llama_backend_init()
        options = self.llama.llama_model_default_params()
        options.n_gpu_layers = 0
        self.model = self.llama.llama_model_load_from_file(gguf.encode(), options)
        if not self.model:
            raise RuntimeError(f"llama.cpp cannot load {gguf}")
        settings = self.llama.llama_context_default_params()
        settings.n_ctx, settings.n_threads, settings.n_threads_batch = context, threads, threads
        self.state = self.llama.llama_init_from_model(self.model, settings)
        if not self.state:
            raise RuntimeError(f"llama.cpp cannot make a context of {context} tokens for {gguf}")
        self.memory = self.llama.llama_get_memory(self.state)
        self.vocabulary = self.llama.llama_vocab_n_tokens(self.llama.llama_model_get_vocab(self.model))
        self.tokens = 0

    def _decode(self, tokens: np.ndarray) -> float:
        """Seconds to append int32 tokens to the cache."""
        ids = (ctypes.c_int32 * len(tokens))(*tokens.tolist())
        batch = self.llama.llama_batch_get_one(ids, len(tokens))
        start = time.perf_counter()
        code = self.llama.llama_decode(self.state, batch)
        self.llama.llama_synchronize(self.state)
        if code != 0:
            raise RuntimeError(f"llama_decode returned {code}; the context may be too short")
        return time.perf_counter() - start

    def _random(self, count: int) -> np.ndarray:
        return np.random.default_rng(count).integers(0, self.vocabulary, count, dtype=np.int32)

    def cache_bytes(self) -> int:
        """Keys and values of one token, f16."""
        window, model = self.llama, self.model
        head = window.llama_model_n_embd(model) // window.llama_model_n_head(model)
        return int(2 * 2 * window.llama_model_n_layer(model) * window.llama_model_n_head_kv(model) * head)

    def fill(self, tokens: int) -> float:
        """Empty the cache and prefill it; seconds."""
        self.llama.llama_memory_clear(self.memory, True)
        size = self.llama.llama_n_batch(self.state)
        ids = self._random(tokens)
        self.tokens = tokens
        return sum(self._decode(ids[i : i + size]) for i in range(0, tokens, size))

    def decode(self, steps: int) -> list[float]:
        """Seconds of every token, one at a time, behind one that wakes the threads; each is forgotten again."""
        seconds = []
        for token in self._random(steps + 1):
            seconds.append(self._decode(token[None]))
            if not self.llama.llama_memory_seq_rm(self.memory, 0, self.tokens, -1):
                raise RuntimeError("llama.cpp cannot cut this model's cache back")
        return seconds[1:]

    def close(self) -> None:
        """Give the memory back."""
        self.llama.llama_free(self.state)
        self.llama.llama_model_free(self.model)


def quantize_model(gguf: str, out: str, kind: str) -> None:
    """Write `gguf` in another of llama.cpp's formats, every matrix as llama.cpp's own tool quantizes it."""
    import llama_cpp

    options = llama_cpp.llama_model_quantize_default_params()
    options.ftype, options.allow_requantize = MODEL_TYPES[kind], True
    if llama_cpp.llama_model_quantize(gguf.encode(), out.encode(), ctypes.byref(options)) != 0:
        raise RuntimeError(f"llama.cpp cannot quantize {gguf} to {kind}")


# ------------------------------------------------------------------------------------------------------------ protocol

KERNELS: dict[str, tuple[str, Callable[[Weights, int, int], Any]]] = {
    "llamacpp-f16": ("llama-cpp-python", lambda *given: GgmlProduct("f16", *given)),
    "llamacpp-q4_0": ("llama-cpp-python", lambda *given: GgmlProduct("q4_0", *given)),
    "llamacpp-q4_k": ("llama-cpp-python", lambda *given: GgmlProduct("q4_k", *given)),
    "openvino-int4": ("openvino", OpenvinoProduct),
}


class Worker:
    """The operations; each takes a request and returns the fields of its reply."""

    def __init__(self) -> None:
        self.held: dict[int, Any] = {}
        self.lasted: dict[int, float] = {}

    def hello(self, request: Reply) -> Reply:
        """Names and versions of what is installed here."""
        versions = {"numpy": np.__version__}
        for package, module in LIBRARIES.items():
            if importlib.util.find_spec(module):
                versions[package] = metadata.version(package)
        kernels = [name for name, (package, _) in KERNELS.items() if package in versions]
        return {"versions": versions, "kernels": kernels}

    def prepare(self, request: Reply) -> Reply:
        """Lay the weights down."""
        make = KERNELS[request["kernel"]][1]
        product = make(Weights(request["npz"]), request["threads"], request["copies"])
        self.held[request["id"]] = product
        return {"weight_bytes": product.weight_bytes, "path": product.path}

    def output(self, request: Reply) -> Reply:
        """The product by one copy, as a file."""
        np.save(request["file"], self.held[request["id"]].output(request["copy"]))
        settle()
        return {}

    def run(self, request: Reply) -> Reply:
        """Wake the threads, time the runs, let the threads fall asleep."""
        name, call = request["id"], self.held[request["id"]].run
        wake(call, self.lasted.get(name, 0.0))
        start = time.perf_counter()
        for _ in range(request["calls"]):
            call()
        self.lasted[name] = (time.perf_counter() - start) / request["calls"]
        settle()
        return {"seconds": self.lasted[name]}

    def release(self, request: Reply) -> Reply:
        """Forget a product or a model."""
        self.lasted.pop(request["id"], None)
        self.held.pop(request["id"]).close()
        return {}

    def quantize(self, request: Reply) -> Reply:
        """Write a model in another format."""
        quantize_model(request["gguf"], request["out"], request["kind"])
        settle()
        return {}

    def load(self, request: Reply) -> Reply:
        """Load a model."""
        model = self.held[request["id"]] = Model(request["gguf"], request["threads"], request["context"])
        text = ctypes.create_string_buffer(256)
        model.llama.llama_model_desc(model.model, text, len(text))
        return {"cache_bytes": model.cache_bytes(), "description": text.value.decode()}

    def context(self, request: Reply) -> Reply:
        """Prefill a model's cache."""
        seconds = self.held[request["id"]].fill(request["tokens"])
        settle()
        return {"seconds": seconds}

    def decode(self, request: Reply) -> Reply:
        """Time single tokens."""
        seconds = self.held[request["id"]].decode(request["steps"])
        settle()
        return {"seconds": seconds}

    def answer(self, request: Reply) -> Reply:
        """The reply to one request, an error text where it failed."""
        try:
            if request["op"] not in OPERATIONS:
                return {"error": f"operation {request['op']!r} is unknown"}
            reply: Reply = getattr(self, request["op"])(request)
            return reply
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"}


OPERATIONS = ("hello", "prepare", "output", "run", "release", "quantize", "load", "context", "decode")


def wake(call: Callable[[], object], lasts: float) -> None:
    """Untimed calls that wake the threads of a library."""
    start = time.perf_counter()
    while lasts < 20 * WAKE_S and time.perf_counter() - start < WAKE_S:
        call()


def fastest_of(call: Callable[[], object], calls: int = 5) -> float:
    """Seconds of the fastest call, behind one that warms up."""
    call()
    seconds = []
    for _ in range(calls):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def settle() -> None:
    """Sleep until no thread of this process uses a core."""
    for _ in range(QUIET_STEPS):
        used = time.process_time()
        time.sleep(QUIET_STEP_S)
        if time.process_time() - used < QUIET_SHARE * QUIET_STEP_S:
            return


def main() -> None:
    """Answer until stdin ends. Descriptor 1 becomes stderr, so that no print of a library is taken for a reply."""
    with os.fdopen(os.dup(1), "w") as replies:
        os.dup2(2, 1)
        worker = Worker()
        for line in sys.stdin:
            replies.write(json.dumps(worker.answer(json.loads(line))) + "\n")
            replies.flush()


if __name__ == "__main__":
    main()
