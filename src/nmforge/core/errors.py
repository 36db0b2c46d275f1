"""The one exception a user sees: a sentence that names the key or file and the remedy."""

from __future__ import annotations


class NmforgeError(Exception):
    """A condition the user can mend. The command line prints its sentence and exits with status 2."""
