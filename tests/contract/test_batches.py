"""Pages published together.

In order, with their headers, however large, and read by consumers that fetch less at a time.
"""

from __future__ import annotations

import asyncio
import uuid

from aiokafka import TopicPartition

from shared.kafka import clients, partitions, publishing
from shared.messages.serialization import decode, raw_page_decoder
from shared.messages.topics import RAW
from tests.support.infra import Infrastructure
from tests.support.pages import raw_page


def test_pages_of_any_size_arrive_in_order(infra: Infrastructure) -> None:
    stream = f"csv/{uuid.uuid4()}.csv"
    sizes = [
        10,
        3_000_000,
        600_000,
        600_000,
        10,
        7_000_000,
    ]  # around what one batch and one fetch hold
    pages = [
        raw_page([["x" * size]], stream=stream, page_no=number)
        for number, size in enumerate(sizes)
    ]

    async def publish_and_read() -> tuple[
        int, list[tuple[int, int, dict[str, bytes]]]
    ]:
        producer, consumer = (
            clients.producer(infra.bootstrap, "test"),
            clients.consumer(infra.bootstrap, "test", group=None),
        )
        await producer.start()
        await consumer.start()
        partition = partitions.partition_of(stream)
        consumer.assign([TopicPartition(RAW.name, partition)])
        try:
            named = [(page.page_id, page) for page in pages]
            last, time_ms = await publishing.publish_batch(
                producer,
                RAW,
                named,
                key=stream,
                service="test",
                partition=partition,
            )
            found: list[tuple[int, int, dict[str, bytes]]] = []
            while len(found) < len(pages):
                record = await consumer.getone()
                page = decode(raw_page_decoder, record.value)
                if page.stream == stream:
                    assert record.key == stream.encode()
                    found.append(
                        (
                            record.offset,
                            page.page_no,
                            dict(record.headers),
                        )
                    )
            assert time_ms == record.timestamp
            return last, found
        finally:
            await producer.stop()
            await consumer.stop()

    last, found = asyncio.run(asyncio.wait_for(publish_and_read(), 60))
    assert [number for _, number, _ in found] == list(range(len(sizes)))
    assert found[-1][0] == last
    assert [headers["ce_id"].decode() for _, _, headers in found] == [
        page.page_id for page in pages
    ]
