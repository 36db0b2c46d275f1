"""Peer libraries that live in an environment of their own, `.venv-peers`, and are driven from here as a process."""
