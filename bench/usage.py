"""CPU seconds and peak memory of each process of a stack, sampled while something runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.support.stack import Stack

PROCESSES = (
    "kafka",
    "postgres",
    "extractor",
    "normalizer",
    "loader",
    "gateway",
)
SERVICES = PROCESSES[2:]
MEMORY_LIMIT_MB = 150


class Usage:
    """`cpu_s` and `peak_mb` by process.

    Of PostgreSQL's memory, the postmaster's alone: the others share its buffers.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.cpu_s: dict[str, float] = {}
        self.peak_mb: dict[str, float] = {}

    @contextmanager
    def measured(self) -> Iterator[None]:
        before, done = self._cpu(), threading.Event()
        sampler = threading.Thread(target=self._sample, args=(done,))
        sampler.start()
        try:
            yield
        finally:
            done.set()
            sampler.join()
            after = self._cpu()
            self.cpu_s = {
                name: after[name] - before.get(name, 0.0)
                for name in after
            }

    def _processes(self) -> Iterator[tuple[str, list[psutil.Process]]]:
        for name in PROCESSES:
            roots = [
                psutil.Process(pid) for pid in self._stack.pids(name)
            ]
            yield (
                name,
                [
                    process
                    for root in roots
                    for process in (root, *root.children(recursive=True))
                ],
            )

    def _cpu(self) -> dict[str, float]:
        return {
            name: sum(
                process.cpu_times().user + process.cpu_times().system
                for process in processes
            )
            for name, processes in self._processes()
        }

    def _sample(self, done: threading.Event) -> None:
        while not done.wait(0.3):
            for name, processes in self._processes():
                counted = (
                    processes[:1] if name == "postgres" else processes
                )
                resident = sum(map(_memory_mb, counted))
                self.peak_mb[name] = max(
                    self.peak_mb.get(name, 0.0), resident
                )


def _memory_mb(process: psutil.Process) -> float:
    """Its share of memory: children have much in common with the one they were forked from."""
    try:
        if process.name() == "java":
            return float(process.memory_info().rss / 1e6)
        return float(process.memory_full_info().pss / 1e6)
    except psutil.Error:
        return 0.0
