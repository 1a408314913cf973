"""What was asked is kept by stream, merged, with what came of it."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from services.loader.database import db_of
from services.loader.pages import asked
from services.loader.pages.asked import AskedOf
from services.loader.pages.staged_page import StagedPage
from services.loader.pages.transaction import write_pages
from shared.messages.asked import (
    Asked,
    AskedOutcome,
    asked_from,
    asked_now,
    merged,
)
from shared.messages.serialization import encode
from tests.integration.conftest import Query
from tests.support.pages import candle, raw_page, unified_page

DAY = datetime(2024, 1, 1, tzinfo=UTC)
RUN = str(uuid.uuid4())
STREAM = "coinpaprika/x"
SELECT = (
    "SELECT outcome, reason, every_s, first_at, last_at FROM asked"
    " WHERE stream = 'coinpaprika/x' ORDER BY 1, 2, 3, 4"
)


def keep(engine: Engine, *ranges: Asked) -> None:
    with engine.begin() as transaction:
        found = [AskedOf(STREAM, RUN, each) for each in ranges]
        asked.keep(db_of(transaction), found)


def test_whatever_comes_in_whatever_order_is_kept_in_as_few_rows_as_can_be(
    engine: Engine, query: Query
) -> None:
    chance = random.Random(4)
    told = []
    for _ in range(60):
        batch = []
        for _ in range(chance.randrange(1, 6)):
            first = DAY + timedelta(hours=chance.randrange(2000))
            last = first + timedelta(hours=chance.randrange(40))
            outcome = chance.choice(list(AskedOutcome))
            every_s = chance.choice((0, 7200))
            found = asked_from(first, last, outcome, "")
            batch.append(
                Asked(
                    first=found.first,
                    last=found.last,
                    outcome=outcome,
                    every_s=every_s,
                )
            )
        told += batch
        keep(engine, *batch)
        assert query(SELECT) == [
            (*each.kind, each.begin, each.end) for each in merged(told)
        ]


def test_moments_become_one_range_while_they_are_near(
    engine: Engine, query: Query
) -> None:
    for _ in range(3):
        keep(engine, asked_now())
    ((outcome, reason, every_s, first, last),) = query(SELECT)
    assert (outcome, reason, every_s) == ("answered", "", 3600)
    assert first < last


def load(engine: Engine, *pages: StagedPage) -> None:
    write_pages(engine, list(pages))


def of_file(
    records: list[list[str]], page_no: int = 0, run_id: str = RUN
) -> StagedPage:
    page = raw_page(records, page_no=page_no, run_id=run_id)
    unified = unified_page(page, offset=page_no)
    return StagedPage.from_message(encode(unified))


def test_rows_that_yield_nothing_are_told_by_their_times(
    engine: Engine, query: Query
) -> None:
    blank = ["2024-01-04", "", "", "", "", ""]
    rows = [
        candle(1),
        candle(2, close="x"),
        candle(3, close="y"),
        blank,
        candle(5, close="z"),
        ["?", "1", "2", "0.5", "1", "9"],
        candle(7),
    ]
    load(engine, of_file(rows))
    found = query(
        "SELECT outcome, reason, first_at::date::text, last_at::date::text FROM asked"
        " ORDER BY first_at"
    )
    assert found == [
        ("rejected", "not_a_number", "2024-01-02", "2024-01-03"),
        ("skipped", "no_value", "2024-01-04", "2024-01-04"),
        ("rejected", "not_a_number", "2024-01-05", "2024-01-05"),
    ]
    assert query(
        "SELECT reason, event_time::date::text FROM dead_letters ORDER BY record_index"
    ) == [
        ("not_a_number", "2024-01-02"),
        ("not_a_number", "2024-01-03"),
        ("not_a_number", "2024-01-05"),
        ("bad_time", None),
    ]


def test_a_page_of_which_nothing_can_be_read_tells_its_times_too(
    engine: Engine, query: Query
) -> None:
    load(engine, of_file([candle(day, close="x") for day in range(1, 9)]))
    assert query("SELECT count FROM dead_letters") == [(8,)]
    assert query(
        "SELECT outcome, first_at::date::text, last_at::date::text FROM asked"
    ) == [("rejected", "2024-01-01", "2024-01-08")]


def test_of_a_file_all_from_its_first_time_to_its_last_was_asked(
    engine: Engine, query: Query
) -> None:
    """Also what lies between two readings of it."""
    select = (
        "SELECT first_at::date::text, last_at::date::text FROM asked"
        " WHERE outcome = 'answered'"
    )
    for days, expected in (
        ((5, 6), ("2024-01-05", "2024-01-06")),
        ((9, 20), ("2024-01-05", "2024-01-20")),
        ((2, 3), ("2024-01-02", "2024-01-20")),
        ((7, 8), ("2024-01-02", "2024-01-20")),
    ):
        run_id = str(uuid.uuid4())
        load(engine, of_file([candle(day) for day in days], 0, run_id))
        with engine.begin() as transaction:
            asked.keep_files(db_of(transaction), run_id)
            asked.keep_files(db_of(transaction), run_id)
        assert query(select) == [expected]


def test_what_a_file_was_misread_as_is_forgotten_but_not_what_this_run_refused(
    engine: Engine, query: Query
) -> None:
    own = str(uuid.uuid4())
    refused = asked_from(DAY, DAY, AskedOutcome.REJECTED, "bad_time")
    keep(engine, asked_from(DAY, DAY + timedelta(days=900)), refused)
    later = asked_from(
        DAY + timedelta(days=5),
        DAY + timedelta(days=5),
        AskedOutcome.REJECTED,
        "bad_time",
    )
    with engine.begin() as transaction:
        db = db_of(transaction)
        asked.keep(db, [AskedOf(STREAM, own, later)])
        asked.forget(db, STREAM, own)
    assert query(SELECT) == [(*later.kind, later.begin, later.end)]
