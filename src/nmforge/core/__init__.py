"""The words of the project and its arithmetic: errors, formats, one compressed layer, the reference."""
