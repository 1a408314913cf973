"""The loader's writing, on a real PostgreSQL: once each, newest wins, nothing torn."""

from __future__ import annotations

import hashlib
import threading
import uuid
from decimal import Decimal
from typing import Any

import msgspec
import psycopg2.errors
import pytest
from alembic import command
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.schema import CreateTable

from services.loader.database import DATA_ERRORS, DATABASE_UNAVAILABLE
from services.loader.migrate import alembic_config, migrate
from services.loader.pages.staged_page import StagedPage
from services.loader.pages.transaction import write_pages
from services.loader.pages.write import LiveWriter
from shared.messages.base import Stage
from shared.messages.pages import Rejection, UnifiedPage, place_ms
from shared.messages.points import Points
from shared.messages.serialization import encode
from shared.tables import metadata
from tests.integration.conftest import Query, loader_settings
from tests.support.infra import Infrastructure
from tests.support.pages import candle, raw_page, unified_page


def staged(page: Any = None, **where: Any) -> StagedPage:
    return StagedPage.from_message(
        encode(
            page
            if isinstance(page, UnifiedPage)
            else unified_page(page, **where)
        )
    )


def counts(query: Query) -> tuple[Any, ...]:
    return query(
        "SELECT sum(records), sum(inserted), sum(updated), sum(unchanged), sum(skipped),"
        " sum(rejected) FROM page_receipts"
    )[0]


def _is_no_partition(name: str | None, kind: str, _parents: Any) -> bool:
    return kind != "table" or not str(name).startswith("points_")


def test_the_migrated_tables_are_those_that_the_code_knows(
    engine: Engine,
) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with engine.connect() as connection:
        connection.exec_driver_sql(
            "DROP TABLE pg_temp.stage_pages, pg_temp.stage_points"
        )
        assert (
            compare_metadata(
                MigrationContext.configure(
                    connection,
                    opts={"include_name": _is_no_partition},
                ),
                metadata,
            )
            == []
        )
    assert all(
        str(CreateTable(table)) for table in metadata.tables.values()
    )
    assert alembic_config()


def test_three_that_migrate_at_once_do_it_once(
    infra: Infrastructure,
) -> None:
    failures: list[BaseException] = []

    def one() -> None:
        try:
            migrate(loader_settings(infra))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_page_is_written_whole_and_once(
    engine: Engine, query: Query
) -> None:
    page = staged(raw_page([candle(1), candle(2)]), offset=7)
    assert write_pages(engine, [page]) == 1
    assert write_pages(engine, [page]) == 0
    assert write_pages(engine, [page, page]) == 0
    assert counts(query) == (2, 2, 0, 0, 0, 0)
    assert query("SELECT count(*) FROM unified_data") == [(2,)]
    assert query(
        'SELECT "offset", record_count, jsonb_array_length(payload) FROM raw_data'
    ) == [(7, 2, 2)]
    ids, outcomes, hashes = query(
        "SELECT ids::text[], outcomes, value_hashes FROM page_receipts"
    )[0]
    assert [ids, list(outcomes), hashes] == [
        [str(uuid.UUID(id_)) for id_ in page.ids],
        ["i", "i"],
        page.hashes,
    ]


def test_the_newest_value_wins_in_whatever_order_pages_come(
    engine: Engine, query: Query
) -> None:
    old, new = (
        # Published again: it lay before the other one first.
        staged(
            raw_page([candle(1, close="1.1")]), offset=1, republished=True
        ),
        staged(raw_page([candle(1, close="1.2")]), offset=2),
    )
    write_pages(engine, [new])
    write_pages(engine, [old])
    assert query("SELECT close, revision FROM unified_data") == [
        (Decimal("1.2"), 1)
    ]
    newest = staged(raw_page([candle(1, close="1.3")]), offset=3)
    write_pages(engine, [newest])
    assert query("SELECT close, revision FROM unified_data") == [
        (Decimal("1.3"), 2)
    ]
    assert query(
        "SELECT revision, data->>'close' FROM unified_revisions"
    ) == [(1, "1.2")]
    assert counts(query) == (3, 1, 1, 1, 0, 0)


HOUR_MS = 3_600_000
BROKER_MS = 1_700_000_000_000


