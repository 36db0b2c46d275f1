"""One arithmetic: the INT32 accumulators of reference, C++ and GPU kernel and RTL simulation, compared with `==`.

Some layers of an artifact on random activations, or a text it generates, every linear layer of every token.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from nmforge.artifact.format import load_linear
from nmforge.artifact.header import read_header
from nmforge.config import CoherenceConfig, FpgaConfig
from nmforge.core.compressed_linear import CompressedLinear, Int8
from nmforge.core.errors import NmforgeError
from nmforge.core.reference import Int32, accumulate
from nmforge.fpga.model.engine import Engine, engine_group
from nmforge.fpga.sim.engine import SimulationSettings, Stalls, simulate
from nmforge.io.records import write_point
from nmforge.kernels.cpu.linear import CpuLinear, available_isas
from nmforge.kernels.gpu import linear as gpu_kernel
from nmforge.kernels.gpu.device import DEVICE, device_name
from nmforge.runtime.continuation import Generated, GenerationSettings
from nmforge.runtime.generate import generate

STALLED = SimulationSettings(Stalls(code=25, offsets=10, mult=40, act=25, sink=25), seed=1)


def sampled_layers(names: list[str], count: int) -> list[str]:
    """`count` names spread over depth: for a fixed stride that meets every kind of layer in turn."""
    places = np.linspace(0, len(names) - 1, min(count, len(names))).round().astype(int)
    return [names[place] for place in sorted(set(places.tolist()))]


def activations(tokens: int, k: int, seed: int) -> Int8:
    """Seeded int8[tokens, K] over the whole range; the first two tokens are all 127 and all -127."""
    xq = np.random.default_rng(seed).integers(-127, 128, (tokens, k), dtype=np.int8)
    xq[:2] = np.array([[127], [-127]], dtype=np.int8)[: len(xq)]
    return xq


def compare_layer(
    linear: CompressedLinear, xq: Int8, settings: CoherenceConfig, fpga: FpgaConfig, build_dir: Path
) -> list[dict[str, Any]]:
    """Rows of one layer: every instruction set of the CPU kernel on all rows, the RTL on the first ones; a GPU's kernel
    on all rows where there is one that takes the layer."""
    expected = accumulate(linear, xq)
    rows = []
    for isa in available_isas():
        found = CpuLinear(linear, isa).accumulate(xq, threads=1)
        rows.append({"backend": "cpu", "note": isa, **_compare(expected, found)})
    if gpu_kernel.unsupported_reason(linear.pattern, linear.bits, linear.group_size) is None:
        rows.append({"backend": "gpu", "note": device_name(), **_compare(expected, gpu_sums(linear, xq))})
    part = linear.take_rows(slice(settings.rtl_rows))
    group = engine_group(part.group_size, part.pattern)
    engine = Engine.widest(part.pattern, part.bits, fpga.rows, fpga.cols, group)
    simulated = simulate(part, xq, engine, build_dir, STALLED)
    note = f"{engine.rows}x{engine.cols} array, first {part.n} rows, random stalls on every stream"
    rows.append({"backend": "rtl", "note": note, **_compare(expected[:, : part.n], simulated.acc)})
    return rows


def gpu_sums(linear: CompressedLinear, xq: Int8, device: str = DEVICE) -> Int32:
    """The GPU kernel's accumulators of int8[M, K]: int32[M, N]."""
    acc = torch.zeros(len(xq), linear.n, dtype=torch.int32, device=device)
    found: Int32 = gpu_kernel.GpuLinear(linear, device).accumulate(torch.from_numpy(xq).to(device), acc).cpu().numpy()
    return found


def _compare(expected: Int32, found: Int32) -> dict[str, int]:
    return {"compared": int(expected.size), "mismatches": int((expected != found).sum())}


def check_coherence(artifact: Path, settings: CoherenceConfig, fpga: FpgaConfig, build_dir: Path, out: Path) -> None:
    """Write the coherence point of one artifact; raises NmforgeError on the first layer with a mismatch."""
    header = read_header(artifact)
    rows: list[dict[str, Any]] = []
    for seed, name in enumerate(sampled_layers(list(header["layers"]), settings.layers)):
        linear = load_linear(artifact, name)
        found = compare_layer(linear, activations(settings.tokens, linear.k, seed), settings, fpga, build_dir)
        for row in found:
            if row["mismatches"]:
                raise NmforgeError(
                    f"{artifact} layer {name}: {row['mismatches']} of {row['compared']} accumulators of backend "
                    f"{row['backend']} ({row['note']}) differ from the reference; this backend is wrong"
                )
        rows += [{"design_id": header["design"]["id"], "layer": name, **row} for row in found]
    write_point(out, "coherence", rows)


def check_text(artifact: Path, prompt: str, tokens: int, build_dir: Path, threads: int, out: Path) -> Generated:
    """Generate up to `tokens` tokens with every linear layer in RTL simulation; writes the coherence row `rtl-text`.

    Raises NmforgeError where a sum differs from the C++ kernel's, naming the layer, or a token
    from what the kernels alone generate.
    """
    simulated = GenerationSettings(tokens, "rtl", threads, build_dir=build_dir, compare=True)
    found = generate(artifact, prompt, simulated)
    expected = generate(artifact, prompt, GenerationSettings(tokens, "cpu", threads))
    if found.token_ids != expected.token_ids:
        raise NmforgeError(
            f"{artifact}: the RTL generates tokens {found.token_ids} and the C++ kernels {expected.token_ids}; integer "
            "accumulators agree, so the float code around them differs; compare norms, attention and sampling"
        )
    assert found.simulated is not None
    note = f"every linear layer of {len(found.prompt_ids)} tokens of a prompt and {len(found.token_ids)} generated"
    counts = {"compared": found.simulated.compared, "mismatches": 0}
    design = read_header(artifact)["design"]["id"]
    write_point(
        out, "coherence", [{"design_id": design, "layer": "all", "backend": "rtl-text", "note": note, **counts}]
    )
    return found
