"""Libraries that live in an environment of their own, `.venv-libraries`, and run in a process of it.

One file a library registers what the library offers and holds the code that drives it; `server` runs these files in
that process, where nmforge is not installed, and `client` speaks with it from here. What both sides need is in
`protocol`, `quiet` and `registry`, which import NumPy and the standard library only.
"""
