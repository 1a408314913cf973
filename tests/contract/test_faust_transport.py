"""The names inside Faust and aiokafka that the normalizer's transport relies on."""

from __future__ import annotations

import asyncio

import faust
from aiokafka import AIOKafkaConsumer
from faust.transport.drivers import aiokafka as driver

from services.normalizer.transport import App


def test_the_names_are_those_of_the_libraries() -> None:
    async def made() -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            bootstrap_servers="127.0.0.1:1", fetch_max_wait_ms=321
        )

    assert asyncio.run(made())._fetch_max_wait_ms == 321
    assert callable(driver.AIOKafkaConsumerThread._create_worker_consumer)
    assert callable(driver.Consumer._new_consumer_thread)
    assert callable(driver.Consumer.seek_to_committed)
    assert callable(driver.Consumer._seek)
    assert callable(faust.App._new_transport)
    assert (
        App(
            "x", bootstrap="127.0.0.1:1", broker="kafka://127.0.0.1:1"
        ).transport.Consumer
        is not driver.Consumer
    )
