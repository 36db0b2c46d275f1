"""Error-compensating weight correction (QEP, Arai and Ichikawa 2025, arXiv 2504.09629), solved as one ridge regression.

Let x be a layer's inputs in the compressed model, x' those in the dense one, and e the error its outputs should make up
for. The weights are moved, before they are pruned and quantized, to the minimum of

    sum over tokens of || V x - (W x + e) ||^2  +  lambda || V - W ||^2
    V = W + (sum e x^T) (H + lambda I)^-1       with H = sum x x^T

For a layer whose outputs other layers read, e = W (x' - x): quantization error propagation (equation 6 with strength
1), and sum e x^T = W D with D = sum (x' - x) x^T. For a layer that adds to the residual stream, e = h' - h, with h the
compressed model's stream after the layer as it is, and h' the dense model's, so that the layer also makes up for the
error that the stream had before it. D has K^2 numbers and the sum of the second kind N K, for a down projection of
LLaMA a third of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nmforge.linalg.hessian import inverse_factor

if TYPE_CHECKING:
    from torch import Tensor

    from nmforge.compression.calibration.statistics import InputStats

# Shares of the mean of H's diagonal, tried in turn. Drift is noisier than the weights, so they exceed GPTQ's.
RIDGE_DAMPINGS = (0.1, 1.0, 10.0)


def toward_dense(weight: Tensor, stats: InputStats, where: str) -> Tensor:
    """W float32[N, K] -> V float32[N, K]; unchanged where the dense model was not walked.

    lambda is the first of RIDGE_DAMPINGS that lets H be factored. Raises NmforgeError naming `where` where none does.
    """
    if stats.residual_error is not None:
        error = stats.residual_error
    elif stats.drift is not None:
        error = weight @ stats.drift
    else:
        return weight
    factor = inverse_factor(stats.gram, where, RIDGE_DAMPINGS)  # (H + lambda I)^-1 = factor^T factor
    return weight + (error @ factor.T) @ factor
