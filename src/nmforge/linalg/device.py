"""Where torch computes."""

from __future__ import annotations

import torch


def compute_device() -> torch.device:
    """The GPU where there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
