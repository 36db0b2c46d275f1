"""Data sets of the Hugging Face hub."""

from __future__ import annotations

from typing import Any

from nmforge.core.errors import NmforgeError


def load_from_hub(source: str, *name: str, **options: Any) -> Any:
    """A data set of the Hugging Face hub or its local cache; raises NmforgeError where it is not in reach."""
    from datasets import load_dataset

    try:
        return load_dataset(*name, **options)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise NmforgeError(
            f"text.source {source!r} cannot be loaded ({reason}); put the Hugging Face hub in reach, "
            "or name a local text file"
        ) from error
