"""Every figure from a small synthetic set of tables: files, plotted rows, words for what nobody measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from nmforge.core.errors import NmforgeError
from nmforge.reporting.figures import style
from nmforge.reporting.figures.registry import FIGURES, draw
from nmforge.reporting.llama7b_scaling import WHOLE, llama_on_boards

WHERE = {
    "commit": "abc",
    "config_hash": "def",
    "host": "bench-1",
    "versions": "{}",
    "date": "2026-01-02T03:04:05",
}
MODEL = {"model": "SmolLM2-135M-Instruct"}
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


def accuracy_table() -> pd.DataFrame:
    rows = []
    for design, pattern, bits, bpw, w4a16, w4a8 in DESIGNS:
        modes = {"bf16": w4a16} if bits == 16 else {"w4a16": w4a16, "w4a8": w4a8}
        for mode, ppl in modes.items():
            rows.append(
                {
                    **MODEL,
                    "design_id": design,
                    "pattern": pattern,
                    "bits": bits,
                    "mode": mode,
                    "ppl": ppl,
                    "ratio_to_dense": ppl / 20.9,
                    "bits_per_weight": bpw,
                    "tokens": 24576,
                    "seqlen": 2048,
                    "stride": 2048,
                    "dataset": "enwiki sample",
                    **WHERE,
                }
            )
    return pd.DataFrame(rows)


def layers_table() -> pd.DataFrame:
    """Two 2:4 points and one of each rival; errors grow with depth."""
    points = [("gptq-int4", "dense", 4, 0.01), ("gptq-int3", "dense", 3, 0.05), ("wanda-2of4-int4", "2:4", 4, 0.6),
              ("sparsegpt-2of4-int4", "2:4", 4, 0.2)]  # fmt: skip
    kinds = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "residual stream")
    return pd.DataFrame(
        [
            {
                **MODEL, **WHERE, "design_id": design, "pattern": pattern, "bits": bits, "block": block, "kind": kind,
                "layer": f"model.layers.{block}.{kind}", "output_error": error * (1 + block), "input_error": error,
                "input_peak": 20.0, "tokens": 2048,
            }
            for design, pattern, bits, error in points
            for block in range(30)
            for kind in kinds
        ]
    )  # fmt: skip


def storage_table() -> pd.DataFrame:
    rows = []
    for design, pattern, bits, bpw, _, _ in DESIGNS:
        encodings = {"none": 4.0 if design == "paper-2of4" else bpw}
        if pattern != "dense":
            encodings |= ENCODED[pattern]
        for encoding, value in encodings.items():
            for scope, b in (("linear", value), ("model", 0.79 * value + 0.21 * 16)):
                rows.append(
                    {
                        **MODEL,
                        "design_id": design,
                        "pattern": pattern,
                        "bits": bits,
                        "encoding": encoding,
                        "scope": scope,
                        "bytes": int(b * 1e6),
                        "bits_per_weight": b,
                        "ratio_to_fp16": 16 / b,
                        **WHERE,
                    }
                )
    return pd.DataFrame(rows)


def kernel_row(kernel: str, family: str, pattern: str, bits: int, us: float, **more: object) -> dict[str, object]:
    base = {
        "kernel": kernel,
        "family": family,
        "pattern": pattern,
        "bits": bits,
        "device": "AMD EPYC 7B13",
        "isa": "avx2",
        "threads": 2,
        "m": 1,
        "n": 4096,
        "k": 4096,
        "cache": "streamed",
        "stage": "matmul",
        "median_us": us,
        "spread_us": us / 50,
        "repeats": 30,
        "weight_bytes": 4096 * 4096 * bits / 8,
        "run_id": "r1",
        **WHERE,
    }
    return base | more


def kernels_table(*, cuda: bool = False) -> pd.DataFrame:
    rows = []
    for m in (1, 16, 128):
        t = {1: 1.0, 16: 4.0, 128: 30.0}[m]
        run = {"m": m, "run_id": f"r{m}"}
        rows += [
            kernel_row("torch fp32 dense", "library", "dense", 32, 3900 * t, **run),
            kernel_row("torch bf16 dense", "library", "dense", 16, 2100 * t, **run),
            kernel_row("onnxruntime matmulnbits", "library", "dense", 4, 640 * t, **run),
            kernel_row("ours dense int4", "ours", "dense", 4, 600 * t, **run),
            kernel_row("ours dense int3", "ours", "dense", 3, 560 * t, **run),
            kernel_row("ours nm int4", "ours", "2:4", 4, 480 * t, **run),
            kernel_row("ours nm int4", "ours", "2:4", 4, 950 * t, isa="portable", **run),
        ]
        if m == 1:
            rows.append(kernel_row("read 2:4 int4", "roofline", "2:4", 4, 450, stage="read", **run))
        for pattern in ("dense", "2:4"):
            rows.append(kernel_row("paper unfused", "paper", pattern, 4, 3900 * t, **run))
            rows.append(kernel_row("paper unfused", "paper", pattern, 4, 9900 * t, stage="end_to_end", **run))
        if cuda:
            gpu = {**run, "device": "cuda: NVIDIA H100", "isa": "sm_90"}
            rows += [
                kernel_row("torch fp16 dense", "library", "dense", 16, 20 * t, **gpu),
                kernel_row("torch fp16 dense", "paper", "dense", 16, 20 * t, **gpu),
                kernel_row("torch 2:4", "paper", "2:4", 16, 13 * t, **gpu),
            ]
    return pd.DataFrame(rows)


def limits_table() -> pd.DataFrame:
    values = {"read_streamed": 50e9, "read_resident": 120e9, "int8_peak": 1000e9}
    base = {"device": "AMD EPYC 7B13", "isa": "avx512vbmi", "spread": 1e8, "repeats": 15, "run_id": "r", **WHERE}
    return pd.DataFrame(
        [
            {**base, "quantity": name, "value": value * threads / 2, "unit": "bytes/s", "threads": threads}
            for name, value in values.items()
            for threads in (1, 2)
        ]
    )


def scaling_rows() -> pd.DataFrame:
    def row(platform: str, design: str, pattern: str, bits: int, us: float, family: str | None) -> dict[str, object]:
        return {
            "platform": platform,
            "design_id": design,
            "pattern": pattern,
            "bits": bits,
            "family": family,
            "context": 0,
            "scope": "linear layers only",
            "us_of_2of4": float("nan"),
            "us_per_token": us,
            "tokens_per_s": 1e6 / us,
            "threads": 2,
            "stage": "matmul",
            "kernel": design,
            "device": "AMD EPYC 7B13",
            "source": "recorded on AMD EPYC 7B13, 2026-01-02",
        }

    cpu = pd.DataFrame(
        [
            row("CPU", "dense-bf16", "dense", 16, 812e3, "library"),
            row("CPU", "dense-int4", "dense", 4, 231e3, "ours"),
            row("CPU", "dense-int3", "dense", 3, 216e3, "ours"),
            row("CPU", "2of4-int4", "2:4", 4, 186e3, "ours"),
            row("CPU", "dense-int4", "dense", 4, 247e3, "library"),
        ]
    )
    cpu["speedup_vs_dense"] = 231e3 / cpu["us_per_token"]
    cycles = {"dense": 4.1e7, "2:4": 2.08e7, "4:8": 2.11e7, "1:4": 1.07e7}
    fpga = pd.DataFrame(
        [
            {
                "platform": "FPGA",
                "pattern": p,
                "bits": 4,
                "cycles_per_token": c,
                "speedup_vs_dense": 4.1e7 / c,
                "engine": "gemm",
                "rows": 8,
                "cols": 8,
                "source": "modelled (cycle model within 0.4 % of RTL)",
            }
            for p, c in cycles.items()
        ]
    )
    return pd.concat([cpu, fpga], ignore_index=True)


def fpga_table() -> pd.DataFrame:
    rows = []
    base = {"bits": 4, "lanes": 1, "rows": 8, "cols": 8, "m": 16, "n": 16, "k": 512, **WHERE}
    for pattern, window, cycles in [("1:1", 1, 4210), ("2:4", 4, 2130), ("4:8", 8, 2140), ("1:4", 4, 1120)]:
        for seed in (0, 1):
            rows.append(
                {
                    **base, "engine": "gemm", "pattern": pattern, "window": window,
                    "stage": "rtl", "target": "verilator", "seed": seed, "cycles": cycles + 2 * seed,
                    "ideal_cycles": round(cycles * 0.95), "efficiency": 0.95, "outputs_compared": 256, "mismatches": 0,
                }
            )  # fmt: skip
    for window, lut, clocks in [(1, 9100, (150, 160, 170)), (4, 10010, (140, 165, 155)), (8, 11830, (130, 130, 130))]:
        build = {**base, "pattern": "dense" if window == 1 else f"N:{window}", "window": window}
        rows.append({**build, "engine": "gemm", "stage": "synthesis", "target": "ecp5", "lut": lut, "dsp": 0})
        for seed, clock in enumerate(clocks):
            routed = {"engine": "device", "stage": "route", "target": "ecp5", "lut": lut + 1500}
            rows.append({**build, **routed, "seed": seed, "fmax_mhz": clock})
    return pd.DataFrame([*rows, *random_rows()])


def random_rows() -> list[dict[str, object]]:
    """A dense and a 2:4 layer behind two memories of which a tenth goes to refresh; 2 and 3 bytes a step."""
    rows: list[dict[str, object]] = []
    for pattern, window, needed in (("1:1", 1, 2.0), ("2:4", 4, 3.0)):
        for rate in (None, 1.0, 8.0):
            efficiency = 1.0 if rate is None else min(1.0, 0.9 * rate / needed)
            rows.append(
                {
                    "engine": "gemm", "stage": "random", "target": "verilator", "pattern": pattern, "window": window,
                    "bits": 4, "rows": 4, "cols": 4, "lanes": 1, "m": 8, "n": 64, "k": 2048, "memory_rate": rate,
                    "efficiency": efficiency, "bytes_per_cycle": None if rate is None else needed * efficiency,
                    "memory_share": None if rate is None else needed * efficiency / (0.9 * rate), **WHERE,
                }
            )  # fmt: skip
    return rows


def boards_table() -> pd.DataFrame:
    table = fpga_table()
    synthesis = table[table["stage"] == "synthesis"]
    return llama_on_boards(pd.concat([table, synthesis.assign(target="xcup", ff=6000.0)], ignore_index=True))


BUILDERS = {
    "accuracy": accuracy_table,
    "layers": layers_table,
    "storage": storage_table,
    "kernels": kernels_table,
    "limits": limits_table,
    "scaling": scaling_rows,
    "fpga": fpga_table,
    "boards": boards_table,
}


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A folder with the tables as Parquet."""
    folder = tmp_path / "tables"
    folder.mkdir()
    for name, build in BUILDERS.items():
        build().to_parquet(folder / f"{name}.parquet")
    return folder


