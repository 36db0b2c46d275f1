"""The verbs that fetch the model and the text."""

from __future__ import annotations

from nmforge.cli.options import CACHE, OUT, Arguments, Parser, Verb, add_inputs, add_paths, read_config


def checkpoint_options(parser: Parser) -> None:
    """Where the checkpoint goes."""
    add_paths(parser, **CACHE, out=(None, "folder to write"))


def checkpoint(arguments: Arguments) -> None:
    """fetch the model and write it as a folder of bf16 safetensors"""
    from nmforge.models.prepare import prepare_checkpoint

    model = read_config(arguments).model
    prepare_checkpoint(model.source, model.revision, arguments.cache, arguments.out, model.blocks)


def tokens_options(parser: Parser) -> None:
    """Whose tokenizer, and where the tokens go."""
    add_paths(parser, **CACHE, **OUT)
    add_inputs(parser, "checkpoint")


def tokens(arguments: Arguments) -> None:
    """fetch the text and tokenize its calibration and evaluation documents"""
    from nmforge.data.corpus import load_corpus
    from nmforge.data.tokens import write_tokens
    from nmforge.models.load import load_tokenizer

    settings = read_config(arguments).text
    tokenizer = load_tokenizer(arguments.checkpoint)
    write_tokens(load_corpus(settings.source, settings.revision, arguments.cache), tokenizer, arguments.out)


VERBS = [Verb(checkpoint, checkpoint_options), Verb(tokens, tokens_options)]
