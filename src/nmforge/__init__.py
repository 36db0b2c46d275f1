"""nmforge: from a language-model checkpoint to an accelerator, one packed artifact, one integer arithmetic."""

__version__ = "0.1.0"
