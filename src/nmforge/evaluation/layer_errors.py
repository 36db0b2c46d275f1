"""Where a compressed model leaves the dense one: the error of every layer, measured with both models side by side.

Each model runs on its own activations, so an error holds everything the layers before have done. For a layer with
input x and output y in the compressed model and x', y' in the dense one, summed over tokens and channels:

    input_error  = sum (x - x')^2 / sum x'^2        what the layer was handed
    output_error = sum (y - y')^2 / sum y'^2        what it hands on
    input_peak   = max |x| / root mean square of x  outliers, the numbers INT8 activations must reach

A block has the same three for the residual stream that enters and leaves it. Where a design point has channels in
another order (a transform that reorders), what value, gate and up projections hand on and what output and down
projections are handed cannot be compared channel by channel: these errors stay empty. So do those of scaled channels:
what every layer is handed, and what value and up projections hand on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nmforge.artifact.header import read_header
from nmforge.compression.transforms.registry import REGISTRY as TRANSFORMS
from nmforge.config import EvaluationConfig
from nmforge.core.design import pattern_label
from nmforge.core.errors import NmforgeError
from nmforge.core.header_words import header_transforms
from nmforge.data.tokens import read_tokens, spread_sequences
from nmforge.io.records import write_point
from nmforge.models.llama import BLOCK_LINEARS, SCALED_BY, WRITERS, block_name, linear_names
from nmforge.runtime.torch_model import load_packed

LENGTH = 1024  # tokens of a sequence that are used: the dense model's activations of one sequence are held at once
STREAM = "residual stream"

Visit = Callable[[str, Tensor, Tensor], None]


@dataclass
class Sums:
    """Sums over tokens and channels of one layer's input and output."""

    input_difference: float = 0.0
    input_size: float = 0.0
    output_difference: float = 0.0
    output_size: float = 0.0
    peak: float = 0.0
    squares: float = 0.0
    values: int = 0

    def add(self, x: Tensor, y: Tensor, dense_x: Tensor, dense_y: Tensor) -> None:
        """Add one sequence of the compressed model's x and y and the dense model's."""
        self.input_difference += float((x - dense_x).square().sum())
        self.input_size += float(dense_x.square().sum())
        self.output_difference += float((y - dense_y).square().sum())
        self.output_size += float(dense_y.square().sum())
        self.peak = max(self.peak, float(x.abs().max()))
        self.squares += float(x.square().sum())
        self.values += x.numel()

    def columns(self) -> dict[str, float]:
        """The three measures."""
        return {
            "input_error": self.input_difference / self.input_size,
            "output_error": self.output_difference / self.output_size,
            "input_peak": self.peak / (self.squares / self.values) ** 0.5,
        }


def watched_names(blocks: int) -> list[str]:
    """Module paths of everything measured: all linear layers, then all blocks, in order of depth."""
    return [*linear_names(blocks), *(block_name(index) for index in range(blocks))]


@contextmanager
def watching(model: Any, names: list[str], visit: Visit) -> Iterator[None]:
    """While open, each forward pass of a named module calls visit(name, input, output)."""

    def hook(name: str) -> Callable[..., None]:
        def seen(_module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
            visit(name, inputs[0], output[0] if isinstance(output, tuple) else output)

        return seen

    handles = [model.get_submodule(name).register_forward_hook(hook(name)) for name in names]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.inference_mode()
def compare_models(compressed: Any, dense: Any, sequences: Tensor) -> dict[str, Sums]:
    """Two models of one shape, int64[S, T] -> sums for each of `watched_names`."""
    names = watched_names(len(dense.model.layers))
    sums = {name: Sums() for name in names}
    kept: dict[str, tuple[Tensor, Tensor]] = {}

    def keep(name: str, x: Tensor, y: Tensor) -> None:
        kept[name] = (x, y)

    def compare(name: str, x: Tensor, y: Tensor) -> None:
        sums[name].add(x, y, *kept.pop(name))

    for sequence in sequences:
        with watching(dense, names, keep):
            dense.model(sequence[None], use_cache=False)
        with watching(compressed, names, compare):
            compressed.model(sequence[None], use_cache=False)
    return sums


def measure_layers(
    artifact: Path, dense_artifact: Path, tokens: Path, settings: EvaluationConfig, model: str, out: Path
) -> None:
    """Write the `layers` rows of one design point, in mode W4A16, against the bf16 design point of the same model.

    Raises NmforgeError where the two artifacts are of different models.
    """
    torch.set_flush_denormal(True)
    design, other = read_header(artifact), read_header(dense_artifact)
    if design["model"] != other["model"]:
        raise NmforgeError(f"{artifact} and {dense_artifact} are of different models; make both from one checkpoint")
    stream, revision = read_tokens(tokens, "evaluation")
    chosen = spread_sequences(stream, settings.layer_sequences, settings.seqlen, settings.stride)
    sequences = torch.from_numpy(chosen[:, :LENGTH]).long()
    compressed, dense = (
        load_packed(path, mode, torch.float32, torch.get_num_threads())
        for path, mode in ((artifact, "w4a16"), (dense_artifact, "bf16"))
    )
    common = {
        "design_id": design["design"]["id"], "mode": "w4a16", "model": model, "dataset_revision": revision,
        "pattern": pattern_label(design["design"]),
        **{key: design["design"][key] for key in ("bits", "pruner", "quantizer", "target")},
        "recovery_tokens": design.get("recovery", {}).get("tokens", 0), "tokens": sequences.numel(),
    }  # fmt: skip
    sums = compare_models(compressed, dense, sequences)
    rows = [common | _place(name) | comparable(design["design"], name, found.columns()) for name, found in sums.items()]
    write_point(out, "layers", rows)


def comparable(design: Mapping[str, Any], name: str, columns: dict[str, float]) -> dict[str, float | None]:
    """The measures of a layer of a header's design, None where its channels cannot be compared one by one."""
    empty, kind = _incomparable(design), name.split(".", 3)[-1]
    return {key: None if (kind, key) in empty else value for key, value in columns.items()}


def _incomparable(design: Mapping[str, Any]) -> set[tuple[str, str]]:
    """(kind of layer, measure) of channels in another order or at another scale than in the dense model."""
    found: set[tuple[str, str]] = set()
    transforms = [TRANSFORMS.get(name) for name in header_transforms(design)]
    if any(transform.reorders for transform in transforms):
        found |= {(reader, "input_error") for reader in WRITERS}
        found |= {(writer, "output_error") for writers in WRITERS.values() for writer in writers}
    if any(transform.scales for transform in transforms):
        found |= {(layer, "input_error") for layer in BLOCK_LINEARS}
        found |= {(writer, "output_error") for writer in SCALED_BY.values()}
    return found


def _place(name: str) -> dict[str, Any]:
    """`model.layers.3.mlp.up_proj` -> its block and kind of layer; a block itself is the residual stream."""
    _, _, block, *below = name.split(".")
    return {"layer": name, "block": int(block), "kind": below[-1] if below else STREAM}
