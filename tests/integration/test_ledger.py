"""What runs add up to when messages and pages come twice, late, or in the wrong order."""

from __future__ import annotations

import time
import uuid
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine

from services.loader.dead_letters import requeue
from services.loader.pages.staged_page import StagedPage
from services.loader.pages.transaction import write_pages
from services.loader.runs import (
    event_handlers,
    failing_sources,
    ledger,
    repair,
)
from services.loader.runs.event_handlers import ReceivedMessage
from shared.messages.commands import (
    DeadLetterFilter,
    RequeueDeadLetters,
    StartIngestion,
)
from shared.messages.run_events import (
    PagesRepaired,
    PlannedTask,
    RunEnded,
    RunPlanned,
    TaskFinished,
    TaskStarted,
    TaskStopped,
)
from shared.messages.serialization import encode
from shared.messages.tasks import RepairPages
from tests.integration.conftest import Query
from tests.support.pages import candle, raw_page, unified_page

STREAM = "csv/sample/btc-usd.csv"


class Run:
    """A run of one task, told to the tables message by message."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.id = engine, str(uuid.uuid4())
        self.task = {
            "run_id": self.id,
            "task_id": str(uuid.uuid5(uuid.UUID(self.id), STREAM)),
            "source": "csv",
            "stream": STREAM,
        }
        planned = PlannedTask(
            task_id=self.task["task_id"], source="csv", stream=STREAM
        )
        self.tell(
            StartIngestion(run_id=self.id, streams=[STREAM]),
            RunPlanned(run_id=self.id, tasks=[planned]),
        )
        self.tell(TaskStarted(**self.task, cursor_before='{"offset":7}'))

    def tell(self, *messages: Any) -> None:
        with self.engine.begin() as transaction:
            for message in messages:
                event_handlers.apply(
                    transaction,
                    ReceivedMessage(message, int(time.time() * 1000)),
                )

    def load(
        self,
        page_no: int,
        records: list[Any] | None = None,
        offset: int = 0,
    ) -> None:
        page = raw_page(
            [candle(page_no + 1)] if records is None else records,
            run_id=self.id,
            page_no=page_no,
        )
        write_pages(
            self.engine,
            [
                StagedPage.from_message(
                    encode(unified_page(page, offset=offset or page_no))
                )
            ],
        )

    def status(self) -> str | None:
        with self.engine.begin() as transaction:
            return ledger.evaluate(transaction, self.id, 600)


def test_a_page_that_comes_after_the_end_of_its_task_does_not_open_the_run_again(
    engine: Engine, query: Query
) -> None:
    run = Run(engine)
    run.load(0)
    run.tell(TaskFinished(**run.task, pages=1, records=1))
    assert run.status() == "succeeded"
    run.load(1)
    run.tell(TaskFinished(**run.task, pages=2, records=2))
    assert run.status() == "succeeded"
    assert query(
        "SELECT finished_at IS NOT NULL, (totals->>'records')::int FROM runs"
    ) == [(True, 1)]
    assert query("SELECT count(*) FROM unified_data") == [(1,)]
    assert query("SELECT reason, count FROM dead_letters") == [
        ("superseded_page", 1)
    ]


def test_that_a_run_is_over_does_not_bring_back_a_run_that_is_gone(
    engine: Engine, query: Query
) -> None:
    run = Run(engine)
    query("DELETE FROM runs RETURNING 1")
    run.tell(RunEnded(run_id=run.id, kind="ingest", status="succeeded"))
    run.tell(
        TaskStopped(
            run_id=run.id, task_id=run.task["task_id"], message="bad"
        )
    )
    assert query("SELECT run_id FROM runs") == []


def test_a_run_misses_records_too_and_not_only_pages(
    engine: Engine,
) -> None:
    run = Run(engine)
    run.load(0)
    run.tell(TaskFinished(**run.task, pages=1, records=2))
    assert run.status() == "running"


def test_a_repair_asks_for_what_is_missing_once_in_a_while(
    engine: Engine, query: Query
) -> None:
    run = Run(engine)
    for page_no in (1, 4):
        run.load(page_no, offset=40 + page_no)
    run.tell(TaskFinished(**run.task, pages=6, records=6))
    query(
        "UPDATE runs SET last_progress_at = now() - interval '1 hour' RETURNING 1"
    )

    def asked(*, is_quiet: bool) -> list[Any]:
        with engine.begin() as transaction:
            return repair.repair(
                transaction, run.id, after_s=60, is_quiet=is_quiet
            )

    assert asked(is_quiet=False) == []  # something may be on its way
    (task,) = asked(is_quiet=True)
    assert isinstance(task, RepairPages)
    assert [
        (each.first, each.last, each.cursor, each.offset)
        for each in task.missing
    ] == [
        (0, 0, '{"offset":7}', 40),
        (2, 3, '{"offset":1}', 41),
        (5, 5, '{"offset":1}', 44),
    ]
    assert asked(is_quiet=True) == []  # not again at once
    run.tell(
        PagesRepaired(
            run_id=run.id,
            task_id=run.task["task_id"],
            stream=STREAM,
            lost=[0],
        )
    )
    assert query("SELECT error->>'code' FROM run_tasks") == [
        ("pages_lost",)
    ]
    run.tell(
        PagesRepaired(
            run_id=run.id,
            task_id=run.task["task_id"],
            stream=STREAM,
            from_source=[0],
        )
    )
    assert query("SELECT error FROM run_tasks") == [(None,)]


def test_a_requeue_that_is_delivered_again_takes_nothing_more(
    engine: Engine, query: Query
) -> None:
    run = Run(engine)
    run.load(0, [candle(1), ["x"]])
    command = RequeueDeadLetters(
        run_id=str(uuid.uuid4()),
        letters=DeadLetterFilter(reason="wrong_column_count"),
    )
    run.tell(command)
    with engine.begin() as transaction:
        first = requeue.tasks(transaction, command.run_id)
    run.load(1, [["x"]])
    run.tell(command)
    with engine.begin() as transaction:
        assert requeue.tasks(transaction, command.run_id) == first
    assert query(
        "SELECT status, count(*) FROM dead_letters GROUP BY status ORDER BY status"
    ) == [
        ("open", 1),
        ("requeued", 1),
    ]


def test_a_source_that_is_bad_is_told_by_its_last_pages_or_by_its_share(
    engine: Engine,
) -> None:
    run = Run(engine)

    def stopped() -> list[TaskStopped]:
        with engine.begin() as transaction:
            return list(
                failing_sources.bad_tasks(
                    transaction, pages=3, share=0.75
                )
            )

    run.load(0)
    run.load(1, [["x"]])
    run.load(2, [["x"], ["x"]])
    assert [each.message.partition(" (")[0] for each in stopped()] == [
        "3 of 4 records were rejected"
    ]
    run.load(3, [candle(5)])
    assert stopped() == []
    for page_no in (4, 5, 6):
        run.load(page_no, [["x"]])
    assert [each.message.partition(" (")[0] for each in stopped()] == [
        "the last 3 pages were rejected whole"
    ]
    assert "the row has 1 cells, the header 6" in stopped()[0].message


@pytest.mark.parametrize(
    "field",
    [
        {"fetched_at": "no time"},
        {"cursor_after": msgspec.Raw(b'"\\u0000"')},
        {"origin": msgspec.Raw(b'{"path": "\\u0000"}')},
    ],
)
def test_a_page_of_which_nothing_can_be_stored_is_a_dead_letter_and_its_neighbours_load(
    engine: Engine, query: Query, field: dict[str, Any]
) -> None:
    run = Run(engine)
    bad = raw_page([candle(1)], run_id=run.id, page_no=0, **field)
    good = raw_page([candle(2)], run_id=run.id, page_no=1)
    pages = [
        StagedPage.from_message(encode(unified_page(page, offset=n)))
        for n, page in enumerate((bad, good))
    ]
    assert write_pages(engine, pages) == 2
    assert query(
        'SELECT reason, topic, "offset", page_id FROM dead_letters'
    ) == [("refused_by_database", "ingest.raw", 0, bad.page_id)]
    assert query(
        "SELECT rejected FROM page_receipts ORDER BY page_no"
    ) == [(1,), (0,)]
    assert query("SELECT count(*) FROM unified_data") == [(1,)]
