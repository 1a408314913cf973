"""Which records of a page are published again."""

from __future__ import annotations

import uuid

from services.extractor.tasks.requeue import chosen_records
from services.normalizer.unify import unify
from shared.messages.serialization import encode
from shared.messages.tasks import PagePlace, RequeueRecords
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
