"""A new index encoding is one new file: a config names it, an artifact is written and read with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from nmforge.artifact.packing.registry import REGISTRY
from nmforge.core.formats import Pattern

ENTRY = '''
"""One byte for each dense weight."""

import numpy as np

from nmforge.artifact.packing.registry import REGISTRY, IndexEncoding

REGISTRY.add(
    IndexEncoding(
        "bytemask",
        "one byte for each dense weight",
        pack=lambda mask, pattern: mask.astype(np.uint8),
        unpack=lambda packed, pattern, k: packed.astype(np.bool_),
        row_bytes=lambda k, pattern: k,
    )
)
'''
PROGRAM = """
import sys
from pathlib import Path

import numpy as np
import yaml

import nmforge.artifact.packing as home

folder, config = Path(sys.argv[1]), yaml.safe_load(Path(sys.argv[2]).read_text())
home.__path__.append(str(folder))
from nmforge.artifact.format import load_linears, write_artifact
from nmforge.artifact.storage import storage_rows
from nmforge.config import parse_config
from nmforge.core.compressed_linear import random_linear
from nmforge.core.formats import Pattern

encoding = parse_config(config | {"index_encoding": "bytemask"}, "test").index_encoding
linear = random_linear(np.random.default_rng(0), 6, 64, Pattern(2, 4))
path = folder / "a.nmf.safetensors"
design = {"id": "a", "pattern": "2:4", "bits": 4, "group_size": 64}
write_artifact(path, {"design": design}, {"b.q_proj": linear}, {}, encoding)
back = load_linears(path)["b.q_proj"]
assert (back.keep_mask == linear.keep_mask).all() and (back.codes == linear.codes).all()
sizes = {row["encoding"]: row["bytes"] for row in storage_rows(path, "m") if row["scope"] == "linear"}
print(list(sizes), sizes["bytemask"] - sizes["bitmask"])
"""
ROOT = Path(__file__).resolve().parents[3]


def test_one_file_adds_an_encoding(tmp_path: Path) -> None:
    (tmp_path / "bytemask.py").write_text(ENTRY)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), str(ROOT / "config.yaml")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    listed, larger = done.stdout.rsplit(" ", 1)
    assert listed.startswith("['bytemask', 'offset', "), done.stderr
    assert int(larger) == 6 * (64 - 8)


def test_the_drawn_layouts_are_the_packed_bytes() -> None:
    mask = np.array([[0, 0, 1, 1, 1, 0, 0, 1]], dtype=np.bool_)  # the windows of the docstrings
    pattern = Pattern(2, 4)
    assert REGISTRY.get("bitmask").pack(mask, pattern).tolist() == [[0b10011100]]
    assert REGISTRY.get("offset").pack(mask, pattern).tolist() == [[0b11001110]]  # 2, 3, 0, 3, the first lowest
