"""The tables that figures are drawn from."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories.tables import write_tables


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A folder with every table as Parquet."""
    return write_tables(tmp_path / "tables")
