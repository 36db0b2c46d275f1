"""What a layer should have been to give the dense model's outputs on the inputs the compressed model hands it.

Let x be those inputs, x' the dense model's, h and h' the two residual streams in front of the layer. The weights are
moved, before they are pruned and quantized, to the minimum of

    sum over tokens of || V x - (W x' + h' - h) ||^2  +  lambda || V - W ||^2
    V = W + (W D + R) (H + lambda I)^-1       with H = sum x x^T, D = sum (x' - x) x^T, R = sum (h' - h) x^T

The term W D is quantization error propagation (Arai and Ichikawa 2025, arXiv 2504.09629, equation 6 with strength 1).
R lets the layers that write to the residual stream also make up for what the stream already lacks.
"""

from __future__ import annotations

from torch import Tensor

from nmforge.calibration import InputStats
from nmforge.gram import inverse_factor

# Shares of the mean of H's diagonal, tried in turn. Drift is noisier than the weights, so they exceed GPTQ's.
DAMPINGS = (0.1, 1.0, 10.0)


def toward_dense(weight: Tensor, stats: InputStats, where: str) -> Tensor:
    """W float32[N, K] -> V float32[N, K]; unchanged where the dense model was not walked.

    lambda is the first of DAMPINGS that lets H be factored. Raises NmforgeError naming `where` where none does.
    """
    if stats.drift is None:
        return weight
    missing = weight @ stats.drift
    if stats.residual is not None:
        missing += stats.residual
    factor = inverse_factor(stats.gram, where, DAMPINGS)  # (H + lambda I)^-1 = factor^T factor
    return weight + (missing @ factor.T) @ factor
