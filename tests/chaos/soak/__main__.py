"""`python -m tests.chaos.soak [--hours 0.25]`.

Files that grow, feeds that are edited and tickers are ingested each minute, by a schedule and on
demand, replayed and asked for, while services, broker and database are killed, stopped, frozen,
scaled and cut off, and raw pages, runs and the segments of topics are removed as they grow old.
At the end the oracle counts; the picture says what it took.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
from aiokafka.admin.config_resource import (
    ConfigResource,
    ConfigResourceType,
)

from shared.kafka import clients
from shared.messages.topics import (
    RAW,
    REPLAY_PAGES,
    UNIFIED,
    UNIFIED_REPLAY,
)
from tests.chaos.__main__ import SETTINGS, keeping_logs, say
from tests.chaos.faults import LOSE_TAILS, NOBODY, RANDOM
from tests.chaos.feed import Input
from tests.chaos.oracle import Oracle
from tests.chaos.round import Result
from tests.chaos.soak.picture import draw, percentile
from tests.chaos.soak.watch import Watch, growth
from tests.chaos.stack import ChaosStack, chaos_stack
from tests.simulator import Simulator
from tests.support.product import ENDED
from tests.support.stack import prepare

WAVE_EVERY_S = 60.0
ROWS_A_WAVE = 20_000
RUN_TIMEOUT_S = 600.0
REPLAY_EVERY = 3  # waves
MAX_GROWTH_MB = 40.0  # of a service, from the second third to the last
MAX_WAVE_S = (
    180.0  # several faults behind each other, and a session timeout
)
# Kept so briefly that much is removed while it runs.
KEPT = {"RAW_RETENTION": "15m", "RUNS_RETENTION": "20m"}
_TOPICS = {
    "retention.ms": str(15 * 60 * 1000),
    "segment.bytes": str(4 * 1024 * 1024),
}
# Those after which nothing needs to be read again, and no clock that retention goes by is wrong.
_FAULTS = [
    fault
    for fault in RANDOM
    if fault is not LOSE_TAILS and fault.name != "set the broker's clock"
]


class Soak:
    """One long run. `findings` is what was not as promised."""

    def __init__(
        self, stack: ChaosStack, given: Input, hours: float
    ) -> None:
        self._stack, self._given = stack, given
        self._seconds = hours * 3600
        self._rng = random.Random(given.seed)
        self._stop = threading.Event()
        self.watch = Watch(stack)
        self.result = Result(given.seed)
        self.waves = self.replays = 0
        self._before = ""  # the run of the wave before

    def run(self) -> None:
        dataset = self._given.files[0].name
        jobs = [
            threading.Thread(target=job, args=(self._stop, *more))
            for job, more in (
                (self.watch.sample, ()),
                (self.watch.ask, (dataset,)),
                (self._break, ()),
            )
        ]
        self._wave()
        asyncio.run(remove_soon(self._stack.broker_address))
        for job in jobs:
            job.start()
        try:
            while self.watch.now() < self._seconds:
                began = time.monotonic()
                self._given.advance(ROWS_A_WAVE, self.waves)
                self._wave()
                time.sleep(
                    max(0.0, WAVE_EVERY_S - (time.monotonic() - began))
                )
        finally:
            self._stop.set()
            for job in jobs:
                job.join()
            self._stack.heal()
        self._compare()

    def _wave(self) -> None:
        """Ingest what is new, at times beside a replay of what the wave before fetched."""
        key, began = f"soak-{self.waves}", time.monotonic()
        body = {"streams": self._given.streams()}
        run_id = str(self._stack.insist("/ingest", body, key)["run_id"])
        waited = [run_id]
        if self.waves % REPLAY_EVERY == REPLAY_EVERY - 1:
            again = {"run_id": self._before, "origin": "auto"}
            replay = self._stack.insist("/replay", again, f"{key}-replay")
            waited.append(str(replay["run_id"]))
            self.replays += 1
        self._await(run_id)
        self.watch.samples.waves_s.append(
            (self.watch.now(), time.monotonic() - began)
        )
        for each in waited[1:]:
            self._await(each)
        self._before = run_id
        self.waves += 1

    def _await(self, run_id: str) -> None:
        end, status = time.monotonic() + RUN_TIMEOUT_S, "unknown"
        while time.monotonic() < end:
            with contextlib.suppress(httpx.HTTPError):
                status = self._stack.run_state(run_id)["status"]
                if status in ENDED - {"incomplete"}:
                    return
            time.sleep(0.5)
        raise AssertionError(f"run {run_id} did not end: it is {status}")

    def _break(self, stop: threading.Event) -> None:
        """One fault at a time, every kind before any comes twice."""
        pool = list[int]()
        while not stop.wait(self._rng.uniform(30, 90)):
            if not pool:
                pool = list(range(len(_FAULTS)))
                self._rng.shuffle(pool)
            fault = _FAULTS[pool.pop()]
            self.watch.samples.faults.append(
                (self.watch.now(), fault.name)
            )
            try:
                what = fault.do(self._stack, self._rng)
            except Exception as error:
                what = f"could not be done: {error!r}"
                self.result.findings.append(f"{fault.name} {what}")
            if NOBODY not in what:
                self.result.done.append((fault, what))
            self._stack.heal()
            say(f"  {self.watch.now() / 60:6.1f} min  {what}")

    def _compare(self) -> None:
        stack, found = self._stack, self.result.findings
        stack.wait_whole()
        # Else the schedule goes on while things are counted.
        paused = stack.api.put("/pauses/*", json={"note": "it is over"})
        assert paused.status_code == 200, paused.text
        time.sleep(2)
        stack.wait_quiet()
        ((reads,),) = stack.query(
            "SELECT count(DISTINCT run_id) FROM page_receipts"
            " WHERE stream = 'coinpaprika/tickers'"
        )
        oracle = Oracle(stack.dsn, is_pruned=True)
        found += oracle.compare(self._given, reads)
        self.result.checked = dict(oracle.checked)
        oracle.close()
        found += [f"answered {what}" for what in self.watch.wrong]
        for service, samples in self.watch.samples.memory_mb.items():
            grown, _ = growth(samples)
            if grown > MAX_GROWTH_MB:
                found.append(f"the {service} grew by {grown:.0f} MB")
        slowest = max(
            seconds for _, seconds in self.watch.samples.waves_s
        )
        if slowest > MAX_WAVE_S:
            found.append(f"what was new was loaded after {slowest:.0f} s")

    def report(self) -> Iterator[str]:
        """A line for each thing that was counted."""
        watch, samples = self.watch, self.watch.samples
        _, records = samples.loaded[-1]
        kinds = Counter(fault.name for fault, _ in self.result.done)
        yield (
            f"{watch.now() / 3600:.2f} hours: {records:,} records in {self.waves} waves,"
            f" {self.replays} replays, {sum(kinds.values())} faults"
        )
        yield f"compared: {self.result.checked}"
        yield f"faults: {dict(kinds.most_common())}"
        for name, series in sorted(samples.memory_mb.items()):
            grown, highest = growth(series)
            yield (
                f"memory of the largest {name}: at most {highest:.0f} MB, {grown:+.0f} MB from"
                " the second third to the last"
            )
        for name, series in sorted(samples.disk_mb.items()):
            yield f"disk of {name}: {series[0][1]:.0f} to {series[-1][1]:.0f} MB"
        for name, series in samples.answers_ms.items():
            third = len(series) // 3
            p95 = [
                percentile([ms for _, ms in part], 95)
                for part in (series[:third], series[-third:])
            ]
            yield (
                f"{name}: {len(series)} answers, 95 % within {p95[0]:.0f} ms in the first"
                f" third, {p95[1]:.0f} ms in the last"
            )
        fresh = [seconds for _, seconds in samples.waves_s]
        yield (
            f"changed at the source to run ended: median {percentile(fresh, 50):.1f} s,"
            f" 95 % within {percentile(fresh, 95):.1f} s, all within {max(fresh):.1f} s"
        )
        yield (
            f"not answered, while something was down: {dict(watch.unanswered)}"
        )


async def remove_soon(bootstrap: str) -> None:
    """Let the topics of pages keep little."""
    admin = clients.admin(bootstrap)
    await admin.start()
    try:
        await admin.alter_configs(
            [
                ConfigResource(
                    ConfigResourceType.TOPIC,
                    topic.name,
                    configs={**topic.broker_config(), **_TOPICS},
                )
                for topic in (RAW, UNIFIED, REPLAY_PAGES, UNIFIED_REPLAY)
            ]
        )
    finally:
        await admin.close()


def main() -> int:
    # Which broker cannot be reached now is what the faults do.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    arguments = argparse.ArgumentParser(prog="python -m tests.chaos.soak")
    arguments.add_argument("--hours", type=float, default=0.25)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument(
        "--picture", type=Path, default=Path("soak.png")
    )
    asked = arguments.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as folder,
        Simulator() as upstream,
    ):
        root = Path(folder)
        prepare(root)
        given = Input(
            root / "csv", upstream, asked.seed, coins=1_000, entries=5
        )
        given.advance(
            ROWS_A_WAVE, 0
        )  # before the schedule asks for anything
        settings = {
            **given.settings(),
            **SETTINGS,
            **KEPT,
            "INGEST_EVERY_S": "60",
        }
        results: list[Result] = []
        with (
            chaos_stack(
                root / "state", root / "csv", **settings
            ) as stack,
            keeping_logs(stack.settings.logs, results),
        ):
            soak = Soak(stack, given, asked.hours)
            results.append(soak.result)
            soak.run()
            for line in soak.report():
                say(line)
            draw(soak.watch.samples, asked.picture)
    for finding in soak.result.findings[:50]:
        say(f"DIFFERENCE {finding}")
    has_found = bool(soak.result.findings)
    say("\nnot as promised" if has_found else "\nequal to the oracle")
    return int(has_found)


if __name__ == "__main__":
    sys.exit(main())
