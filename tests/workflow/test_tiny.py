"""The whole workflow on a toy model: every table has its rows, every figure its files, a second run does nothing."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections import defaultdict
from pathlib import Path
from zipfile import ZipFile

import pandas as pd
import pytest
from factories.checkout import copy_checkout, run_in, snakemake

from nmforge.cli.verb_sources import verb_files
from nmforge.core.registry import registry
from nmforge.io.import_closure import PACKAGE, module_path

pytestmark = pytest.mark.slow

TINY = ("--cores", "2", "--configfile", "tests/configs/tiny.yaml")
RESULTS = Path("results/studies/tiny")
FIGURES = Path("paper_figures/studies/tiny")


# Loaded by every verb: the parser, and what reads the config.
GLUE = ("nmforge.cli", "nmforge.config", "nmforge.core", "nmforge.io")
RECORDER = """
import atexit, json, os, sys
def _write():
    if sys.argv and sys.argv[0].endswith("/bin/nmforge"):
        loaded = sorted(name for name in sys.modules if name.split(".")[0] == "nmforge")
        with open(os.environ["LOADED_MODULES"], "a") as file:
            file.write(json.dumps([sys.argv[1:], loaded]) + "\\n")
if "LOADED_MODULES" in os.environ:
    atexit.register(_write)
"""


def verb_of(arguments: list[str]) -> str:
    """The verb among the arguments of a command line."""
    rest = arguments[2:] if arguments[0] == "--config" else arguments
    return " ".join(rest[: 1 + (rest[0] == "fpga")])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with a finished toy run, in which every verb wrote down the modules it had loaded."""
    tree = copy_checkout(tmp_path_factory.mktemp("tiny") / "project")
    startup = tree / "site/sitecustomize.py"
    startup.write_text(startup.read_text() + RECORDER)
    done = snakemake(tree, *TINY, LOADED_MODULES=str(tree / "loaded.jsonl"))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return tree


@pytest.fixture(scope="module")
def loaded(finished: Path) -> dict[str, set[str]]:
    """Modules that each verb of the run had loaded, by verb."""
    found: dict[str, set[str]] = defaultdict(set)
    for line in (finished / "loaded.jsonl").read_text().splitlines():
        arguments, modules = json.loads(line)
        found[verb_of(arguments)] |= set(modules)
    return found


def table(tree: Path, name: str) -> pd.DataFrame:
    frame = pd.read_parquet(tree / RESULTS / "tables" / f"{name}.parquet")
    assert list(pd.read_csv(tree / RESULTS / "tables" / f"{name}.csv").columns) == list(frame.columns)
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
            assert (finished / FIGURES / f"{name}.{kind}").stat().st_size > 0


def test_the_report_has_every_point_with_its_sample_and_every_figure(finished: Path) -> None:
    page = (finished / RESULTS / "report.html").read_text()
    samples = table(finished, "samples").set_index("design_id")
    for design in table(finished, "accuracy")["design_id"].unique():
        assert f">{design}</td>" in page
        assert f"<dt>{design}</dt>" in page
        assert samples.loc[design, "tokens"] > 0
    assert page.count('src="data:image/png;base64,') == len(registry("figure").names())
    assert 'id="times"' in page and ">compress</td>" in page


def test_the_report_of_snakemake_has_captions_and_categories(finished: Path) -> None:
    done = snakemake(finished, *TINY, "--report", "sent.zip")
    assert done.returncode == 0, done.stderr[-3000:]
    with ZipFile(finished / "sent.zip") as archive:
        page = archive.read("sent/report.html").decode()
    found = re.search(r"var categories = (\{.*\});", page)
    assert found
    shown = {category: len(files["Other"]) for category, files in json.loads(found[1]).items()}
    collected = [entry for entry in registry("table") if not entry.derived]
    assert shown == {"Tables": len(collected), "Ledger": 1, "Figures": len(registry("figure").names())}
    for words in (
        "Every number of this run",
        "one line a measurement",
        "The ledger of claims: ",
        "drawn from the tables",
    ):
        assert words in page


