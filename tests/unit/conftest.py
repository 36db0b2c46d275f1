"""The toy checkpoint, made once for each file of tests that asks for it; and Triton without a GPU."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

if shutil.which("nvidia-smi") is None:
    os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported, by whichever test comes first


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from nmforge.models.sources import prepare_checkpoint  # torch, which most files do without

    folder = tmp_path_factory.mktemp("toy") / "checkpoint"
    prepare_checkpoint("toy", None, folder.parent, folder)
    return folder
