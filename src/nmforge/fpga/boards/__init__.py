"""Boards: what fits on them and how fast it runs."""
