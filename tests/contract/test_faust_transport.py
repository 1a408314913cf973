"""The names inside Faust and aiokafka that the normalizer's transport relies on."""

from __future__ import annotations

import asyncio
import inspect
from types import SimpleNamespace

import faust
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import consumer as consumer_module
from aiokafka.consumer.fetcher import Fetcher
from faust.transport import consumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from services.normalizer.transport import App
from shared.kafka import clients


def test_the_names_are_those_of_the_libraries() -> None:
    async def made() -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            bootstrap_servers="127.0.0.1:1", fetch_max_wait_ms=321
        )

    assert asyncio.run(made())._fetch_max_wait_ms == 321
    assert "self._fetch_max_wait_ms," in inspect.getsource(Fetcher)
    assert "self._records = collections" in inspect.getsource(Fetcher)
    assert consumer_module.Fetcher is clients._Fetcher
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


async def test_the_pages_that_wait_for_an_agent_can_be_counted() -> None:
    app = App("test", bootstrap="", broker="kafka://", store="memory://")
    queue = app.FlowControlQueue(maxsize=9)
    app.waiting.append(queue)
    for value in (b"123", None, b"4567"):
        message = SimpleNamespace(value=value)
        queue.put_nowait(SimpleNamespace(message=message))
    assert app.waiting_bytes() == 7


def test_faust_reads_pages_by_the_method_that_is_replaced() -> None:
    source = inspect.getsource(consumer.Consumer)
    assert "getmany = self.getmany" in source


async def test_where_nothing_was_committed_reading_begins_at_the_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """aiokafka seeks there only where something was committed, and else stays where it was."""
    app = App(
        "x",
        bootstrap="127.0.0.1:1",
        broker="kafka://127.0.0.1:1",
        store="memory://",
    )
    fresh, held = TP("ingest.raw", 0), TP("ingest.raw", 1)
    sought: dict[TP, int] = {}

    async def committed(_consumer: object) -> dict[TP, int | None]:
        return {fresh: None, held: 7}

    async def earliest(_consumer: object, *wanted: TP) -> dict[TP, int]:
        return dict.fromkeys(wanted, 3)

    async def seek(_consumer: object, at: TP, offset: int) -> None:
        sought[at] = offset

    async def no_cut(_held: object) -> dict[object, object]:
        return {}

    monkeypatch.setattr(driver.Consumer, "seek_to_committed", committed)
    monkeypatch.setattr(driver.Consumer, "earliest_offsets", earliest)
    monkeypatch.setattr(driver.Consumer, "_seek", seek)
    monkeypatch.setattr(app.witness, "cut", no_cut)
    bare = object.__new__(app.transport.Consumer)
    bare.app = app
    found = await bare.seek_to_committed()
    assert sought == {fresh: 3}
    assert found == {fresh: None, held: 7}
