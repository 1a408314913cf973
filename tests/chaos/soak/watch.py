"""What a stack takes while it runs, and how long its API takes to answer."""

from __future__ import annotations

import contextlib
import itertools
import statistics
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import psycopg2

from tests.chaos.stack import ChaosStack

SAMPLE_EVERY_S = 5.0
ASK_EVERY_S = 0.5
QUESTIONS = {
    "a page of data": "/data?symbol=btc&limit=100",
    "data of a coin": "/data?source=coinpaprika&symbol=c1&limit=100",
    "bars of a day": "/ohlcv?dataset={dataset}&interval=1h&limit=24",
    "latest prices": "/latest?limit=50",
    "series": "/series?limit=100",
    "runs": "/stats?limit=50",
    "health": "/health",
}


@dataclass
class Samples:
    """Seconds since the start, and a value each, by name."""

    memory_mb: dict[str, list[tuple[float, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    disk_mb: dict[str, list[tuple[float, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    lag: list[tuple[float, float]] = field(default_factory=list)
    loaded: list[tuple[float, float]] = field(default_factory=list)
    answers_ms: dict[str, list[tuple[float, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    waves_s: list[tuple[float, float]] = field(default_factory=list)
    faults: list[tuple[float, str]] = field(default_factory=list)


class Watch:
    """Samples until told to stop. `wrong` is what the API must never answer."""

    def __init__(self, stack: ChaosStack) -> None:
        self._stack = stack
        self._started = time.monotonic()
        self.samples = Samples()
        self.unanswered: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()

    def now(self) -> float:
        return time.monotonic() - self._started

    def sample(self, stop: threading.Event) -> None:
        """Memory, disk, lag and progress."""
        while not stop.wait(SAMPLE_EVERY_S):
            now = self.now()
            for service, megabytes in self._stack.memory_mb().items():
                self.samples.memory_mb[service].append((now, megabytes))
            if broker := self._broker_mb():
                self.samples.memory_mb["kafka"].append((now, broker))
            for name, folder in self._stack.folders().items():
                self.samples.disk_mb[name].append((now, size_mb(folder)))
            with contextlib.suppress(httpx.HTTPError, ValueError):
                if lag := self._stack.api.get("/health").json()["lag"]:
                    self.samples.lag.append((now, sum(lag.values())))
            with contextlib.suppress(psycopg2.Error):
                ((records,),) = self._stack.query(
                    "SELECT coalesce(sum(records), 0)::int FROM page_receipts"
                )
                self.samples.loaded.append((now, records))

    def ask(self, stop: threading.Event, dataset: str) -> None:
        """One question after the other, of a client that knows both gateways."""
        turns = itertools.cycle(QUESTIONS.items())
        clients = itertools.cycle((self._stack.api, self._stack.api_2))
        while not stop.wait(ASK_EVERY_S):
            name, path = next(turns)
            began = time.monotonic()
            try:
                answer = next(clients).get(path.format(dataset=dataset))
            except httpx.HTTPError as error:
                self.unanswered[type(error).__name__] += 1
                continue
            self.samples.answers_ms[name].append(
                (self.now(), (time.monotonic() - began) * 1000)
            )
            if answer.status_code == 503:
                self.unanswered["503"] += 1
            elif answer.status_code != 200:
                self.wrong[
                    f"{path}: {answer.status_code} {answer.text}"
                ] += 1

    def _broker_mb(self) -> float | None:
        with contextlib.suppress(psutil.Error):
            return float(
                psutil.Process(self._stack.kafka.pid).memory_info().rss
                / 1e6
            )
        return None


def growth(samples: list[tuple[float, float]]) -> tuple[float, float]:
    """(median of the last third minus that of the second, highest)."""
    values = [value for _, value in samples]
    third = max(1, len(values) // 3)
    return (
        statistics.median(values[-third:])
        - statistics.median(values[third:-third] or values),
        max(values),
    )


def size_mb(folder: Path) -> float:
    """Of all files below it, as the disk counts them."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # it was removed meanwhile
            total += path.stat().st_blocks * 512
    return total / 1e6
