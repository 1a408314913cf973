"""Recovery of a stream's position.

One suite on the in-memory tail of the unit tests and on a real topic.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from typing import Any, Protocol

import msgspec
import pytest
from aiokafka import TopicPartition

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


class Recover(Protocol):
    """`partitions`: of each page; all but the stream's own are told by the checkpoint."""

    def __call__(
        self,
        task: FetchStream,
        pages: list[RawPage],
        partitions: list[int] | None = None,
    ) -> Checkpoint: ...


def on_fake(
    task: FetchStream,
    pages: list[RawPage],
    partitions: list[int] | None = None,
) -> Checkpoint:
    tail = Tail(pages, partitions=partitions)
    start = _start(task, dict.fromkeys(partitions or (), 0))
    return asyncio.run(recover(start, task, tail, tail.new_reader))  # type: ignore[arg-type]


def on_kafka(bootstrap: str) -> Recover:
    async def publish_and_recover(
        task: FetchStream,
        pages: list[RawPage],
        partitions: list[int] | None = None,
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

        home = partition_of(task.stream)
        others = [
            TopicPartition(RAW.name, each) for each in partitions or ()
        ]
        try:
            ends = await consumer.end_offsets(others) if others else {}
            start = _start(
                task, {at.partition: end for at, end in ends.items()}
            )
            for n, page in enumerate(pages):
                await publishing.publish(
                    producer,
                    RAW,
                    page,
                    key=page.stream,
                    service="test",
                    partition=partitions[n] if partitions else home,
                )
            return await recover(start, task, consumer, new_reader)
        finally:
            await producer.stop()
            await consumer.stop()

    return lambda task, pages, partitions=None: asyncio.run(
        publish_and_recover(task, pages, partitions)
    )


def _start(task: FetchStream, ends: dict[int, int]) -> Checkpoint:
    home = partition_of(task.stream)
    return Checkpoint(
        beside={at: end for at, end in ends.items() if at != home},
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


def test_pages_in_several_partitions_are_followed_in_their_order(
    recover_on: Recover, stream: str
) -> None:
    run_id, other = str(uuid.uuid4()), str(uuid.uuid4())
    home = partition_of(stream)
    beside = [(home + 1) % 3, (home + 2) % 3]
    many = [
        page(other, stream, 0),
        page(run_id, stream, 0),
        page(run_id, "csv/elsewhere.csv", 7),
        page(run_id, stream, 1),
        page(run_id, stream, 2),
        page(run_id, stream, 3),
    ]
    told = [
        msgspec.structs.replace(each, after_ms=n)
        for n, each in enumerate(many)
    ]
    places = [home, beside[0], beside[1], beside[1], home, beside[0]]
    position = recover_on(task(run_id, stream), told, places)
    assert position.current is not None
    assert (
        position.current.pages,
        to_python(position.cursor),
        position.beside.keys(),
    ) == (4, {"offset": 400}, set(beside))
    assert position.time_ms > 0


def test_what_another_task_left_in_several_partitions_is_gone_on_from(
    recover_on: Recover, stream: str
) -> None:
    other = str(uuid.uuid4())
    home = partition_of(stream)
    pages = [
        msgspec.structs.replace(page(other, stream, n), after_ms=n)
        for n in range(3)
    ]
    places = [home, (home + 1) % 3, (home + 2) % 3]
    position = recover_on(task(str(uuid.uuid4()), stream), pages, places)
    assert (position.pages, to_python(position.cursor)) == (
        0,
        {"offset": 300},
    )
    assert position.beside == {}