@pytest.mark.parametrize(
    ("offset", "broker_ms", "partition"),
    [
        (
            9,
            BROKER_MS - 2 * HOUR_MS,
            0,
        ),  # the broker's clock was set back
        (
            2,
            BROKER_MS + 1,
            0,
        ),  # the log has lost its end, or was made anew
        (9, BROKER_MS + 1, 1),  # another file of the folder
    ],
)
def test_what_comes_later_stands_whatever_the_broker_says(
    engine: Engine,
    query: Query,
    offset: int,
    broker_ms: int,
    partition: int,
) -> None:
    first = staged(raw_page([candle(1, close="1.1")]), offset=5)
    write_pages(engine, [first])
    later = staged(
        raw_page([candle(1, close="1.2")], page_no=1),
        offset=offset,
        broker_ms=broker_ms,
        partition=partition,
    )
    write_pages(engine, [later])
    assert query("SELECT close FROM unified_data") == [(Decimal("1.2"),)]
    # And so it stays when both are written once more.
    write_pages(engine, [first, later])
    assert query("SELECT close FROM unified_data") == [(Decimal("1.2"),)]


def test_an_unchanged_value_takes_the_newer_version_and_no_revision(
    engine: Engine, query: Query
) -> None:
    for offset in (1, 2):
        write_pages(
            engine, [staged(raw_page([candle(1)]), offset=offset)]
        )
    assert query(
        "SELECT raw_offset, revision, created_at = updated_at FROM unified_data"
    ) == [(2, 1, True)]
    assert query("SELECT count(*) FROM unified_revisions") == [(0,)]
    assert counts(query) == (2, 1, 0, 1, 0, 0)


def test_one_fact_several_times_in_a_batch_is_applied_in_order(
    engine: Engine, query: Query
) -> None:
    page = staged(
        raw_page(
            [
                candle(1, close="1.1"),
                candle(1, close="1.2"),
                candle(1, close="1.2"),
            ]
        ),
        offset=1,
    )
    write_pages(
        engine,
        [page, staged(raw_page([candle(1, close="1.3")]), offset=2)],
    )
    assert counts(query) == (4, 1, 2, 1, 0, 0)
    assert query("SELECT close, revision FROM unified_data") == [
        (Decimal("1.3"), 3)
    ]
    assert query(
        "SELECT data->>'close' FROM unified_revisions ORDER BY revision"
    ) == [
        ("1.1",),
        ("1.2",),
    ]


@pytest.mark.parametrize(
    "bad", ["1e999999", "NaN", "Infinity", "-Infinity", "-1"]
)
def test_a_row_that_postgres_refuses_costs_that_row_only(
    engine: Engine, query: Query, bad: str
) -> None:
    unified = unified_page(
        raw_page([candle(day) for day in range(1, 29)]), offset=1
    )
    events = [
        msgspec.structs.replace(
            event,
            close=bad if event.record_index == 13 else event.close,
        )
        for event in unified.points.rows()
    ]
    neighbour = staged(raw_page([candle(30)]), offset=2)
    assert (
        write_pages(
            engine,
            [
                staged(
                    msgspec.structs.replace(
                        unified, points=Points.of(events)
                    )
                ),
                neighbour,
            ],
        )
        == 2
    )
    assert counts(query) == (29, 28, 0, 0, 0, 1)
    assert query(
        "SELECT reason, stage, record_index, count FROM dead_letters"
    ) == [("refused_by_database", "load", 13, 1)]


