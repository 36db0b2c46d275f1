"""What a layer should have been to give the dense model's outputs on the inputs the compressed model hands it.

Let x be those inputs and e what W x lacks: W (x' - x) for a layer whose outputs other layers read, x' being the dense
model's inputs; h' - h for one that adds to the residual stream, with h the compressed model's stream behind the layer
as it is, and h' the dense model's. The weights are moved, before they are pruned and quantized, to the minimum of

    sum over tokens of || V x - (W x + e) ||^2  +  lambda || V - W ||^2
    V = W + (sum e x^T) (H + lambda I)^-1       with H = sum x x^T

The first kind is quantization error propagation (Arai and Ichikawa 2025, arXiv 2504.09629, equation 6 with strength 1),
and sum e x^T = W D with D = sum (x' - x) x^T. The second lets a layer also make up for what the stream already lacked
in front of it. D has K^2 numbers and the sum of the second kind N K, for a down projection of LLaMA a third of it.
"""

from __future__ import annotations

from torch import Tensor

from nmforge.compression.calibration.statistics import InputStats
from nmforge.linalg.hessian import inverse_factor

# Shares of the mean of H's diagonal, tried in turn. Drift is noisier than the weights, so they exceed GPTQ's.
DAMPINGS = (0.1, 1.0, 10.0)


def toward_dense(weight: Tensor, stats: InputStats, where: str) -> Tensor:
    """W float32[N, K] -> V float32[N, K]; unchanged where the dense model was not walked.

    lambda is the first of DAMPINGS that lets H be factored. Raises NmforgeError naming `where` where none does.
    """
    if stats.lacking is not None:
        missing = stats.lacking
    elif stats.drift is not None:
        missing = weight @ stats.drift
    else:
        return weight
    factor = inverse_factor(stats.gram, where, DAMPINGS)  # (H + lambda I)^-1 = factor^T factor
    return weight + (missing @ factor.T) @ factor
