"""Stateless codecs between arrays and bytes; each has an exact inverse."""
