"""Kernels of every backend and the table that names them."""
