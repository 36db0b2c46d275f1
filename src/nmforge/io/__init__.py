"""Files and where their contents came from: points and tables, provenance, streamed safetensors, wheels."""
