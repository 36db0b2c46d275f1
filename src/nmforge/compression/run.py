"""Checkpoint in, artifact out: prune and quantize the layers of each block on what they really read."""

from __future__ import annotations

import fnmatch
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmforge.artifact.format import RawTensor, write_streamed
from nmforge.compression.blockwise import Room, Solved, bf16_tensor, compress_blocks, compute_device
from nmforge.compression.calibration.statistics import InputStats
from nmforge.compression.checkpoints import finished_tensors, open_state, state_folder
from nmforge.compression.pruning import modelopt
from nmforge.compression.pruning.registry import CALIBRATED_PRUNERS, JOINT_PRUNERS, PEER_PRUNERS, PRUNERS, SOLVERS
from nmforge.compression.quantization.gptq import gptq
from nmforge.compression.quantization.registry import CALIBRATED_QUANTIZERS, QUANTIZERS
from nmforge.compression.quantization.scales import Quantized
from nmforge.compression.transforms.awq import channel_factors
from nmforge.compression.transforms.channel_permutation import channel_order
from nmforge.compression.transforms.error_correction import toward_dense
from nmforge.config import CalibrationConfig
from nmforge.core.compressed_linear import CompressedLinear
from nmforge.core.design import DesignPoint
from nmforge.core.errors import NmforgeError
from nmforge.data.tokens import random_windows, read_tokens
from nmforge.io import provenance
from nmforge.io.files import remove_unfinished
from nmforge.io.hashing import sha256_bytes, sha256_file
from nmforge.io.safetensors_stream import LazyTensor
from nmforge.models.checkpoint import Shards, load_skeleton, open_shards, tensor_names, verify_shards
from nmforge.models.llama import linear_names

NO_MASKS: Mapping[str, Tensor] = {}


def check_design(point: DesignPoint) -> None:
    """Raise NmforgeError on an unknown or impossible combination of pruner and quantizer."""
    if point.is_dense_bf16:
        return
    known = {
        "pruner": ["none", *PRUNERS, *SOLVERS, *JOINT_PRUNERS, *PEER_PRUNERS],
        "quantizer": [*QUANTIZERS, *CALIBRATED_QUANTIZERS],
    }
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
    if point.permute and (point.pattern.is_dense or not is_calibrated(point)):
        raise NmforgeError(
            f"design {point.id}: permute needs a sparse pattern and calibration text; set a pruner or quantizer that "
            "reads it, or remove permute"
        )
    if point.awq and (point.pruner in ("magnitude", "ria") or point.quantizer == "tensor-absmax"):
        raise NmforgeError(
            f"design {point.id}: awq changes the magnitudes that pruner {point.pruner} and quantizer {point.quantizer} "
            "go by; set pruner wanda, sparsegpt, alps, alps-swaps or none and quantizer rtn or gptq, or remove awq"
        )
    if point.dense_layers and point.pattern.is_dense:
        raise NmforgeError(f"design {point.id}: dense_layers needs a sparse pattern; set one, or remove dense_layers")
    if point.pruner in PEER_PRUNERS and (point.pattern != modelopt.PATTERN or point.permute):
        raise NmforgeError(
            f"design {point.id}: pruner {point.pruner} chooses masks of {modelopt.PATTERN}, on inputs in their own "
            f"order, not of {point.pattern}{' with permute' * point.permute}; set that pattern, or remove permute"
        )
    if point.pruner in JOINT_PRUNERS:
        if point.quantizer != "gptq":
            raise NmforgeError(f"design {point.id}: pruner {point.pruner} solves jointly; set quantizer gptq")
        if point.group_size % point.pattern.window:
            raise NmforgeError(
                f"design {point.id}: pattern {point.pattern} does not divide group_size {point.group_size}; "
                f"choose a multiple of {point.pattern.window}"
            )


def _check_dense_layers(point: DesignPoint, blocks: int) -> None:
    """Raise NmforgeError on an entry of `dense_layers` that names no layer of a model of that many blocks."""
    names = linear_names(blocks)
    for entry in point.dense_layers:
        if not fnmatch.filter(names, entry):
            raise NmforgeError(
                f"design {point.id}: dense_layers entry {entry!r} names no layer; layers are called "
                f"{names[0]} to {names[-1]}"
            )


