"""Gaps, and publishing again: what is missing, and which records are picked."""

from __future__ import annotations

import uuid

import pytest
from aiokafka import TopicPartition

from services.extractor.tasks.repair import still_missing
from services.extractor.tasks.requeue import picked
from services.normalizer.unify import unify
from shared.kafka.gap_aware_consumer import gap
from shared.messages.headers import Place, is_republished, marked, place_of
from shared.messages.run_events import DataGap
from shared.messages.serialization import encode, raw
from shared.messages.tasks import PagePlace, PageRange, RequeueRecords
from shared.ranges import ranges, ranges_text
from tests.support.pages import candle, raw_page

WHERE = TopicPartition("ingest.unified", 3)


@pytest.mark.parametrize(
    ("position", "remembered", "begin", "end", "expected"),
    [
        (None, None, 0, 0, None),  # a new installation
        (None, None, 0, 9, None),
        (None, None, 4, 9, (0, "unknown_position")),
        (3, None, 4, 9, (3, "retention")),
        (None, 3, 4, 9, (3, "retention")),
        (None, 5, 4, 9, None),  # only what the group had committed is lost: everything that is there is read again
        (12, None, 0, 9, (12, "recreated")),
        (None, 12, 0, 9, (12, "recreated")),
        (None, 9, 0, 9, None),
    ],
)
def test_what_is_missing(position: int | None, remembered: int | None, begin: int, end: int, expected: tuple[int, str] | None) -> None:
    found = gap(WHERE, position, remembered, begin, end, "loader")
    wanted = expected and DataGap(
        topic="ingest.unified", partition=3, first_missing=expected[0], first_available=begin, group="loader", reason=expected[1]
    )
    assert found == wanted


def test_numbers_as_ranges() -> None:
    assert ranges([7, 1, 2, 2, 3]) == [(1, 3), (7, 7)]
    assert ranges_text([7, 1, 2, 3]) == "1–3, 7"
    assert ranges_text(range(0, 40, 2)).endswith("and 10 more ranges")


def test_a_rest_is_read_from_after_the_page_before_it() -> None:
    found = {2: raw_page(page_no=2, cursor_after=raw({"offset": 2})), 5: raw_page(page_no=5, cursor_after=raw({"offset": 5}))}
    rest = still_missing([PageRange(first=1, last=3, cursor="1"), PageRange(first=5, last=7, cursor="2", offset=9)], found)
    assert [(each.first, each.last, each.cursor, each.offset) for each in rest] == [
        (1, 1, "1", None), (3, 3, '{"offset":2}', None), (6, 7, '{"offset":5}', 9),
    ]  # fmt: skip
    assert still_missing([PageRange(first=2, last=2, cursor="1")], found) == []


def requeued(page_no: int = 0, **place: object) -> tuple[RequeueRecords, PagePlace]:
    run = str(uuid.uuid4())
    where = PagePlace(page_id=str(uuid.uuid4()), partition=0, offset=3, time_ms=4, **place)  # type: ignore[arg-type]
    return RequeueRecords(run_id=run, task_id=str(uuid.uuid4()), source="csv", stream="csv/sample/btc-usd.csv", pages=[where]), where


def test_a_requeued_record_keeps_its_line_and_row() -> None:
    page = raw_page([candle(1), candle(2), ["2024-01-03", "x", "2", "0.5", "1", "9"], candle(4)])
    task, place = requeued(records=[2])
    again = picked(page, task, place, 7)
    assert again is not None
    assert (again.run_id, again.page_no, again.record_count) == (task.run_id, 7, 1)
    _, unified = unify(encode(again), partition=0, offset=0, broker_ms=0)
    assert unified.rejected[0].origin == {"path": "sample/btc-usd.csv", "row": 3, "line": 4}
    assert picked(page, task, place, 7) == again


def test_a_whole_page_is_requeued_whole_and_an_empty_choice_is_none() -> None:
    task, place = requeued()
    whole = picked(raw_page([candle(1), candle(2)]), task, place, 0)
    assert whole is not None
    assert whole.record_count == 2
    task, place = requeued(records=[9])
    assert picked(raw_page([candle(1)]), task, place, 0) is None


def test_headers_carry_the_first_place() -> None:
    headers = marked([("ce_id", b"x"), ("first_offset", b"1")], Place(41, 1_700_000_000_123))
    assert is_republished(headers)
    assert place_of(dict(headers), Place(99, 5)) == Place(41, 1_700_000_000_123)
    assert place_of(marked([], None), Place(99, 5)) == Place(99, 5)
    assert not is_republished([("ce_id", b"x")])
    assert not is_republished(None)
