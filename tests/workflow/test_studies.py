"""The command at the head of every study is one that Snakemake can plan, and its arrays are ones that can be built."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml
from factories.checkout import ROOT, copy_checkout, snakemake

from nmforge.config import RandomLayerConfig
from nmforge.core.formats import Pattern
from nmforge.fpga.model.engine import Engine

pytestmark = pytest.mark.slow

COMMAND = re.compile(r"^#\s+snakemake (.*)$", re.MULTILINE)
STUDIES = [study for study in sorted((ROOT / "workflow/studies").glob("*.yaml")) if COMMAND.search(study.read_text())]


def test_there_are_studies() -> None:
    assert {"accuracy", "fpga", "kernels", "llama7b"} <= {study.stem for study in STUDIES}


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.stem)
def test_the_command_of_a_study_can_be_planned(study: Path, tmp_path: Path) -> None:
    tree = copy_checkout(tmp_path / "project")
    (arguments,) = COMMAND.findall(study.read_text())
    done = snakemake(tree, "--dry-run", *shlex.split(arguments))
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("settings", [ROOT / "config.yaml", *STUDIES], ids=lambda settings: settings.stem)
def test_every_random_layer_fits_its_array(settings: Path) -> None:
    group = 64  # of `nmforge fpga random`, where none is named
    for document in yaml.safe_load(settings.read_text()).get("fpga", {}).get("random_layers", []):
        layer = RandomLayerConfig(**document)
        for pattern in map(Pattern.parse, layer.patterns):
            Engine(pattern.window, layer.bits, layer.rows, layer.cols, group, layer.lanes, layer.engine).keep(
                pattern
            )  # or it raises


def test_the_default_config_can_be_planned(tmp_path: Path) -> None:
    tree = copy_checkout(tmp_path / "project")
    done = snakemake(tree, "--dry-run")
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.search(r"^report +1$", done.stdout, re.MULTILINE)


def test_a_config_without_a_study_is_refused_before_it_overwrites_the_default_one(tmp_path: Path) -> None:
    tree = copy_checkout(tmp_path / "project")
    (tmp_path / "mine.yaml").write_text("evaluation: {sequences: 2}\n")
    done = snakemake(tree, "--dry-run", "--configfile", str(tmp_path / "mine.yaml"))
    assert done.returncode != 0
    assert "study is missing; add a line `study: NAME`" in done.stdout + done.stderr


def test_two_random_layers_of_one_name_are_an_error(tmp_path: Path) -> None:
    tree = copy_checkout(tmp_path / "project")
    layers = [{"engine": "gemm", "patterns": ["2:4"], "rates": [rate]} for rate in (1, 2)]
    (tmp_path / "twice.yaml").write_text(yaml.safe_dump({"study": "twice", "fpga": {"random_layers": layers}}))
    done = snakemake(tree, "--dry-run", "--configfile", str(tmp_path / "twice.yaml"))
    assert done.returncode != 0
    wanted = "asks for random-gemm-2of4-int4-8x64x2048-4x4x1 twice; put both into one entry"
    assert wanted in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("evaluation={sequences: 24, dtype: bfloat16}", "sequences: 24\n"),  # Snakemake hands over the text 24
        ("kernels={model_shapes: false, threads: [1, 2]}", "model_shapes: false\n"),
        ("calibration={memory_gb: 0.5}", "memory_gb: 0.5\n"),
    ],
)
def test_single_keys_of_a_block_are_set_on_the_command_line(given: str, told: str, tmp_path: Path) -> None:
    tree = copy_checkout(tmp_path / "project")
    probe = "\n\nimport yaml\n\nprint(yaml.safe_dump(SETTINGS.model_dump(mode='json')))\n"
    rules = tree / "workflow/rules/inputs.smk"
    rules.write_text(rules.read_text() + probe)
    done = snakemake(tree, "--dry-run", "--config", given)
    assert done.returncode == 0, done.stderr[-3000:]
    assert told in done.stdout
