"""`nmforge VERB` and `nmforge hardware VERB`: one thin verb for each rule of the workflow, usable by hand."""

from nmforge.cli.arguments import INPUTS
from nmforge.cli.parser import main

__all__ = ["INPUTS", "main"]
