"""FPGA families that an engine can be synthesized for, one file each."""
