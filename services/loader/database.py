"""The connection to PostgreSQL, and what its errors mean."""

from __future__ import annotations

from typing import Any

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import psycopg2.extras
import sqlalchemy.exc
from sqlalchemy import Connection, Engine, create_engine, event

from services.loader.pages import sql as sql

Cursor = psycopg2.extensions.cursor


# A row that PostgreSQL refuses for its content; the batch is then cut in half until the row is found.
DATA_ERRORS = (psycopg2.DataError, psycopg2.errors.IntegrityError, psycopg2.errors.ProgramLimitExceeded)


def build_engine(url: str, *, stuck_after_s: float = 60) -> Engine:
    """An engine whose sessions cannot hold locks for ever should this process freeze.

    Who waits for such a lock says so (see `AWAY`) before the watchdog takes the wait for a standstill.
    """
    engine = create_engine(url, pool_size=6, max_overflow=0, pool_pre_ping=True, connect_args={
        "connect_timeout": 5, "application_name": "loader", "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
        "options": f"-c idle_in_transaction_session_timeout=20s -c lock_timeout={stuck_after_s * 500:.0f}ms -c timezone=UTC",
    })  # fmt: skip

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql.PREPARE)
        connection.commit()

    return engine


def cursor_of(transaction: Connection) -> Cursor:
    """The psycopg2 cursor under a SQLAlchemy transaction, for COPY."""
    return transaction.connection.cursor()  # type: ignore[return-value]


# The database is away, busy or in conflict: the same batch is tried again, as often as it takes.
# (Deadlocks, serialization failures, a full disk and a shutdown are OperationalErrors too.)
# So is a session that the server ended because its batch had to wait too long for its turn.
AWAY = (
    psycopg2.OperationalError,
    psycopg2.InterfaceError,
    psycopg2.errors.IdleInTransactionSessionTimeout,
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.InterfaceError,
    sqlalchemy.exc.TimeoutError,
)
