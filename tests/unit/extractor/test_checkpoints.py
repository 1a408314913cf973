"""Recovery of a stream's position."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import msgspec

from services.extractor.checkpoints import (
    CheckpointStore,
    after_page,
    finished,
    published,
    recover,
)
from shared.identity.ids import task_id
from shared.messages.checkpoints import Checkpoint, TaskProgress
from shared.messages.pages import RawPage
from shared.messages.serialization import encode, raw_json, to_python
from shared.messages.tasks import FetchStream
from tests.support.fakes import Tail
from tests.support.pages import raw_page

RUN = str(uuid.uuid4())


STREAM = "csv/sample/btc-usd.csv"


START = Checkpoint(
    stream=STREAM, cursor=raw_json(None), raw_partition=0, raw_offset=-1
)


def task(run_id: str = RUN, **more: Any) -> FetchStream:
    return FetchStream(
        run_id=run_id,
        task_id=task_id(run_id, STREAM),
        source="csv",
        stream=STREAM,
        **more,
    )


def page(number: int, run_id: str = RUN, stream: str = STREAM) -> RawPage:
    return raw_page(
        run_id=run_id,
        stream=stream,
        page_no=number,
        task_id=task_id(run_id, stream),
        cursor_after=raw_json({"offset": 100 * (number + 1)}),
    )


def recovered(
    checkpoint: Checkpoint, wanted: FetchStream, *pages: RawPage
) -> Checkpoint:
    tail = Tail(list(pages))
    return asyncio.run(
        recover(checkpoint, wanted, tail, tail.new_reader)  # type: ignore[arg-type]
    )


def test_a_task_goes_on_after_its_last_page_in_the_topic() -> None:
    other = page(0, stream="csv/other.csv")
    position = recovered(START, task(), page(0), other, page(1), other)
    assert position.current is not None
    assert (
        position.current.pages,
        position.current.records,
        to_python(position.cursor),
        position.raw_offset,
    ) == (2, 2, {"offset": 200}, 2)


def test_a_page_that_lies_there_twice_counts_once() -> None:
    position = recovered(START, task(), page(0), page(0), page(1))
    assert position.current is not None
    assert (position.current.pages, position.current.records) == (2, 2)


def test_pages_of_another_run_move_the_cursor_and_not_the_count() -> None:
    position = recovered(START, task(), page(0, run_id=str(uuid.uuid4())))
    assert position.current is not None
    assert (position.current.pages, to_python(position.cursor)) == (
        0,
        {"offset": 100},
    )


def test_a_full_refresh_starts_anew_and_sees_only_its_own_pages() -> None:
    old = msgspec.structs.replace(START, cursor=raw_json({"offset": 900}))
    assert (
        to_python(
            recovered(
                old,
                task(full_refresh=True),
                page(0, run_id=str(uuid.uuid4())),
            ).cursor
        )
        is None
    )
    assert to_python(
        recovered(old, task(full_refresh=True), page(0)).cursor
    ) == {"offset": 100}


def test_recovery_begins_at_the_checkpoint_or_where_the_task_was_planned() -> (
    None
):
    checkpoint = published(
        after_page(
            msgspec.structs.replace(
                START,
                current=TaskProgress(
                    run_id=RUN, task_id=task_id(RUN, STREAM)
                ),
            ),
            page(0),
        ),
        0,
        0,
        0,
    )
    assert recovered(checkpoint, task(), page(0), page(1)).raw_offset == 1
    assert (
        recovered(START, task(raw_offset=2), page(0), page(1)).raw_offset
        == -1
    )


def test_a_checkpoint_of_a_topic_that_was_created_again_is_read_from_its_beginning() -> (
    None
):
    old = msgspec.structs.replace(START, raw_offset=5000)
    assert recovered(old, task(), page(0), page(1)).raw_offset == 1


def test_a_task_knows_where_its_stream_stood_before() -> None:
    before = msgspec.structs.replace(
        START, cursor=raw_json({"offset": 7})
    )
    position = recovered(before, task(full_refresh=True), page(0))
    assert position.current is not None
    assert position.current.cursor_before == '{"offset":7}'
    behind_another = recovered(
        before, task(), page(0, run_id=str(uuid.uuid4())), page(0)
    )
    assert behind_another.current is not None
    assert behind_another.current.cursor_before == '{"offset":100}'
    assert finished(position).finished[0].cursor_before is None


def test_late_pages_of_a_process_that_was_frozen_move_nothing() -> None:
    other = str(uuid.uuid4())
    late = page(0, run_id=other)
    unfinished = recovered(
        START, task(), late, page(1, run_id=other), late
    )
    assert to_python(unfinished.cursor) == {"offset": 200}
    own = recovered(START, task(), page(1, run_id=other), page(0), late)
    assert to_python(own.cursor) == {"offset": 100}
    done = TaskProgress(
        run_id=other, task_id=task_id(other, STREAM), pages=2
    )
    at_its_end = msgspec.structs.replace(
        START, cursor=raw_json({"offset": 200}), finished=[done]
    )
    assert to_python(recovered(at_its_end, task(), late).cursor) == {
        "offset": 200
    }


async def test_a_checkpoint_that_does_not_count_further_is_ignored() -> (
    None
):
    store = CheckpointStore("nowhere", None)  # type: ignore[arg-type]

    def follow(sequence: int, offset: int) -> int:
        value = encode(
            msgspec.structs.replace(
                START, sequence=sequence, raw_offset=offset
            )
        )
        store._on_record(
            type(
                "Record",
                (),
                {
                    "key": STREAM.encode(),
                    "value": value,
                    "partition": 0,
                    "offset": 0,
                    "timestamp": 1_700_000_000_000,
                },
            )
        )
        return store._latest[STREAM].raw_offset

    assert [
        follow(1, 10),
        follow(2, 20),
        follow(2, 15),
        follow(3, 30),
        follow(0, 40),
    ] == [
        10,
        20,
        20,
        30,
        40,
    ]


def test_a_task_that_was_lost_counts_on_from_what_is_loaded() -> None:
    current = recovered(START, task(pages=3, records=1500)).current
    assert current is not None
    assert (current.pages, current.records) == (3, 1500)


def test_the_last_fifty_finished_tasks_are_remembered() -> None:
    position = START
    for _ in range(60):
        position = finished(
            msgspec.structs.replace(
                position,
                current=TaskProgress(
                    run_id=RUN, task_id=str(uuid.uuid4())
                ),
            )
        )
    assert (len(position.finished), position.current) == (50, None)
