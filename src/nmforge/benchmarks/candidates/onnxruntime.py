"""ONNX Runtime's `MatMulNBits` with the same codes and group scales, at several settings."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from nmforge.benchmarks.candidates.registry import REGISTRY, Kernel
from nmforge.benchmarks.problem import Prepared, Problem
from nmforge.core.compressed_linear import CompressedLinear
from nmforge.core.formats import DENSE, GemmShape, Pattern, QuantScheme

BLOCKS = (16, 32, 64, 128, 256)


def unsupported_reason(pattern: Pattern, scheme: QuantScheme, shape: GemmShape) -> str | None:
    """Why `MatMulNBits` cannot hold such a layer."""
    bits, group_size = scheme.bits, scheme.group_size or shape.k
    if bits != 4:
        return f"MatMulNBits is measured with 4-bit codes, not {bits}"
    return None if group_size in BLOCKS else f"MatMulNBits has no blocks of {group_size}; it has {BLOCKS}"


def matmul_nbits(problem: Problem, block: int | None = None, accuracy_level: int = 4) -> Prepared:
    """One session; with copies, a graph of that many nodes over distinct weights, so that one run streams them all.

    block: weights that share a stored scale, by default the layer's group; a smaller one repeats the group's scale.
    accuracy_level: 4 multiplies int8 activations, 0 float32 ones.
    """
    import onnxruntime

    linear = problem.linear if block is None else regrouped(problem.linear, block)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = problem.threads
    options.inter_op_num_threads = 1
    model = build_model(linear, problem.x.shape[0], problem.copies, accuracy_level)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = {"x": problem.x}
    codes, scales = pack_blocks(linear)
    return Prepared(lambda: session.run(None, feed), lambda: session.run(["y0"], feed)[0], codes.nbytes + scales.nbytes)


def regrouped(linear: CompressedLinear, block: int) -> CompressedLinear:
    """The same weights with a multiplier for every `block` of them; block divides the group."""
    mult = np.repeat(linear.group_mult, linear.group_size // block, axis=1)
    return replace(linear, group_size=block, group_mult=mult)


def pack_blocks(linear: CompressedLinear) -> tuple[np.ndarray, np.ndarray]:
    """uint8[N, groups, G / 2], codes plus 8, first code in the low nibble; float32[N, groups] scales."""
    biased = (linear.codes + np.int8(8)).view(np.uint8).reshape(linear.n, -1, linear.group_size)
    scales = linear.group_mult.astype(np.float32) * linear.row_scale[:, None]
    return biased[:, :, 0::2] | biased[:, :, 1::2] << 4, scales


def build_model(linear: CompressedLinear, m: int, copies: int, accuracy_level: int = 4) -> bytes:
    """A serialized ONNX model: x float32[M, K] -> y0, y1, ... float32[M, N], one node per copy of the weights."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    codes, scales = pack_blocks(linear)
    nodes, weights, outputs = [], [], []
    for i in range(copies):  # rows turned by i, since the runtime stores equal weights once
        weights += [
            numpy_helper.from_array(np.roll(codes, i, axis=0), f"codes{i}"),
            numpy_helper.from_array(np.roll(scales, i, axis=0).ravel(), f"scales{i}"),
        ]
        nodes.append(
            helper.make_node(
                "MatMulNBits", ["x", f"codes{i}", f"scales{i}"], [f"y{i}"], domain="com.microsoft", K=linear.k,
                N=linear.n, bits=4, block_size=linear.group_size, accuracy_level=accuracy_level,
            )
        )  # fmt: skip
        outputs.append(helper.make_tensor_value_info(f"y{i}", TensorProto.FLOAT, [m, linear.n]))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [m, linear.k])
    graph = helper.make_graph(nodes, "product", [x], outputs, weights)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    return bytes(onnx.ModelProto.SerializeToString(model))


# The first is ONNX Runtime at its fastest; the others show what each of its two settings is worth.
for _suffix, _block, _level, _words in (
    ("", None, 4, "int8 activations, a scale for each group"),
    ("-block32", 32, 4, "int8 activations, a scale for 32 weights"),
    ("-level0", None, 0, "float32 activations, a scale for each group"),
    ("-block32-level0", 32, 0, "float32 activations, a scale for 32 weights"),
):
    REGISTRY.add(
        Kernel(
            f"onnxruntime-int4{_suffix}",
            f"ONNX Runtime MatMulNBits, dense INT4, {_words}",
            "library",
            DENSE,
            4,
            partial(matmul_nbits, block=_block, accuracy_level=_level),
            unsupported_reason,
            by_default=not _suffix,
        )
    )
