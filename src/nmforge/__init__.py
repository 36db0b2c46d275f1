"""nmforge: from a language-model checkpoint to an accelerator, one packed artifact, one integer arithmetic.

    nmforge.load(path)          an artifact: its layers, and the text its model writes
    nmforge.compress(...)       a checkpoint and a text in, an artifact out; needs torch
    Pattern, QuantScheme        N:M sparsity, and bits and group size of integer codes
    DesignPoint                 what `compress` does: pattern, pruner, quantizer, bits, group size
    CalibrationConfig           how much text it is calibrated on
    Model, Layer                what `load` returns, and what `model.layers` holds
    CompressedLinear            the arrays of one layer: codes, mask, multipliers, scales
    Generated                   a text, its tokens and what they took
    NmforgeError                the one exception a user can mend: a sentence with the remedy

A layer gives the same bits whichever backend multiplies:

>>> import numpy as np
>>> import nmforge
>>> model = nmforge.load("toy.nmf.safetensors")
>>> layer = model.layers["model.layers.0.mlp.down_proj"]
>>> layer.shape, str(layer.pattern), layer.bits
((48, 96), '2:4', 4)
>>> x = np.random.default_rng(0).standard_normal((3, 96)).astype(np.float32)
>>> bool((layer.forward(x, backend="cpu") == layer.forward(x, backend="reference")).all())
True
>>> text = model.generate("Once upon a time", tokens=8).text

Importing nmforge imports nothing else; each name brings its own module, so only `compress` needs torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nmforge.compression.compress import compress
    from nmforge.config import CalibrationConfig
    from nmforge.core.compressed_linear import CompressedLinear
    from nmforge.core.design import DesignPoint
    from nmforge.core.errors import NmforgeError
    from nmforge.core.formats import Pattern, QuantScheme
    from nmforge.runtime.continuation import Generated
    from nmforge.runtime.model import Layer, Model, load

__version__ = "0.1.0"
__all__ = [
    "CalibrationConfig",
    "CompressedLinear",
    "DesignPoint",
    "Generated",
    "Layer",
    "Model",
    "NmforgeError",
    "Pattern",
    "QuantScheme",
    "__version__",
    "compress",
    "load",
]
_HOMES = {
    "CalibrationConfig": "config",
    "CompressedLinear": "core.compressed_linear",
    "DesignPoint": "core.design",
    "Generated": "runtime.continuation",
    "Layer": "runtime.model",
    "Model": "runtime.model",
    "NmforgeError": "core.errors",
    "Pattern": "core.formats",
    "QuantScheme": "core.formats",
    "compress": "compression.compress",
    "load": "runtime.model",
}


def __getattr__(name: str) -> Any:
    """A name of `__all__`, its module imported now (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'nmforge' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"nmforge.{_HOMES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
