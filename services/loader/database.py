"""The connection to PostgreSQL, and what its errors mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import sqlalchemy.exc
from sqlalchemy import Connection, Engine, create_engine, event

from services.loader.pages import sql
from shared.blame import is_to_blame
from shared.errors import StuckError
from shared.runtime.health import DISK_FULL

Db = psycopg2.extensions.cursor
# The database is unavailable, busy or in conflict: the same batch is tried again, as often as it
# takes. (Deadlocks, serialization failures, a full disk and a shutdown are OperationalErrors too.)
# So is a session that the server ended because its batch had to wait too long for its turn.
DATABASE_UNAVAILABLE = (
    psycopg2.OperationalError,
    psycopg2.InterfaceError,
    psycopg2.errors.IdleInTransactionSessionTimeout,
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.InterfaceError,
    sqlalchemy.exc.TimeoutError,
)
# A row that PostgreSQL refuses for its content; the batch is then cut in half until it is found.
DATA_ERRORS = (
    psycopg2.DataError,
    psycopg2.errors.IntegrityError,
    psycopg2.errors.ProgramLimitExceeded,
    psycopg2.errors.StatementTooComplex,
)
IDLE_IN_TRANSACTION_S = 20
POOL_SIZE = 6
# Which server it is, and on which timeline: a standby that is promoted begins a new one.
_INCARNATION = """
SELECT concat((SELECT system_identifier FROM pg_control_system()), '/',
              left(pg_walfile_name(pg_current_wal_lsn()), 8))
"""


def build_engine(url: str, *, stuck_after_s: float = 60) -> Engine:
    """An engine whose sessions cannot hold locks for long should this process freeze.

    Who waits for such a lock reports it (`DATABASE_UNAVAILABLE`) before the watchdog takes the wait
    for a standstill.
    """
    lock_timeout_ms = stuck_after_s * 500
    options = (
        f"-c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_S}s "
        f"-c lock_timeout={lock_timeout_ms:.0f}ms -c timezone=UTC"
    )
    engine = create_engine(
        url,
        pool_size=POOL_SIZE,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": 5,
            "application_name": "loader",
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "options": options,
        },
    )

    known: list[str] = []

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        with connection.cursor() as db:
            _refuse_another(db, known)
            db.execute(sql.CREATE_STAGING_TABLES)
        connection.commit()

    return engine


def _refuse_another(db: Db, known: list[str]) -> None:
    """Raises StuckError for another server than before, or one that was put in its place.

    What it lacks was committed in Kafka: the loader must begin where this database says.
    """
    db.execute(_INCARNATION)
    row = db.fetchone()
    found = str(row and row[0])
    if known and known[0] != found:
        raise StuckError(
            f"PostgreSQL is another one than before ({known[0]} → {found}): what it does not hold "
            "is read again from Kafka"
        )
    known[:] = [found]


def may_be_a_message(error: Exception) -> bool:
    """Whether an error may come of a message, and not of the database or this process."""
    if isinstance(_cause(error), DATA_ERRORS):
        return True
    is_unavailable = isinstance(error, DATABASE_UNAVAILABLE)
    return not is_unavailable and is_to_blame(error)


def _cause(error: Exception) -> BaseException:
    """What the driver said, under what SQLAlchemy makes of it."""
    return getattr(error, "orig", None) or error


def trouble_of(error: Exception) -> str:
    """Why nothing can be stored, in words for the health file and the API."""
    if isinstance(_cause(error), psycopg2.errors.DiskFull):
        return f"{DISK_FULL}: PostgreSQL has no space left"
    return "PostgreSQL is unavailable"


def reason_of(error: Exception) -> str:
    """The first line of what the database said."""
    return str(error).strip().splitlines()[0]


def db_of(transaction: Connection) -> Db:
    """The psycopg2 cursor under a SQLAlchemy transaction, for COPY."""
    return transaction.connection.cursor()  # type: ignore[return-value]


@contextmanager
def by_index(db: Db) -> Iterator[None]:
    """For statements that change data points which they find by id.

    PostgreSQL does not foresee that each id lies in one partition, and would sooner read them all.
    """
    _set_joins(db, "off")
    yield
    _set_joins(db, "on")


def _set_joins(db: Db, state: str) -> None:
    db.execute(
        f"SET LOCAL enable_hashjoin = {state}; SET LOCAL enable_mergejoin = {state}"
    )
