"""Weights and activations as the accelerator reads them."""
