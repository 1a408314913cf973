"""Which records of a page are published again."""

from __future__ import annotations

import uuid
from types import SimpleNamespace
from typing import Any

import pytest

from services.extractor.tasks import requeue
from services.extractor.tasks.requeue import (
    ForwardHandler,
    chosen_records,
)
from services.normalizer.unify import unify
from shared.messages.run_events import TaskFailed
from shared.messages.serialization import encode
from shared.messages.tasks import (
    FetchStream,
    ForwardMessages,
    MessagePlace,
    PagePlace,
    RequeueRecords,
)
from shared.messages.topics import TASKS
from tests.support.pages import candle, raw_page


def requeued(
    page_no: int = 0, **place: object
) -> tuple[RequeueRecords, PagePlace]:
    run = str(uuid.uuid4())
    page = {
        "page_id": str(uuid.uuid4()),
        "partition": 0,
        "offset": 3,
        "time_ms": 4,
    }
    where = PagePlace(**page, **place)  # type: ignore[arg-type]
    return (
        RequeueRecords(
            run_id=run,
            task_id=str(uuid.uuid4()),
            source="csv",
            stream="csv/sample/btc-usd.csv",
            pages=[where],
        ),
        where,
    )


def test_a_requeued_record_keeps_its_line_and_row() -> None:
    page = raw_page(
        [
            candle(1),
            candle(2),
            ["2024-01-03", "x", "2", "0.5", "1", "9"],
            candle(4),
        ]
    )
    task, place = requeued(records=[2])
    again = chosen_records(page, task, place, 7)
    assert again is not None
    assert (again.run_id, again.page_no, again.record_count) == (
        task.run_id,
        7,
        1,
    )
    _, unified = unify(encode(again), partition=0, offset=0, broker_ms=0)
    assert unified.rejected[0].origin == {
        "path": "sample/btc-usd.csv",
        "row": 3,
        "line": 4,
    }
    assert chosen_records(page, task, place, 7) == again
    later, place = requeued(records=[0])
    twice = chosen_records(again, later, place, 0)
    assert twice is not None
    _, unified = unify(encode(twice), partition=0, offset=0, broker_ms=0)
    assert unified.rejected[0].origin == {
        "path": "sample/btc-usd.csv",
        "row": 3,
        "line": 4,
    }


def test_a_whole_page_is_requeued_whole_and_an_empty_choice_is_none() -> (
    None
):
    task, place = requeued()
    whole = chosen_records(
        raw_page([candle(1), candle(2)]), task, place, 0
    )
    assert whole is not None
    assert whole.record_count == 2
    task, place = requeued(records=[9])
    assert chosen_records(raw_page([candle(1)]), task, place, 0) is None


def test_a_record_that_is_asked_for_many_times_is_requeued_once() -> None:
    """A million times the same record would be more than fits into memory."""
    task, place = requeued(records=[1, 0] * 1_000)
    again = chosen_records(
        raw_page([candle(1), candle(2)]), task, place, 0
    )
    assert again is not None
    assert again.record_count == 2


@pytest.mark.parametrize("is_same", [True, False])
async def test_a_task_that_publishes_messages_again_is_not_itself_published_again(
    monkeypatch: pytest.MonkeyPatch, is_same: bool
) -> None:
    run = str(uuid.uuid4())
    place = MessagePlace(topic=TASKS.name, partition=0, offset=0)
    fields = {"run_id": run, "task_id": run, "stream": "messages/x"}
    task = ForwardMessages(**fields, source="messages", messages=[place])
    other = FetchStream(**fields, source="rss")
    record = SimpleNamespace(
        value=encode(task if is_same else other), headers=[]
    )
    forwarded: list[object] = []

    async def found(*_: object) -> object:
        return record

    async def forward(
        _producer: object, topic: str, *_: object, **_named: object
    ) -> None:
        forwarded.append(topic)

    monkeypatch.setattr(requeue, "record_at", found)
    monkeypatch.setattr(requeue.publishing, "forward", forward)
    handler: Any = ForwardHandler(
        producer=None,  # type: ignore[arg-type]
        new_reader=None,  # type: ignore[arg-type]
    )
    ended = await handler._outcome(task, None)
    assert forwarded == ([] if is_same else [TASKS.name])
    assert isinstance(ended, TaskFailed) is is_same