def test_every_column_of_every_table_is_explained(finished: Path) -> None:
    for entry in registry("table"):
        assert entry.undocumented(table(finished, entry.name).columns) == [], entry.name


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
    tree = copy_checkout(tmp_path / "project")
    done = snakemake(tree, "--cores", "1", "-n", "--config", "seeds=3")
    assert done.returncode != 0
    assert "unknown key seeds; remove it or correct its spelling" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_the_closure_holds_every_module_that_a_verb_loads(finished: Path, loaded: dict[str, set[str]]) -> None:
    assert {"compress", "evaluate", "bench", "fpga simulate", "claims", "report", "figures"} <= set(loaded)
    code = (
        "import sys, nmforge.cli; from pathlib import Path; from nmforge.config import load_config\n"
        "load_config(Path('results/studies/tiny/config.yaml'))\n"
        "print(*(name for name in sys.modules if name.startswith('nmforge')))"
    )
    by_every_verb = set(run_in(finished, sys.executable, "-c", code).stdout.split())
    assert "nmforge.compression.pruning.wanda" in by_every_verb
    for verb, modules in loaded.items():
        files = {str(path.relative_to(PACKAGE)) for path in verb_files(verb) if PACKAGE in path.parents}
        own = {name for name in modules - by_every_verb if not name.startswith(GLUE)}
        assert {name for name in own if str(module_path(name).relative_to(PACKAGE)) not in files} == set(), verb


# A file, and the rules that an edit of it runs again; rules that only follow from these are not named.
EDITS = {
    "src/nmforge/reporting/figures/storage.py": {"figure"},
    "src/nmforge/artifact/storage.py": {"storage", "evaluate_dense"},  # accuracy rows hold bits per weight
    "src/nmforge/models/prepare.py": {"checkpoint"},
    "src/nmforge/data/corpus.py": {"tokens"},
    "src/nmforge/compression/layer_solver.py": {"compress"},
    "src/nmforge/evaluation/perplexity.py": {"evaluate_dense"},
    "src/nmforge/evaluation/layer_errors.py": {"layers"},
    "src/nmforge/benchmarks/kernels.py": {"bench"},
    "src/nmforge/reporting/llama7b_scaling.py": {"scaling"},
    "src/nmforge/reporting/ledger.py": {"claims"},
    "src/nmforge/reporting/report.py": {"report"},
    "src/nmforge/fpga/rtl/pe/nmforge_pe.sv": {"simulate", "engine", "coherence", "rtl_text"},
    "src/nmforge/recovery/distill.py": {"recover"},
    "csrc/decoder/decoder.cpp": {"decode", "coherence", "rtl_text", "sample"},
}


@pytest.mark.parametrize("edited", EDITS)
def test_snakemake_runs_the_rules_of_an_edited_file(finished: Path, edited: str) -> None:
    path = finished / edited
    before = path.read_text()
    comment = "//" if path.suffix in (".sv", ".cpp") else "#"
    path.write_text(f"{before}\n{comment} edited\n")
    try:
        done = snakemake(finished, "--dry-run", *TINY)
    finally:
        path.write_text(before)
    assert done.returncode == 0, done.stderr[-3000:]
    text = done.stdout + done.stderr
    (line,) = [line for line in text.splitlines() if line.startswith("Rules with provenance triggered jobs:")]
    assert set(shlex.split(line.split(":", 1)[1])) == EDITS[edited]


def test_another_local_text_is_tokenized_again(finished: Path) -> None:
    text = finished / "tests/configs/text.md"
    before = text.read_text()
    text.write_text(before + "\nOne more line.\n")
    try:
        done = snakemake(finished, "--dry-run", *TINY)
    finally:
        text.write_text(before)
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.search(r"^tokens +1$", done.stdout, re.MULTILINE), done.stdout[-3000:]


def test_planning_takes_no_heavy_library(finished: Path) -> None:
    code = (
        "import sys; from nmforge.cli.main import VERBS; from nmforge.cli.verb_sources import verb_hash\n"
        "[verb_hash(verb.name) for verb in VERBS if verb.name != 'fpga']\n"
        "print([name for name in ('torch', 'transformers', 'matplotlib', 'seaborn') if name in sys.modules])"
    )
    assert run_in(finished, sys.executable, "-c", code).stdout.strip() == "[]"
