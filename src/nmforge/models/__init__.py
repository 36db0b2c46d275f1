"""Checkpoints and their linear layers. The only place that knows module names."""