def is_calibrated(point: DesignPoint) -> bool:
    """True where the point needs calibration text."""
    calibrated = point.pruner in (*CALIBRATED_PRUNERS, *PEER_PRUNERS) or point.quantizer in CALIBRATED_QUANTIZERS
    return calibrated or point.awq


def compress_layers(
    weights: Mapping[str, Tensor], stats: InputStats | None, point: DesignPoint, masks: Mapping[str, Tensor] = NO_MASKS
) -> dict[str, CompressedLinear]:
    """Layers float32[N, K] that read the same inputs -> codes, masks and scales as the design point asks.

    masks: of every layer, bool[N, K], where the pruner is a peer's.

    They are solved together, one below the other: rows do not depend on each other, and factors are shared.
    """
    for where, weight in weights.items():
        point.pattern.check_divides(weight.shape[1], where)
    _check_finite(weights, stats)
    first, spans = next(iter(weights)), _spans({name: len(weight) for name, weight in weights.items()})
    stacked = torch.cat(list(weights.values()))
    if stats is not None:
        stacked = toward_dense(stacked, stats, first)
    if point.pruner in PEER_PRUNERS:
        mask: Tensor | None = modelopt.stacked_masks(masks, list(weights), stacked)
    else:
        stacked, mask = _prune(stacked, stats, point, spans, first)
    if point.quantizer == "gptq":
        if stats is None:
            raise ValueError("gptq needs input statistics")
        together = _as_linear(gptq(stacked, stats.gram, point.pattern, point.scheme, mask, first), point)
        return {name: together.take_rows(span) for name, span in spans.items()}
    kept = torch.ones_like(stacked, dtype=torch.bool) if mask is None else mask
    quantize = QUANTIZERS[point.quantizer]
    return {name: _as_linear(quantize(stacked[rows], kept[rows], point.scheme), point) for name, rows in spans.items()}


def _check_finite(weights: Mapping[str, Tensor], stats: InputStats | None) -> None:
    """Raise NmforgeError naming the layer whose weights or inputs are not finite."""
    for where, weight in weights.items():
        if not torch.isfinite(weight).all():
            raise NmforgeError(f"{where}: its weights are not finite; check the checkpoint")
    if stats is not None and not torch.isfinite(stats.sum_of_squares).all():
        raise NmforgeError(f"{next(iter(weights))}: its inputs are not finite; check the weights before it, norms too")


def solve_group(
    weights: Mapping[str, Tensor], stats: InputStats | None, point: DesignPoint, spans: Mapping[str, tuple[int, int]],
    masks: Mapping[str, Tensor] = NO_MASKS,
) -> Solved:  # fmt: skip
    """`compress_layers`, the inputs scaled and reordered first where the design point asks for it.

    spans: by the end of a layer's name, the channels of a span within which its inputs may be reordered, and how many
    neighbouring spans must have one order and one set of factors. Other layers' inputs keep their order.
    """
    name = next(iter(weights))
    span = next((size for end, size in spans.items() if name.endswith(end)), None)
    first = point.for_layer(name)
    if stats is None:
        return Solved(_compress_alike(weights, stats, point, masks))
    factors = None
    if point.awq:
        _check_finite(weights, stats)
        factors = channel_factors(weights.values(), stats.gram, first.pattern, first.scheme, *(span or ()))
        weights, stats = {name: weight * factors for name, weight in weights.items()}, stats.scaled(factors)
    if span is None or not first.permute or span[0] % first.pattern.window:
        return Solved(_compress_alike(weights, stats, point, masks), factors=factors)
    order = channel_order(weights[name].square() * stats.sum_of_squares, point.pattern, *span)
    reordered = {name: weight[:, order.inputs] for name, weight in weights.items()}
    return Solved(compress_layers(reordered, stats.reordered(order.inputs), point), order, factors)


def _compress_alike(
    weights: Mapping[str, Tensor], stats: InputStats | None, point: DesignPoint, masks: Mapping[str, Tensor]
) -> dict[str, CompressedLinear]:
    """`compress_layers` for those layers that keep every weight, and for the others."""
    alike: dict[DesignPoint, dict[str, Tensor]] = {}
    for name, weight in weights.items():
        alike.setdefault(point.for_layer(name), {})[name] = weight
    solved: dict[str, CompressedLinear] = {}
    for own, some in alike.items():
        solved |= compress_layers(some, stats, own, masks)
    return {name: solved[name] for name in weights}


