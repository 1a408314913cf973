"""When each stage of a run had what, by the broker's and PostgreSQL's clocks.

`make bench TIMELINE=1`. The messages and rows of a run say it themselves: nothing is measured while
it runs.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from itertools import chain
from typing import Any

import psycopg2

from shared.kafka import clients, reading
from shared.kafka.partitions import partitions_of
from shared.messages.topics import (
    COMMANDS,
    RAW,
    REPLAY_PAGES,
    REPLAY_TASKS,
    RUN_EVENTS,
    TASKS,
    UNIFIED,
    UNIFIED_REPLAY,
    Topic,
)
from tests.support.stack import Stack

_WRITTEN = """
SELECT extract(epoch FROM created_at) * 1000 FROM points JOIN page_receipts AS r USING (page_id)
WHERE r.run_id = %s GROUP BY created_at ORDER BY created_at
"""
_ENDED = "SELECT extract(epoch FROM finished_at) * 1000 FROM runs WHERE run_id = %s"
_TOPICS = (
    COMMANDS,
    TASKS,
    REPLAY_TASKS,
    RUN_EVENTS,
    RAW,
    REPLAY_PAGES,
    UNIFIED,
    UNIFIED_REPLAY,
)
# Of each stage its first and last message, and how much lies between.
Moments = dict[str, list[float]]


def of_run(stack: Stack, run_id: str, started: float) -> Moments:
    """Stage → milliseconds after `started` (seconds since the epoch), in order."""
    found = asyncio.run(
        _messages(stack.settings.kafka_bootstrap_servers, run_id)
    )
    with psycopg2.connect(stack.settings.dsn()) as connection:
        db = connection.cursor()
        db.execute(_WRITTEN, (run_id,))
        found["batches written"] = [float(ms) for (ms,) in db.fetchall()]
        db.execute(_ENDED, (run_id,))
        found["run ended"] = [float(ms) for (ms,) in db.fetchall()]
    return {
        stage: [moment - started * 1000 for moment in sorted(moments)]
        for stage, moments in found.items()
    }


def shown(moments: Moments) -> list[str]:
    """A line a stage: first, middle and last."""
    lines = []
    for stage, of_stage in moments.items():
        if not of_stage:
            continue
        middle = of_stage[len(of_stage) // 2]
        lines.append(
            f"  {stage:<18} {len(of_stage):>5}   first {of_stage[0]:>8.0f} ms"
            f"   middle {middle:>8.0f} ms   last {of_stage[-1]:>8.0f} ms"
        )
    return lines


def bytes_a_record(stack: Stack, records: int) -> dict[str, float]:
    """Of raw and unified pages, when nothing but these records was ingested so far."""
    return asyncio.run(
        _sizes(stack.settings.kafka_bootstrap_servers, records)
    )


async def _sizes(bootstrap: str, records: int) -> dict[str, float]:
    totals = {RAW.name: 0, UNIFIED.name: 0}
    async for record in _records(bootstrap, (RAW, UNIFIED)):
        totals[record.topic] += len(record.value or b"")
    return {
        "raw": round(totals[RAW.name] / records),
        "unified": round(totals[UNIFIED.name] / records),
    }


async def _messages(bootstrap: str, run_id: str) -> Moments:
    found: Moments = defaultdict(list)
    async for record in _records(bootstrap, _TOPICS):
        headers: dict[str, Any] = dict(record.headers)
        if headers.get("run_id") == run_id.encode():
            kind = headers["ce_type"].decode()
            found[kind].append(record.timestamp)
    return found


async def _records(
    bootstrap: str, topics: Iterable[Topic]
) -> AsyncIterator[Any]:
    """All that topics hold now, topic by topic."""
    consumer = clients.consumer(bootstrap, "timeline", group=None)
    await consumer.start()
    try:
        for at in chain.from_iterable(map(partitions_of, topics)):
            begin, end = await reading.bounds(consumer, at)
            if begin < end:
                async for record in reading.between(
                    consumer, at, begin, end
                ):
                    yield record
    finally:
        await consumer.stop()
