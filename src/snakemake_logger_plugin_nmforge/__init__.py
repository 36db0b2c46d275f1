"""Snakemake finds logger plugins by the prefix of their package: `--logger nmforge` is nmforge.cli.terminal."""

from nmforge.cli.terminal import TerminalHandler as LogHandler

__all__ = ["LogHandler"]
