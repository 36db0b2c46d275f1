"""Resource counts by Yosys."""
