"""The board model: arithmetic by hand for one board and one format, what does not fit, sentences of the table."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure

from nmforge.core.errors import NmforgeError
from nmforge.core.formats import DENSE, GemmShape, Pattern
from nmforge.core.llama7b import BLOCKS, HIDDEN, SHAPES, VOCABULARY, WEIGHTS
from nmforge.fpga.boards.boards import BOARDS, BoardTable, load_boards, parse_boards
from nmforge.fpga.boards.capacity import Build, Format, Placed, Workload
from nmforge.fpga.boards.throughput import COLUMNS, FORMATS, board_rows, board_table, published_rows, token_copies
from nmforge.fpga.sim.engine import Memory
from nmforge.fpga.sim.random_layer import memory_of_board
from nmforge.reporting.figures import boards as figure
from nmforge.reporting.figures import style

LLAMA = Workload("LLaMA-7B", SHAPES, BLOCKS, HIDDEN, VOCABULARY)
TINY = Workload("tiny", {(64, 128): 1}, 1, 64, 100)  # one matrix of 8,192 weights
DOCUMENT: dict[str, Any] = yaml.safe_load(BOARDS.read_text())
Row = dict[str, Any]


def engine(window: int, lut: int, **more: object) -> Row:
    """A synthesized 8x4 GEMM engine of 32 multipliers."""
    return {
        "engine": "gemm", "pattern": "dense", "window": window, "bits": 4, "lanes": 1, "rows": 8, "cols": 4,
        "target": "xcup", "stage": "synthesis", "lut": lut, "ff": lut // 2, "dsp": 0, **more,
    }  # fmt: skip


FPGA = pd.DataFrame([engine(1, 2000), engine(1, 1600, bits=3), engine(4, 2500), engine(8, 3200)])


def ideal(shape: GemmShape, pattern: Pattern, build: Build) -> int:
    """A closed form of our own: a kept weight per multiplier and cycle, no tail."""
    tiles = math.ceil(shape.n / build.rows) * math.ceil(shape.m / build.tokens)
    return tiles * shape.k * pattern.keep // pattern.window // build.lanes


def table(change: Callable[[dict[str, Any]], None]) -> BoardTable:
    document = deepcopy(DOCUMENT)
    change(document)
    return parse_boards(document, "boards.yaml")


def only(name: str, **figures: float) -> BoardTable:
    """The board table with one board, some of its figures replaced."""

    def change(document: dict[str, Any]) -> None:
        board = document["boards"][name]
        board |= {key: {"value": value, "source": "test"} for key, value in figures.items()}
        document |= {"boards": {name: board}, "published": []}

    return table(change)


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
    assert LLAMA.weights == WEIGHTS == 6_476_005_376
    assert Format(DENSE, 4).image_bytes(LLAMA) == 3_339_190_272
    assert LLAMA.kv_bytes == 524_288 and LLAMA.other_bytes == 524_288_000


def test_decode_on_the_kv260_takes_its_bytes_over_its_bandwidth() -> None:
    rows = board_rows(FPGA, ideal, load_boards(), LLAMA)
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
    placed = Placed(Build("gemm", 1, 4, 1, 8, 4, 2000, 1000, 0), 35, 225.0, 0.6)
    assert list(token_copies(placed, 1, 1e12, 11008)) == [1]
    assert list(token_copies(placed, 16, 1e12, 11008)) == [1, 2, 4]
    assert list(token_copies(placed, 512, 1e12, 11008)) == [1, 2, 4, 8, 16, 32]
    assert list(token_copies(placed, 512, 2 * 4 * 11008 * 8, 11008)) == [1, 2]


def test_a_matrix_vector_engine_decodes_without_idle_columns() -> None:
    fpga = pd.DataFrame([engine(1, 2000), engine(1, 2000, engine="gemv", lanes=4, rows=8, cols=1)])
    fast = board_rows(fpga, ideal, only("U280", bandwidth=1e15), LLAMA)
    decode = row(fast, phase="decode", context=0, pattern="dense", bits=4)
    assert (decode["engine"], decode["bound"]) == ("gemv", "compute")
    assert decode["multipliers"] == 32 * int(0.6 * 1_303_680 / 2000)


def test_what_does_not_fit_has_a_sentence_and_no_value() -> None:
    rows = board_rows(FPGA, ideal, load_boards(), LLAMA)
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
    def picky(shape: GemmShape, pattern: Pattern, build: Build) -> int:
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
    found = board_table(FPGA, ideal, load_boards(), LLAMA)
    assert list(found.columns) == COLUMNS
    published = found["source"].str.startswith("published (")
    assert found["source"][~published].str.startswith("modelled (").all()
    assert len(found) == 4 * 5 * 6 + int(published.sum()) and set(found["platform"]) == {"FPGA board"}
    one = found[(found["board"] == "VCK190") & (found["phase"] == "prefill") & (found["pattern"] == "2:4")].iloc[0]
    for part in ("60 % of the chip", "225 MHz assumed", "85 % of 25.6 GB/s", "taken from UltraScale+"):
        assert part in one["source"]


def test_published_designs_are_cited() -> None:
    by_board = {r["board"]: r for r in published_rows(load_boards())}
    assert (by_board["U280"]["name"], by_board["U280"]["tokens_per_s"]) == ("FlightLLM", 55)
    assert by_board["KV260"]["tokens_per_s"] == 4.9
    assert "2401.03868" in str(by_board["U280"]["source"]) and "2502.10659" in str(by_board["KV260"]["source"])


def test_derived_figures_of_the_table() -> None:
    boards = load_boards().boards
    assert boards["U280"].ram_bits.value == 2016 * 36 * 1024 + 960 * 288 * 1024
    assert boards["VCK190"].ram_bits.value == 967 * 36 * 1024 + 463 * 288 * 1024
    assert boards["KV260"].ram_bits.value == 144 * 36 * 1024 + 64 * 288 * 1024
    assert boards["ButterStick"].ram_bits.value == 208 * 18 * 1024
    assert boards["U280"].bandwidth.value == 32 * 14.375e9
    assert boards["VCK190"].bandwidth.value == 64 / 8 * 3.2e9
    assert boards["KV260"].bandwidth.value == 64 / 8 * 2.4e9
    assert boards["ButterStick"].bandwidth.value == 16 / 8 * 0.8e9


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (("boards", "U280", "lut"), 1, "boards.yaml: unknown key boards.U280.lut; remove it or correct its spelling"),
        (
            ("boards", "U280", "luts", "value"),
            -1,
            "boards.yaml: boards.U280.luts.value: Input should be greater than 0",
        ),
        (
            ("boards", "KV260", "efficiency", "value"),
            1.2,
            "boards.KV260.efficiency.value: Input should be less than or",
        ),
        (
            ("boards", "KV260", "dsps", "source"),
            "",
            "boards.yaml: boards.KV260.dsps.source: String should have at least",
        ),
        (("boards", "KV260", "target"), "xc7", "boards.yaml: boards.KV260.target: Input should be 'ecp5' or 'xcup'"),
        (
            ("published", 0, "board"),
            "U50",
            "published design FlightLLM names the unknown board U50; correct this value",
        ),
        (("boards",), {}, "boards.yaml: boards: Dictionary should have at least 1 item"),
    ],
)
def test_every_mistake_is_one_sentence(path: tuple[Any, ...], value: object, sentence: str) -> None:
    def change(document: dict[str, Any]) -> None:
        place: Any = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    with pytest.raises(NmforgeError) as error:
        table(change)
    assert sentence in str(error.value)


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(NmforgeError, match=r"board table .*none\.yaml is missing; name a file"):
        load_boards(tmp_path / "none.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("boards: [")
    with pytest.raises(NmforgeError, match=r"broken\.yaml is not valid YAML"):
        load_boards(broken)


def drawn(rows: pd.DataFrame) -> tuple[Figure, str]:
    with style.styled():
        picture = figure.plot(rows)
    texts = [t.get_text() for t in picture.texts] + [t.get_text() for axes in picture.axes for t in axes.texts]
    return picture, " ".join(texts).replace("\n", " ").replace("\N{NO-BREAK SPACE}", " ")


def test_the_figure_draws_values_and_marks_and_nothing_else() -> None:
    rows = figure.data({"boards": board_table(FPGA, ideal, load_boards(), LLAMA)})
    picture, text = drawn(rows)
    assert len(picture.axes) == 2 * 3  # U280, VCK190 and KV260; nothing runs on the ECP5 board
    assert sum(len(axes.patches) for axes in picture.axes) == rows["value"].notna().sum() - 2 == 36
    for part in ("modelled", "55.0 published", "Not measured", "does not run on ButterStick: too little memory"):
        assert part in text
    assert "arXiv 2401.03868" in text and "arXiv 2502.10659" in text


def test_a_format_without_a_value_has_words_instead_of_a_bar() -> None:
    small = only("KV260", capacity=3.9e9)
    picture, text = drawn(figure.data({"boards": board_table(FPGA, ideal, small, LLAMA)}))
    assert text.count("does not fit") == 2  # dense INT4, decode and prefill
    assert [len(axes.patches) for axes in picture.axes] == [5, 5]


def test_nothing_to_model_is_said() -> None:
    for rows in (pd.DataFrame(), board_table(pd.DataFrame(), ideal, load_boards(), LLAMA)):
        _, text = drawn(figure.data({"boards": rows}))
        assert text == "FPGA boards: not measured here, no synthesized engine"


def test_a_channel_of_a_board_in_cycles_of_an_engine() -> None:
    board = only("U280", bandwidth=400e9, channels=32, latency_ns=120, refresh_interval_ns=3900, refresh_ns=260).boards[
        "U280"
    ]
    assert board.channel(250) == Memory(50, 30, 975, 65)
    assert board.channel(250).sustained == 50 * (1 - 65 / 975)


def test_every_board_names_its_memory() -> None:
    for name in DOCUMENT["boards"]:
        memory = memory_of_board(name, 160).memory
        assert memory.bytes_per_cycle > 1 and 0 < memory.latency < memory.refresh_interval
        assert 0.9 < memory.sustained / memory.bytes_per_cycle < 1
    assert memory_of_board("KV260", None).memory == load_boards().boards["KV260"].channel(225)
    with pytest.raises(NmforgeError, match="board U250 is unknown; choose one of U280, VCK190, KV260, ButterStick"):
        memory_of_board("U250", None)
    with pytest.raises(NmforgeError, match="ButterStick has no clock of its own; name that of the engine with --clock"):
        memory_of_board("ButterStick", None)
