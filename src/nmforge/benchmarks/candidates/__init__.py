"""What is timed: one file for each library."""
