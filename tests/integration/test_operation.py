"""What a year's operation needs: small runs, one row for equal dead letters, failed bad tasks."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine

from services.loader.pages.staged_page import StagedPage
from services.loader.pages.transaction import write_pages
from services.loader.retention import Retention
from services.loader.runs import task_cursors
from shared.messages.commands import DeadLetterFilter, RequeueDeadLetters
from shared.messages.run_events import TaskFinished, TaskStarted
from shared.messages.serialization import encode
from tests.integration.conftest import Query
from tests.integration.test_ledger import Run
from tests.support.pages import (
    CANDLE_COLUMNS,
    candle,
    raw_page,
    unified_page,
)

BAD = candle(1, close="abc")
MANY = [candle(day) for day in range(1, 15)]


def ended(run: Run, records: list[Any], **more: Any) -> str | None:
    """The status of a run whose one page has these records."""
    run.load(0, records, **more)
    run.tell(TaskFinished(**run.task, pages=1, records=len(records)))
    return run.status()


# -- equal dead letters ---------------------------------------------------------------------------


def test_what_is_rejected_again_counts_in_one_row(
    engine: Engine, query: Query
) -> None:
    first, second = Run(engine), Run(engine)
    ended(first, [*MANY, BAD], offset=1)
    ended(second, [*MANY, BAD, BAD], offset=2)
    assert query(
        "SELECT count, status, first_run_id::text, run_id::text, record_index FROM dead_letters"
    ) == [(3, "open", first.id, second.id, 15)]
    assert dict(
        query("SELECT run_id::text, count FROM dead_letter_runs")
    ) == {first.id: 1, second.id: 2}
    assert query("SELECT sum(rejected) FROM page_receipts") == [(3,)]


def test_one_of_another_field_or_payload_has_a_row_of_its_own(
    engine: Engine, query: Query
) -> None:
    records = [*MANY, BAD, candle(1, close="abd"), candle(2, close="abc")]
    ended(Run(engine), records)
    assert query("SELECT count(*), sum(count) FROM dead_letters") == [
        (3, 3)
    ]


def test_a_letter_that_a_run_processes_keeps_its_place(
    engine: Engine, query: Query
) -> None:
    first = Run(engine)
    ended(first, [*MANY, BAD], offset=1)
    again = Run(engine)
    again.tell(
        RequeueDeadLetters(
            run_id=again.id, letters=DeadLetterFilter(run_id=first.id)
        )
    )
    query(
        "UPDATE dead_letters SET status = 'requeued', requeued_run_id = %s RETURNING 1",
        again.id,
    )
    ended(Run(engine), [*MANY, BAD], offset=2)
    assert sorted(
        query(
            "SELECT status, run_id::text = %s FROM dead_letters", first.id
        )
    ) == [("open", False), ("requeued", True)]


def test_one_that_was_discarded_is_open_when_it_comes_again(
    engine: Engine, query: Query
) -> None:
    ended(Run(engine), [*MANY, BAD], offset=1)
    query("UPDATE dead_letters SET status = 'discarded' RETURNING 1")
    ended(Run(engine), [*MANY, BAD], offset=2)
    assert query("SELECT status, count FROM dead_letters") == [
        ("open", 2)
    ]


def test_a_page_that_comes_twice_counts_once(
    engine: Engine, query: Query
) -> None:
    page = StagedPage.from_message(
        encode(unified_page(raw_page([*MANY, BAD])))
    )
    write_pages(engine, [page])
    write_pages(engine, [page])
    assert query("SELECT count FROM dead_letters") == [(1,)]
    assert query("SELECT count FROM dead_letter_runs") == [(1,)]


# -- tasks of which nothing comes -----------------------------------------------------------------


def test_a_task_whose_records_are_nearly_all_rejected_has_failed(
    engine: Engine, query: Query
) -> None:
    run = Run(engine)
    bad = [candle(day, close="abc") for day in range(1, 30)]
    assert ended(run, [candle(30), *bad]) == "failed"
    ((status, error),) = query(
        "SELECT status, error::text FROM run_tasks"
    )
    found = json.loads(error)
    assert (status, found["code"]) == ("failed", "nearly_all_rejected")
    assert "29 of 30 records" in found["message"]
    assert "not_a_number" in found["message"]
    ((message,),) = query("SELECT message FROM runs")
    assert found["message"][:60] in message


def test_a_task_with_some_rejections_has_not(engine: Engine) -> None:
    assert ended(Run(engine), [*MANY, BAD]) == "partial"


def test_skipped_records_are_kept_with_reason_and_name(
    engine: Engine, query: Query
) -> None:
    empty = ["2024-01-20", "", "", "", "", ""]
    ended(Run(engine), [*MANY, empty])
    assert query(
        "SELECT skip_reasons::text, skip_examples::text FROM page_receipts"
    ) == [('{"no_value": 1}', '{"no_value": ["line 16"]}')]


# -- a mended mapping.yaml ------------------------------------------------------------------------


def reading(run: Run, symbol: str, offset: int, broker_ms: int) -> None:
    """A run that reads the file from its start by this line of mapping.yaml."""
    rows = [["2024-01-01", "1"], ["2024-01-02", "2"]]
    page = raw_page(
        rows,
        run_id=run.id,
        stream=run.task["stream"],
        context={
            "path": "sample/btc-usd.csv",
            "columns": ["date", "price"],
            "sample": rows,
            "mapping": {"symbol": symbol},
        },
    )
    unified = unified_page(page, offset=offset, broker_ms=broker_ms)
    write_pages(
        engine_of(run), [StagedPage.from_message(encode(unified))]
    )
    run.tell(TaskFinished(**run.task, pages=1, records=2))
    run.status()


def engine_of(run: Run) -> Engine:
    return run.engine


def symbols(query: Query, *, retired: bool) -> list[str]:
    rows = query(
        "SELECT DISTINCT symbol FROM unified_data WHERE (retired_at IS NOT NULL) = %s ORDER BY 1",
        retired,
    )
    return [symbol for (symbol,) in rows]


def test_what_an_old_mapping_yielded_is_retired_and_said(
    engine: Engine, query: Query
) -> None:
    at = 1_700_000_000_000
    reading(Run(engine), "ada", 1, at)
    second = Run(engine)
    reading(second, "xrp", 2, at + 1)
    assert symbols(query, retired=False) == ["xrp"]
    assert symbols(query, retired=True) == ["ada"]
    ((notes,),) = query(
        "SELECT notes::text FROM runs WHERE run_id = %s", second.id
    )
    assert "2 data points" in notes
    reading(Run(engine), "ada", 3, at + 2)
    assert symbols(query, retired=False) == ["ada"]
    assert symbols(query, retired=True) == ["xrp"]


def test_another_reading_by_the_same_lines_retires_nothing(
    engine: Engine, query: Query
) -> None:
    at = 1_700_000_000_000
    for number in (1, 2):
        reading(Run(engine), "ada", number, at + number)
    assert symbols(query, retired=True) == []


# -- small runs -----------------------------------------------------------------------------------


def test_a_cursor_is_stored_once_and_whole(
    engine: Engine, query: Query
) -> None:
    evidence = {"columns": CANDLE_COLUMNS, "sample": [candle(1)] * 40}
    cursor = {"offset": 7, "dialect": {"context": evidence}, "row": None}
    runs = [Run(engine) for _ in range(3)]
    for number, run in enumerate(runs):
        query(
            "UPDATE run_tasks SET cursor_digest = NULL WHERE run_id = %s RETURNING 1",
            run.id,
        )
        text = json.dumps({**cursor, "offset": number // 2})
        run.tell(TaskStarted(**run.task, cursor_before=text))
    assert query(
        "SELECT count(*) FROM task_cursors WHERE length(cursor) > 500"
    ) == [(1,)]
    with engine.begin() as transaction:
        (task,) = transaction.exec_driver_sql(
            "SELECT cursor_digest::text, cursor_before FROM run_tasks WHERE run_id = %s",
            (runs[2].id,),
        )
        kept = task_cursors.kept(transaction, task)
    assert json.loads(kept or "") == {**cursor, "offset": 1}


def test_old_runs_go_when_nothing_of_them_is_kept(
    engine: Engine, query: Query
) -> None:
    idle, busy, rejecting = Run(engine), Run(engine), Run(engine)
    idle.tell(TaskFinished(**idle.task, pages=0, records=0))
    idle.status()
    ended(busy, MANY, offset=1)
    ended(rejecting, [*MANY, BAD], offset=2)
    query(
        "DELETE FROM raw_data WHERE run_id = %s RETURNING 1", rejecting.id
    )
    query(
        "UPDATE runs SET finished_at = finished_at - interval '2 days' RETURNING 1"
    )
    retention = Retention(
        engine, raw=None, revisions=None, runs=timedelta(days=1)
    )
    retention.prune()
    left = {run for (run,) in query("SELECT run_id::text FROM runs")}
    assert left == {busy.id, rejecting.id}
    assert query(
        "SELECT count(*) FROM run_tasks WHERE run_id = %s", idle.id
    ) == [(0,)]
    query("UPDATE dead_letters SET status = 'discarded' RETURNING 1")
    retention.prune()
    assert query("SELECT run_id::text FROM runs") == [(busy.id,)]
