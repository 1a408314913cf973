"""A database of release 0.1.0 becomes one of this version, and holds what it held.

The dump beside the tests was made by that release: a run of three sources with a rejected row, a
file that changed, and a preview that is open.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import Engine, create_engine

from services.loader.migrate import migrate
from services.loader.runs import ledger
from tests.integration.conftest import loader_settings
from tests.support.infra import Infrastructure

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


@pytest.fixture(scope="module")
def upgraded(infra: Infrastructure) -> Iterator[Engine]:
    """The database of the dump, migrated."""
    connection = psycopg2.connect(infra.dsn)
    connection.autocommit = True
    with connection.cursor() as db:
        db.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        db.execute(f"CREATE DATABASE {DATABASE}")
    connection.close()
    dsn = f"{infra.dsn.rpartition('/')[0]}/{DATABASE}"
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
            "UPDATE unified_data SET close = 2, value_hash = value_hash + 1,"
            " revision = revision + 1 WHERE id = ("
            "SELECT id FROM unified_data WHERE kind = 'candle' LIMIT 1)"
        )
        found = transaction.exec_driver_sql(
            "SELECT count(*) FROM unified_revisions"
        ).scalar_one()
        transaction.rollback()
    assert found == COUNTS["unified_revisions"] + 1
