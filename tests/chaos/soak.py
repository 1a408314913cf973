"""`python -m tests.chaos.soak [--records 2000000]`: one long run under repeated rebalances.

Watches memory, lag and standstills.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

import httpx
import psycopg2

from tests.chaos.__main__ import SETTINGS, say
from tests.chaos.feed import CsvFile
from tests.chaos.oracle import Oracle
from tests.chaos.stack import ChaosStack, chaos_stack
from tests.simulator import Simulator
from tests.support.product import ENDED

FILE_ROWS = 100_000
REBALANCE_EVERY_S = 6.0
SAMPLE_EVERY_S = 2.0
MAX_GROWTH_MB = (
    40.0  # of a service, from the second third of the run to the last
)
MAX_STANDSTILL_S = 30.0  # several rebalances and a session timeout


class Watch:
    """Samples memory and progress until told to stop."""

    def __init__(self, stack: ChaosStack) -> None:
        self._stack = stack
        self.memory: dict[str, list[float]] = defaultdict(list)
        self.records: list[tuple[float, int]] = []

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(SAMPLE_EVERY_S):
            for service, megabytes in self._stack.memory_mb().items():
                self.memory[service].append(megabytes)
            with contextlib.suppress(psycopg2.Error):
                self.records.append(
                    (
                        time.monotonic(),
                        int(
                            self._stack.query(
                                "SELECT coalesce(sum(records), 0) FROM page_receipts"
                            )[0][0]
                        ),
                    )
                )

    def standstill_s(self) -> float:
        """The longest time in which nothing was loaded."""
        longest, since, seen = 0.0, self.records[0][0], 0
        for at, records in self.records:
            if records > seen:
                seen, since = records, at
            longest = max(longest, at - since)
        return longest

    def growth_mb(self, service: str) -> tuple[float, float]:
        """(median of the last third minus that of the second, highest)."""
        samples = self.memory[service]
        third = max(1, len(samples) // 3)
        return statistics.median(samples[-third:]) - statistics.median(
            samples[third:-third] or samples
        ), max(samples)


def rebalance(
    stack: ChaosStack,
    rng: random.Random,
    stop: threading.Event,
    counted: list[str],
) -> None:
    """1→3→1, service by service, over and over."""
    while not stop.wait(REBALANCE_EVERY_S):
        service = rng.choice(("extractor", "normalizer", "loader"))
        count = rng.choice((1, stack.settings.counts()[service]))
        stack.scale(service, count)
        counted.append(f"{service} → {count}")


def soak(
    stack: ChaosStack, folder: Path, records: int, seed: int
) -> list[str]:
    """Everything, and what was wrong with it."""
    files = [
        CsvFile(folder, f"soak{n}", seed * 1000 + n, odd=False)
        for n in range(max(1, records // FILE_ROWS))
    ]
    for file in files:
        file.grow(min(records, FILE_ROWS))
    stop, watch, rebalances = threading.Event(), Watch(stack), list[str]()
    jobs = [
        threading.Thread(target=watch.run, args=(stop,)),
        threading.Thread(
            target=rebalance,
            args=(stack, random.Random(seed), stop, rebalances),
        ),
    ]
    started = time.monotonic()
    run_id = stack.insist(
        "/ingest", {"sources": ["csv"]}, f"soak-{seed}"
    )["run_id"]
    for job in jobs:
        job.start()
    run = stack.run_state(run_id)
    while (
        run["status"] not in ENDED and time.monotonic() - started < 3600
    ):
        time.sleep(1)
        run = stack.run_state(run_id)
    seconds = time.monotonic() - started
    stop.set()
    for job in jobs:
        job.join()
    stack.heal()
    stack.wait_whole()
    lag = None
    with contextlib.suppress(httpx.HTTPError):
        lag = stack.api.get("/health").json()["lag"]
    oracle = Oracle(stack.dsn)
    for file in files:
        oracle._file(file)
    oracle._ledgers()
    oracle.close()
    findings = list(oracle.findings)
    say(
        f"{run['records']:,} records in {seconds:.0f} s ({run['records'] / seconds:,.0f} a"
        f" second) under {len(rebalances)} rebalances: {run['status']}"
    )
    say(
        f"lag at the end: {lag}; longest standstill: less than"
        f" {watch.standstill_s() + SAMPLE_EVERY_S:.0f} s"
    )
    for service in sorted(watch.memory):
        growth, highest = watch.growth_mb(service)
        say(
            f"memory of the largest {service}: at most {highest:.0f} MB, {growth:+.0f} MB from"
            " the second third to the last"
        )
        if growth > MAX_GROWTH_MB:
            findings.append(f"the {service} grew by {growth:.0f} MB")
    if watch.standstill_s() > MAX_STANDSTILL_S:
        findings.append(
            f"nothing was loaded for {watch.standstill_s():.0f} s"
        )
    if lag != {"normalizer": 0, "loader": 0}:
        findings.append(f"lag is {lag}")
    return findings


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m tests.chaos.soak")
    arguments.add_argument("--records", type=int, default=2_000_000)
    arguments.add_argument("--seed", type=int, default=1)
    asked = arguments.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as folder,
        Simulator() as upstream,
    ):
        root = Path(folder)
        root.chmod(0o755)
        for name in ("csv", "state"):
            (root / name).mkdir()
        with chaos_stack(
            root / "state",
            root / "csv",
            **upstream.settings(),
            **SETTINGS,
        ) as stack:
            findings = soak(
                stack, root / "csv", asked.records, asked.seed
            )
    for finding in findings:
        say(f"DIFFERENCE {finding}")
    say("\nequal to the oracle" if not findings else "\nnot as promised")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
