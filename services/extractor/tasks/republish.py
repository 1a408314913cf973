"""Publishing raw pages a second time, marked as such."""

from __future__ import annotations

from aiokafka import AIOKafkaProducer

from services.extractor.tasks.backpressure import Backpressure
from shared.kafka import publishing
from shared.kafka.partitions import partition_of
from shared.messages.headers import (
    BrokerPosition,
    headers_for,
    republished_headers,
)
from shared.messages.pages import RawPage
from shared.messages.serialization import encode
from shared.messages.topics import RAW


class PageRepublisher:
    """Publishes pages that stand in for older ones."""

    def __init__(
        self, producer: AIOKafkaProducer, backpressure: Backpressure
    ) -> None:
        self._producer = producer
        self._backpressure = backpressure

    async def publish(
        self,
        page: RawPage,
        first: BrokerPosition | None,
        partition: int | None,
    ) -> None:
        """`first`: where its records first lay; None: they were read again from their source.

        `partition`: in which; None: in that of the stream. Raises TransientError while Kafka is
        unavailable.
        """
        if partition is None:
            partition = partition_of(page.stream)
        await self._backpressure.gate(partition)
        headers = headers_for(page, "extractor", event_id=page.page_id)
        await publishing.send(
            self._producer,
            RAW.name,
            encode(page),
            key=page.stream.encode(),
            headers=republished_headers(headers, first),
            partition=partition,
        )
