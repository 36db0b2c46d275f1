"""Types of the compiled extension (`csrc/bindings/module.cpp`), one file per submodule."""

from nmforge.kernels._native import bf16 as bf16
from nmforge.kernels._native import decoder as decoder
from nmforge.kernels._native import w4a8 as w4a8
