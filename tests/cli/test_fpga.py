"""`nmforge fpga`: what its verbs leave is read by other tools, and its report says what the table holds."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pywellen
import yaml
from factories.rtl_problems import images_of

from nmforge.artifact.format import write_artifact
from nmforge.cli import main
from nmforge.core.compressed_linear import CompressedLinear, random_linear
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern
from nmforge.core.reference import accumulate
from nmforge.fpga.export import TOP, engine_of_artifact, top_module, write_build
from nmforge.fpga.images.dram_image import read_layers
from nmforge.fpga.images.weight_image import kept_weights
from nmforge.fpga.model.engine import Engine
from nmforge.fpga.model.rows import SEED
from nmforge.fpga.pnr.ecp5 import PlaceSettings, engine_design
from nmforge.fpga.points import routes
from nmforge.fpga.report import format_report, report_rows
from nmforge.fpga.sim.device import simulate_device
from nmforge.fpga.sim.engine import SimulationJob, SimulationSettings, run_job, simulate
from nmforge.fpga.sim.verilator import Watch, build_simulator, compile_simulator
from nmforge.fpga.sources import DEVICE_TESTBENCH, ENGINE_TESTBENCH, run_verilator

pytestmark = pytest.mark.rtl

ROOT = Path(__file__).resolve().parents[2]
LAYER = "model.layers.0.mlp.up_proj"


def layer(n: int = 5, k: int = 192, pattern: str = "2:4", group: int = 64, bits: int = 4) -> CompressedLinear:
    return random_linear(np.random.default_rng(n), n, k, Pattern.parse(pattern), bits, group)


def artifact(folder: Path, **layers: CompressedLinear) -> Path:
    path = folder / "a.nmf.safetensors"
    write_artifact(path, {"design": {"id": "d"}}, layers or {LAYER: layer()}, {}, "offset")
    return path


def config(folder: Path, **fpga: int) -> Path:
    """The toy configuration with another array."""
    document = yaml.safe_load((ROOT / "tests/configs/tiny.yaml").read_text())
    document["fpga"] |= fpga
    (folder / "config.yaml").write_text(yaml.safe_dump(document))
    return folder / "config.yaml"


def simulator_of_listing(folder: Path, engine: Engine, program: Path) -> None:
    """The simulator another tool would build: from the generated files alone."""
    testbench, flags = (DEVICE_TESTBENCH, []) if engine.kind == "device" else (ENGINE_TESTBENCH, [])
    flags += ["-CFLAGS", "-DGEMV"] if engine.kind == "gemv" else []
    compile_simulator(TOP, [], ["-Wall", "-F", str(folder / "sources.f"), *flags], program, testbench)


@pytest.mark.parametrize("kind", ["gemm", "gemv", "device"])
def test_the_generated_top_computes_the_reference(tmp_path: Path, builds: Path, kind: str) -> None:
    engine = Engine(4, 4, 8 if kind == "device" else 2, 2, 64, kind=kind)
    folder, program = tmp_path / "out", builds / f"listing-{kind}"
    write_build(engine, folder)
    simulator_of_listing(folder, engine, program)
    linear, m = layer(), 1 if kind == "gemv" else 3
    xq = np.random.default_rng(0).integers(-127, 128, (m, linear.k), dtype=np.int8)
    if kind == "device":
        found = simulate_device(linear, xq, engine, builds, program=program).acc
    else:
        job = SimulationJob.for_engine(engine, kept_weights(linear, engine), m)
        found = run_job(program, job, images_of(linear, xq, engine)).acc
    assert (found == accumulate(linear, xq)).all()


@pytest.mark.parametrize("kind", ["gemm", "gemv", "device"])
@pytest.mark.parametrize(("window", "lanes"), [(1, 1), (8, 2)])
def test_generated_files_are_lint_clean_and_fix_every_parameter(
    tmp_path: Path, kind: str, window: int, lanes: int
) -> None:
    engine = Engine(window, 3, 8, 2, 64, lanes, kind)
    top, listing, *sources = write_build(engine, tmp_path / "out")
    run_verilator(["--lint-only", "-Wall", "--top-module", TOP, "-F", str(listing)], tmp_path)
    text = top.read_text()
    assert "parameter " not in text
    for name, value in engine.parameters.items():
        assert re.search(rf"localparam int {name} = {value}\b", text), name
    assert listing.read_text().splitlines()[0] == "rtl/nmforge_types.sv"
    assert sorted(p.name for p in sources) == sorted(p.name for p in (tmp_path / "out/rtl").iterdir())


def test_generate_takes_settings_and_artifact(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings, source = config(tmp_path, rows=8, cols=3), artifact(tmp_path)
    out = tmp_path / "engine"
    assert main(["--config", str(settings), "fpga", "generate", str(source), "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "nmforge_engine, OF 4, BITS 4, LANES 1, ROWS 8, COLS 3, GROUP 64" in text
    size = (out / "weights.dram").stat().st_size
    assert f"weights.dram: 1 layers, 960 weights in {size:,} bytes, read back equal to the artifact" in text
    assert [name for name, _ in read_layers(out / "weights.dram", Engine(4, 4, 8, 3, 64))] == [LAYER]
    again = ["--window", "8", "--engine", "gemv", "--rows", "2", "--lanes", "2"]
    assert main(["--config", str(settings), "fpga", "generate", "--out", str(tmp_path / "b"), *again]) == 0
    assert "nmforge_gemv, OF 8, BITS 4, LANES 2, ROWS 2, COLS 3, GROUP 64" in capsys.readouterr().out
    assert not (tmp_path / "b/weights.dram").exists()


def test_an_engine_for_a_whole_artifact_fits_its_hardest_layer(tmp_path: Path) -> None:
    source = artifact(
        tmp_path,
        wide=layer(2, 192, "1:2", 96, 3),
        deep=layer(2, 16384, "1:4", 32, 2),
        rows=layer(2, 640, "1:1", 0, 4),
    )
    assert engine_of_artifact(source, "gemm", 4, 2) == Engine(4, 4, 4, 2, 32, 1, "gemm", 4096)
    assert engine_of_artifact(source, "device", 8, 2, window=8) == Engine(8, 4, 8, 2, 32, 1, "device", 4096)


def test_generate_refuses_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = artifact(tmp_path)
    for arguments, sentence in [
        ([], "no artifact and no --window are given; name the artifact to run, or the window of a build"),
        (
            [str(source), "--window", "2"],
            f"{source}, layer {LAYER}: this engine selects from windows of 2, where 2:4 does",
        ),
        ([str(source), "--cols", "17"], f"{source}, layer {LAYER}: cols = 17 breaks the no-stall rule"),
        ([str(source), "--rows", "1"], "do not fill whole bytes; use a multiple of 8 rows"),
        ([str(tmp_path / "none")], "is missing; make it with nmforge compress"),
    ]:
        command = [
            "--config",
            str(config(tmp_path, rows=8)),
            "fpga",
            "generate",
            *arguments,
            "--out",
            str(tmp_path / "o"),
        ]
        assert main(command) == 2
        error = capsys.readouterr().err
        assert error.startswith("nmforge fpga generate: ") and sentence in error and error.count("\n") == 1
    write_artifact(source, {"design": {"id": "d"}}, {}, {}, "offset")
    with pytest.raises(NmforgeError, match="has no compressed layers, only bf16; name a compressed"):
        engine_of_artifact(source, "gemm", 4, 2)


def test_simulate_leaves_a_waveform_with_the_sums_in_it(tmp_path: Path, builds: Path) -> None:
    source, wave = artifact(tmp_path, **{LAYER: layer(4, 128)}), tmp_path / "waves/w.fst"
    settings = config(tmp_path, rows=2, cols=2, tile_rows=4, tokens=3)
    command = ["--config", str(settings), "fpga", "simulate", str(source), "--layer", LAYER]
    assert main([*command, "--build", str(builds), "--out", str(tmp_path / "p.json"), "--trace", str(wave)]) == 0
    row = yaml.safe_load((tmp_path / "p.json").read_text())["rows"][0]
    found = sums_in(wave, rows=2, cycles=row["cycles"])
    xq = np.random.default_rng(SEED).integers(-127, 128, (3, 128), dtype=np.int8)
    padded = np.zeros((4, 128), dtype=np.int8)
    padded[:3] = xq
    expected = accumulate(layer(4, 128), padded)  # column tiles of 2 tokens, row tiles of 2 channels in each
    order = [(token, tile) for column in (0, 2) for tile in (0, 2) for token in (column, column + 1)]
    assert found == [expected[token, tile : tile + 2].tolist() for token, tile in order]
    assert [path.name for path in wave.parent.iterdir()] == ["w.fst"]


def sums_in(wave: Path, rows: int, cycles: int) -> list[list[int]]:
    """Every accepted beat of sums, as a viewer's own reader finds them: two time steps a cycle after the reset."""
    form = pywellen.Waveform(str(wave))
    signals = {var.full_name: var.signal for var in form.all_vars()}
    names = ("m_acc_tvalid", "m_acc_tready", "m_acc_tdata")
    valid, ready, data = (signals[f"TOP.{name}"] for name in names)
    beats = []
    for time in range(2 * 81, 2 * (81 + cycles), 2):
        if int(valid.value_at(time)) and int(ready.value_at(time)):
            words = int(data.value_at(time)).to_bytes(4 * rows, "little")
            beats.append(np.frombuffer(words, dtype="<i4").tolist())
    return beats


