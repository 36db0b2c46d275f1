"""Pruners: which weights of each window to keep. Adding one is a file and a line in PRUNERS.

A pruner maps (weight float32[N, K], input statistics or None, pattern) to keep_mask bool[N, K], True = kept.
A solver maps (weight, Gram matrix, pattern, name of the layer) to weights that make up for those pruned, and the mask.
`sparsegpt` chooses its mask inside the solver of quantization.gptq, since its weights move as it goes; those of
`modelopt` come from a file.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from nmforge.compression.calibration.statistics import InputStats
from nmforge.compression.pruning.alps import Pruned, alps
from nmforge.compression.pruning.magnitude import magnitude
from nmforge.compression.pruning.ria import ria
from nmforge.compression.pruning.swaps import alps_swaps
from nmforge.compression.pruning.wanda import wanda
from nmforge.core.formats import Pattern

Pruner = Callable[[Tensor, InputStats | None, Pattern], Tensor]
PRUNERS: dict[str, Pruner] = {"magnitude": magnitude, "wanda": wanda, "ria": ria}

Solver = Callable[[Tensor, Tensor, Pattern, str], Pruned]
SOLVERS: dict[str, Solver] = {"alps": alps, "alps-swaps": alps_swaps}
JOINT_PRUNERS = ("sparsegpt",)
PEER_PRUNERS = ("modelopt",)  # whose masks come from a file
CALIBRATED_PRUNERS = ("wanda", "ria", "sparsegpt", *SOLVERS)
