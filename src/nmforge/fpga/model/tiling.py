"""How a matrix is cut into the tiles that an array works on."""

from __future__ import annotations


def tiles(length: int, size: int) -> int:
    """Tiles of `size` that cover `length`."""
    return -(-length // size)
