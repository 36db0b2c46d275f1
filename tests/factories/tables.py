"""Whole tables with every kind of row that figures draw. Numbers are made up; dense is slower and more accurate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from factories.rows import (
    CPU,
    WHERE,
    Row,
    accuracy_row,
    kernel_row,
    routed_row,
    rtl_row,
    scaling_row,
    storage_row,
    synthesized_row,
)

from nmforge.reporting.llama7b_scaling import llama_on_boards

DESIGNS = [  # design_id, pattern, bits, bits per weight, ppl in w4a16, in w4a8
    ("dense-bf16", "dense", 16, 16.0, 20.9, None),
    ("paper-2of4", "2:4", 4, 3.0, 1.31e6, 1.28e6),
    ("rtn-int4", "dense", 4, 4.125, 31.9, 32.7),
    ("gptq-int4", "dense", 4, 4.125, 24.0, 24.6),
    ("gptq-int3", "dense", 3, 3.125, 38.4, 39.5),
    ("magnitude-2of4-int4", "2:4", 4, 3.125, 1430.0, 1490.0),
    ("wanda-2of4-int4", "2:4", 4, 3.125, 121.0, 124.0),
    ("sparsegpt-2of4-int4", "2:4", 4, 3.125, 52.3, 53.6),
    ("sparsegpt-4of8-int4", "4:8", 4, 3.625, 45.7, 46.8),
    ("sparsegpt-1of4-int4", "1:4", 4, 1.625, 611.0, 630.0),
]
ENCODED = {
    "2:4": {"offset": 3.125, "bitmask": 3.125, "enumerative": 2.79},
    "4:8": {"offset": 3.625, "bitmask": 3.125, "enumerative": 2.91},
    "1:4": {"offset": 1.625, "bitmask": 2.125, "enumerative": 1.625},
}
KINDS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "residual stream")


def accuracy_table() -> pd.DataFrame:
    """Every design point in its modes."""
    rows = []
    for design, pattern, bits, stored, w4a16, w4a8 in DESIGNS:
        modes = {"bf16": w4a16} if bits == 16 else {"w4a16": w4a16, "w4a8": w4a8}
        for mode, ppl in modes.items():
            assert ppl is not None
            row = accuracy_row(design, pattern, bits, ppl, ppl / 20.9, mode=mode, bits_per_weight=stored)
            rows.append({**row, "dataset": "enwiki sample", "model": "SmolLM2-135M-Instruct"})
    return pd.DataFrame(rows)


def layers_table() -> pd.DataFrame:
    """Two 2:4 points, an INT4 and an INT3 one; errors grow with depth."""
    points = [("gptq-int4", "dense", 4, 0.01), ("gptq-int3", "dense", 3, 0.05), ("wanda-2of4-int4", "2:4", 4, 0.6),
              ("sparsegpt-2of4-int4", "2:4", 4, 0.2)]  # fmt: skip
    return pd.DataFrame(
        [
            {
                "model": "m", **WHERE, "design_id": design, "pattern": pattern, "bits": bits, "block": block,
                "kind": kind, "layer": f"model.layers.{block}.{kind}", "output_error": error * (1 + block),
                "input_error": error, "input_peak": 20.0, "tokens": 2048,
            }
            for design, pattern, bits, error in points
            for block in range(30)
            for kind in KINDS
        ]
    )  # fmt: skip


def storage_table() -> pd.DataFrame:
    """Every design point under every encoding, linear layers and whole file."""
    rows = []
    for design, pattern, bits, stored, _, _ in DESIGNS:
        encodings = {"none": 4.0 if design == "paper-2of4" else stored} | ENCODED.get(pattern, {})
        for encoding, value in encodings.items():
            for scope, size in (("linear", value), ("model", 0.79 * value + 0.21 * 16)):
                rows.append(storage_row(design, encoding, size, pattern=pattern, bits=bits, scope=scope))
    return pd.DataFrame(rows)


def kernels_table(*, cuda: bool = False) -> pd.DataFrame:
    """A run for each M: libraries, our kernels, the paper's path and a read; with cuda also those of a GPU."""
    rows = []
    for m, t in ((1, 1.0), (16, 4.0), (128, 30.0)):
        run = {"m": m, "run_id": f"r{m}"}
        rows += [
            kernel_row("torch fp32 dense", "library", "dense", 32, 3900 * t, **run),
            kernel_row("torch bf16 dense", "library", "dense", 16, 2100 * t, **run),
            kernel_row("onnxruntime matmulnbits", "library", "dense", 4, 640 * t, **run),
            kernel_row("ours dense int4", "nmforge", "dense", 4, 600 * t, **run),
            kernel_row("ours dense int3", "nmforge", "dense", 3, 560 * t, **run),
            kernel_row("ours nm int4", "nmforge", "2:4", 4, 480 * t, **run),
            kernel_row("ours nm int4", "nmforge", "2:4", 4, 950 * t, isa="portable", **run),
        ]
        if m == 1:
            rows.append(kernel_row("read 2:4 int4", "roofline", "2:4", 4, 450, stage="read", **run))
        for pattern in ("dense", "2:4"):
            rows.append(kernel_row("paper unfused", "baseline", pattern, 4, 3900 * t, **run))
            rows.append(kernel_row("paper unfused", "baseline", pattern, 4, 9900 * t, stage="end_to_end", **run))
        if cuda:
            gpu = {**run, "device": "cuda: NVIDIA H100", "isa": "sm_90"}
            rows += [
                kernel_row("torch fp16 dense", "library", "dense", 16, 20 * t, **gpu),
                kernel_row("torch fp16 dense", "baseline", "dense", 16, 20 * t, **gpu),
                kernel_row("torch 2:4", "baseline", "2:4", 16, 13 * t, **gpu),
            ]
    return pd.DataFrame(rows)


