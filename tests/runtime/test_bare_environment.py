"""An environment with numpy, safetensors and tokenizers alone opens an artifact, multiplies and generates."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from factories.toy_artifacts import Format, byte_tokenizer, random_model

import nmforge

pytestmark = pytest.mark.network
NEEDED = ("numpy", "safetensors", "tokenizers")
ABSENT = ("torch", "transformers", "pandas", "pydantic", "yaml", "tqdm")
LAYER = "model.layers.0.mlp.down_proj"
PROGRAM = f"""
import importlib.util, json, sys
import numpy as np
import nmforge
from nmforge.cli import main

model = nmforge.load(sys.argv[1])
y = model.layers[{LAYER!r}].forward(np.linspace(-1, 1, 2 * 96, dtype=np.float32).reshape(2, 96))
found = {{
    "sums": y.tobytes().hex(),
    "tokens": model.generate("Once upon", tokens=6).token_ids,
    "there": [name for name in {ABSENT!r} if importlib.util.find_spec(name)],
    "status": main(["generate", sys.argv[1], "--prompt", "Once upon", "--tokens", "2"]),
}}
json.dump(found, open(sys.argv[2], "w"))
"""


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the pinned wheels of NEEDED, their hashes checked, and nmforge as it is built here."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    python, pins = folder / "venv" / "bin" / "python", folder / "pins.txt"
    pins.write_text("".join(f"{pin_of(name)}\n" for name in NEEDED))
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    subprocess.run([*install, "--require-hashes", "--only-binary", ":all:", "-r", str(pins)], check=True)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    shutil.copytree(Path(nmforge.__file__).parent, site / "nmforge", ignore=shutil.ignore_patterns("__pycache__"))
    for file in metadata.files("nmforge") or []:
        if file.suffix == ".so":
            shutil.copy(str(file.locate()), site / file)
    return python


def pin_of(name: str) -> str:
    """The line of the lock file for one package, hashes included."""
    lock = (Path(__file__).parents[2] / "envs" / "requirements.lock").read_text().replace("\\\n", " ")
    (line,) = (line for line in lock.splitlines() if line.startswith(f"{name}=="))
    return line


def test_three_packages_run_an_artifact(bare_python: Path, tmp_path: Path) -> None:
    artifact, out = tmp_path / "toy.nmf.safetensors", tmp_path / "found.json"
    random_model(artifact, Format("2:4", 4, 16, "enumerative"), byte_tokenizer())
    command = [str(bare_python), "-I", "-c", PROGRAM, str(artifact), str(out)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found, model = json.loads(out.read_text()), nmforge.load(artifact)
    x = np.linspace(-1, 1, 2 * 96, dtype=np.float32).reshape(2, 96)
    assert found["there"] == []
    assert found["sums"] == model.layers[LAYER].forward(x, "reference").tobytes().hex()
    assert found["tokens"] == model.generate("Once upon", tokens=6).token_ids
    assert found["status"] == 0