def words(figure: Figure) -> str:
    """All text a figure shows, line breaks folded."""
    return " ".join(" ".join(t.get_text().split()) for t in figure.findobj(Text) if t.get_visible())


def picture(name: str, **tables: pd.DataFrame) -> Figure:
    drawing = FIGURES[name]
    with style.styled():
        return drawing.plot(drawing.data(tables))


def bars(figure: Figure) -> list[float]:
    """Lengths of all bars, in drawing order."""
    return [p.get_width() for axes in figure.axes for p in axes.patches]


@pytest.mark.parametrize("name", FIGURES)
def test_draw_leaves_three_files_and_nothing_else(name: str, tables: Path, tmp_path: Path) -> None:
    out = tmp_path / "figures"
    written = draw(name, tables, out)
    assert sorted(p.name for p in written) == sorted(p.name for p in out.iterdir())
    assert {p.name for p in written} == {f"{name}.{kind}" for kind in ("csv", "pdf", "png")}
    inches = Image.open(out / f"{name}.png").size[0] / 300
    assert inches == pytest.approx(7.0 if name in ("speedup", "accuracy_frontier") else 3.4)


@pytest.mark.parametrize("name", FIGURES)
def test_same_tables_give_the_same_bytes(name: str, tables: Path, tmp_path: Path) -> None:
    once, again = draw(name, tables, tmp_path / "a"), draw(name, tables, tmp_path / "b")
    assert [p.read_bytes() for p in once] == [p.read_bytes() for p in again]


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_is_smaller_than_seven_points_or_outside(name: str) -> None:
    figure = picture(name, **{t: BUILDERS[t]() for t in FIGURES[name].tables})
    figure.draw_without_rendering()
    page, unseen = figure.bbox, _undrawn_ticks(figure)
    for text in figure.findobj(Text):
        box = text.get_window_extent()
        if text.get_text().strip() and text.get_visible() and box.width:
            assert text.get_fontsize() >= 7, text
            inside = box.x0 >= -1 and box.x1 <= page.x1 + 1 and box.y0 >= -1 and box.y1 <= page.y1 + 1
            assert inside or text in unseen, f"{text.get_text()!r} leaves the page"


