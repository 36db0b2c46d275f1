"""The layer loop: capture a block's inputs, prune and quantize its layers, pass the compressed output on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from nmforge import provenance
from nmforge.artifact import RawTensor, write_artifact
from nmforge.bf16 import Bf16Linear, round_bf16
from nmforge.calibration import InputStats, Streams, walk_block
from nmforge.config import CalibrationConfig
from nmforge.corpora.windows import random_windows, read_tokens
from nmforge.correction import toward_dense
from nmforge.errors import NmforgeError
from nmforge.linear import CompressedLinear
from nmforge.models.layers import BLOCK_LINEARS, block_name, embed
from nmforge.models.sources import load_checkpoint
from nmforge.pruning import CALIBRATED_PRUNERS, JOINT_PRUNERS, PRUNERS
from nmforge.quantization import CALIBRATED_QUANTIZERS, QUANTIZERS
from nmforge.quantization.gptq import gptq
from nmforge.quantization.scales import Quantized
from nmforge.reference import dequantize
from nmforge.spec import DesignPoint


def check_design(point: DesignPoint) -> None:
    """Raise NmforgeError on an unknown or impossible combination of pruner and quantizer."""
    if point.is_dense_bf16:
        return
    known = {"pruner": ["none", *PRUNERS, *JOINT_PRUNERS], "quantizer": [*QUANTIZERS, *CALIBRATED_QUANTIZERS]}
    for key, names in known.items():
        if getattr(point, key) not in names:
            raise NmforgeError(
                f"design {point.id}: {key} {getattr(point, key)!r} is unknown; use one of {', '.join(names)}"
            )
    if (point.pruner == "none") != point.pattern.is_dense:
        raise NmforgeError(
            f"design {point.id}: pattern {point.pattern} and pruner {point.pruner} disagree; "
            "a dense pattern goes with pruner none, any other with a pruner"
        )
    if point.target == "dense" and not is_calibrated(point):
        raise NmforgeError(
            f"design {point.id}: target dense needs calibration text, which pruner {point.pruner} and quantizer "
            f"{point.quantizer} do not read; set quantizer gptq, or remove target"
        )
    if point.pruner in JOINT_PRUNERS:
        if point.quantizer != "gptq":
            raise NmforgeError(f"design {point.id}: pruner {point.pruner} solves jointly; set quantizer gptq")
        if point.group_size % point.pattern.of:
            raise NmforgeError(
                f"design {point.id}: pattern {point.pattern} does not divide group_size {point.group_size}; "
                f"choose a multiple of {point.pattern.of}"
            )


def is_calibrated(point: DesignPoint) -> bool:
    """True where the point needs calibration text."""
    return point.pruner in CALIBRATED_PRUNERS or point.quantizer in CALIBRATED_QUANTIZERS


def compress_layers(
    weights: Mapping[str, Tensor], stats: InputStats | None, point: DesignPoint
) -> dict[str, CompressedLinear]:
    """Layers float32[N, K] that read the same inputs -> codes, masks and scales as the design point asks.

    GPTQ solves them together, one below the other: rows do not depend on each other, and the factor is shared.
    """
    for where, weight in weights.items():
        point.pattern.check_divides(weight.shape[1], where)
        if not torch.isfinite(weight).all():
            raise NmforgeError(f"{where}: its weights are not finite; check the checkpoint")
    if stats is not None:
        weights = {name: toward_dense(weight, stats, name) for name, weight in weights.items()}
    masks = {name: _mask(weight, stats, point) for name, weight in weights.items()}
    if point.quantizer != "gptq":
        return {name: _quantize(weight, masks[name], point) for name, weight in weights.items()}
    if stats is None:
        raise ValueError("gptq needs input statistics")
    given = [mask for mask in masks.values() if mask is not None]
    stacked = torch.cat(list(weights.values()))
    found = gptq(
        stacked, stats.gram, point.pattern, point.scheme, torch.cat(given) if given else None, next(iter(weights))
    )
    return _split(_as_linear(found, point), {name: len(weight) for name, weight in weights.items()})


def _quantize(weight: Tensor, mask: Tensor | None, point: DesignPoint) -> CompressedLinear:
    """A layer on its own, by a quantizer that needs no statistics."""
    kept = torch.ones_like(weight, dtype=torch.bool) if mask is None else mask
    return _as_linear(QUANTIZERS[point.quantizer](weight, kept, point.scheme), point)


def _split(linear: CompressedLinear, rows: Mapping[str, int]) -> dict[str, CompressedLinear]:
    """Cut stacked layers apart again: rows of each, in order."""
    ends = list(accumulate(rows.values()))
    return {name: linear.take_rows(slice(end - rows[name], end)) for name, end in zip(rows, ends, strict=True)}


def _mask(weight: Tensor, stats: InputStats | None, point: DesignPoint) -> Tensor | None:
    """The pruner's mask; None where there is nothing to prune or the solver chooses as it goes."""
    pruner = PRUNERS.get(point.pruner)
    return None if pruner is None else pruner(weight, stats, point.pattern)


