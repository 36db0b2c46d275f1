"""What is in an artifact, as a page of text."""

from __future__ import annotations

from pathlib import Path

from nmforge.artifact.format import verify
from nmforge.artifact.header import read_header
from nmforge.artifact.storage import linear_sizes
from nmforge.core.design import pattern_label
from nmforge.io.hashing import sha256_file


def describe(path: Path) -> str:
    """Design, provenance, sizes, and one line for each layer; every hash is checked first."""
    header = read_header(path)
    verify(path)
    size, weights = linear_sizes(path)
    design, model, used = header["design"], header["model"], header["calibration"]
    lines = [
        f"file         {path} ({path.stat().st_size:,} bytes, every tensor hash checked)",
        f"sha256       {sha256_file(path)}",
        f"design       {design['id']}: pattern {pattern_label(design)}, pruner {design['pruner']}, "
        f"quantizer {design['quantizer']}, {design['bits']} bits, G = {design['group_size'] or 'row'}",
        f"model        {model['source']} ({model['revision']})",
        f"calibration  {used['tokens']:,} tokens",
        f"linear       {weights:,} weights in {size:,} bytes = {8 * size / weights:.3f} b/w, "
        f"indices {header['index_encoding']}",
    ]
    for name, layer in header["layers"].items():
        digest = header["tensors"][f"{name}.codes"][:12]
        shape = f"[{layer['n']}, {layer['k']}]"
        lines.append(f"  {name:<40} {shape:>14}  {layer['pattern']:>5}  INT{layer['bits']}  codes {digest}")
    return "\n".join(lines)
