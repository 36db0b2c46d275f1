"""Pruners: which weights of each window are kept."""