def input_spans(config: Any) -> dict[str, tuple[int, int]]:
    """The `spans` of `solve_group` for a model's config: a down projection's inputs may take any order, those of an
    output projection stay in their heads, and heads that read one key-value head have one order."""
    heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    return {"mlp.down_proj": (config.intermediate_size, 1), "self_attn.o_proj": (width, heads // kv_heads)}


def _spans(rows: Mapping[str, int]) -> dict[str, slice]:
    """Where the rows of each layer lie once all are stacked in order."""
    ends = list(accumulate(rows.values()))
    return {name: slice(end - rows[name], end) for name, end in zip(rows, ends, strict=True)}


def _prune(
    weight: Tensor, stats: InputStats | None, point: DesignPoint, spans: Mapping[str, slice], where: str
) -> tuple[Tensor, Tensor | None]:
    """Stacked layers, each at its span of rows -> weights and mask as the pruner leaves them.

    No mask where there is nothing to prune or GPTQ chooses as it goes.
    """
    if point.pruner in PRUNERS:
        pruner = PRUNERS[point.pruner]
        return weight, torch.cat([pruner(weight[rows], stats, point.pattern) for rows in spans.values()])
    if point.pruner in SOLVERS:
        if stats is None:
            raise ValueError(f"{point.pruner} needs input statistics")
        return SOLVERS[point.pruner](weight, stats.gram, point.pattern, where)
    return weight, None


def _as_linear(found: Quantized, point: DesignPoint) -> CompressedLinear:
    size = found.codes.shape[1] // found.group_mult.shape[1]
    arrays = [tensor.cpu().numpy() for tensor in found]
    return CompressedLinear(point.pattern, point.bits, size, *arrays)


def rest_tensors(model: Any, linears: Mapping[str, Any], tokenizer_file: Path) -> dict[str, RawTensor]:
    """Everything but the compressed layers, in bf16, and the tokenizer; tied tensors are stored once."""
    rest = {"tokenizer.json": RawTensor("uint8", (tokenizer_file.stat().st_size,), tokenizer_file.read_bytes())}
    tied = model.config.tie_word_embeddings
    for name, tensor in model.state_dict().items():
        if name.removesuffix(".weight") in linears or (tied and name == "lm_head.weight"):
            continue
        rest[name] = bf16_tensor(tensor)
    return rest


def stored_rest(
    shards: Shards, model: Any, linears: Mapping[str, Any], tokenizer_file: Path
) -> dict[str, tuple[LazyTensor, str]]:
    """What `rest_tensors` returns, its bytes left in the bf16 checkpoint until they are written; each with its sha256.

    model: a skeleton.
    """
    tokenizer = LazyTensor("U8", (tokenizer_file.stat().st_size,), tokenizer_file.read_bytes)
    lazy = {"tokenizer.json": tokenizer}
    lazy |= {name: shards.lazy(name) for name in tensor_names(model) if name.removesuffix(".weight") not in linears}
    return {name: (tensor, sha256_bytes(tensor.read())) for name, tensor in lazy.items()}


@dataclass(frozen=True)
class Effort:
    """What compressing took. resumed: blocks an earlier call had finished. seconds: of this call's blocks."""

    blocks: int
    resumed: int
    seconds: float
    device: torch.device

    def __str__(self) -> str:
        """One line for a person, the peak memory of this process with it."""
        now = self.blocks - self.resumed
        before = f" ({self.resumed} from an earlier run)" if self.resumed else ""
        rate = f", {self.seconds / now:.3g} s a block on {self.device.type}" if now else ""
        return f"{self.blocks} blocks{before}{rate}, peak {provenance.peak_rss() / 1e9:.2f} GB"


def compress_checkpoint(
    checkpoint: Path,
    tokens: Path,
    point: DesignPoint,
    calibration: CalibrationConfig,
    encoding: str,
    out: Path,
    masks: Path | None = None,
) -> Effort:
    """Checkpoint folder -> artifact file, one block in memory at a time.

    masks: file of a peer's masks, for a point whose pruner is one.

    Finished blocks are kept in a folder beside `out`: after an interruption the same call goes on behind the last of
    them and writes the same bytes. Raises NmforgeError for a damaged checkpoint, layers or activations that are not
    finite, a text too short, a full disk, or the state of other settings.
    """
    check_design(point)
    torch.set_flush_denormal(True)
    remove_unfinished(out)
    identity, shards, model = verify_shards(checkpoint), open_shards(checkpoint), load_skeleton(checkpoint)
    _check_dense_layers(point, len(model.model.layers))
    windows, used = _calibration_windows(tokens, point, calibration)
    header = {
        "model": {**identity, "config": model.config.to_dict()},
        "design": {**asdict(point), "pattern": str(point.pattern)},
        "calibration": used,
        "versions": provenance.versions(),
    }
    if masks is not None and point.pruner not in PEER_PRUNERS:
        raise NmforgeError(f"design {point.id}: pruner {point.pruner} chooses its own masks; leave out --masks")
    if masks is not None and masks.exists():
        header["masks"] = {"sha256": sha256_file(masks), "modelopt": modelopt.version_of(masks)}
    folder, effort = state_folder(out), Effort(0, 0, 0.0, compute_device())
    if not point.is_dense_bf16:
        effort = _compress_model(model, shards, point, windows, calibration, encoding, header, folder, masks)
    layers, tensors = finished_tensors(folder, effort.blocks)
    rest = stored_rest(shards, model, layers, checkpoint / "tokenizer.json")
    write_streamed(out, header, layers, {**rest, **tensors}, encoding)
    shutil.rmtree(folder, ignore_errors=True)
    return effort


def write_peer_masks(checkpoint: Path, tokens: Path, calibration: CalibrationConfig, threads: int, out: Path) -> None:
    """Masks by ModelOpt's SparseGPT on the windows that our own pruners are calibrated on."""
    stream = read_tokens(tokens, "calibration")[0]
    windows = random_windows(stream, calibration.tokens, calibration.seqlen, calibration.seed)
    modelopt.write_masks(checkpoint, torch.from_numpy(windows).long(), threads, out)


def _calibration_windows(
    tokens: Path, point: DesignPoint, calibration: CalibrationConfig
) -> tuple[Tensor, dict[str, Any]]:
    """(int64[W, T], what the header says of them); no windows for a point that needs none."""
    if point.is_dense_bf16 or not is_calibrated(point):
        return torch.empty(0, calibration.seqlen, dtype=torch.int64), {"tokens": 0}
    stream, revision = read_tokens(tokens, "calibration")
    chosen = random_windows(stream, calibration.tokens, calibration.seqlen, calibration.seed)
    windows = torch.from_numpy(chosen).long()
    settings = calibration.model_dump(exclude={"tokens", "memory_gb"})
    return windows, {"revision": revision, "tokens": windows.numel(), **settings}


def _compress_model(
    model: Any, shards: Shards, point: DesignPoint, windows: Tensor, calibration: CalibrationConfig, encoding: str,
    header: Mapping[str, Any], folder: Path, masks: Path | None,
) -> Effort:  # fmt: skip
    """Compress the blocks that `folder` does not have yet into it."""
    device, config = compute_device(), model.config
    asked = point.pruner in PEER_PRUNERS
    given = modelopt.read_masks(masks, linear_names(len(model.model.layers))) if asked else NO_MASKS
    run = {
        **header,
        "index_encoding": encoding,
        "windows": sha256_bytes(windows.numpy().tobytes()),
        "device": device.type,
        "threads": torch.get_num_threads(),
        "commit": provenance.commit(),
    }
    first = open_state(folder, run)
    walk_dense = point.target == "dense"
    held = 4 * windows.numel() * (config.hidden_size + max(config.hidden_size, config.intermediate_size))
    in_memory = held * (1 + walk_dense) <= calibration.memory_gb * 1e9
    count, length = windows.shape
    room = Room(count, length, device, folder, in_memory, walk_dense)
    start = time.perf_counter()
    spans = input_spans(config)
    compress_blocks(
        model, shards, windows, room, first,
        lambda weights, stats: solve_group(weights, stats, point, spans, given), encoding, f"compress {point.id}",
    )  # fmt: skip
    return Effort(len(model.model.layers), first, time.perf_counter() - start, device)
