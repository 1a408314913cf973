"""A database of release 0.1.0 becomes one of this version, and holds what it held.

The dump beside the tests was made by that release: a run of three sources with a rejected row, a
file that changed, and a preview that is open.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.errors
import pytest
from alembic import command
from sqlalchemy import Engine, create_engine

from services.gateway.database import Database
from services.gateway.queries import diff, lineage, previews
from services.gateway.settings import GatewaySettings
from services.loader.migrate import (
    alembic_config,
    downgrade,
    is_current,
    migrate,
)
from services.loader.runs import event_handlers, ledger, retirements
from services.loader.runs.event_handlers import ReceivedMessage
from shared.errors import ConfigError
from shared.identity import point_ids
from shared.messages.commands import PublishReplay, UndoRun
from shared.messages.runs import RunKind
from tests.integration.conftest import loader_settings
from tests.support.infra import Infrastructure
from tests.support.series import WRONG_SUMS

DUMP = Path(__file__).parent.parent / "data" / "release-0.1.0.sql.gz"
DATABASE = "upgrade_test"
COUNTS = {
    "unified_data": 48,
    "unified_revisions": 1,
    "raw_data": 7,
    "page_receipts": 7,
    "replay_receipts": 4,
    "dead_letters": 2,
    "runs": 3,
    "run_tasks": 13,
}


def new_database(infra: Infrastructure, name: str) -> str:
    """An empty database; returns its address."""
    connection = psycopg2.connect(infra.dsn)
    connection.autocommit = True
    with connection.cursor() as db:
        db.execute(f"DROP DATABASE IF EXISTS {name}")
        db.execute(f"CREATE DATABASE {name}")
    connection.close()
    return f"{infra.dsn.rpartition('/')[0]}/{name}"


@pytest.fixture(scope="module")
def upgraded(infra: Infrastructure) -> Iterator[Engine]:
    """The database of the dump, migrated."""
    dsn = new_database(infra, DATABASE)
    with psycopg2.connect(dsn) as restored, restored.cursor() as db:
        db.execute(gzip.decompress(DUMP.read_bytes()).decode())
    restored.close()
    settings = loader_settings(Infrastructure(dsn, infra.bootstrap))
    migrate(settings)
    engine = create_engine(settings.sqlalchemy_url())
    yield engine
    engine.dispose()


@pytest.mark.parametrize(("table", "count"), COUNTS.items())
def test_every_row_of_the_release_is_kept(
    upgraded: Engine, table: str, count: int
) -> None:
    with upgraded.connect() as connection:
        found = connection.exec_driver_sql(
            f"SELECT count(*) FROM {table}"
        )
        assert found.scalar_one() == count


def test_its_runs_are_still_balanced(upgraded: Engine) -> None:
    with upgraded.begin() as transaction:
        rows = transaction.exec_driver_sql(
            "SELECT run_id::text, status FROM runs ORDER BY requested_at"
        ).all()
        assert len(rows) == COUNTS["runs"]
        for run_id, status in rows:
            assert ledger.ledger_of(transaction, run_id).is_balanced()
            assert ledger.evaluate(transaction, run_id, 600) == status


def test_its_values_can_still_be_replaced(upgraded: Engine) -> None:
    """The trigger of that release, or of a later migration, keeps what is replaced."""
    with upgraded.begin() as transaction:
        transaction.exec_driver_sql(
            "UPDATE points SET close = 2, value_hash = value_hash + 1,"
            " revision = revision + 1 WHERE id = ("
            "SELECT id FROM unified_data WHERE kind = 'candle' LIMIT 1)"
        )
        found = transaction.exec_driver_sql(
            "SELECT count(*) FROM unified_revisions"
        ).scalar_one()
        transaction.rollback()
    assert found == COUNTS["unified_revisions"] + 1


ROWS = 216_000
# A year and more of five-minute candles and some news, a fifth of them with a revision, as 0.1.0
# stored them.
_FILL = f"""
INSERT INTO unified_data (
    id, source, dataset, stream, kind, instrument, symbol, "interval", "timestamp", currency, open,
    high, low, close, volume, title, value_hash, raw_time, raw_offset, record_index,
    normalizer_version, page_id, run_id, revision)
SELECT md5('point' || n)::uuid, CASE WHEN is_news THEN 'rss' ELSE 'csv' END, 'd', 's',
       CASE WHEN is_news THEN 'news' ELSE 'candle' END, 'btc-usd', 'btc', '5m',
       timestamptz '2023-11-01Z' + n * interval '5 minutes', 'USD', n, n + 2, n - 1, n + 1, n / 7.0,
       CASE WHEN is_news THEN 'title ' || n END, n, 1700000000000 + n, n, n % 1000, 4,
       md5('page' || n / 1000)::uuid, md5('run')::uuid, 1 + (n % 5 = 0)::int
