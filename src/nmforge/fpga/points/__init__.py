"""Rows that `nmforge fpga` writes, a module for each kind of verb, so that none depends on the tools of another."""
