"""LLaMA-7B scaling: sums by hand over tiny tables, missing shapes, and no clock out of nothing."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from factories.rows import CPU, Row, decode_row, kernel_row, rtl_row

from nmforge.core.formats import GemmShape, Pattern
from nmforge.core.llama7b import BLOCKS, SHAPES
from nmforge.fpga.model.engine import Engine
from nmforge.reporting.llama7b_scaling import SCOPE, design_name, scaling_table
from nmforge.reporting.tables.registry import REGISTRY

NO_FPGA = pd.DataFrame()
WEIGHTS = 32 * (4 * 4096 * 4096 + 3 * 4096 * 11008)  # of all linear layers


def kernel(pattern: str, bits: int, times: tuple[float, ...], **more: object) -> list[Row]:
    """Rows of one kernel at the shapes of LLaMA-7B, in the order of SHAPES; ten bytes per microsecond."""
    return [
        kernel_row(f"ours-{pattern}-int{bits}", "nmforge", pattern, bits, us, n=n, k=k, weight_bytes=10 * us) | more
        for (n, k), us in zip(SHAPES, times, strict=False)
    ]


def array(pattern: str, cycles: int, model: int, **more: object) -> Row:
    """A simulated row whose cycles the model is compared with."""
    return rtl_row(pattern, cycles, model_cycles=model) | more


def one_weight_a_cycle(shape: GemmShape, engine: Engine, pattern: Pattern) -> int:
    """A closed form of our own: each PE takes one kept weight a cycle."""
    return shape.n * shape.k // pattern.window * pattern.keep // engine.rows


def test_the_shapes_are_llama_7b() -> None:
    assert sum(SHAPES.values()) == 7
    assert BLOCKS * sum(n * k * count for (n, k), count in SHAPES.items()) == WEIGHTS


def test_time_is_the_weighted_sum_over_224_layers() -> None:
    table = scaling_table(pd.DataFrame(kernel("dense", 4, (10.0, 30.0, 20.0))), NO_FPGA)
    row = table.iloc[0]
    assert row["us_per_token"] == 32 * (4 * 10 + 2 * 30 + 1 * 20)
    assert row["tokens_per_s"] == 1e6 / row["us_per_token"]
    assert row["bytes_per_token"] == 10 * row["us_per_token"]
    assert (row["design_id"], row["platform"], row["context"], row["scope"]) == (
        "dense-int4",
        "CPU",
        0,
        SCOPE,
    )
    assert "attention" in SCOPE


def decoded(candidate: str, family: str, context: int, us: float) -> Row:
    """A LLaMA-7B that was decoded as a whole."""
    return decode_row(candidate, us, model="llama-7b", family=family, context=context)


def test_a_whole_llama_replaces_the_sum_of_its_layers() -> None:
    summed = pd.DataFrame(kernel("dense", 4, (10.0, 30.0, 20.0)))
    other = {**decoded("dense-int4", "nmforge", 32, 1.0), "model": "smollm2-135m"}
    assert list(scaling_table(summed, NO_FPGA, pd.DataFrame([other]))["context"]) == [0]
    whole = [
        decoded(name, family, context, us * (1 + context / 1000))
        for name, family, us in (
            ("dense-int4", "nmforge", 80e3),
            ("2:4-int4", "nmforge", 60e3),
            ("llamacpp-q4_0", "library", 1e5),
        )
        for context in (32, 512)
    ]
    table = scaling_table(summed, NO_FPGA, pd.DataFrame([*whole, other])).set_index(["kernel", "context"])
    assert len(table) == 6
    later = {**decoded("dense-bf16", "nmforge", 512, 4e5), "run_id": "s"}, {**whole[3], "run_id": "s", "median_us": 1e5}
    paired = scaling_table(summed, NO_FPGA, pd.DataFrame([*whole, *later])).set_index(["kernel", "context"])
    assert paired.loc[("2:4-int4", 512), "us_per_token"] == pytest.approx(60e3 * 1.512)
    assert paired.loc[("llamacpp-q4_0", 512), "us_of_2of4"] == pytest.approx(60e3 * 1.512)
    assert paired.loc[("dense-bf16", 512), "us_of_2of4"] == 1e5  # of its own run
    assert table.loc[("2:4-int4", 512), "speedup_vs_dense"] == pytest.approx(80 / 60)
    slow = [{**row, "run_id": "t", "median_us": 3 * row["median_us"]} for row in whole if row["context"] == 512]
    apart = [row for row in whole if row["candidate"] == "2:4-int4"] + [
        row for row in slow if row["candidate"] != "llamacpp-q4_0"
    ]
    drifted = scaling_table(summed, NO_FPGA, pd.DataFrame(apart)).set_index(["kernel", "context"])
    assert drifted.loc[("2:4-int4", 512), "us_per_token"] == pytest.approx(60e3 * 1.512)  # at full speed
    assert drifted.loc[("2:4-int4", 512), "speedup_vs_dense"] == pytest.approx(80 / 60)  # not 80 * 3 / 60
    assert table.loc[("llamacpp-q4_0", 32), ["pattern", "bits"]].tolist() == ["dense", 4]
    assert table.loc[("2:4-int4", 32), "us_per_token"] == pytest.approx(60e3 * 1.032)


def test_speedup_is_against_dense_weights_of_the_same_kernels() -> None:
    rows = kernel("dense", 4, (10.0, 30.0, 20.0)) + kernel("2:4", 4, (8.0, 24.0, 16.0))
    rows += kernel("dense", 16, (50.0, 150.0, 100.0), family="library", kernel="torch-bf16")
    table = scaling_table(pd.DataFrame(rows), NO_FPGA).set_index("design_id")
    assert table.loc["2of4-int4", "speedup_vs_dense"] == 1.25
    assert table.loc["dense-int4", "speedup_vs_dense"] == 1.0
    assert table.loc["dense-bf16", "speedup_vs_dense"] == 1.0


def test_sparse_without_a_dense_partner_has_no_speedup() -> None:
    table = scaling_table(pd.DataFrame(kernel("2:4", 4, (8.0, 24.0, 16.0))), NO_FPGA)
    assert math.isnan(table["speedup_vs_dense"].iloc[0])


@pytest.mark.parametrize("change", [{"m": 16}, {"cache": "resident"}])
def test_only_decode_from_memory_counts(change: dict[str, object]) -> None:
    assert scaling_table(pd.DataFrame(kernel("dense", 4, (1.0, 1.0, 1.0), **change)), NO_FPGA).empty


def test_a_kernel_that_misses_a_shape_has_no_row() -> None:
    assert scaling_table(pd.DataFrame(kernel("dense", 4, (10.0, 30.0))), NO_FPGA).empty
    empty = scaling_table(pd.DataFrame(), NO_FPGA)
    assert empty.empty and list(empty.columns) == list(REGISTRY.get("scaling").columns)


def test_two_runs_count_with_their_median() -> None:
    rows = kernel("dense", 4, (10.0, 10.0, 10.0)) + kernel("dense", 4, (20.0, 20.0, 20.0), run_id="s")
    assert scaling_table(pd.DataFrame(rows), NO_FPGA)["us_per_token"].tolist() == [32 * 7 * 15.0]


def test_source_says_here_or_recorded() -> None:
    kernels = pd.DataFrame(kernel("dense", 4, (1.0, 1.0, 1.0)))
    assert scaling_table(kernels, NO_FPGA, here=CPU)["source"].tolist() == ["measured here"]
    assert scaling_table(kernels, NO_FPGA)["source"].tolist() == [f"recorded on {CPU}, 2026-01-02"]
    assert scaling_table(kernels, NO_FPGA, here="other")["source"].tolist() == [f"recorded on {CPU}, 2026-01-02"]


def test_cuda_rows_are_a_gpu() -> None:
    kernels = pd.DataFrame(kernel("2:4", 4, (1.0, 1.0, 1.0), device="cuda: NVIDIA H100"))
    assert scaling_table(kernels, NO_FPGA)["platform"].tolist() == ["GPU"]


def test_fpga_counts_cycles_and_invents_no_clock() -> None:
    fpga = pd.DataFrame([array("1:1", 1000, 1000), array("2:4", 500, 498), array("1:4", 250, 250)])
    table = scaling_table(pd.DataFrame(), fpga, cycles=one_weight_a_cycle).set_index("pattern")
    assert table.loc["dense", "cycles_per_token"] == WEIGHTS / 8
    assert table.loc["2:4", "cycles_per_token"] == WEIGHTS / 16
    assert table["multipliers"].to_dict() == {"dense": 64, "2:4": 64, "1:4": 64}
    assert table["speedup_vs_dense"].to_dict() == {"dense": 1.0, "2:4": 2.0, "1:4": 4.0}
    assert table[["tokens_per_s", "us_per_token", "clock_mhz"]].isna().all(axis=None)
    assert set(table["source"]) == {"modelled (cycle model within 0.4 % of RTL)"}


def test_two_lanes_are_twice_the_multipliers_and_no_gain() -> None:
    fpga = pd.DataFrame([array("1:1", 10, 10), array("2:4", 10, 10, lanes=2)])
    table = scaling_table(pd.DataFrame(), fpga, cycles=one_weight_a_cycle).set_index("pattern")
    assert table["multipliers"].to_dict() == {"dense": 64, "2:4": 128}
    assert table.loc["2:4", "speedup_vs_dense"] == 1.0


def test_the_median_clock_of_the_same_build_gives_tokens_per_second() -> None:
    def routed(mhz: float, **more: object) -> dict[str, object]:
        return {**array("2:4", 0, 0), "engine": "device", "stage": "route", "fmax_mhz": mhz, **more}

    simulated = [array("1:1", 10, 10, engine="device"), array("2:4", 10, 10, engine="device")]
    fpga = pd.DataFrame([*simulated, *map(routed, (70.0, 95.0, 80.0))])
    fpga = pd.concat([fpga, pd.DataFrame([routed(300.0, rows=4), routed(400.0, lanes=2)])])
    table = scaling_table(pd.DataFrame(), fpga, cycles=one_weight_a_cycle).set_index("pattern")
    assert table.loc["2:4", "tokens_per_s"] == 80e6 / (WEIGHTS / 16)
    assert math.isnan(table.loc["dense", "tokens_per_s"])


def test_a_core_takes_neither_the_clock_nor_the_cycles_of_the_device_around_it() -> None:
    def by_kind(shape: GemmShape, engine: Engine, pattern: Pattern) -> int:
        return {"gemm": 1, "device": 10}[engine.kind]

    core, device = (array("2:4", 10, 10, engine=engine) for engine in ("gemm", "device"))
    route = {**device, "stage": "route", "fmax_mhz": 100.0}
    table = scaling_table(pd.DataFrame(), pd.DataFrame([core, device, route]), cycles=by_kind).set_index("engine")
    assert table["cycles_per_token"].to_dict() == {"gemm": 224, "device": 2240}
    assert math.isnan(table.loc["gemm", "tokens_per_s"]) and math.isnan(table.loc["gemm", "clock_mhz"])
    assert table.loc["device", "tokens_per_s"] == 100e6 / 2240


def test_design_names() -> None:
    assert [design_name("dense", 16), design_name("1:1", 3), design_name("4:8", 4)] == [
        "dense-bf16", "dense-int3", "4of8-int4",
    ]  # fmt: skip
