"""What an engine is, and how many cycles it takes."""
