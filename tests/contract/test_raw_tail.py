"""Recovery of a stream's position.

One suite on the in-memory tail of the unit tests and on a real topic.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from services.extractor.checkpoints import recover
from shared.identity.ids import task_id
from shared.kafka import clients, publishing
from shared.kafka.partitions import partition_of
from shared.messages.checkpoints import Checkpoint
from shared.messages.pages import RawPage
from shared.messages.serialization import raw_json, to_python
from shared.messages.tasks import FetchStream
from shared.messages.topics import RAW
from tests.support.fakes import Tail
from tests.support.infra import Infrastructure
from tests.support.pages import raw_page

Recover = Callable[[FetchStream, list[RawPage]], Checkpoint]


def on_fake(task: FetchStream, pages: list[RawPage]) -> Checkpoint:
    tail = Tail(pages)
    return asyncio.run(recover(_start(task), task, tail, tail.new_reader))  # type: ignore[arg-type]


def on_kafka(bootstrap: str) -> Recover:
    async def publish_and_recover(
        task: FetchStream, pages: list[RawPage]
    ) -> Checkpoint:
        producer, consumer = (
            clients.producer(bootstrap, "test"),
            clients.consumer(bootstrap, "test", group=None),
        )
        await producer.start()
        await consumer.start()

        async def new_reader() -> Any:
            reader = clients.consumer(bootstrap, "test", group=None)
            await reader.start()
            return reader

        try:
            for page in pages:
                await publishing.publish(
                    producer,
                    RAW,
                    page,
                    key=page.stream,
                    service="test",
                    partition=partition_of(task.stream),
                )
            return await recover(_start(task), task, consumer, new_reader)
        finally:
            await producer.stop()
            await consumer.stop()

    return lambda task, pages: asyncio.run(
        publish_and_recover(task, pages)
    )


def _start(task: FetchStream) -> Checkpoint:
    return Checkpoint(
        stream=task.stream,
        cursor=raw_json(None),
        raw_partition=partition_of(task.stream),
        raw_offset=-1,
    )


@pytest.fixture(params=["fake", "kafka"])
def recover_on(request: pytest.FixtureRequest) -> Iterator[Recover]:
    if request.param == "fake":
        yield on_fake
    else:
        infra: Infrastructure = request.getfixturevalue("infra")
        yield on_kafka(infra.bootstrap)


@pytest.fixture
def stream() -> str:
    return f"csv/{uuid.uuid4()}.csv"


def page(run_id: str, stream: str, number: int) -> RawPage:
    return raw_page(
        run_id=run_id,
        stream=stream,
        page_no=number,
        task_id=task_id(run_id, stream),
        cursor_after=raw_json({"offset": 100 * (number + 1)}),
    )


def task(run_id: str, stream: str, **more: Any) -> FetchStream:
    return FetchStream(
        run_id=run_id,
        task_id=task_id(run_id, stream),
        source="csv",
        stream=stream,
        **more,
    )


def test_nothing_published_is_the_start(
    recover_on: Recover, stream: str
) -> None:
    position = recover_on(task(str(uuid.uuid4()), stream), [])
    assert position.current is not None
    assert (position.current.pages, to_python(position.cursor)) == (
        0,
        None,
    )


def test_it_goes_on_after_the_last_own_page(
    recover_on: Recover, stream: str
) -> None:
    run_id, other = str(uuid.uuid4()), str(uuid.uuid4())
    pages = [
        page(other, stream, 0),
        page(run_id, stream, 0),
        page(run_id, "csv/elsewhere.csv", 7),
        page(run_id, stream, 1),
        page(run_id, stream, 1),
    ]
    position = recover_on(task(run_id, stream), pages)
    assert position.current is not None
    assert (
        position.current.pages,
        position.current.records,
        to_python(position.cursor),
    ) == (
        2,
        2,
        {"offset": 200},
    )


def test_a_full_refresh_sees_only_its_own_pages(
    recover_on: Recover, stream: str
) -> None:
    position = recover_on(
        task(str(uuid.uuid4()), stream, full_refresh=True),
        [page(str(uuid.uuid4()), stream, 0)],
    )
    assert to_python(position.cursor) is None
