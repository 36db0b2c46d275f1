"""The paper whose claims are measured again, and the factors that it claims."""

from __future__ import annotations

PAPER = "arXiv 2512.24713"
STORAGE = 4.0  # times less weight storage than fp16
MATMUL = 1.71  # times faster matmul, 2:4 against dense weights
END_TO_END = 1.29  # times less latency of dequantization and matmul
LLAMA7B = 1.36  # times the throughput per token of LLaMA-7B
