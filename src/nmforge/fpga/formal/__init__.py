"""Proofs about the processing element."""
