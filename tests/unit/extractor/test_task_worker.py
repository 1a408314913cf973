"""Offsets of tasks are committed in order."""

from __future__ import annotations

import asyncio
import uuid
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition

from services.extractor.task_worker import OffsetTracker, TaskWorker
from shared.messages.serialization import encode
from shared.messages.tasks import FetchStream
from shared.messages.topics import TASKS

RUN = str(uuid.uuid4())


def test_offsets_are_committed_up_to_the_first_that_is_still_at_work() -> (
    None
):
    tracker = OffsetTracker()
    for offset in (5, 6, 8):
        tracker.begin(offset)
    assert [tracker.finish(6), tracker.finish(5), tracker.finish(8)] == [
        None,
        7,
        9,
    ]


async def test_a_source_that_is_slow_leaves_a_slot_to_the_others() -> (
    None
):
    done: list[str] = []
    never = asyncio.Event()

    async def work(task: Any) -> None:
        if task.source == "rss":
            await never.wait()
        done.append(task.stream)

    consumer: Any = SimpleNamespace(subscribe=lambda *_, **__: None)
    worker = TaskWorker(
        consumer,
        None,  # type: ignore[arg-type]
        work,
        topic=TASKS,
        group="extractor",
        concurrency=3,
    )
    worker._finish = _nothing  # type: ignore[method-assign, assignment]
    streams = [f"rss/{n}" for n in range(40)] + ["csv/a.csv"]
    for offset, stream in enumerate(streams):
        worker._begin(at, record(stream, offset))
    async with asyncio.timeout(5):
        while not done:
            await asyncio.sleep(0.01)
    assert done == ["csv/a.csv"]
    await worker._give_up([at])


async def _nothing(*_: Any) -> None:
    return None


at = TopicPartition(TASKS.name, 0)


def record(stream: str, offset: int) -> Any:
    task = FetchStream(
        run_id=RUN,
        task_id=str(uuid.uuid4()),
        source=stream.partition("/")[0],
        stream=stream,
    )
    return SimpleNamespace(
        value=encode(task),
        topic=TASKS.name,
        partition=0,
        offset=offset,
        timestamp=0,
    )
