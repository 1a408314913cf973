"""Planning, offsets, recovery of a stream's position."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import msgspec
import pytest

from services.extractor import raw_topic
from services.extractor.checkpoints import CheckpointStore, after_page, finished, recover
from services.extractor.planner import MAX_ERRORS, TASKS_A_MESSAGE, _parts, plan
from services.extractor.sources.base import (
    Slice,
    SourceConnector,
    StreamInfo,
    canonical,
    clean,
    paginate,
    parse_json,
)
from services.extractor.sources.coinpaprika.tickers import CoinPaprika
from services.extractor.task_worker import OffsetTracker
from services.extractor.tasks.fetch import _noted, in_groups
from shared.errors import TaskError
from shared.messages.checkpoints import Checkpoint, TaskProgress
from shared.messages.commands import Selection, StartIngestion
from shared.messages.headers import Place
from shared.messages.identity import task_id
from shared.messages.pages import RawPage
from shared.messages.run_events import PlannedTask, RunError, RunPlanned
from shared.messages.serialization import encode, plain, raw
from shared.messages.tasks import FetchStream
from tests.support.pages import raw_page

RUN = str(uuid.uuid4())


class Listed(SourceConnector):
    """A source that only lists streams."""

    def __init__(self, name: str, *streams: str) -> None:
        self.name, self._streams = name, streams

    async def streams(self) -> list[StreamInfo]:
        return [StreamInfo(f"{self.name}/{stream}", stream) for stream in self._streams]

    def nothing_configured(self) -> str:
        return f"{self.name} is not set up"

    def fetch(self, *_asked: Any, **_more: Any) -> AsyncIterator[Slice]:
        raise NotImplementedError


SOURCES: dict[str, Any] = {"csv": Listed("csv", "a.csv", "b.csv"), "rss": Listed("rss", "desk"), "coinpaprika": Listed("coinpaprika")}


def planned(**command: Any) -> RunPlanned:
    return asyncio.run(plan(StartIngestion(run_id=RUN, **command), SOURCES))


def test_without_a_wish_every_stream_is_planned_and_empty_sources_are_said() -> None:
    result = planned()
    assert [task.stream for task in result.tasks] == ["csv/a.csv", "csv/b.csv", "rss/desk"]
    assert result.notes == ["coinpaprika: no streams, coinpaprika is not set up"]
    assert [task.task_id for task in result.tasks] == [task_id(RUN, task.stream) for task in planned().tasks]


@pytest.mark.parametrize(
    ("wish", "streams", "codes"),
    [
        ({"sources": ["rss"]}, ["rss/desk"], []), ({"streams": ["csv/b.csv"]}, ["csv/b.csv"], []), ({"streams": []}, [], []), ({"sources": []}, [], []),
        ({"streams": ["csv/x.csv", "rss/desk"]}, ["rss/desk"], ["unknown_stream"]), ({"sources": ["nasdaq"]}, [], ["unknown_source"]), ({"sources": ["rss"], "streams": ["csv/a.csv"]}, [], ["unknown_stream"]),
    ],
)  # fmt: skip
def test_wishes(wish: dict[str, Any], streams: list[str], codes: list[str]) -> None:
    result = planned(**wish)
    assert ([task.stream for task in result.tasks], [error.code for error in result.errors]) == (streams, codes)


def test_days_are_planned_as_streams_of_their_own() -> None:
    async def plan_days(**wish: Any) -> RunPlanned:
        source = CoinPaprika(None, api_url="https://x.example", coin_ids=["btc-bitcoin", "eth-ethereum"])  # type: ignore[arg-type]
        return await plan(StartIngestion(run_id=RUN, start="2024-01-01", end="2024-03-01", **wish), {**SOURCES, "coinpaprika": source})

    result = asyncio.run(plan_days())
    days = "2024-01-01..2024-03-01"
    assert [task.stream for task in result.tasks] == [
        f"coinpaprika/{coin}/{kind}/{days}" for coin in ("btc-bitcoin", "eth-ethereum") for kind in ("ohlcv", "historical")
    ]
    assert result.notes == []
    one = asyncio.run(plan_days(streams=["coinpaprika/btc-bitcoin"]))
    assert [task.stream for task in one.tasks] == [f"coinpaprika/btc-bitcoin/{kind}/{days}" for kind in ("ohlcv", "historical")]
    nothing = asyncio.run(plan_days(sources=["csv"]))
    assert (nothing.tasks, "no source that was asked for has a history" in nothing.notes[0]) == ([], True)


def test_what_is_said_of_a_stream_can_be_stored() -> None:
    position = Checkpoint(stream="csv/a.csv", cursor=raw(None), raw_partition=0, raw_offset=-1)
    noted = _noted(position, note="a\x00b", profile={"columns": ["a\x00b", "\ud800"]})
    assert noted.current is not None
    assert (noted.current.notes, noted.current.profile) == (["a\ufffdb"], {"columns": ["a\ufffdb", "\ufffd"]})


def test_a_plan_of_any_size_fits_into_messages() -> None:
    tasks = [PlannedTask(task_id=task_id(RUN, str(n)), source="csv", stream=f"csv/{n}") for n in range(TASKS_A_MESSAGE * 2 + 1)]
    errors = [RunError(code="unknown_stream", message="?", source="csv")] * (MAX_ERRORS + 5)
    parts = _parts(RunPlanned(run_id=RUN, tasks=tasks, errors=errors))
    assert [part.is_last for part in parts] == [False, False, True]
    assert [task for part in parts for task in part.tasks] == tasks
    assert parts[-1].errors[-1].code == "more_errors"
    assert [part.is_last for part in _parts(RunPlanned(run_id=RUN))] == [True]


def test_offsets_are_committed_up_to_the_first_that_is_still_at_work() -> None:
    tracker = OffsetTracker()
    for offset in (5, 6, 8):
        tracker.begin(offset)
    assert [tracker.finish(6), tracker.finish(5), tracker.finish(8)] == [None, 7, 9]


class Tail:
    """The end of a raw partition, in memory: the consumer as `recover` uses it."""

    def __init__(self, pages: list[RawPage], first: int = 0) -> None:
        self._records = [
            type("Record", (), {"offset": first + n, "key": page.stream.encode(), "value": encode(page), "headers": ()})
            for n, page in enumerate(pages)
        ]
        self._first, self._at = first, first

    async def beginning_offsets(self, partitions: list[Any]) -> dict[Any, int]:
        return dict.fromkeys(partitions, self._first)

    async def end_offsets(self, partitions: list[Any]) -> dict[Any, int]:
        return dict.fromkeys(partitions, self._first + len(self._records))

    def assign(self, _partitions: list[Any]) -> None: ...

    def seek(self, _partition: Any, offset: int) -> None:
        self._at = offset

    async def position(self, _partition: Any) -> int:
        return self._at

    async def getmany(self, partition: Any, timeout_ms: int) -> dict[Any, list[Any]]:
        records = [record for record in self._records if record.offset >= self._at][:2]
        self._at += len(records)
        return {partition: records}


STREAM = "csv/sample/btc-usd.csv"
START = Checkpoint(stream=STREAM, cursor=raw(None), raw_partition=0, raw_offset=-1)


def task(run_id: str = RUN, **more: Any) -> FetchStream:
    return FetchStream(run_id=run_id, task_id=task_id(run_id, STREAM), source="csv", stream=STREAM, **more)


def page(number: int, run_id: str = RUN, stream: str = STREAM) -> RawPage:
    return raw_page(
        run_id=run_id, stream=stream, page_no=number, task_id=task_id(run_id, stream), cursor_after=raw({"offset": 100 * (number + 1)})
    )


def recovered(checkpoint: Checkpoint, wanted: FetchStream, *pages: RawPage) -> Checkpoint:
    return asyncio.run(recover(checkpoint, wanted, Tail(list(pages))))  # type: ignore[arg-type]


def test_a_task_goes_on_after_its_last_page_in_the_topic() -> None:
    other = page(0, stream="csv/other.csv")
    position = recovered(START, task(), page(0), other, page(1), other)
    assert position.current is not None
    assert (position.current.pages, position.current.records, plain(position.cursor), position.raw_offset) == (2, 2, {"offset": 200}, 2)


def test_a_page_that_lies_there_twice_counts_once() -> None:
    position = recovered(START, task(), page(0), page(0), page(1))
    assert position.current is not None
    assert (position.current.pages, position.current.records) == (2, 2)


def test_pages_of_another_run_move_the_cursor_and_not_the_count() -> None:
    position = recovered(START, task(), page(0, run_id=str(uuid.uuid4())))
    assert position.current is not None
    assert (position.current.pages, plain(position.cursor)) == (0, {"offset": 100})


def test_a_full_refresh_starts_anew_and_sees_only_its_own_pages() -> None:
    old = msgspec.structs.replace(START, cursor=raw({"offset": 900}))
    assert plain(recovered(old, task(full_refresh=True), page(0, run_id=str(uuid.uuid4()))).cursor) is None
    assert plain(recovered(old, task(full_refresh=True), page(0)).cursor) == {"offset": 100}


def test_recovery_begins_at_the_checkpoint_or_where_the_task_was_planned() -> None:
    checkpoint = after_page(msgspec.structs.replace(START, current=TaskProgress(run_id=RUN, task_id=task_id(RUN, STREAM))), page(0), 0)
    assert recovered(checkpoint, task(), page(0), page(1)).raw_offset == 1
    assert recovered(START, task(raw_offset=2), page(0), page(1)).raw_offset == -1


def test_a_checkpoint_of_a_topic_that_was_created_again_is_read_from_its_beginning() -> None:
    old = msgspec.structs.replace(START, raw_offset=5000)
    assert recovered(old, task(), page(0), page(1)).raw_offset == 1


def test_a_task_knows_where_its_stream_stood_before() -> None:
    before = msgspec.structs.replace(START, cursor=raw({"offset": 7}))
    position = recovered(before, task(full_refresh=True), page(0))
    assert position.current is not None
    assert position.current.cursor_before == '{"offset":7}'
    behind_another = recovered(before, task(), page(0, run_id=str(uuid.uuid4())), page(0))
    assert behind_another.current is not None
    assert behind_another.current.cursor_before == '{"offset":100}'
    assert finished(position).finished[0].cursor_before is None


def test_late_pages_of_a_process_that_was_frozen_move_nothing() -> None:
    other = str(uuid.uuid4())
    late = page(0, run_id=other)
    unfinished = recovered(START, task(), late, page(1, run_id=other), late)
    assert plain(unfinished.cursor) == {"offset": 200}
    own = recovered(START, task(), page(1, run_id=other), page(0), late)
    assert plain(own.cursor) == {"offset": 100}
    done = TaskProgress(run_id=other, task_id=task_id(other, STREAM), pages=2)
    at_its_end = msgspec.structs.replace(START, cursor=raw({"offset": 200}), finished=[done])
    assert plain(recovered(at_its_end, task(), late).cursor) == {"offset": 200}


async def test_a_checkpoint_that_does_not_count_further_is_ignored() -> None:
    store = CheckpointStore("nowhere", None)  # type: ignore[arg-type]

    def follow(sequence: int, offset: int) -> int:
        value = encode(msgspec.structs.replace(START, sequence=sequence, raw_offset=offset))
        store._on_record(
            type("Record", (), {"key": STREAM.encode(), "value": value, "partition": 0, "offset": 0, "timestamp": 1_700_000_000_000})
        )
        return store._latest[STREAM].raw_offset

    assert [follow(1, 10), follow(2, 20), follow(2, 15), follow(3, 30), follow(0, 40)] == [10, 20, 20, 30, 40]


def test_a_task_that_was_lost_counts_on_from_what_is_loaded() -> None:
    current = recovered(START, task(pages=3, records=1500)).current
    assert current is not None
    assert (current.pages, current.records) == (3, 1500)


def test_the_last_fifty_finished_tasks_are_remembered() -> None:
    position = START
    for _ in range(60):
        position = finished(msgspec.structs.replace(position, current=TaskProgress(run_id=RUN, task_id=str(uuid.uuid4()))))
    assert (len(position.finished), position.current) == (50, None)


def test_what_jsonb_cannot_hold_is_replaced_and_marked() -> None:
    encoded, repaired = canonical([["a\x00b", "\ud800"], {"\x00": 1}])
    assert repaired
    assert b"\\u0000" not in encoded
    assert clean("a\x00b") == "a\ufffdb"
    assert canonical(["ünï", 1.5])[1] is False


def test_pages_are_bounded_and_what_fits_none_is_rejected() -> None:
    pages = list(paginate([{"n": n} for n in range(501)] + [{"x": "y" * 600_000}]))
    assert [len(records) for records, _ in pages] == [500, 1]
    assert [r.reason for _, rejections in pages for r in rejections] == ["record_too_large"]


@pytest.mark.parametrize("body", [b"<html>", b"{", b"", b'{"a": NaN}', b"[" * 5000])
def test_what_is_no_json_is_a_broken_contract(body: bytes) -> None:
    with pytest.raises(TaskError) as caught:
        parse_json(body, "it")
    assert caught.value.code == "contract"


def test_json_keeps_exact_numbers_and_survives_lone_surrogates() -> None:
    assert encode(parse_json(b'{"p": 38054.559248568123456789, "s": "\\ud800"}', "it")["p"]) == b"38054.559248568123456789"
    assert parse_json(b"[1e200000]", "it") == ["1e200000"]


async def _numbers(count: int, error: Exception | None = None) -> AsyncGenerator[int, None]:
    for number in range(count):
        yield number
        await asyncio.sleep(0)
    if error is not None:
        raise error


async def test_groups_hold_all_in_order_and_the_error_comes_last() -> None:
    seen: list[int] = []

    async def collect() -> None:
        async for group in in_groups(_numbers(11, TaskError("contract", "broken")), 4):
            assert 1 <= len(group) <= 4
            seen.extend(group)
            await asyncio.sleep(0.001)

    with pytest.raises(TaskError, match="broken"):
        await collect()
    assert seen == list(range(11))
    assert [group async for group in in_groups(_numbers(0), 4)] == []


async def test_leaving_the_groups_early_closes_what_is_read() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncGenerator[int, None]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    groups = in_groups(endless(), 4)
    assert await anext(groups) != []
    await groups.aclose()
    assert closed.is_set()


@pytest.mark.parametrize(
    ("first", "offsets", "is_cut_off"), [(5, [5, 6, 7], False), (5, [6, 7], True), (3, [5, 6, 7], True), (None, [5, 6, 7], False)]
)
async def test_pages_that_retention_removes_while_they_are_replayed_are_noticed(
    first: int | None, offsets: list[int], is_cut_off: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Consumer:
        async def beginning_offsets(self, places: list[Any]) -> dict[Any, int]:
            return dict.fromkeys(places, 5)

        async def end_offsets(self, places: list[Any]) -> dict[Any, int]:
            return dict.fromkeys(places, 8)

    async def between(_consumer: Any, _where: Any, start: int, end: int) -> Any:
        assert (start, end) == (5, 8)
        for offset in offsets:
            yield type("Record", (), {"key": b"rss/news", "value": b"{}", "headers": (), "offset": offset, "timestamp": 0})

    monkeypatch.setattr(raw_topic.reading, "between", between)
    reading = raw_topic.TopicReading(Consumer(), 0, Selection(), None if first is None else Place(first, 0))
    assert [kept.place.offset async for kept in reading.pages()] == offsets
    assert reading.is_cut_off == is_cut_off
