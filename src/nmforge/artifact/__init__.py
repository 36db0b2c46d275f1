"""The packed artifact: its format, how it is packed, what it holds and how many bytes that takes."""
