"""Quantizers: integer codes and the two-level scale. Adding one is a file and a line in QUANTIZERS.

A quantizer maps (weight float32[N, K], keep_mask bool[N, K], scheme) to Quantized. `gptq` also needs the Gram
matrix of its inputs and may choose the mask itself, so compress.py calls it by name.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from nmforge.compression.quantization.rtn import rtn
from nmforge.compression.quantization.scales import Quantized
from nmforge.compression.quantization.tensor_absmax import tensor_absmax
from nmforge.core.formats import QuantScheme

Quantizer = Callable[[Tensor, Tensor, QuantScheme], Quantized]
QUANTIZERS: dict[str, Quantizer] = {"rtn": rtn, "tensor-absmax": tensor_absmax}
CALIBRATED_QUANTIZERS = ("gptq",)