def _as_linear(found: Quantized, point: DesignPoint) -> CompressedLinear:
    size = found.codes.shape[1] // found.group_mult.shape[1]
    arrays = [tensor.numpy() for tensor in found]
    return CompressedLinear(point.pattern, point.bits, size, *arrays)


@torch.inference_mode()
def compress_model(model: Any, point: DesignPoint, windows: Tensor | None) -> dict[str, CompressedLinear]:
    """Compress every linear layer in place, block by block; errors of earlier blocks propagate to later ones.

    windows: int64[W, T] calibration tokens, or None for a point that needs none.
    """
    linears: dict[str, CompressedLinear] = {}
    hidden = _embedded(model, windows, walk_dense=point.target == "dense")
    blocks = model.model.layers
    for index, block in enumerate(tqdm(blocks, desc=f"compress {point.id}", unit="block", disable=None)):
        for name in BLOCK_LINEARS:
            block.set_submodule(name, Bf16Linear(block.get_submodule(name).weight))

        def visit(names: tuple[str, ...], stats: InputStats | None, index: int = index, block: Any = block) -> None:
            layers = {f"{block_name(index)}.{name}": block.get_submodule(name).weight for name in names}
            found = compress_layers({name: weight.float() for name, weight in layers.items()}, stats, point)
            for name, linear in found.items():
                layers[name].copy_(round_bf16(torch.from_numpy(dequantize(linear))))
            linears.update(found)

        hidden = walk_block(model, index, hidden, visit)
    return linears


def _embedded(model: Any, windows: Tensor | None, *, walk_dense: bool) -> Streams:
    """Inputs of the first block, the same in both streams."""
    hidden = [] if windows is None else [embed(model, window[None]) for window in windows]
    return Streams(hidden, list(hidden) if walk_dense else None)


def rest_tensors(model: Any, linears: Mapping[str, Any], tokenizer_file: Path) -> dict[str, RawTensor]:
    """Everything but the compressed layers, in bf16, and the tokenizer; tied tensors are stored once."""
    rest = {"tokenizer.json": RawTensor("uint8", (tokenizer_file.stat().st_size,), tokenizer_file.read_bytes())}
    tied = model.config.tie_word_embeddings
    for name, tensor in model.state_dict().items():
        if name.removesuffix(".weight") in linears or (tied and name == "lm_head.weight"):
            continue
        data = tensor.to(torch.bfloat16).contiguous().view(torch.uint8).numpy().tobytes()
        rest[name] = RawTensor("bfloat16", tuple(tensor.shape), data)
    return rest


def compress_checkpoint(
    checkpoint: Path,
    tokens: Path,
    point: DesignPoint,
    calibration: CalibrationConfig,
    encoding: str,
    out: Path,
) -> None:
    """Checkpoint folder -> artifact file."""
    check_design(point)
    torch.set_flush_denormal(True)
    model, _, identity = load_checkpoint(checkpoint)
    linears: dict[str, CompressedLinear] = {}
    used: dict[str, Any] = {"tokens": 0}
    if not point.is_dense_bf16:
        windows = None
        if is_calibrated(point):
            stream, revision = read_tokens(tokens, "calibration")
            chosen = random_windows(stream, calibration.tokens, calibration.seqlen, calibration.seed)
            windows = torch.from_numpy(chosen).long()
            used = {
                "revision": revision,
                "tokens": windows.numel(),
                **calibration.model_dump(exclude={"tokens"}),
            }
        linears = compress_model(model, point, windows)
    header = {
        "model": {**identity, "config": model.config.to_dict()},
        "design": {**asdict(point), "pattern": str(point.pattern)},
        "calibration": used,
        "versions": provenance.versions(),
    }
    rest = rest_tensors(model, linears, checkpoint / "tokenizer.json")
    write_artifact(out, header, linears, rest, encoding)
