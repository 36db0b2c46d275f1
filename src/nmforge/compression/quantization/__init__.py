"""Quantizers: integer codes and the two-level scale."""
