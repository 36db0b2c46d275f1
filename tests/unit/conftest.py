"""The toy checkpoint, made once for each file of tests that asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from nmforge.models.sources import prepare_checkpoint  # torch, which most files do without

    folder = tmp_path_factory.mktemp("toy") / "checkpoint"
    prepare_checkpoint("toy", None, folder.parent, folder)
    return folder
