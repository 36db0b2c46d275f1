"""From a checkpoint to an artifact: calibration, transforms, pruning and quantization, block by block."""