FROM (SELECT n, n % 1000 = 7 AS is_news FROM generate_series(0, {ROWS - 1}) AS n) AS rows;
INSERT INTO unified_revisions (id, revision, data, replaced_by)
SELECT id, 1, to_jsonb(u) || '{{"revision": 1, "close": 5}}', page_id
FROM unified_data AS u WHERE revision = 2;
INSERT INTO page_receipts (
    page_id, run_id, task_id, source, stream, page_no, records, ids, value_hashes,
    normalizer_version, raw_partition, raw_offset)
SELECT page_id, md5('run')::uuid, md5('task')::uuid, 'csv', 's',
       row_number() OVER (ORDER BY page_id), count(*), array_agg(id ORDER BY record_index),
       array_agg(value_hash ORDER BY record_index), 4, 0, min(raw_offset)
FROM unified_data GROUP BY page_id;
INSERT INTO preview_points (
    run_id, page_id, id, record_index, source, dataset, stream, kind, "timestamp", value_hash,
    raw_time, raw_offset, normalizer_version)
SELECT md5('preview')::uuid, md5('page0')::uuid, md5('new' || n)::uuid, n, 'csv', 'd', 's', 'price',
       timestamptz '2024-01-01Z' + n * interval '1 hour', n, 1, 1, 5
FROM generate_series(0, 9) AS n;
INSERT INTO replay_receipts (
    run_id, page_id, task_id, source, stream, records, ids, retired_ids, normalizer_version,
    raw_partition, raw_offset, raw_time, is_applied)
SELECT md5('preview')::uuid, md5('page0')::uuid, md5('t')::uuid, 'csv', 's', 11,
       array_agg(md5('new' || n)::uuid ORDER BY n) || md5('point1')::uuid,
       ARRAY[md5('point2')::uuid, md5('nowhere')::uuid], 5, 0, 1, 1, false