def _undrawn_ticks(figure: Figure) -> list[Text]:
    """Labels of ticks beyond the limits of their axis, which Matplotlib keeps and never draws."""
    labels = []
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            beyond = [tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
            labels += [label for tick in beyond for label in (tick.label1, tick.label2)]
    return labels


def test_csv_holds_the_plotted_bars(tables: Path, tmp_path: Path) -> None:
    draw("storage", tables, tmp_path)
    csv = pd.read_csv(tmp_path / "storage.csv")
    assert bars(picture("storage", storage=storage_table())) == pytest.approx(list(csv["times_smaller"]))
    draw("speedup", tables, tmp_path)
    csv = pd.read_csv(tmp_path / "speedup.csv")
    assert bars(picture("speedup", kernels=kernels_table())) == pytest.approx(list(csv["speedup"]))
    draw("llama7b_scaling", tables, tmp_path)
    csv = pd.read_csv(tmp_path / "llama7b_scaling.csv")
    assert bars(picture("llama7b_scaling", scaling=scaling_rows())) == pytest.approx(list(csv["value"]))
    draw("fpga", tables, tmp_path)
    csv = pd.read_csv(tmp_path / "fpga.csv")
    assert bars(picture("fpga", fpga=fpga_table())) == pytest.approx(list(csv["value"]))


def test_models_decoded_as_a_whole_are_compared_within_their_turns() -> None:
    """The bf16 run's machine was half as fast: its time counts over that of the 2:4 INT4 beside it."""
    whole = scaling_rows().assign(scope=WHOLE, context=512)
    whole["us_of_2of4"] = whole["us_per_token"].where(whole["pattern"] == "2:4", 186e3).where(whole["bits"] < 16, 372e3)
    whole.loc[whole["bits"] == 3, "us_of_2of4"] = float("nan")  # without a partner it is not drawn
    rows = FIGURES["llama7b_scaling"].data({"scaling": whole[whole["platform"] == "CPU"]}).set_index("design_id")
    assert rows.loc["2of4-int4", "value"] == 1
    assert rows.loc["dense-bf16", "value"] == pytest.approx(372 / 812)
    assert "dense-int3" not in rows.index
    shown = words(picture("llama7b_scaling", scaling=whole))
    assert "2:4 INT4 of the same turns = 1" in shown
    assert "2:4 INT4 decodes 5.4 tokens/s" in shown


def test_storage_factors_are_exact_and_start_at_zero() -> None:
    rows = FIGURES["storage"].data({"storage": storage_table()}).set_index("label")["times_smaller"]
    assert rows["dense 16-bit"] == 1
    assert rows["paper-2of4, in place"] == 4
    assert "2:4 INT4, zeros stored" not in rows.index
    assert rows["2:4 INT4, offsets"] == 16 / 3.125
    assert rows["dense INT3"] == 16 / 3.125  # the equal-storage rival stands beside it
    assert all(axes.get_xlim()[0] == 0 for axes in picture("storage", storage=storage_table()).axes)


def test_speedup_is_taken_against_the_faster_torch_row_of_the_same_run() -> None:
    rows = FIGURES["speedup"].data({"kernels": kernels_table()})
    assert set(rows["baseline"]) == {"torch bf16 dense"}
    ours = rows[(rows["label"] == "ours, 2:4 INT4") & (rows["m"] == 1)]
    assert list(ours["speedup"]) == [2100 / 480]  # the portable build of the same kernel is slower and not drawn


def test_a_platform_nobody_measured_is_written_not_drawn() -> None:
    figure = picture("speedup", kernels=kernels_table())
    assert "GPU: not measured here" in words(figure)
    assert len(figure.axes) == 3
    figure = picture("llama7b_scaling", scaling=scaling_rows())
    assert "GPU: not measured here" in words(figure)


def test_cuda_rows_get_their_own_panels() -> None:
    figure = picture("speedup", kernels=kernels_table(cuda=True))
    assert len(figure.axes) == 6
    assert "not measured here" not in words(figure)


@pytest.mark.parametrize("name", FIGURES)
def test_an_empty_table_is_a_sentence_not_a_crash(name: str) -> None:
    figure = picture(name, **{table: BUILDERS[table]().iloc[:0] for table in FIGURES[name].tables})
    assert "not measured here" in words(figure)


def test_accuracy_shows_the_ruined_model_and_both_rivals() -> None:
    figure = picture("accuracy_frontier", accuracy=accuracy_table())
    left, right = figure.axes
    assert left.get_xscale() == "log" and right.get_yscale() == "log"
    assert left.get_xlim()[1] > 1.31e6
    assert "1,310,000" in words(figure) and "paper-2of4 62,679x" in words(figure)
    colours = {to_hex(str(line.get_color())) for line in left.lines}
    assert {style.COLOURS[s].lower() for s in ("dense 16-bit", "dense INT4", "dense INT3")} <= colours


def test_bandwidth_draws_simulated_points_on_the_line_of_their_bound() -> None:
    axes = picture("bandwidth", fpga=fpga_table()).axes[0]
    points = [line for line in axes.lines if line.get_marker() == "o"]
    bounds = [line for line in axes.lines if line.get_marker() != "o"]
    drawn = [[(float(x), float(y)) for x, y in zip(*line.get_data(), strict=True)] for line in points]
    assert drawn == [[(1, pytest.approx(45)), (8, 100)], [(1, pytest.approx(30)), (8, 100)]]
    for line, needed in zip(bounds, (2, 3), strict=True):
        x, y = (np.asarray(values, float) for values in line.get_data())
        assert y == pytest.approx(100 * np.minimum(1, 0.9 * x / needed))


def test_error_by_layer_shows_the_closest_point_of_each_format_and_every_layer_of_it() -> None:
    rows = FIGURES["error_by_layer"].data({"layers": layers_table()})
    assert list(dict.fromkeys(rows["design_id"])) == ["gptq-int4", "gptq-int3", "sparsegpt-2of4-int4"]
    figure = picture("error_by_layer", layers=layers_table())
    stream, *maps, _bar = figure.axes
    drawn = [[float(y) for y in line.get_ydata()] for line in stream.lines]
    assert drawn == [pytest.approx([e * (1 + b) for b in range(30)]) for e in (0.01, 0.05, 0.2)]
    assert [axes.images[0].get_array().shape for axes in maps] == [(7, 30)] * 3
    assert float(maps[2].images[0].get_array()[6, 29]) == pytest.approx(0.2 * 30)


def test_fpga_takes_the_median_of_seeds_and_the_ideal_beside_it() -> None:
    rows = FIGURES["fpga"].data({"fpga": fpga_table()})
    work = rows[rows["quantity"] == "work"].set_index("pattern")
    assert list(work.index) == ["1:1", "4:8", "2:4", "1:4"]
    assert work.loc["1:1", "value"] == 64 * 4211
    assert work.loc["1:1", "ideal"] == 64 * round(4210 * 0.95)
    assert work.loc["2:4", "over_dense"] == pytest.approx(4211 / 2131)
    clock = rows[rows["quantity"] == "clock"].set_index("window")
    assert dict(clock["value"]) == {1: 160, 4: 155, 8: 130}
    assert (clock.loc[4, "low"], clock.loc[4, "high"]) == (140, 165)


def test_fpga_compares_every_build_with_dense_of_its_own_target_and_array() -> None:
    table = fpga_table()
    synthesis = table[table["stage"] == "synthesis"]
    other = synthesis.assign(target="xcup", lut=synthesis["lut"] / 2)
    bigger = synthesis.assign(rows=16, lut=99999)
    twice = table[table["stage"] == "rtl"].assign(lanes=2, cycles=1)
    rows = FIGURES["fpga"].data({"fpga": pd.concat([table, other, bigger, twice.iloc[:2]], ignore_index=True)})
    luts = rows[rows["quantity"] == "lut ecp5"].set_index("window")
    assert dict(luts["value"]) == {1: 9100, 4: 10010, 8: 11830}
    assert dict(luts["over_dense"].round(3)) == {1: 1.0, 4: 1.1, 8: 1.3}
    assert list(rows[rows["quantity"] == "lut xcup"]["value"]) == [4550, 5005, 5915]


def test_a_dense_int3_build_stands_beside_the_int4_ones() -> None:
    table = fpga_table()
    dense = table[(table["stage"] == "synthesis") & (table["window"] == 1)]
    rows = FIGURES["fpga"].data({"fpga": pd.concat([table, dense.assign(bits=3, lut=7280)], ignore_index=True)})
    luts = rows[rows["quantity"] == "lut ecp5"]
    assert list(luts["series"]) == ["dense", "dense INT3", "any N:4", "any N:8"]
    assert list(luts["over_dense"].round(2)) == [1, 0.8, 1.1, 1.3]


def test_a_pattern_run_on_two_builds_is_drawn_on_its_own() -> None:
    table = fpga_table()
    rtl = table[(table["stage"] == "rtl") & (table["pattern"] == "2:4")].assign(window=8, cycles=9999)
    rows = FIGURES["fpga"].data({"fpga": pd.concat([rtl, table], ignore_index=True)})
    work = rows[rows["quantity"] == "work"].set_index("pattern")
    assert work.loc["2:4", "value"] == 64 * 2131


def test_roofline_points_lie_where_their_times_put_them() -> None:
    rows = FIGURES["roofline"].data({"kernels": kernels_table(), "limits": limits_table()})
    ours = rows[(rows["series"] == "2:4 INT4") & (rows["m"] == 16)].iloc[0]
    assert ours["rate"] == pytest.approx(16 * 4096 * 4096 / (480 * 4.0) * 1e6)
    assert ours["intensity"] == pytest.approx(16 * 4096 * 4096 / ours["weight_bytes"])
    limits = rows[rows["kind"] == "limit"].set_index("name")["rate"]
    assert dict(limits) == {"memory": pytest.approx(4096 * 4096 / 2 / 450e-6), "int8_peak": 1000e9}  # of two threads
    assert "paper" not in set(rows["family"])


def test_claims_of_the_paper_are_named_where_they_belong() -> None:
    assert "4x claimed (arXiv 2512.24713)" in words(picture("storage", storage=storage_table()))
    assert "end to end 1.29x, matmul 1.71x" in words(picture("speedup", kernels=kernels_table()))
    assert "1.36x dense, claimed" in words(picture("llama7b_scaling", scaling=scaling_rows()))


def test_claimed_line_stands_at_136_percent_of_dense_int4() -> None:
    rows = FIGURES["llama7b_scaling"].data({"scaling": scaling_rows()})
    cpu = rows[(rows["platform"] == "CPU") & rows["claimed_at"].notna()]
    assert list(cpu["claimed_at"]) == pytest.approx([1.36 * 1e6 / 231e3])


def test_unknown_figure_and_missing_table_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(NmforgeError, match=r"figure 'pie' is unknown; choose one of storage, speedup"):
        draw("pie", tmp_path, tmp_path)
    with pytest.raises(NmforgeError, match=r"fpga.parquet is missing; run snakemake --cores all"):
        draw("fpga", tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_provenance_is_read_from_the_rows() -> None:
    assert json.loads(kernels_table()["versions"].iloc[0]) == {}
    assert style.measured(kernels_table()) == "Measured on AMD EPYC 7B13, 2026-01-02"
    assert style.measured(accuracy_table()) == "Measured on bench-1, 2026-01-02"
