"""The migration step: tables, the gateway's read-only role, topics.

Safe to run often, and by several at once.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import sqlalchemy.exc
from alembic import command
from alembic.config import Config
from psycopg2 import sql
from sqlalchemy import Connection, create_engine, text

from services.loader.database import db_of, reason_of
from services.loader.settings import LoaderSettings
from shared.errors import ConfigError, TransientError
from shared.kafka.topic_admin import ensure_topics
from shared.runtime import logs
from shared.runtime.settings import reader_name

MIGRATIONS = Path(__file__).parent / "migrations"
OLDEST_POSTGRES = 15
_LOCK = 4_711_020
_SELECT_VERSION = text(
    "SELECT current_setting('server_version_num')::int / 10000"
)
_GRANTS = (
    "ALTER ROLE {role} PASSWORD {password}",
    "ALTER ROLE {role} SET default_transaction_read_only = on",
    "GRANT USAGE ON SCHEMA public TO {role}",
    "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {role}",
)
log = logs.get(__name__)


def migrate(settings: LoaderSettings, deadline_s: float = 60) -> None:
    """Bring database and broker to what this version needs, waiting for them.

    Raises TransientError when they are not there in time, ConfigError when PostgreSQL is too old.
    """
    until = time.monotonic() + deadline_s
    while True:
        try:
            _migrate_database(settings)
            created = asyncio.run(
                ensure_topics(settings.kafka_bootstrap_servers)
            )
        except (sqlalchemy.exc.OperationalError, TransientError) as error:
            if time.monotonic() > until:
                message = f"gave up after {deadline_s:.0f} s: {reason_of(error)}"
                raise TransientError(message) from error
            time.sleep(0.5)
        else:
            log.info("migrated", topics_created=created)
            return


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration. `connection`: that the migrations run over."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def _migrate_database(settings: LoaderSettings) -> None:
    engine = create_engine(
        settings.sqlalchemy_url(), connect_args={"connect_timeout": 5}
    )
    try:
        with engine.begin() as connection:
            _check_version(connection)
            connection.execute(
                text("SELECT pg_advisory_xact_lock(:lock)"),
                {"lock": _LOCK},
            )
            command.upgrade(alembic_config(connection), "head")
            _ensure_reader(connection, settings)
    finally:
        engine.dispose()


def _check_version(connection: Connection) -> None:
    version = connection.execute(_SELECT_VERSION).scalar_one()
    if version < OLDEST_POSTGRES:
        message = f"PostgreSQL {version} is too old"
        needed = f"{OLDEST_POSTGRES} or newer is needed"
        raise ConfigError(f"DATABASE_URL: {message}, {needed}")


def _ensure_reader(
    connection: Connection, settings: LoaderSettings
) -> None:
    """A role that may read and nothing else; its password is the owner's."""
    name = reader_name(settings.dsn())
    role = sql.Identifier(name)
    password = sql.Literal(connection.engine.url.password or "")
    db = db_of(connection)
    db.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,))
    if db.fetchone() is None:
        db.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
    for statement in _GRANTS:
        db.execute(
            sql.SQL(statement).format(role=role, password=password)
        )
