"""How much memory and time files of many rows take: `python -m bench.files`, ROWS=10000000.

DOORS="/ohlcv /changes" and FORMS="csv arrow" for some of them. The gateway is the one that is
asked; its child, which writes the file, is counted by itself.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import dataclass

import httpx
import psutil

from bench import questions
from bench.usage import MEMORY_LIMIT_MB
from tests.support.product import KEY
from tests.support.stack import Stack

ROWS = 1_000_000
OF_A_PAGE = 1_000
LOOK_EVERY_S = 0.1
MB = 1_000_000
DOORS = {
    "/data": {},
    "/ohlcv": {
        "symbol": questions.SYMBOL,
        "interval": "1m",
        "dataset": "all",
    },
    "/changes": {"since": "oldest"},
    "/sentiment": {"symbol": questions.SYMBOL, "interval": "1h"},
}
FORMS = ("csv", "ndjson", "parquet", "arrow")
# As if a loader had stored all points.
_CHANGES = f"""
TRUNCATE changes;
INSERT INTO changes (seq, at, kind, count, ids, revisions)
SELECT row_number() OVER (), now(), 'i', count(*), array_agg(id), NULL
FROM (SELECT id, row_number() OVER () / {OF_A_PAGE} AS page FROM points) AS numbered
GROUP BY page;
UPDATE change_position SET last = (SELECT max(seq) FROM changes), oldest = 1;
"""


@dataclass
class Peak:
    """Of the gateway and of what it has started, in bytes."""

    gateway: int = 0
    child: int = 0


class Watch(threading.Thread):
    """Looks at a process until it is told that this is enough."""

    def __init__(self, gateway: psutil.Process) -> None:
        super().__init__(daemon=True)
        self.peak = Peak()
        self._gateway = gateway
        self._is_over = threading.Event()

    def run(self) -> None:
        while not self._is_over.wait(LOOK_EVERY_S):
            own = self._gateway.memory_info().rss
            children = (
                _memory(each) for each in self._gateway.children()
            )
            self.peak.gateway = max(self.peak.gateway, own)
            self.peak.child = max(self.peak.child, *children, 0)

    def stop(self) -> Peak:
        self._is_over.set()
        self.join()
        return self.peak


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _gateway(stack: Stack) -> psutil.Process:
    return next(
        each
        for each in stack.processes()
        if "services.gateway" in " ".join(each.cmdline())
    )


def measure(stack: Stack, door: str, form: str) -> str:
    """A line about one file."""
    watch = Watch(_gateway(stack))
    watch.start()
    began, size = time.monotonic(), 0
    with httpx.stream(
        "GET",
        f"http://127.0.0.1:{stack.settings.api_port}/api/v1{door}",
        params={"format": form, **DOORS[door]},
        headers={"x-api-key": KEY},
        timeout=900,
        trust_env=False,
    ) as answer:
        answer.raise_for_status()
        for part in answer.iter_raw():
            size += len(part)
    seconds = time.monotonic() - began
    peak = watch.stop()
    over = (
        ""
        if peak.gateway <= MEMORY_LIMIT_MB * MB
        else "   MORE THAN MAY BE"
    )
    return (
        f"{door:<11} {form:<8} {size / MB:>8,.1f} MB in {seconds:>6.1f} s"
        f"   gateway {peak.gateway / MB:>4.0f} MB, child {peak.child / MB:>4.0f} MB{over}"
    )


def main() -> int:
    rows = int(os.environ.get("ROWS") or ROWS)
    with questions.a_stack() as stack:
        questions.fill(stack, rows)
        stack.execute(_CHANGES)
        sys.stdout.write(f"{rows:,} rows\n")
        for door in os.environ.get("DOORS", "").split() or DOORS:
            for form in os.environ.get("FORMS", "").split() or FORMS:
                sys.stdout.write(f"{measure(stack, door, form)}\n")
                sys.stdout.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
