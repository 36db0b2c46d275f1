"""Calls on a GPU, recorded once as a graph and replayed, so that a clock sees the device and not Python."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from nmforge.benchmarks.problem import Prepared
from nmforge.core.lazy import torch

WARM_UP = 3
WAKE_S = 0.01  # of untimed replays before a sample: a GPU that idles lowers its clock
Call = Callable[[], "torch.Tensor"]


def prepared(calls: Sequence[Call], rows: int, weight_bytes: int) -> Prepared:
    """A prepared kernel, from one call for each copy of the weights; the first `rows` rows of a product count."""
    graph, synchronize = record(calls), torch.cuda.synchronize

    def run() -> None:
        graph.replay()
        synchronize()

    def output() -> np.ndarray:
        with torch.inference_mode():
            return calls[0]()[:rows].to(torch.float32).cpu().numpy()

    return Prepared(run, output, weight_bytes, lambda runs: seconds_each(graph, runs))


def record(calls: Sequence[Call]) -> torch.cuda.CUDAGraph:
    """One graph that makes the calls one after another."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.inference_mode(), torch.cuda.stream(side):
        for _ in range(WARM_UP):
            for call in calls:
                call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.inference_mode(), torch.cuda.graph(graph):
        for call in calls:
            call()
    return graph


def seconds_each(graph: torch.cuda.CUDAGraph, runs: int) -> float:
    """Seconds of one replay, the mean of `runs` in a row."""
    synchronize = torch.cuda.synchronize  # bound once: a timed loop looks nothing up through the lazy module
    start = time.perf_counter()
    while time.perf_counter() - start < WAKE_S:
        graph.replay()
        synchronize()
    start = time.perf_counter()
    for _ in range(runs):
        graph.replay()
    synchronize()
    return (time.perf_counter() - start) / runs