def test_one_refused_row_among_five_thousand_is_found_in_few_round_trips(
    engine: Engine, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0
    inner = LiveWriter.stage

    def counted(*args: Any) -> Any:
        nonlocal tries
        tries += 1
        return inner(*args)

    monkeypatch.setattr(LiveWriter, "stage", counted)
    pages = []
    for n in range(10):
        rows = [
            [
                f"{1_600_000_000_000 + 60_000 * (500 * n + row)}",
                "1",
                "2",
                "0.5",
                "1.5",
                "9",
            ]
            for row in range(500)
        ]
        unified = unified_page(raw_page(rows), offset=n)
        if n == 7:
            events = [
                msgspec.structs.replace(
                    e,
                    close="1e999999"
                    if e.record_index == 333
                    else e.close,
                )
                for e in unified.points.rows()
            ]
            unified = msgspec.structs.replace(
                unified, points=Points.of(events)
            )
        pages.append(staged(unified))
    assert write_pages(engine, pages) == 10
    assert counts(query) == (5000, 4999, 0, 0, 0, 1)
    assert query("SELECT record_index FROM dead_letters") == [(333,)]
    assert tries <= 3 * 13, "more than a few for each halving of 5,000"


@pytest.mark.parametrize(
    "error",
    [
        psycopg2.errors.DeadlockDetected,
        psycopg2.errors.SerializationFailure,
        psycopg2.errors.DiskFull,
        psycopg2.errors.AdminShutdown,
    ],
)
def test_conflicts_and_a_full_disk_are_waited_out_like_an_absence(
    error: type[Exception],
) -> None:
    assert issubclass(error, DATABASE_UNAVAILABLE)
    assert not issubclass(error, DATA_ERRORS)


def test_code_of_release_0_2_can_write_to_the_newest_tables(
    infra: Infrastructure,
) -> None:
    """Expand and contract: what a later migration adds to a table has a default or may be empty.

    Before it there is no way back but the backup.
    """
    connection = psycopg2.connect(infra.dsn)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS migrations_test")
        cursor.execute("CREATE DATABASE migrations_test")
    fresh = create_engine(
        loader_settings(infra).sqlalchemy_url().rpartition("/")[0]
        + "/migrations_test"
    )
    required = (
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema ="
        " 'public' AND is_nullable = 'NO' AND column_default IS NULL"
    )
    found = []
    for version in ("0009", "head"):
        with fresh.connect() as transaction:
            command.upgrade(alembic_config(transaction), version)
            found.append(
                {
                    (row.table_name, row.column_name)
                    for row in transaction.execute(text(required))
                }
            )
    with (
        pytest.raises(NotImplementedError, match="backup"),
        fresh.connect() as transaction,
    ):
        command.downgrade(alembic_config(transaction), "0008")
    fresh.dispose()
    with connection.cursor() as cursor:
        cursor.execute("DROP DATABASE migrations_test")
    connection.close()
    old_tables = {table for table, _ in found[0]}
    assert {
        (table, column)
        for table, column in found[1] - found[0]
        if table in old_tables
    } == set()


def test_rejections_become_dead_letters_once(
    engine: Engine, query: Query
) -> None:
    rejection = Rejection(
        reason="unclosed_quote",
        message="line 9: …",
        origin={"line": 9},
        payload='1,"2',
        stage=Stage.EXTRACT,
    )
    page = staged(raw_page([candle(1), ["x"]], rejections=[rejection]))
    write_pages(engine, [page])
    write_pages(engine, [page])
    assert counts(query) == (3, 1, 0, 0, 0, 2)
    assert query(
        "SELECT reason, stage, origin->>'line', payload, length(payload_sha256) FROM"
        " dead_letters ORDER BY reason"
    ) == [
        ("unclosed_quote", "extract", "9", '1,"2', 64),
        ("wrong_column_count", "map", "3", '["x"]', 64),
    ]


def test_a_dead_letter_keeps_64_kib_of_its_record_and_the_hash_of_all_of_it(
    engine: Engine, query: Query
) -> None:
    long = ["2024-01-01", "1", "2", "0.5", "x" * 100_000, "9"]
    write_pages(engine, [staged(raw_page([candle(1), long]))])
    whole = encode(long)
    assert query("SELECT payload, payload_sha256 FROM dead_letters") == [
        (whole[:65536].decode(), hashlib.sha256(whole).hexdigest())
    ]


def test_records_that_all_fail_alike_are_one_dead_letter_with_samples(
    engine: Engine, query: Query
) -> None:
    page = raw_page(
        [["2024-01-01", "1", "2", "0.5", f"x{n}", "9"] for n in range(20)]
    )
    write_pages(engine, [staged(page)])
    count, payload, digest = query(
        "SELECT count, payload, payload_sha256 FROM dead_letters"
    )[0]
    assert (count, payload.count("\n"), digest) == (
        20,
        2,
        hashlib.sha256(bytes(page.records)).hexdigest(),
    )


def test_odd_texts_are_stored_as_they_are(
    engine: Engine, query: Query
) -> None:
    title = 'tab\there "quote" back\\slash {brace} \\N ünï €'
    entries = [
        {
            "key": "a",
            "title": title,
            "published": "2026-01-01T00:00:00Z",
            "link": "https://x.example/a",
        }
    ]
    write_pages(
        engine, [staged(raw_page(entries, stream="rss/feed", context={}))]
    )
    (stored,) = query("SELECT title FROM unified_data")[0]
    assert stored == title.replace("\t", " ")
    assert query("SELECT payload->0->>'title' FROM raw_data") == [
        (title,)
    ]


def test_two_loaders_with_the_same_rows_do_not_fail_or_double(
    engine: Engine, query: Query
) -> None:
    days = list(range(1, 29))
    batches = [
        [
            staged(
                raw_page(
                    [candle(day) for day in days[:: 1 if half else -1]]
                ),
                offset=n * 2 + half,
            )
            for n in range(10)
        ]
        for half in (0, 1)
    ]
    failures: list[BaseException] = []

    def write(batch: list[StagedPage]) -> None:
        try:
            for page in batch:
                write_pages(engine, [page])
        except BaseException as error:
            failures.append(error)

    threads = [
        threading.Thread(target=write, args=(batch,)) for batch in batches
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert query("SELECT count(*) FROM unified_data") == [(28,)]
    assert counts(query) == (560, 28, 0, 532, 0, 0)


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
@pytest.mark.parametrize("together", [True, False])
def test_two_mappings_side_by_side_count_a_page_once_and_the_higher_one_stands(
    engine: Engine,
    query: Query,
    order: tuple[int, int],
    *,
    together: bool,
) -> None:
    """As during a rolling deploy: the page comes from a normalizer of either version."""
    page = raw_page([candle(1), candle(2)])

    def by(version: int) -> UnifiedPage:
        made = unified_page(page, offset=7)
        events = [
            msgspec.structs.replace(
                e, volume=str(version), value_hash=version
            )
            for e in made.points.rows()
        ]
        return msgspec.structs.replace(
            made, normalizer_version=version, points=Points.of(events)
        )

    batches = (
        [[staged(by(version)) for version in order]]
        if together
        else [[staged(by(version))] for version in order]
    )
    for batch in batches:
        write_pages(engine, batch)
    assert counts(query) == (2, 2, 0, 0, 0, 0)
    assert (
        query("SELECT volume::int, normalizer_version FROM unified_data")
        == [(2, 2)] * 2
    )
    first = 1 if order == (1, 2) and not together else 2
    assert query(
        "SELECT normalizer_version, value_hashes, length(outcomes) FROM page_receipts"
    ) == [(first, [first] * 2, 2)]
    again = query(
        "SELECT normalizer_version, value_hashes, outcomes FROM replay_receipts"
    )
    assert again == ([(2, [2, 2], "uu")] if first == 1 else [])
    assert query("SELECT count(*) FROM raw_data") == [(1,)]
    kept = query("SELECT (data->>'volume')::int FROM unified_revisions")
    assert kept == (
        [(1,)] * 2 if order == (1, 2) and not together else []
    )


@pytest.mark.parametrize("together", [True, False])
def test_of_two_pages_with_one_number_the_first_stands_and_the_other_is_a_dead_letter(
    engine: Engine, query: Query, *, together: bool
) -> None:
    """The second is of a process that was frozen while another took over."""
    run_id = str(uuid.uuid4())
    first, late = (
        raw_page(
            [candle(1, close)],
            run_id=run_id,
            task_id=str(uuid.uuid5(uuid.NAMESPACE_OID, run_id)),
        )
        for close in ("1.5", "1.7")
    )
    pages = [staged(first, offset=1), staged(late, offset=2)]
    for batch in [pages] if together else [[page] for page in pages]:
        write_pages(engine, batch)
    write_pages(engine, [staged(late, offset=2)])
    assert counts(query) == (1, 1, 0, 0, 0, 0)
    assert query("SELECT close FROM unified_data") == [(Decimal("1.5"),)]
    assert query(
        "SELECT page_id::text, reason, count FROM dead_letters"
    ) == [(late.page_id, "superseded_page", 1)]


def shown_closes(query: Query) -> list[str]:
    return [
        str(close) for (close,) in query("SELECT close FROM unified_data")
    ]


def test_a_page_that_comes_late_stands_before_those_that_lay_behind_it(
    engine: Engine, query: Query
) -> None:
    """As one of a normalizer that was frozen, when another had gone on behind it."""
    run_id = str(uuid.uuid4())
    now = 1_700_000_000_000
    pages = [
        staged(
            raw_page([candle(1, f"1.{n}")], run_id=run_id, page_no=n),
            offset=n,
            broker_ms=now + n * 100,
        )
        for n in range(5)
    ]
    for n in (3, 4, 0):
        write_pages(engine, [pages[n]])
    assert shown_closes(query) == ["1.4"]
    # What was missing is published again, and marked so.
    for n in (1, 2):
        again = unified_page(
            raw_page([candle(1, f"1.{n}")], run_id=run_id, page_no=n),
            offset=n,
            broker_ms=now + n * 100,
            republished=True,
        )
        write_pages(engine, [staged(again)])
    assert shown_closes(query) == ["1.4"]
    assert query("SELECT max(generation) FROM raw_clocks") == [(0,)]
    assert query(
        "SELECT page_no FROM page_receipts ORDER BY raw_time, raw_offset"
    ) == [(0,), (1,), (2,), (3,), (4,)]


def test_pages_that_are_read_again_stand_in_the_order_of_their_task(
    engine: Engine, query: Query
) -> None:
    """Each is given the position of the page before them all. Replays give them the same place."""
    run_id = str(uuid.uuid4())
    many = [candle(day, "1") for day in range(2, 29)]
    records = [
        [*many, candle(1, "1.1")],
        [candle(1, "1.2")],
        [candle(1, "1.3")],
    ]
    for n, rows in enumerate(records):
        page = unified_page(
            raw_page(rows, run_id=run_id, page_no=n),
            offset=7,
            republished=n > 0,
        )
        write_pages(engine, [staged(page)])
        write_pages(engine, [staged(page)])
    in_order = "SELECT page_no, raw_offset FROM page_receipts ORDER BY raw_time, raw_offset"
    assert query(in_order) == [(0, 7), (1, 8), (2, 9)]
    assert query("SELECT close FROM unified_data WHERE close <> 1") == [
        (Decimal("1.3"),)
    ]


def test_pages_of_a_stream_in_several_partitions_stand_in_its_order(
    engine: Engine, query: Query
) -> None:
    """Whoever loads them first; a page that is read again stands behind the one before it."""
    run_id = str(uuid.uuid4())
    many = [candle(day, "1") for day in range(2, 29)]
    after_ms = 0
    pages = []
    for n in range(6):
        # The clock of the third broker is 40 ms behind.
        broker_ms = BROKER_MS + n - 40 * (n % 3 == 2)
        raw = raw_page(
            [*many, candle(1, f"1.{n}")],
            run_id=run_id,
            page_no=n,
            after_ms=after_ms,
        )
        at = {"partition": n % 3, "broker_ms": broker_ms}
        pages.append((raw, {**at, "offset": 100 * (n % 3) + n // 3}))
        after_ms = place_ms(broker_ms, after_ms)
    lost, place = pages.pop(4)
    for n in (2, 4, 0, 3, 1):
        raw, at = pages[n]
        write_pages(engine, [staged(raw, **at)])
    assert shown_closes(query)[0] == "1.5"
    # Then the topics lose their ends, and what is repaired is of before.
    cut = raw_page([candle(1, "1.9")], stream="csv/other/eth-usd.csv")
    write_pages(
        engine,
        [
            staged(
                cut, partition=1, offset=3, broker_ms=BROKER_MS + HOUR_MS
            )
        ],
    )
    assert query("SELECT max(generation) FROM raw_clocks") == [(1,)]
    write_pages(engine, [staged(lost, **place, republished=True)])
    query(
        "DELETE FROM page_receipts WHERE stream LIKE '%other%' RETURNING 1"
    )
    in_order = (
        "SELECT page_no FROM page_receipts ORDER BY raw_time, raw_offset"
    )
    assert [n for (n,) in query(in_order)] == list(range(6))
    assert shown_closes(query)[0] == "1.5"


def test_a_page_of_another_partition_is_no_newer_for_its_offset(
    engine: Engine, query: Query
) -> None:
    """Its stream has moved since there are more partitions: it lay at 4000 of the old one."""
    write_pages(
        engine,
        [
            staged(
                raw_page([candle(1, close="1.2")]),
                partition=8,
                offset=5,
                broker_ms=BROKER_MS + HOUR_MS,
            )
        ],
    )
    query("DELETE FROM raw_data RETURNING 1")
    old = [candle(1, close="1.1"), candle(2, close="1.9")]
    for partition in (8, 9):  # of which the other is new
        write_pages(
            engine,
            [
                staged(
                    raw_page(old, run_id=str(uuid.uuid4())),
                    partition=partition,
                    offset=4000,
                    broker_ms=BROKER_MS,
                    republished=True,
                )
            ],
        )
    assert query("SELECT close FROM unified_data ORDER BY id") == [
        (Decimal("1.2"),),
        (Decimal("1.9"),),
    ]


def test_the_gateways_role_may_read_and_not_write(
    infra: Infrastructure,
) -> None:
    import psycopg2

    from shared.runtime.settings import Role, role_dsn

    reader = Query(role_dsn(loader_settings(infra), Role.READER))
    assert reader("SELECT count(*) FROM unified_data")
    with pytest.raises(psycopg2.Error):
        reader(
            "SET default_transaction_read_only = off; DELETE FROM points RETURNING 1"
        )
    reader.close()