FROM generate_series(0, 9) AS n;
CREATE TABLE kept AS SELECT * FROM unified_data;
CREATE TABLE kept_receipts AS SELECT * FROM page_receipts;
CREATE TABLE kept_revisions AS SELECT * FROM unified_revisions;
"""


def query_on(dsn: str, sql: str) -> list[tuple[Any, ...]]:
    connection = psycopg2.connect(dsn)
    try:
        with connection, connection.cursor() as db:
            db.execute(sql)
            return db.fetchall() if db.description else []
    finally:
        connection.close()


@pytest.mark.timeout(600)
@pytest.mark.long
def test_many_rows_are_carried_over_though_it_is_killed_again_and_again(
    infra: Infrastructure,
) -> None:
    dsn = new_database(infra, "carry_over_test")
    settings = loader_settings(Infrastructure(dsn, infra.bootstrap))
    engine = create_engine(settings.sqlalchemy_url())
    with engine.connect() as connection:
        command.upgrade(alembic_config(connection), "0007")
    engine.dispose()
    query_on(dsn, _FILL)
    kills = 0
    environment = {
        **os.environ,
        "DATABASE_URL": dsn,
        "KAFKA_BOOTSTRAP_SERVERS": infra.bootstrap,
    }
    while True:
        migration = subprocess.Popen(
            [sys.executable, "-m", "services.loader", "migrate"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        before = _progress(dsn)
        while migration.poll() is None and kills < 4:
            if _progress(dsn) not in (before, None):
                migration.kill()
                kills += 1
            time.sleep(0.02)
        if migration.wait(300) == 0:
            break
    assert kills == 4
    assert query_on(
        dsn,
        "SELECT (SELECT count(*) FROM unified_data), count(*) FROM kept AS k"
        " JOIN unified_data AS u ON u.id = point_id(k.kind, k.timestamp, k.id)"
        " WHERE to_jsonb(u) - '{id, base_volume, quote_volume, timestamp_is}'::text[]"
        " = to_jsonb(k) - 'id'",
    ) == [(ROWS, ROWS)]
    sample = query_on(
        dsn,
        "SELECT k.id::text, k.kind, k.timestamp, u.id::text FROM kept AS k"
        " JOIN unified_data AS u USING (value_hash) WHERE k.value_hash % 100 = 7",
    )
    assert len(sample) == ROWS // 100
    for old, kind, moment, new in sample:
        name = uuid.UUID(old).hex
        made = point_ids.point_id(kind, moment.isoformat(), name)
        assert made == uuid.UUID(new).hex
    assert query_on(
        dsn,
        "SELECT (SELECT count(*) FROM unified_revisions), count(*) FROM kept_revisions AS k"
        " JOIN unified_revisions AS r ON r.id = point_id(k.data->>'kind',"
        " (k.data->>'timestamp')::timestamptz, k.id) AND r.revision = k.revision"
        " WHERE r.data - 'id' = k.data - 'id' AND r.data->>'id' = r.id::text"
        " AND r.replaced_at = k.replaced_at AND r.replaced_by = k.replaced_by",
    ) == [(ROWS // 5, ROWS // 5)]
    assert query_on(
        dsn,
        "SELECT count(*) FROM kept_receipts AS k JOIN page_receipts AS r USING (page_id),"
        " LATERAL unnest(k.ids, r.ids, r.value_hashes) AS y (old, new, hash)"
        " JOIN unified_data AS u ON u.id = y.new AND u.value_hash = y.hash"
        " JOIN kept ON kept.id = y.old AND kept.value_hash = y.hash",
    ) == [(ROWS,)]
    assert query_on(
        dsn,
        "SELECT count(p.id), count(u.id) FROM replay_receipts AS r,"
        " unnest(r.ids || r.retired_ids) WITH ORDINALITY AS y (id, n)"
        " LEFT JOIN previewed_data AS p ON p.id = y.id AND p.record_index = y.n - 1"
        " LEFT JOIN unified_data AS u ON u.id = y.id",
    ) == [(10, 2)]
    assert query_on(dsn, "SELECT to_regclass('unified_data_0007')") == [
        (None,)
    ]
    assert query_on(dsn, WRONG_SUMS) == []


def _progress(dsn: str) -> Any:
    """How far it came, None before it began and after its end."""
    try:
        rows = query_on(
            dsn,
            "SELECT step, position, is_done FROM carry_over ORDER BY 1",
        )
    except psycopg2.errors.UndefinedTable:
        return None
    return rows or None


def test_lineage_diffs_digests_and_previews_of_the_release_answer(
    upgraded: Engine,
) -> None:
    dsn = upgraded.url.render_as_string(hide_password=False)
    dsn = dsn.replace("+psycopg2", "")
    unknown = query_on(
        dsn,
        "SELECT count(*) FROM (SELECT unnest(ids) AS id FROM page_receipts UNION ALL"
        " SELECT unnest(ids) FROM replay_receipts WHERE is_applied UNION ALL"
        " SELECT id FROM unified_revisions) AS named"
        " WHERE NOT EXISTS (SELECT FROM unified_data AS u WHERE u.id = named.id)",
    )
    assert unknown == [(0,)]
    settings = GatewaySettings(
        _env_file=None,
        database_url=dsn,
        api_key="test-api-key",
        mode="native",
    )
    runs = query_on(
        dsn,
        "SELECT run_id::text, preview FROM runs ORDER BY requested_at",
    )

    async def answers() -> None:
        database = Database(settings)
        await database.start()
        try:
            for run_id, preview in runs:
                found = await diff.digest(database, run_id)
                assert found["records"] > 0
                for other, _ in runs:
                    await diff.counts(database, run_id, other)
                if preview:
                    await previews.OF_KIND[RunKind.REPLAY].counts(
                        database, run_id
                    )
            revised = query_on(
                dsn, "SELECT id::text FROM unified_revisions"
            )
            for (id_,) in revised:
                found = await lineage.lineage(database, id_)
                assert found is not None
                assert len(found["versions"]) == 2
        finally:
            await database.close()

    asyncio.run(answers())


def test_a_database_of_0_2_0_is_current_and_goes_on(
    infra: Infrastructure,
) -> None:
    """With what only that release has: sums, what was asked, a retired series, its preview."""
    dsn = new_database(infra, "release_0_2_0")
    dump = DUMP.with_name("release-0.2.0.sql.gz")
    with psycopg2.connect(dsn) as restored, restored.cursor() as db:
        db.execute(gzip.decompress(dump.read_bytes()).decode())
    restored.close()
    settings = loader_settings(Infrastructure(dsn, infra.bootstrap))
    migrate(settings)
    engine = create_engine(settings.sqlalchemy_url())
    assert is_current(engine)
    assert query_on(dsn, WRONG_SUMS) == []
    assert query_on(
        dsn, "SELECT outcome, count(*) FROM asked GROUP BY 1 ORDER BY 1"
    ) == [("answered", 7), ("rejected", 1), ("skipped", 1)]
    hidden = "SELECT count(*) FROM points WHERE retired_at IS NOT NULL"
    assert query_on(dsn, hidden) == [(8,)]
    for preview, message in (
        ("published", UndoRun),
        ("open", PublishReplay),
    ):
        ((run_id,),) = query_on(
            dsn,
            "SELECT run_id::text FROM runs WHERE kind = 'retire'"
            f" AND preview = '{preview}'",
        )
        with engine.begin() as transaction:
            event_handlers.apply(
                transaction,
                ReceivedMessage(
                    message(run_id=run_id), 1_800_000_000_000
                ),
            )
        while retirements.work(engine):
            pass
    assert query_on(dsn, hidden) == [(30,)]
    assert query_on(dsn, WRONG_SUMS) == []
    engine.dispose()


def test_a_database_of_0_3_0_goes_on(infra: Infrastructure) -> None:
    """With what only that release has: changes, an audit, uses of keys."""
    dsn = restored(infra, "release_0_3_0", "release-0.3.0.sql.gz")
    settings = loader_settings(Infrastructure(dsn, infra.bootstrap))
    migrate(settings)
    engine = create_engine(settings.sqlalchemy_url())
    assert is_current(engine)
    assert query_on(dsn, WRONG_SUMS) == []
    for table, rows in (
        ("points", 33),
        ("unified_revisions", 8),
        ("changes", 4),
        ("audit", 4),
        ("key_uses", 1),
        ("dead_letters", 1),
    ):
        assert query_on(dsn, f"SELECT count(*) FROM {table}") == [
            (rows,)
        ], table
    ((run_id,),) = query_on(
        dsn, "SELECT run_id::text FROM runs WHERE preview = 'open'"
    )
    with engine.begin() as transaction:
        event_handlers.apply(
            transaction,
            ReceivedMessage(
                PublishReplay(run_id=run_id), 1_800_000_000_000
            ),
        )
    assert query_on(
        dsn, f"SELECT preview FROM runs WHERE run_id = '{run_id}'"
    ) != [("open",)]
    engine.dispose()


def test_what_windows_were_asked_for_is_one_record(
    infra: Infrastructure,
) -> None:
    """As 0.2.0 kept it: a series and a range of what was asked for each window of days."""
    dsn = new_database(infra, "windows_of_history")
    settings = loader_settings(Infrastructure(dsn, infra.bootstrap))
    engine = create_engine(settings.sqlalchemy_url())
    with engine.connect() as connection:
        command.upgrade(alembic_config(connection), "0010")
    engine.dispose()
    windows = ("2024-01-01..2024-02-01", "2024-02-01..2024-03-01")
    with psycopg2.connect(dsn) as filled, filled.cursor() as db:
        for number, window in enumerate(windows, 1):
            stream = f"coinpaprika/btc-bitcoin/ohlcv/{window}"
            db.execute(_FILL_WINDOW, {"stream": stream, "n": number})
    filled.close()
    migrate(settings)
    assert query_on(dsn, "SELECT points FROM series") == [(1,), (1,)]
    assert query_on(dsn, WRONG_SUMS) == []
    assert query_on(
        dsn, "SELECT stream, first_at::date, last_at::date FROM asked"
    ) == [
        (
            "coinpaprika/btc-bitcoin/ohlcv",
            date(2024, 1, 1),
            date(2024, 2, 29),
        )
    ]


def test_what_was_loaded_before_asking_was_recorded_says_so(
    upgraded: Engine,
) -> None:
    with upgraded.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT DISTINCT split_part(stream, '/', 1) FROM asked"
            " WHERE outcome = 'unknown' ORDER BY 1"
        ).all()
    assert [source for (source,) in rows] == ["coinpaprika", "csv", "rss"]


_FILL_WINDOW = """
SELECT ensure_partition(2024, 1), ensure_partition(2024, 2);
INSERT INTO series (key, source, dataset, stream, kind, instrument, symbol, "interval", currency,
                    timestamp_is)
