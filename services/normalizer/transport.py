"""Faust's Kafka transport with what Faust lacks: brief fetches, and positions that are verified."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from typing import Any

import faust
from aiokafka import TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from shared.kafka import clients, publishing
from shared.kafka.gap_aware_consumer import cut_gap
from shared.kafka.witness import Cut, Witness
from shared.messages.topics import RUN_EVENTS
from shared.runtime import lifecycle, logs

MAX_WAITING_BYTES = 6 << 20
PAUSE_S = 0.01
log = logs.get(__name__)


class _ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust sets 1,500 ms. Read when the consumer starts; a test watches the name.
        consumer._fetch_max_wait_ms = clients.MAX_WAIT_MS  # noqa: SLF001
        self._describe_commits(consumer)
        return consumer

    def _describe_commits(self, consumer: Any) -> None:
        """Each commit says what `Witness` needs."""
        commit = consumer.commit
        witness: Witness = self.app.witness

        async def described(
            offsets: Mapping[TopicPartition, Any],
        ) -> None:
            plain = {at: each.offset for at, each in offsets.items()}
            await commit(witness.described(plain))

        consumer.commit = described


class _Consumer(driver.Consumer):  # type: ignore[misc]
    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(
        self,
        timeout: float,  # noqa: ASYNC109  Faust's signature
    ) -> AsyncIterator[tuple[TP, Any]]:
        """As Faust's, which counts the pages that wait and not their bytes."""
        async for at, message in super().getmany(timeout):
            yield at, message
            # Before Faust looks whether the partitions are still the same.
            while self.app.waiting_bytes() > MAX_WAITING_BYTES:
                await self.sleep(PAUSE_S)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """As Faust's; a log that is not the one which was read is read from its beginning.

        Faust commits no offset below the one that it found, so it must not find that one. A
        partition of which nothing was committed is read from its beginning too: one that stays with
        its member through a rebalance would go on behind what was fetched and then dropped.
        """
        found = dict(await super().seek_to_committed())
        fresh = [tp for tp, offset in found.items() if not offset]
        if fresh:
            begins = await self.earliest_offsets(*fresh)
            for tp in fresh:
                await self._seek(tp, begins[tp])
        held = [TopicPartition(tp.topic, tp.partition) for tp in found]
        for at, cut in (await self.app.witness.cut(held)).items():
            tp = TP(at.topic, at.partition)
            await self._seek(tp, cut.begin)
            found[tp] = cut.begin
            await self._report(at, cut)
        return found

    async def _report(self, at: TopicPartition, cut: Cut) -> None:
        """Put the gap on ingest.run-events. Raises TransientError: the service starts again."""
        group = self.app.conf.id
        log.error(
            "data_gap",
            topic=at.topic,
            partition=at.partition,
            first_missing=cut.committed,
            first_available=cut.begin,
        )
        producer = clients.producer(self.app.bootstrap, f"{group}-gaps")
        await producer.start()
        try:
            await publishing.publish(
                producer,
                RUN_EVENTS,
                cut_gap(at, cut, group),
                key=at.topic,
                service="normalizer",
            )
        finally:
            await producer.stop()


class _Transport(driver.Transport):  # type: ignore[misc]
    Consumer = _Consumer


class App(faust.App):  # type: ignore[misc]
    """A Faust app that skips nothing, and which ends in time without a broker too."""

    def __init__(
        self, group: str, *, bootstrap: str, **named: Any
    ) -> None:
        super().__init__(group, **named)
        self.bootstrap = bootstrap
        self.waiting: list[asyncio.Queue[Any]] = []  # of the agents
        self.witness = Witness(bootstrap, group)

    def waiting_bytes(self) -> int:
        """Of the pages that wait for an agent."""
        # asyncio's queues do not show what is in them; a test watches the name.
        sizes: list[int] = [
            len(event.message.value or b"")
            for queue in self.waiting
            for event in queue._queue  # type: ignore[attr-defined]  # noqa: SLF001
        ]
        return sum(sizes)

    def _new_transport(self) -> _Transport:
        return _Transport(self.conf.broker_consumer, self, loop=self.loop)

    async def on_stop(self) -> None:
        _force_exit_in_time()
        await super().on_stop()
        lifecycle.say_last_words(is_asked=True)


def _force_exit_in_time() -> None:
    """Faust waits for its last commit and for the producer, without a limit."""
    watch = threading.Timer(lifecycle.DRAIN_S, lifecycle.force_exit)
    watch.daemon = True
    watch.start()
