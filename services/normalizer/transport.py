"""Faust's Kafka transport with one setting that Faust lacks: how long a fetch may wait."""

from __future__ import annotations

import threading
from typing import Any

import faust
from faust.transport.drivers import aiokafka as driver

from shared.kafka.clients import PAGES_MAX_WAIT_MS
from shared.runtime import lifecycle


class _ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust sets 1,500 ms: a fetch that asks the other, empty partitions then holds up the busy
        # one as long. Read when the consumer starts; a test watches the name.
        consumer._fetch_max_wait_ms = PAGES_MAX_WAIT_MS  # noqa: SLF001
        return consumer


class _Consumer(driver.Consumer):  # type: ignore[misc]
    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)


class _Transport(driver.Transport):  # type: ignore[misc]
    Consumer = _Consumer


class App(faust.App):  # type: ignore[misc]
    """A Faust app whose consumer waits briefly, and which ends in time without a broker too."""

    def _new_transport(self) -> _Transport:
        return _Transport(self.conf.broker_consumer, self, loop=self.loop)

    async def on_stop(self) -> None:
        # Faust waits for its last commit and for the producer, without a limit.
        watch = threading.Timer(lifecycle.DRAIN_S, lifecycle.force_exit)
        watch.daemon = True
        watch.start()
        await super().on_stop()
