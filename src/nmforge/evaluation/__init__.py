"""How good an artifact is, and whether all backends agree."""
