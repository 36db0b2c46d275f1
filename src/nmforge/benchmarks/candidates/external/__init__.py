"""Peer libraries that live in an environment of their own, `.venv-libraries`, and are driven from here as a process."""
