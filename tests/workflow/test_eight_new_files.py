"""Eight kinds of entries, each one new file and nothing else, named in a config and run by the workflow."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml
from factories.checkout import copy_checkout, snakemake

from nmforge.io.records import read_points

pytestmark = pytest.mark.slow

FILES = {
    "compression/pruning/last.py": """
from nmforge.compression.pruning.masks import by_score
from nmforge.compression.pruning.registry import REGISTRY, Pruner
from nmforge.core.lazy import torch

def score(weight, stats):
    return torch.arange(weight.shape[1]).expand_as(weight)

REGISTRY.add(Pruner("last", "keeps the last weights", by_score(score)))
""",
    "compression/quantization/signs.py": """
from nmforge.compression.quantization.registry import REGISTRY, Quantizer
from nmforge.compression.quantization.scales import Quantized, mask_or_all
from nmforge.core.lazy import torch

def quantize(group, keep_mask):
    mask, (_, groups) = mask_or_all(keep_mask, group.weight), group.scheme.groups(group.weight.shape[1], group.name)
    mult = torch.ones(len(group.weight), groups, dtype=torch.uint8)
    codes = (group.weight.sign() * mask).to(torch.int8)
    return Quantized(codes, mask, mult, group.weight.abs().mean(dim=1))

REGISTRY.add(Quantizer("signs", "keeps signs", quantize))
""",
    "artifact/packing/bytemask.py": """
from nmforge.artifact.packing.registry import REGISTRY, IndexEncoding

def pack(mask, pattern):
    return mask.astype("uint8")

def unpack(packed, pattern, k):
    return packed.astype(bool)

def row_bytes(k, pattern):
    return k

REGISTRY.add(IndexEncoding("bytemask", "one byte for each dense weight", pack, unpack, row_bytes))
""",
    "benchmarks/candidates/numpy_float32.py": """
from functools import partial

import numpy as np

from nmforge.benchmarks.candidates.registry import REGISTRY, Kernel
from nmforge.benchmarks.problem import Prepared, in_sequence
from nmforge.core.formats import DENSE
from nmforge.core.reference import dequantize

def prepare(problem):
    copies = [dequantize(problem.linear) for _ in range(problem.copies)]
    calls = [partial(np.matmul, problem.x, weight.T) for weight in copies]
    return Prepared(in_sequence(calls), calls[0], copies[0].nbytes)

REGISTRY.add(Kernel("numpy-float32", "NumPy's matmul", "library", DENSE, 32, prepare))
""",
    "reporting/figures/bytes_of_points.py": """
from nmforge.reporting.figures.registry import REGISTRY, Drawing
from nmforge.reporting.style import COLUMN, blank

def data(tables):
    return tables["storage"][["design_id", "encoding", "bytes"]]

def plot(rows):
    figure = blank(COLUMN, 2.5)
    figure.add_axes((0.2, 0.2, 0.7, 0.7)).scatter(range(len(rows)), rows["bytes"])
    return figure

REGISTRY.add(Drawing("bytes_of_points", "bytes of every point", ("storage",), data, plot, caption="Bytes."))
""",
    "reporting/claims/smaller.py": """
from nmforge.reporting.claims.registry import REGISTRY, Claim
from nmforge.reporting.query import at, origin
from nmforge.reporting.verdicts import factor

def entries(tables, here):
    for _, row in at(tables["storage"], scope="linear", encoding="bytemask").iterrows():
        yield factor("any less", 1, 16 / row["bits_per_weight"], row["design_id"], "fp16", origin([row], here))

REGISTRY.add(Claim("smaller", "less storage than fp16", ("storage",), entries))
""",
    "data/corpora/harbour.py": """
from nmforge.data.corpora.registry import REGISTRY, Corpus, alternate

def load(revision, cache):
    return alternate([f"Line {number} of the harbour log." for number in range(100)], "harbour-1")

REGISTRY.add(Corpus("harbour", "a made-up log of a harbour", load))
""",
}
BOARD = "fpga/boards/catalogue/MyBoard.yaml"
SETTINGS = {
    "model": {"name": "toy", "source": "toy"},
    "text": {"source": "harbour"},
    "index_encoding": "bytemask",
    "designs": [
        {"id": "dense"},
        {"id": "mine", "pattern": "1:4", "pruner": "last", "quantizer": "signs", "bits": 4, "group_size": 32},
    ],
    "kernels": {
        "names": ["numpy-float32"], "m": [1], "shapes": [[64, 64]], "seconds_per_kernel": 0.005, "llama7b": False,
    },
    "fpga": {
        "rows": 2, "cols": 2, "patterns": [], "builds": [], "baseline_bits": [], "targets": [], "routes": [],
        "random_layers": [{"patterns": ["2:4"], "m": 2, "n": 4, "k": 64, "rows": 2, "cols": 2, "boards": ["MyBoard"]}],
    },
    "report": {"figures": ["bytes_of_points"], "claims": ["smaller"]},
}  # fmt: skip
WANTED = [
    "results/artifacts/toy/mine.nmf.safetensors", "results/tokens/toy.safetensors", "results/points/kernels/bench.json",
    "results/points/fpga/random-gemm-2of4-int4-2x4x64-2x2x1.json", "paper_figures/bytes_of_points.pdf",
    "results/tables/claims.parquet",
]  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = copy_checkout(tmp_path_factory.mktemp("eight") / "project")
    package = tree / "src/nmforge"
    for name, text in FILES.items():
        assert not (package / name).exists()
        (package / name).write_text(text)
    board = yaml.safe_load((package / "fpga/boards/catalogue/KV260.yaml").read_text())
    (package / BOARD).write_text(yaml.safe_dump(board | {"name": "MyBoard", "summary": "a board of a test"}))
    (tree / "config.yaml").write_text(yaml.safe_dump(SETTINGS))
    done = snakemake(tree, "--cores", "2", *WANTED)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return tree


def test_corpus_pruner_quantizer_and_encoding_made_the_artifact(finished: Path) -> None:
    from nmforge.artifact.header import read_header
    from nmforge.data.tokens import read_tokens

    header = read_header(finished / WANTED[0])
    design = header["design"]
    assert (design["pruner"], design["quantizer"], header["index_encoding"]) == ("last", "signs", "bytemask")
    assert read_tokens(finished / WANTED[1], "calibration")[1] == "harbour-1"


def test_the_kernel_was_timed_and_the_board_fed_the_engine(finished: Path) -> None:
    timed = read_points([finished / WANTED[2]])
    assert set(timed["kernel"]) == {"numpy-float32"} and (timed["median_us"] > 0).all()
    simulated = read_points([finished / WANTED[3]])
    assert "MyBoard" in set(simulated["board"]) and (simulated["mismatches"] == 0).all()


def test_the_figure_and_the_claim_read_the_table(finished: Path) -> None:
    drawn = pd.read_csv(finished / "paper_figures/bytes_of_points.csv")
    assert "bytemask" in set(drawn["encoding"])
    claims = pd.read_parquet(finished / WANTED[5])
    assert set(claims["claim"]) == {"any less"} and "mine" in set(claims["platform"])
