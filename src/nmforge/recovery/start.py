"""The artifact that a training starts from."""

from __future__ import annotations

from pathlib import Path

from nmforge.artifact.format import verify
from nmforge.artifact.header import Header, read_header
from nmforge.core.errors import NmforgeError
from nmforge.models.checkpoint import verify_shards


def read_start(artifact: Path, checkpoint: Path) -> Header:
    """Its header, after every tensor's hash.

    Raises NmforgeError where it is damaged, has no compressed layers or was made from another checkpoint.
    """
    verify(artifact)
    header = read_header(artifact)
    if not header["layers"]:
        raise NmforgeError(
            f"artifact {artifact} has no compressed layer to train; start from a compressed design point"
        )
    if header["model"]["sha256"] != verify_shards(checkpoint)["sha256"]:
        raise NmforgeError(f"artifact {artifact} is not of checkpoint {checkpoint}; name the one it was made from")
    return header
