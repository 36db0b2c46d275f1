"""Rows of the measurement tables, for tests of what reads them. Every value can be replaced by name."""

from __future__ import annotations

from typing import Any

from nmforge.core.formats import Pattern

Row = dict[str, Any]
CPU = "AMD EPYC 7B13, 2 cores"
WHERE: Row = {"commit": "abc", "config_hash": "def", "host": CPU, "versions": "{}", "date": "2026-01-02T03:04:05"}


def kernel_row(kernel: str, family: str, pattern: str, bits: int, us: float, **more: object) -> Row:
    """Table `kernels`: one token on 4096x4096, streamed, on two threads."""
    base = {
        "kernel": kernel, "family": family, "pattern": pattern, "bits": bits, "device": CPU, "isa": "avx2",
        "threads": 2, "m": 1, "n": 4096, "k": 4096, "cache": "streamed", "stage": "matmul", "median_us": us,
        "spread_us": us / 50, "repeats": 30, "weight_bytes": 4096 * 4096 * bits / 8, "run_id": "r", **WHERE,
    }  # fmt: skip
    return base | more


def accuracy_row(design: str, pattern: str, bits: int, ppl: float, ratio: float, **more: object) -> Row:
    """Table `accuracy`: 16-bit activations."""
    base = {
        "model": "m", "design_id": design, "mode": "w4a16", "pattern": pattern, "bits": bits, "ppl": ppl,
        "ratio_to_dense": ratio, "bits_per_weight": 3.125, "tokens": 24576, "seqlen": 2048, "stride": 2048,
        "dataset": "text", **WHERE,
    }  # fmt: skip
    return base | more


def storage_row(design: str, encoding: str, bits_per_weight: float, **more: object) -> Row:
    """Table `storage`: the linear layers of a 2:4 INT4 design point."""
    base = {
        "model": "m", "design_id": design, "pattern": "2:4", "bits": 4, "encoding": encoding, "scope": "linear",
        "bytes": int(bits_per_weight * 1e6), "bits_per_weight": bits_per_weight,
        "ratio_to_fp16": 16 / bits_per_weight, **WHERE,
    }  # fmt: skip
    return base | more


def decode_row(candidate: str, us: float, **more: object) -> Row:
    """Table `decode`: our decoder at a context of 512 tokens."""
    base = {
        "model": "toy", "candidate": candidate, "family": "nmforge", "device": CPU, "isa": "avx2", "threads": 2,
        "context": 512, "median_us": us, "tokens_per_s": 1e6 / us, "bytes_per_token": 3e9, "run_id": "r", **WHERE,
    }  # fmt: skip
    return base | more


def rtl_row(pattern: str, cycles: int, **more: object) -> Row:
    """Table `fpga`: a simulated tile on an 8x8 array whose windows are those of the pattern."""
    base = {
        "engine": "gemm", "pattern": pattern, "window": Pattern.parse(pattern).window, "lanes": 1, "rows": 8, "cols": 8,
        "bits": 4, "stage": "rtl", "target": "verilator", "m": 8, "n": 8, "k": 64, "cycles": cycles,
        "model_cycles": cycles, "efficiency": 0.9, "outputs_compared": 64, "mismatches": 0, **WHERE,
    }  # fmt: skip
    return base | more


def synthesized_row(window: int, lut: int, **more: object) -> Row:
    """Table `fpga`: a synthesized 8x8 array."""
    base = {
        "engine": "gemm", "pattern": "dense" if window == 1 else f"N:{window}", "window": window, "lanes": 1, "rows": 8,
        "cols": 8, "bits": 4, "stage": "synthesis", "target": "ecp5", "lut": lut, "dsp": 0, **WHERE,
    }  # fmt: skip
    return base | more


def routed_row(window: int, mhz: float, lut: int, **more: object) -> Row:
    """Table `fpga`: a placed and routed device around an 8x8 array."""
    return synthesized_row(window, lut, engine="device", stage="route", fmax_mhz=mhz) | more


def coherence_row(design: str, backend: str, compared: int, mismatches: int = 0) -> Row:
    """Table `coherence`: one layer on one backend."""
    return {"design_id": design, "backend": backend, "compared": compared, "mismatches": mismatches, **WHERE}


def scaling_row(platform: str, pattern: str, bits: int, **more: object) -> Row:
    """Table `scaling`: our kernels on two threads, linear layers only."""
    base = {
        "platform": platform, "device": CPU, "pattern": pattern, "bits": bits, "family": "nmforge", "threads": 2,
        "stage": "matmul", "context": 0, "source": "measured here", "scope": "linear layers only",
        "us_of_2of4": float("nan"), "us_error": float("nan"),
    }  # fmt: skip
    return base | more
