"""What changes a layer before it is pruned and rounded."""
