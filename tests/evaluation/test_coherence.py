"""The comparison of backends on a pattern whose groups are too short for the configured array."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nmforge.config import CoherenceConfig, FpgaConfig
from nmforge.core.compressed_linear import random_linear
from nmforge.core.formats import Pattern
from nmforge.evaluation import coherence
from nmforge.evaluation.coherence import activations, compare_layer

pytestmark = pytest.mark.rtl


def test_wide_windows_are_compared_on_the_widest_array_that_fits(builds: Path) -> None:
    linear = random_linear(np.random.default_rng(0), 6, 128, Pattern(1, 16))
    rows = compare_layer(linear, activations(3, 128, 0), CoherenceConfig(rtl_rows=4), FpgaConfig(rows=2), builds)
    assert {row["backend"] for row in rows} == {"cpu", "rtl"}
    assert rows[-1]["note"].startswith("2x2 array, first 4 rows")
    assert [row["mismatches"] for row in rows] == [0] * len(rows)
    assert [row["compared"] for row in rows] == [18] * (len(rows) - 1) + [12]


def test_a_backend_that_is_wrong_is_counted(builds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    linear = random_linear(np.random.default_rng(1), 6, 128, Pattern(8, 16))

    def off_by_one(layer: object, xq: np.ndarray) -> np.ndarray:
        found = accumulate(layer, xq)
        found[0, 0] += 1
        return found

    accumulate = coherence.accumulate
    monkeypatch.setattr(coherence, "accumulate", off_by_one)
    rows = compare_layer(linear, activations(3, 128, 0), CoherenceConfig(rtl_rows=4), FpgaConfig(rows=2), builds)
    assert [row["mismatches"] for row in rows] == [1] * len(rows)
