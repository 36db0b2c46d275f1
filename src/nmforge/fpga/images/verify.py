"""Write a DRAM image and read it back: nothing is handed out that does not give the artifact again."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nmforge.artifact.format import load_linear
from nmforge.core.errors import NmforgeError
from nmforge.fpga.images.dram_image import read_layers, write_dram_image
from nmforge.fpga.model.engine import Engine

FIELDS = ("codes", "keep_mask", "group_mult", "row_scale")


def write_checked_image(artifact: Path, engine: Engine, out: Path) -> str:
    """Write the image of an artifact and compare every layer read back with it; returns a line that says so.

    Raises NmforgeError naming the layer where they differ.
    """
    contents = write_dram_image(artifact, engine, out)
    weights = 0
    for name, found in read_layers(out, engine):
        wanted = load_linear(artifact, name)
        if not all(np.array_equal(getattr(found, field), getattr(wanted, field)) for field in FIELDS):
            raise NmforgeError(f"DRAM image {out}: layer {name} is not that of {artifact}; the writer is wrong")
        weights += found.codes.size
    return (
        f"{out}: {len(contents.layers)} layers, {weights:,} weights in {out.stat().st_size:,} bytes, "
        "read back equal to the artifact"
    )