def test_ordinary_and_traced_simulators_are_builds_of_their_own(tmp_path: Path, builds: Path) -> None:
    engine = Engine(4, 4, 2, 2, 64)
    plain, traced = build_simulator(engine, builds), build_simulator(engine, builds, Watch.WAVEFORM)
    assert plain != traced
    assert b"VerilatedFst" not in plain.read_bytes() and plain.stat().st_size < traced.stat().st_size
    linear = layer()
    xq = np.random.default_rng(1).integers(-127, 128, (3, linear.k), dtype=np.int8)
    watched = simulate(
        linear, xq, engine, builds, SimulationSettings(watch=Watch.WAVEFORM, watched=tmp_path / "same.fst")
    )
    assert watched.cycles == simulate(linear, xq, engine, builds).cycles


def test_bitstream_is_packed_from_what_place_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The two verbs ask for the same routed design, so the second one routes nothing."""
    asked = []

    class Routed:
        comb, ff, ram, dsp, fmax_mhz, settings = 1, 2, 3, 4, 123.44, PlaceSettings(7)
        utilisation = {"TRELLIS_COMB": 0.5}  # noqa: RUF012

    def place(*arguments: object) -> Routed:
        asked.append(arguments)
        return Routed()

    def packed(routed: Routed, out: Path) -> int:
        return out.write_bytes(b"bits")

    monkeypatch.setattr(routes, "place", place)
    monkeypatch.setattr(routes, "bitstream", packed)
    sizes = ["--window", "4", "--rows", "8", "--cols", "2", "--lanes", "2", "--seed", "7", "--build", str(tmp_path)]
    settings = ["--config", str(ROOT / "tests/configs/tiny.yaml"), "fpga"]
    assert main([*settings, "place", *sizes, "--out", str(tmp_path / "p.json")]) == 0
    assert main([*settings, "bitstream", *sizes, "--out", str(tmp_path / "e.bit")]) == 0
    assert asked[0] == asked[1]
    assert asked[0] == (engine_design(Engine(4, 4, 8, 2, 64, 2, "device")), PlaceSettings(7), tmp_path)
    assert "e.bit: 4 bytes for a LFE5U-85F, 123.4 MHz after routing" in capsys.readouterr().out


def fpga_table() -> pd.DataFrame:
    """Four patterns on a 4x4 array; builds synthesized, two of them routed with three seeds; a GEMV build."""
    base = {
        "bits": 4,
        "rows": 4,
        "cols": 4,
        "lanes": 1,
        "m": 8,
        "n": 64,
        "k": 1536,
        "host": "bench-1",
        "date": "2026-01-02T03",
    }
    rows: list[dict[str, object]] = [
        base | {"stage": "rtl", "engine": "gemm", "target": "verilator", "seed": 0, "pattern": p, "window": window,
                "cycles": c, "efficiency": e}
        for p, window, c, e in [("1:1", 1, 49200, 0.999), ("2:4", 4, 24600, 0.9985), ("1:4", 4, 12300, 0.9971),
                            ("4:8", 8, 24601, 0.998)]
    ]  # fmt: skip
    for engine, window, target, lut, ff in [
        ("gemm", 1, "ecp5", 2000, 1500), ("gemm", 4, "ecp5", 2200, 1600), ("gemm", 4, "xcup", 1400, 1601),
        ("gemv", 4, "ecp5", 2300, 1700),
    ]:  # fmt: skip
        cost = {
            "stage": "synthesis",
            "engine": engine,
            "window": window,
            "target": target,
            "lut": lut,
            "ff": ff,
            "seed": 0,
        }
        rows.append(base | cost | {"pattern": "x"})
    int3 = {"stage": "synthesis", "engine": "gemm", "window": 1, "bits": 3, "target": "ecp5", "lut": 1700, "ff": 1300}
    rows.append(base | int3 | {"pattern": "x"})
    for window, clocks in [(1, (160.0, 150.0, 155.0)), (4, (150.0, 124.0, 140.0))]:
        for seed, clock in enumerate(clocks):
            routed = {
                "stage": "route",
                "engine": "device",
                "window": window,
                "target": "ecp5",
                "seed": seed,
                "pattern": "x",
            }
            rows.append(base | routed | {"lut": 5000 + window, "ff": 3000 + window, "fmax_mhz": clock})
    return pd.DataFrame(rows)


def test_report_joins_cycles_costs_and_clock_of_a_build() -> None:
    rows = report_rows(fpga_table()).set_index(["engine", "pattern"])
    assert list(rows.index) == [
        ("gemm", "dense"), ("gemm", "2:4"), ("gemm", "1:4"), ("gemm", "4:8"), ("gemm", "dense INT3"),
        ("gemv", "N:4"),
    ]  # fmt: skip
    costs = ["ecp5_lut", "ecp5_ff", "xcup_lut", "xcup_ff", "comb", "routed_ff", "fmax_mhz", "seeds"]
    assert list(rows.loc[("gemm", "2:4"), costs]) == [2200, 1600, 1400, 1601, 5004, 3004, 140, 3]
    assert rows.loc[("gemm", "2:4"), "cycle_gain"] == 2
    assert rows.loc[("gemm", "2:4"), "wall_clock_gain"] == 2 * 140 / 155
    assert rows.loc[("gemm", "1:4"), "wall_clock_gain"] == 4 * 140 / 155
    assert np.allclose(rows.loc["gemm"]["cycle_gain"], [1, 2, 4, 2, math.nan], rtol=1e-3, equal_nan=True)
    assert rows.loc[("gemm", "dense INT3"), "ecp5_lut"] == 1700
    assert rows.loc[("gemm", "4:8"), ["ecp5_lut", "fmax_mhz", "wall_clock_gain"]].isna().all()
    assert rows.loc[("gemv", "N:4"), "ecp5_lut"] == 2300
    assert rows.loc[("gemv", "N:4"), ["cycles", "fmax_mhz", "cycle_gain"]].isna().all()


def test_a_tile_without_a_dense_run_has_no_gain() -> None:
    table = fpga_table()
    rows = report_rows(table[(table["window"] != 1) | (table["stage"] != "rtl")])
    assert rows["cycle_gain"].isna().all() and rows["wall_clock_gain"].isna().all()
    other = table[table["stage"] == "rtl"].assign(k=512, cycles=30000)
    both = report_rows(pd.concat([table, other], ignore_index=True))
    assert sorted(both["cycle_gain"].round(2).dropna()) == [1, 1, 1, 1, 1, 2, 2, 4]


def test_report_is_an_aligned_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fpga_table().to_parquet(tmp_path / "fpga.parquet")
    assert main(["fpga", "report", "--tables", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert text == format_report(fpga_table()) + "\n"
    lines = text.splitlines()
    assert max(map(len, lines)) <= 150
    line = next(line for line in lines if " 2:4 " in line).split()
    assert line == [
        "gemm", "4x4", "2:4", "4", "24,600", "99.9", "%", "2,200", "1,600", "1,400", "1,601", "5,004", "3,004", "140.0",
        "3", "2.00x", "1.81x",
    ]  # fmt: skip
    assert lines[-1] == "Measured on bench-1, 2026-01-02."
    ends = {len(line) for line in lines[1:8] if line.endswith("x")}
    assert len(ends) == 1


def test_report_without_a_table_or_rows_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fpga", "report", "--tables", str(tmp_path)]) == 2
    assert "nmforge fpga report: table" in capsys.readouterr().err
    with pytest.raises(NmforgeError, match="the fpga table has no rows; run snakemake"):
        report_rows(fpga_table().iloc[:0])


def test_old_verbs_are_gone(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("simulate", "synthesize", "place", "netlist"):
        with pytest.raises(SystemExit):
            main([verb])
        assert f"invalid choice: '{verb}'" in capsys.readouterr().err


def test_a_top_whose_source_lost_a_parameter_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "parameters", property(lambda self: {"OF": 4, "HEIGHT": 3}))
    with pytest.raises(ValueError, match=r"nmforge_gemm\.sv has no parameter HEIGHT"):
        top_module(Engine(4, 4, 2, 2, 64))


def test_a_random_layer_is_compared_and_a_slow_memory_slows_it(
    tmp_path: Path, builds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = ["--m", "3", "--n", "6", "--k", "256", "--rows", "2", "--cols", "2", "--group", "32"]
    out = ["--build", str(builds), "--out", str(tmp_path / "r.json")]
    assert main(["fpga", "random", *sizes, "--rates", "0.25", "4", *out]) == 0
    free, slow, fast = json.loads((tmp_path / "r.json").read_text())["rows"]
    assert [row["outputs_compared"] for row in (free, slow, fast)] == [18, 18, 18]
    assert free["ideal_cycles"] == 6 * 128  # three row tiles, two column tiles, half of 256 steps
    assert (free["model_error"], free["memory_share"]) == (0, None)
    assert free["cycles"] <= fast["cycles"] < slow["cycles"]
    image_bytes = slow["bytes_per_cycle"] * slow["cycles"]
    needed = 6 * (128 * (1 + 1) + 8 * 2)  # a step's two codes and two indices fill a byte each; a byte a group and row
    assert needed <= image_bytes < needed + 64  # the memory hands on whole bursts
    assert 0.9 < slow["memory_share"] <= 1
    assert capsys.readouterr().out.count("18 sums equal the reference") == 3


def test_a_random_layer_with_the_memory_of_a_board(
    tmp_path: Path, builds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = ["--m", "1", "--n", "6", "--k", "512", "--rows", "2", "--cols", "1", "--group", "32", "--engine", "gemv"]
    out = ["--build", str(builds), "--out", str(tmp_path / "r.json")]
    assert main(["fpga", "random", *sizes, "--board", "ButterStick", "--clock", "1600", *out]) == 0
    free, limited = json.loads((tmp_path / "r.json").read_text())["rows"]
    assert (free["board"], limited["board"], limited["memory_rate"]) == (None, "ButterStick", 1)
    assert limited["cycles"] > free["cycles"]
    assert "ButterStick, 1 bytes a cycle: 6 sums equal the reference" in capsys.readouterr().out


def test_a_random_layer_with_a_wrong_sum_is_one_sentence(
    tmp_path: Path, builds: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("nmforge.fpga.sim.random_layer.accumulate", lambda linear, xq: accumulate(linear, xq) + 1)
    sizes = ["--m", "1", "--n", "2", "--k", "32", "--rows", "2", "--cols", "2", "--group", "32"]
    assert main(["fpga", "random", *sizes, "--build", str(builds), "--out", str(tmp_path / "r.json")]) == 2
    assert "2 of 2 sums of a random 2:4 layer" in capsys.readouterr().err
    assert not (tmp_path / "r.json").exists()
    board = ["fpga", "random", "--engine", "gemv", *sizes, "--board", "U250"]
    assert main([*board, "--build", str(builds), "--out", str(tmp_path / "r.json")]) == 2
    assert "board 'U250' is unknown; use one of U280" in capsys.readouterr().err
    device = ["fpga", "random", "--engine", "device", "--rates", "2", "--rows", "8", "--out", str(tmp_path / "r")]
    assert main(device) == 2
    assert "a device loads its banks before it works" in capsys.readouterr().err
