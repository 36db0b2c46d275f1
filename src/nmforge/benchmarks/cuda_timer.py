"""Calls on a GPU, recorded once as a graph and replayed, so that a clock sees the device and not Python."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from nmforge.benchmarks.problem import Prepared

WARM_UP = 3
WAKE_S = 0.01  # of untimed replays before a sample: a GPU that idles lowers its clock
Call = Callable[[], torch.Tensor]


def prepared(calls: Sequence[Call], rows: int, weight_bytes: int) -> Prepared:
    """What `Problem` asks of a kernel, from one call per copy of the weights; a product has `rows` rows that count."""
    graph = record(calls)

    def run() -> None:
        graph.replay()
        torch.cuda.synchronize()

    def output() -> np.ndarray:
        with torch.inference_mode():
            return calls[0]()[:rows].to(torch.float32).cpu().numpy()

    return Prepared(run, output, weight_bytes, lambda runs: seconds_each(graph, runs))


def record(calls: Sequence[Call]) -> torch.cuda.CUDAGraph:
    """The calls in turn as one graph."""
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
    """Seconds of one replay, over so many in a row."""
    start = time.perf_counter()
    while time.perf_counter() - start < WAKE_S:
        graph.replay()
        torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(runs):
        graph.replay()
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / runs
