"""The verbs that fetch the model and the text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nmforge.cli.options import CACHE, OUT, Arguments, Parser, Verb, add_paths, add_places, read_config
from nmforge.io.store import fetch_or_make


def add_kept(parser: Parser) -> None:
    """Add the name under which other studies find the same input."""
    parser.add_argument("--kept", help="hash of what makes this input; it is kept in the cache and made once")


def shared(arguments: Arguments, make: Callable[[Path], object]) -> None:
    """Make the output, or with --kept link it from the cache, where it is made unless another study did."""
    if arguments.kept is None:
        make(arguments.out)
    else:
        fetch_or_make(arguments.cache / "made" / arguments.kept, arguments.out, make)


def checkpoint_options(parser: Parser) -> None:
    """Where the checkpoint goes."""
    add_paths(parser, **CACHE, out=(None, "folder to write"))
    add_kept(parser)


def checkpoint(arguments: Arguments) -> None:
    """fetch the model and write it as a folder of bf16 safetensors"""
    from nmforge.models.prepare import prepare_checkpoint

    model = read_config(arguments).model
    shared(arguments, lambda out: prepare_checkpoint(model.source, model.revision, arguments.cache, out, model.blocks))


def tokens_options(parser: Parser) -> None:
    """Whose tokenizer, and where the tokens go."""
    add_paths(parser, **CACHE, **OUT)
    add_places(parser, "checkpoint")
    add_kept(parser)


def tokens(arguments: Arguments) -> None:
    """fetch the text and tokenize its calibration and evaluation documents"""
    from nmforge.data.corpus import load_corpus
    from nmforge.data.tokens import write_tokens
    from nmforge.models.load import load_tokenizer

    settings = read_config(arguments).text

    def make(out: Path) -> None:
        corpus = load_corpus(settings.source, settings.revision, arguments.cache)
        write_tokens(corpus, load_tokenizer(arguments.checkpoint), out)

    shared(arguments, make)


VERBS = [Verb(checkpoint, checkpoint_options), Verb(tokens, tokens_options)]
