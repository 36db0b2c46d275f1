"""Where a checkpoint comes from, one file for each named source."""
