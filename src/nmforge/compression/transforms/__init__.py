"""What changes the inputs or the weights of layers before they are pruned and rounded."""
