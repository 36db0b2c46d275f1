"""The kernels that are timed: ours, those of libraries, the paper's path and a plain read; one file for each."""