def limits_table() -> pd.DataFrame:
    """Rates that double with the threads."""
    values = {"read_streamed": 50e9, "read_resident": 120e9, "int8_peak": 1000e9}
    base = {"device": CPU, "isa": "avx512vbmi", "spread": 1e8, "repeats": 15, "run_id": "r", **WHERE}
    return pd.DataFrame(
        [
            {**base, "quantity": name, "value": value * threads / 2, "unit": "bytes/s", "threads": threads}
            for name, value in values.items()
            for threads in (1, 2)
        ]
    )


def scaling_table() -> pd.DataFrame:
    """Four formats of ours and two of libraries on a CPU, four patterns on an FPGA."""
    times = [
        ("dense-bf16", "dense", 16, 812e3, "library"), ("dense-int4", "dense", 4, 231e3, "nmforge"),
        ("dense-int3", "dense", 3, 216e3, "nmforge"), ("2of4-int4", "2:4", 4, 186e3, "nmforge"),
        ("dense-int4", "dense", 4, 247e3, "library"),
    ]  # fmt: skip
    cpu = [
        scaling_row(
            "CPU", pattern, bits, design_id=design, kernel=design, family=family, stage="matmul", us_per_token=us,
            tokens_per_s=1e6 / us, speedup_vs_dense=231e3 / us, source=f"recorded on {CPU}, 2026-01-02",
        )
        for design, pattern, bits, us, family in times
    ]  # fmt: skip
    source = "modelled (cycle model within 0.4 % of RTL)"
    array = {"platform": "FPGA", "bits": 4, "engine": "gemm", "rows": 8, "cols": 8, "source": source}
    cycles = {"dense": 4.1e7, "2:4": 2.08e7, "4:8": 2.11e7, "1:4": 1.07e7}
    fpga = [{**array, "pattern": p, "cycles_per_token": c, "speedup_vs_dense": 4.1e7 / c} for p, c in cycles.items()]
    return pd.concat([pd.DataFrame(cpu), pd.DataFrame(fpga)], ignore_index=True)


def fpga_table() -> pd.DataFrame:
    """Four patterns in simulation, three builds synthesized and routed, two random layers."""
    shape: Row = {"m": 16, "n": 16, "k": 512}
    rows = [
        rtl_row(pattern, cycles + 2 * seed, seed=seed, ideal_cycles=round(cycles * 0.95), efficiency=0.95, **shape)
        for pattern, cycles in (("1:1", 4210), ("2:4", 2130), ("4:8", 2140), ("1:4", 1120))
        for seed in (0, 1)
    ]
    for window, lut, clocks in [(1, 9100, (150, 160, 170)), (4, 10010, (140, 165, 155)), (8, 11830, (130, 130, 130))]:
        rows.append(synthesized_row(window, lut, **shape))
        rows += [routed_row(window, clock, lut + 1500, seed=seed, **shape) for seed, clock in enumerate(clocks)]
    return pd.DataFrame([*rows, *random_rows()])


def random_rows() -> list[Row]:
    """A dense and a 2:4 layer with two memories of which a tenth goes to refresh; 2 and 3 bytes a step."""
    rows = []
    for pattern, needed in (("1:1", 2.0), ("2:4", 3.0)):
        for rate in (None, 1.0, 8.0):
            efficiency = 1.0 if rate is None else min(1.0, 0.9 * rate / needed)
            memory = {
                "efficiency": efficiency, "memory_rate": rate,
                "bytes_per_cycle": None if rate is None else needed * efficiency,
                "memory_share": None if rate is None else needed * efficiency / (0.9 * rate),
            }  # fmt: skip
            rows.append(rtl_row(pattern, 1000, stage="random", rows=4, cols=4, n=64, k=2048, **memory))
    return rows


def boards_table() -> pd.DataFrame:
    """The board model on the synthesized builds, which stand for an UltraScale+ as well."""
    table = fpga_table()
    synthesis = table[table["stage"] == "synthesis"]
    return llama_on_boards(pd.concat([table, synthesis.assign(target="xcup", ff=6000.0)], ignore_index=True))


BUILDERS: dict[str, Callable[[], pd.DataFrame]] = {
    "accuracy": accuracy_table,
    "layers": layers_table,
    "storage": storage_table,
    "kernels": kernels_table,
    "limits": limits_table,
    "scaling": scaling_table,
    "fpga": fpga_table,
    "boards": boards_table,
}


def write_tables(folder: Path) -> Path:
    """Write every table as Parquet."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, build in BUILDERS.items():
        build().to_parquet(folder / f"{name}.parquet")
    return folder
