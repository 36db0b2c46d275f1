"""Models that run from an artifact: the C++ decoder, transformers, RTL simulation."""
