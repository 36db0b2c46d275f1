"""The whole workflow on a toy model: every table has its rows, every figure its files, a second run does nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
GENERATED = (".*", "build", "CMakeFiles", "__pycache__", "logs", "results", "paper_figures")
TINY = ("--cores", "2", "--configfile", "tests/configs/tiny.yaml")


def snakemake(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = [sys.executable, "-m", "snakemake", *arguments]
    return subprocess.run(command, cwd=tree, env={**os.environ, "PATH": path}, capture_output=True, text=True)


def copy_tree(target: Path) -> Path:
    shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(*GENERATED))
    return target


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = copy_tree(tmp_path_factory.mktemp("tiny") / "project")
    done = snakemake(tree, *TINY)
    assert done.returncode == 0, done.stderr[-6000:]
    return tree


def table(tree: Path, name: str) -> pd.DataFrame:
    frame = pd.read_parquet(tree / "results/tables" / f"{name}.parquet")
    assert list(pd.read_csv(tree / "results/tables" / f"{name}.csv").columns) == list(frame.columns)
    return frame


def test_accuracy_has_every_point_in_both_modes(finished: Path) -> None:
    rows = table(finished, "accuracy").set_index(["design_id", "mode"])
    designs = ["paper-2of4", "rtn-int4", "sparsegpt-2of4-int4", "distilled-2of4-int4"]
    assert set(rows.index) == {("dense-bf16", "bf16")} | {(d, m) for d in designs for m in ("w4a16", "w4a8")}
    assert rows.loc[("dense-bf16", "bf16"), "ratio_to_dense"] == 1
    assert (rows["tokens"] == 2 * 127).all()
    assert rows.xs("w4a16", level="mode")["recovery_tokens"].to_dict() == dict.fromkeys(designs, 0) | {designs[-1]: 384}
    assert rows["ppl"].between(150, 400).all()  # an untrained model over 257 symbols


def test_storage_is_the_formula(finished: Path) -> None:
    rows = table(finished, "storage").set_index(["design_id", "scope", "encoding"])["bytes"]
    # (N, K, groups) of the toy's layers, G = 64
    shapes = 2 * [(64, 64, 1), (32, 64, 1), (32, 64, 1), (64, 64, 1), (128, 64, 1), (128, 64, 1), (64, 128, 2)]
    weights = sum(n * k for n, k, _ in shapes)
    scales = sum(n * (groups + 4) for n, _, groups in shapes)
    assert rows["dense-bf16", "linear", "none"] == 2 * weights
    assert rows["rtn-int4", "linear", "none"] == weights // 2 + scales
    assert rows["sparsegpt-2of4-int4", "linear", "offset"] == weights // 4 + weights // 8 + scales
    assert rows["sparsegpt-2of4-int4", "linear", "bitmask"] == weights // 4 + weights // 8 + scales
    assert rows["sparsegpt-2of4-int4", "linear", "enumerative"] < rows["sparsegpt-2of4-int4", "linear", "offset"]


def test_every_backend_agrees(finished: Path) -> None:
    rows = table(finished, "coherence")
    assert set(rows["backend"]) == {"cpu", "rtl", "rtl-text"}
    assert (rows["compared"] > 0).all()
    assert (rows["mismatches"] == 0).all()


def test_fpga_has_cycles_and_resources(finished: Path) -> None:
    rows = table(finished, "fpga")
    rtl = rows[rows["stage"] == "rtl"].set_index("pattern")
    assert rtl.loc["1:1", "ideal_cycles"] == 2 * rtl.loc["2:4", "ideal_cycles"]
    assert (rtl["model_error"] == 0).all()
    assert (rows[rows["stage"] == "synthesis"]["lut"] > 100).all()
    assert len(rows[rows["stage"] == "formal"]) == 4


def test_claims_and_figures_are_there(finished: Path) -> None:
    verdicts = {"reproduced", "exceeded", "not reached", "not measurable here"}
    assert set(table(finished, "claims")["verdict"]) <= verdicts
    for name in ("storage", "speedup", "llama7b_scaling", "accuracy_frontier", "error_by_layer", "fpga", "bandwidth"):
        for kind in ("pdf", "png", "csv"):
            assert (finished / "paper_figures" / f"{name}.{kind}").stat().st_size > 0


def test_the_report_has_every_point_with_its_sample_and_every_figure(finished: Path) -> None:
    page = (finished / "results/report.md").read_text()
    samples = table(finished, "samples").set_index("design_id")
    for design in table(finished, "accuracy")["design_id"].unique():
        assert f"| {design} | " in page
        assert f"**{design}**\n\n> " in page
        assert samples.loc[design, "tokens"] > 0
    for link in re.findall(r"!\[\w+\]\((.*)\)", page):
        assert (finished / "results" / link).exists()
    assert page.count("](../paper_figures/") == 9


def test_every_layer_and_block_has_its_error(finished: Path) -> None:
    rows = table(finished, "layers")
    assert set(rows.groupby("design_id").size()) == {2 * 8}  # seven layers and the stream of each block
    entering = rows[(rows["block"] == 0) & (rows["kind"] == "residual stream")]
    assert (entering["input_error"] == 0).all()  # embeddings stay as they are
    assert (rows["output_error"] > 0).all()


def test_a_second_run_does_nothing(finished: Path) -> None:
    done = snakemake(finished, *TINY)
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr


def test_an_unknown_key_is_one_sentence(tmp_path: Path) -> None:
    tree = copy_tree(tmp_path / "project")
    done = snakemake(tree, "--cores", "1", "-n", "--config", "seeds=3")
    assert done.returncode != 0
    assert "unknown key seeds; remove it or correct its spelling" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
