"""From POST to the first row visible, in round trips through the same Kafka.

What the path itself costs, whatever the machine.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bench import data, memory
from shared.kafka import clients
from tests.support.product import until
from tests.support.stack import Stack

TOPIC = "bench.round-trips"
TIMES = 50
RUNS = 7


def measure(stack: Stack) -> dict[str, Any]:
    """Medians in milliseconds, and their ratio."""
    trip = asyncio.run(
        _round_trips(stack.settings.kafka_bootstrap_servers)
    )
    visible = statistics.median(
        _first_row(stack, number) for number in range(RUNS)
    )
    return {
        "first_row_ms": round(visible),
        "kafka_round_trip_ms": round(trip, 1),
        "round_trips": round(visible / trip),
    }


def _first_row(stack: Stack, number: int) -> float:
    dataset = f"first{number}"
    folder = stack.csv_dir / dataset
    folder.mkdir()
    (folder / "eth-usd.csv").write_text(
        "date,open,high,low,close\n2024-01-01,1,2,0.5,1.5\n2024-01-02,1,2,0.5,1.5\n"
    )
    started = time.monotonic()
    run_id = stack.start_run(
        sources=["csv"], streams=[f"csv/{dataset}/eth-usd.csv"]
    )
    until(
        "the first row",
        lambda: stack.api.get(
            "/data", params={"dataset": dataset, "limit": 1}
        ).json(),
        30,
        0.002,
    )
    seconds = time.monotonic() - started
    stack.wait_for(run_id)
    return seconds * 1000


def measure_large(stack: Stack) -> float:
    """Seconds from POST to the first row of a file of 1 GB, whose run is cancelled then."""
    path = stack.csv_dir / "large" / "eth-usd.csv"
    rows = int(1e9 / (len(memory.NOTE) + 50))
    data.write(path, rows, note=memory.NOTE)
    started = time.monotonic()
    run_id = stack.start_run(
        sources=["csv"], streams=["csv/large/eth-usd.csv"]
    )
    until(
        "the first row",
        lambda: stack.api.get(
            "/data", params={"dataset": "large", "limit": 1}
        ).json(),
        300,
        0.01,
    )
    seconds = time.monotonic() - started
    stack.api.post(f"/runs/{run_id}/cancel")
    stack.wait_for(run_id, 300)
    path.unlink()
    return round(seconds, 2)


async def _round_trips(bootstrap: str) -> float:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC, 1, 1)])
    await admin.close()
    producer, consumer = (
        clients.producer(bootstrap, "bench"),
        clients.consumer(bootstrap, "bench", group=None),
    )
    await producer.start()
    await consumer.start()
    consumer.assign([TopicPartition(TOPIC, 0)])
    times = []
    try:
        for _ in range(TIMES):
            started = time.monotonic()
            await producer.send_and_wait(TOPIC, b"x" * 200)
            await consumer.getone()
            times.append((time.monotonic() - started) * 1000)
    finally:
        await producer.stop()
        await consumer.stop()
    return statistics.median(times[5:])
