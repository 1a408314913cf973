"""What lies in the topics.

Foreign messages, the same task twice, two runs on one stream, a cancelled run.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition

from shared.identity.ids import task_id
from shared.kafka import clients, publishing, reading, topic_admin
from shared.kafka.partitions import partition_of
from shared.messages.commands import CancelRun
from shared.messages.tasks import FetchStream
from shared.messages.topics import (
    COMMANDS,
    RAW,
    RUN_EVENTS,
    TASKS,
    UNIFIED,
)
from tests.support.oracle import write_candles
from tests.support.product import until
from tests.support.stack import Stack


def with_producer(
    stack: Stack, work: Callable[[AIOKafkaProducer], Awaitable[Any]]
) -> None:
    async def run() -> None:
        producer = clients.producer(
            stack.settings.kafka_bootstrap_servers, "test"
        )
        await producer.start()
        try:
            await work(producer)
        finally:
            await producer.stop()

    asyncio.run(run())


def test_foreign_messages_become_dead_letters_and_the_partitions_move_on(
    stack: Stack,
) -> None:
    name = "csv/foreign/ada-usd.csv"
    file = write_candles(stack.csv_dir / "foreign" / "ada-usd.csv", 1000)
    foreign = [
        b"\xff\xfe\x00",
        b'{"type": "Unheard"}',
        None,
        b"[" * 5000,
        b'{"type":"RawPage","run_id":"x"}',
    ]

    async def publish(producer: AIOKafkaProducer) -> None:
        for topic in (COMMANDS, TASKS, RAW, UNIFIED, RUN_EVENTS):
            for value in foreign:
                await producer.send_and_wait(
                    topic.name,
                    value,
                    key=b"foreign",
                    partition=partition_of(name)
                    if topic.partitions > 1
                    else 0,
                )

    before = stack.query(
        "SELECT count(*) FROM dead_letters WHERE reason = 'undecodable'"
    )[0][0]
    with_producer(stack, publish)
    run = stack.ingest(streams=[name])

    assert (run["status"], run["inserted"]) == ("succeeded", 1000)
    assert stack.candles(name) == file.candles
    counted = (
        'SELECT topic, count(*)::int, count(DISTINCT "offset")::int FROM dead_letters WHERE'
        " reason = 'undecodable' GROUP BY topic ORDER BY topic"
    )
    topics = sorted(
        topic.name
        for topic in (COMMANDS, TASKS, RAW, UNIFIED, RUN_EVENTS)
    )
    until(
        "all dead letters",
        lambda: (
            stack.query(
                "SELECT count(*) FROM dead_letters WHERE reason = 'undecodable'"
            )[0][0]
            == before + 25
        ),
        30,
    )
    assert stack.query(counted) == [(topic, 5, 5) for topic in topics]


def test_a_task_that_comes_again_does_nothing_again(stack: Stack) -> None:
    name = "csv/again/dot-usd.csv"
    write_candles(stack.csv_dir / "again" / "dot-usd.csv", 2000)
    run = stack.ingest(streams=[name], full_refresh=True)
    task = FetchStream(
        run_id=run["run_id"],
        task_id=task_id(run["run_id"], name),
        source="csv",
        stream=name,
        full_refresh=True,
    )
    with_producer(
        stack,
        lambda producer: publishing.publish(
            producer,
            TASKS,
            task,
            key=name,
            service="test",
            partition=partition_of(name),
        ),
    )
    stack.ingest(streams=[name])  # comes after it in the same partition
    again = stack.run_state(run["run_id"])
    assert (
        again["status"],
        again["records"],
        again["tasks"][0]["pages_loaded"],
    ) == (
        "succeeded",
        2000,
        2,
    )
    stack.assert_ledger(run["run_id"], name, 2000)


def test_two_runs_on_one_stream_come_one_after_the_other(
    stack: Stack,
) -> None:
    name = "csv/both/bch-usd.csv"
    file = write_candles(stack.csv_dir / "both" / "bch-usd.csv", 10_000)
    runs = [
        stack.start_run(streams=[name], full_refresh=True)
        for _ in range(2)
    ]
    first, second = (stack.wait_for(run_id) for run_id in runs)
    assert (first["inserted"], second["unchanged"]) == (10_000, 10_000)
    assert stack.candles(name) == file.candles
    places = stack.query(
        "SELECT run_id::text, min(raw_time), max(raw_time) FROM page_receipts WHERE stream = %s"
        " GROUP BY run_id",
        name,
    )
    ranges = {run_id: (low, high) for run_id, low, high in places}
    assert ranges[runs[0]][1] < ranges[runs[1]][0]


def test_a_page_of_which_a_copy_lies_elsewhere_is_replayed_once(
    stack: Stack,
) -> None:
    name = "csv/copied/xlm-usd.csv"
    write_candles(stack.csv_dir / "copied" / "xlm-usd.csv", 20)
    stack.ingest(streams=[name])
    at = TopicPartition(RAW.name, partition_of(name))

    async def copy(producer: AIOKafkaProducer) -> None:
        consumer = clients.consumer(
            stack.settings.kafka_bootstrap_servers, "test", group=None
        )
        await consumer.start()
        begin, end = await reading.bounds(consumer, at)
        async for record in reading.between(consumer, at, begin, end):
            if record.key == name.encode():
                for step in (1, 2):
                    await producer.send_and_wait(
                        RAW.name,
                        record.value,
                        key=record.key,
                        headers=list(record.headers),
                        partition=(at.partition + step) % RAW.partitions,
                    )
        await consumer.stop()

    with_producer(stack, copy)
    body = {"stream": name, "origin": "topic"}
    answer = stack.api.post("/replay", json=body)
    run = stack.wait_for(answer.json()["run_id"])
    assert (run["status"], run["records"]) == ("succeeded", 20)


def test_a_cancelled_run_ends_with_what_it_has_published(
    stack: Stack,
) -> None:
    name = "csv/cancelled/trx-usd.csv"
    write_candles(stack.csv_dir / "cancelled" / "trx-usd.csv", 400_000)
    run_id = stack.start_run(streams=[name])
    stack.wait_for_records(run_id, 5_000)
    with_producer(
        stack,
        lambda producer: publishing.publish(
            producer,
            COMMANDS,
            CancelRun(run_id=run_id),
            key=run_id,
            service="test",
        ),
    )
    run = stack.wait_for(run_id)
    assert run["status"] == "cancelled"
    assert 5_000 <= run["records"] < 400_000
    stack.assert_ledger(run_id, name, run["records"])
    rest = stack.ingest(streams=[name])
    assert rest["inserted"] == 400_000 - run["records"]


def test_a_topic_with_another_partition_count_is_refused(
    stack: Stack,
) -> None:
    import pytest

    from shared.errors import ConfigError
    from shared.messages.topics import Topic

    bootstrap = stack.settings.kafka_bootstrap_servers
    name = f"test-{uuid.uuid4()}"
    assert asyncio.run(
        topic_admin.ensure_topics(
            bootstrap, [Topic(name, own_partitions=2)]
        )
    ) == [name]
    assert (
        asyncio.run(
            topic_admin.ensure_topics(
                bootstrap, [Topic(name, own_partitions=2)]
            )
        )
        == []
    )
    with pytest.raises(
        ConfigError, match="has 2 partitions and must have 3"
    ):
        asyncio.run(
            topic_admin.ensure_topics(
                bootstrap, [Topic(name, own_partitions=3)]
            )
        )
