"""The board model: arithmetic by hand for one board and one format, what does not fit, sentences of the table."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest
from factories.board_engines import FPGA, LLAMA, TINY, engine, ideal, only

from nmforge.core.errors import NmforgeError
from nmforge.core.formats import DENSE, GemmShape, Pattern
from nmforge.core.llama7b import SHAPES
from nmforge.core.registry import registry
from nmforge.fpga.boards.capacity import BoardFit, EngineBuild, Format
from nmforge.fpga.boards.table import COLUMNS, board_rows, board_table, published_rows
from nmforge.fpga.boards.throughput import FORMATS, token_copies

Row = dict[str, Any]


def row(rows: list[dict[str, object]], **wanted: object) -> Row:
    found = [r for r in rows if all(r[key] == value for key, value in wanted.items())]
    assert len(found) == 1, wanted
    return found[0]


def test_image_bits_are_codes_offsets_and_a_byte_per_group() -> None:
    bits = {str(layout): layout.image_bits for layout in FORMATS}
    assert bits == {
        "dense INT4": 4.125, "dense INT3": 3.125, "2:4 INT4": 3.125, "4:8 INT4": 3.625, "1:4 INT4": 1.625,
        "2:8 INT4": 1.875,
    }  # fmt: skip
    assert LLAMA.weights == 6_476_005_376
    assert Format(DENSE, 4).image_bytes(LLAMA) == 3_339_190_272
    assert LLAMA.kv_bytes == 524_288 and LLAMA.other_bytes == 524_288_000


def test_decode_on_the_kv260_takes_its_bytes_over_its_bandwidth() -> None:
    rows = board_rows(FPGA, ideal, registry("board"), LLAMA)
    kv260 = row(rows, board="KV260", phase="decode", context=0, pattern="dense", bits=4)
    seconds = 3_339_190_272 / (19_200_000_000 * 0.85)
    assert kv260["tokens_per_s"] == pytest.approx(1 / seconds, rel=1e-12)
    assert kv260["us_per_token"] == pytest.approx(1e6 * seconds, rel=1e-12)
    assert (kv260["bytes_per_token"], kv260["bound"], kv260["m"]) == (3_339_190_272, "bandwidth", 1)
    longer = row(rows, board="KV260", phase="decode", context=512, pattern="dense", bits=4)
    assert longer["bytes_per_token"] == 3_339_190_272 + 512 * 2 * 32 * 4096 * 2
    # INT3 takes the bytes of 2:4 INT4, and where memory is the limit also its time.
    int3 = row(rows, board="KV260", phase="decode", context=0, pattern="dense", bits=3)
    sparse = row(rows, board="KV260", phase="decode", context=0, pattern="2:4")
    assert int3["tokens_per_s"] == sparse["tokens_per_s"]
    assert sparse["speedup_vs_dense"] == pytest.approx(4.125 / 3.125)
    assert kv260["speedup_vs_dense"] == 1.0


def test_prefill_bound_by_multipliers_takes_its_cycles_over_the_clock() -> None:
    rows = board_rows(FPGA, ideal, only("KV260", bandwidth=1e15), LLAMA)
    dense = row(rows, phase="prefill", m=128, pattern="dense", bits=4)
    # 60 % of 117,120 LUTs hold 35 engines of 2,000; 2 along tokens and 17 along channels is among the candidates.
    copies = int(0.6 * 117_120 / 2000)
    assert copies == 35
    best = math.inf
    for along in (1, 2, 4, 8, 16, 32):
        channels = copies // along
        cycles = 32 * sum(
            count * math.ceil(math.ceil(n / channels) / 8) * math.ceil(math.ceil(128 / along) / 4) * k
            for (n, k), count in SHAPES.items()
        )
        best = min(best, cycles)
    assert dense["bound"] == "compute"
    assert dense["cycles_per_token"] == best / 128
    assert dense["tokens_per_s"] == pytest.approx(128 / (best / 225e6), rel=1e-12)
    assert (dense["window"], dense["clock_mhz"], dense["clock_source"]) == (1, 225, "assumed")
    sparse = row(rows, phase="prefill", m=128, pattern="2:4")
    assert sparse["window"] == 4 and sparse["multipliers"] <= 28 * 32
    assert 1.2 < sparse["speedup_vs_dense"] < 2  # half the work, on fewer of the larger engines


def test_weights_are_read_again_for_every_pass_over_the_tokens() -> None:
    one = only("KV260", luts=2000 / 0.6)  # room for exactly one engine of 4 tokens
    prefill = row(board_rows(FPGA, ideal, one, TINY), phase="prefill", m=128, pattern="dense", bits=4)
    assert prefill["arrays"] == 1
    assert prefill["bytes_per_token"] * 128 == 128 / 4 * (8192 * 4.125 / 8)


def test_the_copy_with_the_most_channels_sets_the_time() -> None:
    three = only("KV260", luts=3 * 2000 / 0.6 + 1, bandwidth=1e15)
    rows = board_rows(pd.DataFrame([engine(1, 2000, rows=1)]), ideal, three, TINY)
    decode = row(rows, phase="decode", context=0, pattern="dense", bits=4)
    assert (decode["arrays"], decode["cycles_per_token"]) == (3, 22 * 128)  # 64 channels: 22, 21 and 21


def test_copies_share_a_weight_stream_only_for_tokens_there_are_and_ram_there_is() -> None:
    fit = BoardFit(EngineBuild("gemm", 1, 4, 1, 8, 4, 2000, 1000, 0), 35, 225.0)
    assert list(token_copies(fit, 1, 1e12, 11008)) == [1]
    assert list(token_copies(fit, 16, 1e12, 11008)) == [1, 2, 4]
    assert list(token_copies(fit, 512, 1e12, 11008)) == [1, 2, 4, 8, 16, 32]
    assert list(token_copies(fit, 512, 2 * 4 * 11008 * 8, 11008)) == [1, 2]


def test_a_matrix_vector_engine_decodes_without_idle_columns() -> None:
    fpga = pd.DataFrame([engine(1, 2000), engine(1, 2000, engine="gemv", lanes=4, rows=8, cols=1)])
    fast = board_rows(fpga, ideal, only("U280", bandwidth=1e15), LLAMA)
    decode = row(fast, phase="decode", context=0, pattern="dense", bits=4)
    assert (decode["engine"], decode["bound"]) == ("gemv", "compute")
    assert decode["multipliers"] == 32 * int(0.6 * 1_303_680 / 2000)


def test_what_does_not_fit_has_a_sentence_and_no_value() -> None:
    rows = board_rows(FPGA, ideal, registry("board"), LLAMA)
    full = row(rows, board="KV260", phase="decode", context=2048, pattern="dense", bits=4)
    assert full["reason"] == (
        "LLaMA-7B dense INT4 with an FP16 KV cache of 2049 token(s) takes 4.94 GB and does not fit the 4.29 GB of DDR4 "
        "on KV260"
    )
    assert math.isnan(full["tokens_per_s"]) and math.isnan(full["speedup_vs_dense"])
    assert "reason" not in row(rows, board="KV260", phase="decode", context=2048, pattern="2:4")
    every = pd.DataFrame(rows)
    assert every[every["board"] == "ButterStick"]["tokens_per_s"].isna().all()


def test_no_engine_and_no_clock_give_no_value() -> None:
    for fpga in (pd.DataFrame(), FPGA.drop(columns="window"), FPGA.assign(stage="rtl"), FPGA.assign(target="ecp5")):
        rows = board_rows(fpga, ideal, only("U280"), LLAMA)
        assert {r["reason"] for r in rows if r["pattern"] == "2:4"} == {
            "no xcup engine that runs 2:4 INT4 has resource counts and a clock"
        }
    rows = board_rows(FPGA[FPGA["window"] == 4], ideal, only("U280"), LLAMA)
    assert "reason" in row(rows, phase="decode", context=0, pattern="4:8")
    assert "reason" in row(rows, phase="decode", context=0, pattern="dense", bits=3)
    assert row(rows, phase="decode", context=0, pattern="dense", bits=4)["window"] == 4


def test_an_engine_that_does_not_fit_is_named() -> None:
    rows = board_rows(pd.DataFrame([engine(4, 2_000_000)]), ideal, only("U280"), LLAMA)
    assert row(rows, phase="decode", context=0, pattern="2:4")["reason"] == (
        "no engine that runs 2:4 INT4 fits 60% of U280: the smallest takes 2,000,000 LUTs"
    )


def test_an_engine_that_refuses_a_pattern_is_no_candidate() -> None:
    def picky(shape: GemmShape, pattern: Pattern, build: EngineBuild) -> int:
        if build.window == 1:
            raise NmforgeError("cols = 4 breaks the no-stall rule")
        return ideal(shape, pattern, build)

    rows = board_rows(FPGA, picky, only("U280"), LLAMA)
    assert row(rows, phase="prefill", m=128, pattern="dense", bits=4)["window"] == 4


def test_ecp5_takes_the_median_routed_clock_of_the_device_with_the_same_array() -> None:
    made = engine(1, 2000, target="ecp5")
    routed = [{**made, "engine": "device", "stage": "route", "fmax_mhz": mhz} for mhz in (92.0, 80.0, 30.0)]
    other = {**made, "engine": "device", "stage": "route", "rows": 16, "fmax_mhz": 40.0}
    board = only("ButterStick", bandwidth=1e15)
    unrouted = board_rows(pd.DataFrame([made, other]), ideal, board, TINY)
    assert math.isnan(row(unrouted, phase="decode", context=0, pattern="dense", bits=4)["tokens_per_s"])
    found = board_rows(pd.DataFrame([made, *routed, other]), ideal, board, TINY)
    decode = row(found, phase="decode", context=0, pattern="dense", bits=4)
    assert (decode["clock_mhz"], decode["clock_source"]) == (80.0, "routed")
    # 25 copies take 3 channels each, one tile of 8 rows: 128 cycles.
    assert decode["tokens_per_s"] == pytest.approx(80e6 / 128)


def test_every_modelled_row_says_so() -> None:
    found = board_table(FPGA, ideal, registry("board"), LLAMA)
    assert list(found.columns) == COLUMNS
    published = found["source"].str.startswith("published (")
    assert found["source"][~published].str.startswith("modelled (").all()
    assert len(found) == 4 * 5 * 6 + int(published.sum()) and set(found["platform"]) == {"FPGA board"}
    one = found[(found["board"] == "VCK190") & (found["phase"] == "prefill") & (found["pattern"] == "2:4")].iloc[0]
    for part in ("60 % of the chip", "225 MHz assumed", "85 % of 25.6 GB/s", "taken from UltraScale+"):
        assert part in one["source"]


def test_published_designs_are_cited() -> None:
    by_board = {r["board"]: r for r in published_rows(registry("board"))}
    assert (by_board["U280"]["name"], by_board["U280"]["tokens_per_s"]) == ("FlightLLM", 55)
    assert by_board["KV260"]["tokens_per_s"] == 4.9
    assert "2401.03868" in str(by_board["U280"]["source"]) and "2502.10659" in str(by_board["KV260"]["source"])