VALUES (gen_random_uuid(), 'coinpaprika', 'daily', %(stream)s, 'candle', 'btc-bitcoin', 'btc',
        '1d', 'USD', 'open');
INSERT INTO points (id, series_id, "timestamp", close, value_hash, raw_time, raw_offset,
                    normalizer_version, record_index, page_id)
SELECT point_id('candle', at, gen_random_uuid()), (SELECT max(series_id) FROM series), at, 1, 1, 1,
       1, 1, 0, gen_random_uuid()
FROM (SELECT '2024-01-15Z'::timestamptz + (%(n)s - 1) * interval '31 days') AS t (at);
INSERT INTO asked (stream, outcome, reason, every_s, first_at, last_at, run_id)
SELECT %(stream)s, 'answered', '', 0, first, first + make_interval(months => 1)
       - interval '1 microsecond', gen_random_uuid()
FROM (SELECT '2024-01-01Z'::timestamptz + make_interval(months => %(n)s - 1)) AS t (first)
"""


@pytest.mark.parametrize("release", ["0.2.0", "0.3.0"])
def test_going_back_and_forth_keeps_what_that_release_knows(
    infra: Infrastructure, release: str
) -> None:
    dsn = restored(
        infra,
        f"release_back_{release.replace('.', '_')}",
        f"release-{release}.sql.gz",
    )
    before = schema_of(dsn)
    rows = query_on(dsn, "SELECT * FROM points ORDER BY id")
    settings = loader_settings(Infrastructure(dsn, infra.bootstrap))
    migrate(settings)
    assert schema_of(dsn) != before
    with pytest.raises(ConfigError, match="topics of 6 alone"):
        downgrade(settings, release)
    query_on(dsn, "DELETE FROM partition_counts WHERE count <> 6")
    downgrade(settings, release)
    assert schema_of(dsn) == before
    assert query_on(dsn, "SELECT * FROM points ORDER BY id") == rows
    assert query_on(dsn, WRONG_SUMS) == []
    migrate(settings)
    assert query_on(dsn, "SELECT * FROM points ORDER BY id") == rows
    with pytest.raises(ConfigError, match="its backup"):
        downgrade(settings, "0.1.0")


def test_migrations_hold_up_nobody_who_writes(
    infra: Infrastructure,
) -> None:
    """Receipts and points are written all the while; none waits for a lock for a second."""
    dsn = restored(infra, "release_under_load", "release-0.2.0.sql.gz")
    with psycopg2.connect(dsn) as connection, connection.cursor() as db:
        db.execute(
            """
            INSERT INTO page_receipts SELECT r.*
            FROM (SELECT * FROM page_receipts LIMIT 1) AS p
            CROSS JOIN generate_series(1, 50000) AS n
            CROSS JOIN LATERAL jsonb_populate_record(
                NULL::page_receipts, to_jsonb(p) || jsonb_build_object(
                    'page_id', gen_random_uuid(), 'task_id', gen_random_uuid(), 'n', n)) AS r
            """
        )
    connection.close()
    settings = loader_settings(Infrastructure(dsn, infra.bootstrap))
    stop = threading.Event()
    written: Counter[str] = Counter()
    refused: list[str] = []

    def write() -> None:
        connection = psycopg2.connect(dsn)
        connection.autocommit = True
        db = connection.cursor()
        db.execute("SET lock_timeout = '1s'")
        while not stop.is_set():
            for table, statement in WRITES.items():
                try:
                    db.execute(statement)
                except psycopg2.errors.LockNotAvailable:
                    refused.append(table)
                written[table] += 1
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        migrate(settings)
    finally:
        stop.set()
        writer.join()
    assert refused == []
    assert min(written.values()) > 5
    assert is_current(create_engine(settings.sqlalchemy_url()))


WRITES = {
    "page_receipts": (
        "UPDATE page_receipts SET loaded_at = now() WHERE ctid = (SELECT min(ctid) FROM"
        " page_receipts)"
    ),
    "points": (
        "UPDATE points SET revision = revision WHERE id = (SELECT id FROM points ORDER BY id"
        " LIMIT 1)"
    ),
    "runs": "UPDATE runs SET notes = notes WHERE ctid = (SELECT min(ctid) FROM runs)",
}


def restored(infra: Infrastructure, name: str, dump: str) -> str:
    dsn = new_database(infra, name)
    text = gzip.decompress(DUMP.with_name(dump).read_bytes()).decode()
    with psycopg2.connect(dsn) as connection, connection.cursor() as db:
        db.execute(text)
    connection.close()
    return dsn


_SCHEMA = (
    """
    SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns
    WHERE table_schema = 'public' ORDER BY 1, 2
    """,
    "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2",
    "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
    """
    SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1
    """,
)


def schema_of(dsn: str) -> list[tuple[Any, ...]]:
    """Columns, indexes, triggers and functions."""
    return [row for query in _SCHEMA for row in query_on(dsn, query)]
