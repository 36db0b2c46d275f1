"""Text: where it comes from, and how it is cut into tokens. Calibration and evaluation never share a document."""
