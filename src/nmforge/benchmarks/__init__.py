"""Timing of kernels: shapes, cache states, a timer that alternates, and the run that writes rows."""
