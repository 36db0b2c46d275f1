"""`nmforge VERB` and `nmforge fpga VERB`: one thin verb for each rule of the workflow, usable by hand.

A module holds the verbs of one stage, each next to its options. A verb reads settings from the config file, paths from
its arguments, and calls one function. Heavy imports happen inside the verb, so that light verbs start at once.
"""

from nmforge.cli.main import main

__all__ = ["main"]
