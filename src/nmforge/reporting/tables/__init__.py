"""What the tables of a run are, and what each column means."""
