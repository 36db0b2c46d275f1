"""What calibration text does to each layer: activations and their statistics."""
