"""What tests of several packages ask for: the toy checkpoint, a pruned artifact, a folder of simulators."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

# Several processes run the tests: two threads of torch in each would wait for one another most of the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")
if shutil.which("nvidia-smi") is None:
    os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported, by whichever test comes first


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests first, so that two processes end at about the same time."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of simulators for all processes of a run: a program is named by the hash of what made it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "simulators"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from nmforge.models.prepare import prepare_checkpoint

    folder = tmp_path_factory.mktemp("toy") / "checkpoint"
    prepare_checkpoint("toy", None, folder.parent, folder)
    return folder


@pytest.fixture(scope="module")
def start(checkpoint: Path) -> Path:
    """A folder with the toy checkpoint, the tokens of a made-up text and a pruned artifact `start`."""
    from nmforge.compression.run import compress_checkpoint
    from nmforge.config import CalibrationConfig
    from nmforge.core.design import DesignPoint
    from nmforge.core.formats import Pattern
    from nmforge.data.corpora.registry import Documents
    from nmforge.data.tokens import write_tokens
    from nmforge.models.load import load_tokenizer

    folder = checkpoint.parent
    text = ["".join(chr(97 + (i * j) % 26) for i in range(200)) for j in range(1, 9)]
    write_tokens(Documents(text, text[:1], "r"), load_tokenizer(checkpoint), folder / "tokens")
    point = DesignPoint("start", Pattern(2, 4), "magnitude", "rtn", 4, 32)
    compress_checkpoint(checkpoint, folder / "tokens", point, CalibrationConfig(), "bitmask", folder / "start")
    return folder
