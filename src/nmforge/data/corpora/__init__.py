"""Texts that a config can name, one file for each."""
