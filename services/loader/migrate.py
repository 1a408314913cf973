"""The migration step: tables, the services' roles, topics.

Safe to run often, and by several at once.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import sqlalchemy.exc
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg2 import sql
from sqlalchemy import Connection, Engine, create_engine, text

from services.loader.database import db_of, reason_of
from services.loader.settings import LoaderSettings
from services.loader.steps import more_partitions
from services.loader.steps.carry_over import carry_over
from shared.errors import ConfigError, TransientError
from shared.kafka.topic_admin import ensure_topics
from shared.runtime import logs
from shared.runtime.settings import Role, role_name, role_password

MIGRATIONS = Path(__file__).parent / "migrations"
CARRIES_OVER = (
    "0008"  # after which what older releases stored is carried over
)
OLDEST_POSTGRES = 15
# The tables of releases whose data points have the ids of this one.
REVISIONS = {"0.2.0": "0010", "0.3.0": "0017"}
PARTITIONS_BEFORE = 6  # of all these
_SELECT_COUNTS = text("SELECT count FROM partition_counts")
_LOCK = 4_711_020
_SELECT_REVISION = text("SELECT version_num FROM alembic_version")
_SELECT_VERSION = text(
    "SELECT current_setting('server_version_num')::int / 10000"
)
_FOR_BOTH = (
    "ALTER ROLE {role} LOGIN PASSWORD {password}",
    "GRANT USAGE ON SCHEMA public TO {role}",
)
_GRANTS = {
    Role.READER: (
        "ALTER ROLE {role} SET default_transaction_read_only = on",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {role}",
    ),
    Role.LOADER: (
        "GRANT TEMPORARY ON DATABASE {database} TO {role}",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}",
        "GRANT EXECUTE ON FUNCTION ensure_partition, detach_partition, drop_detached TO {role}",
        (
            "ALTER DEFAULT PRIVILEGES IN SCHEMA public "
            "GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}"
        ),
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO {role}",
    ),
}
log = logs.get(__name__)


def migrate(settings: LoaderSettings, deadline_s: float = 60) -> None:
    """Bring database and broker to what this version needs, waiting for them.

    Raises TransientError when they are not there in time, ConfigError when PostgreSQL is too old.
    """
    until = time.monotonic() + deadline_s
    while True:
        try:
            _migrate_database(settings)
            created = _migrate_topics(settings)
        except (sqlalchemy.exc.OperationalError, TransientError) as error:
            if time.monotonic() > until:
                message = f"gave up after {deadline_s:.0f} s: {reason_of(error)}"
                raise TransientError(message) from error
            time.sleep(0.5)
        else:
            log.info("migrated", topics_created=created)
            return


def _migrate_topics(settings: LoaderSettings) -> list[str]:
    """The names of those that were made."""
    bootstrap = settings.kafka_bootstrap_servers
    engine = _engine(settings)

    async def before_raising() -> None:
        await more_partitions.check_idle(bootstrap, engine)
        more_partitions.remember(engine)

    try:
        created = asyncio.run(
            ensure_topics(
                bootstrap,
                replicas=settings.kafka_replicas,
                partitions=settings.partitions,
                fewest=more_partitions.most_known(engine),
                before_raising=before_raising,
            )
        )
        more_partitions.remember(engine)
    finally:
        engine.dispose()
    return created


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration. `connection`: that the migrations run over."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def is_current(engine: Engine) -> bool:
    """Whether the tables are those of this version, or of a newer one. Blocks.

    Raises OperationalError, ProgrammingError where there are none, or no role for the loader.
    """
    scripts = ScriptDirectory.from_config(alembic_config())
    head = scripts.get_current_head()
    older = {each.revision for each in scripts.walk_revisions()} - {head}
    with engine.connect() as connection:
        found = connection.execute(_SELECT_REVISION).scalar_one()
    return found not in older


def _engine(settings: LoaderSettings) -> Engine:
    """Of the owner of the tables."""
    return create_engine(
        settings.sqlalchemy_url(), connect_args={"connect_timeout": 5}
    )


def _migrate_database(settings: LoaderSettings) -> None:
    engine = _engine(settings)
    try:
        with engine.connect() as holder, holder.begin():
            _check_version(holder)
            holder.execute(
                text("SELECT pg_advisory_xact_lock(:lock)"),
                {"lock": _LOCK},
            )
            _upgrade(engine)
            with engine.begin() as connection:
                for role in Role:
                    _ensure_role(connection, settings, role)
    finally:
        engine.dispose()


def _upgrade(engine: Engine) -> None:
    """Bring the tables to what this version needs, with all that they hold."""
    with engine.connect() as connection:
        found = MigrationContext.configure(
            connection
        ).get_current_revision()
    is_older = found is None or found in _until(CARRIES_OVER)
    if is_older:
        with engine.connect() as connection:
            command.upgrade(alembic_config(connection), CARRIES_OVER)
    if is_older:
        carry_over(engine)
    with engine.connect() as connection:
        command.upgrade(alembic_config(connection), "head")


def downgrade(settings: LoaderSettings, release: str) -> None:
    """Make the tables what a release before needs; what only this one keeps is gone.

    Raises as `check_downgrade`.
    """
    check_downgrade(settings, release)
    revision = REVISIONS[release]
    engine = _engine(settings)
    try:
        with engine.connect() as connection:
            command.downgrade(alembic_config(connection), revision)
    finally:
        engine.dispose()
    log.info("downgraded", release=release, revision=revision)


def check_downgrade(settings: LoaderSettings, release: str) -> None:
    """Raises ConfigError for a release that is too old, or whose services could not work."""
    if release not in REVISIONS:
        known = ", ".join(REVISIONS)
        raise ConfigError(
            f"{release!r} is no release to go back to (known: {known}): a database of an older one "
            "comes back from its backup"
        )
    engine = _engine(settings)
    try:
        with engine.connect() as connection:
            _refuse_other_counts(connection, release)
    finally:
        engine.dispose()


def _refuse_other_counts(connection: Connection, release: str) -> None:
    """Raises ConfigError where the services of a release would refuse the topics."""
    counts = set(connection.execute(_SELECT_COUNTS).scalars())
    if counts - {PARTITIONS_BEFORE}:
        raise ConfigError(
            f"topics have {max(counts)} partitions, and {release} knows topics of "
            f"{PARTITIONS_BEFORE} alone: its database comes back from its backup, with its topics"
        )


def _until(revision: str) -> set[str]:
    """A revision and all before it."""
    scripts = ScriptDirectory.from_config(alembic_config())
    return {
        each.revision
        for each in scripts.iterate_revisions(revision, "base")
    }


def _check_version(connection: Connection) -> None:
    version = connection.execute(_SELECT_VERSION).scalar_one()
    if version < OLDEST_POSTGRES:
        message = f"PostgreSQL {version} is too old"
        needed = f"{OLDEST_POSTGRES} or newer is needed"
        raise ConfigError(f"DATABASE_URL: {message}, {needed}")


def _ensure_role(
    connection: Connection, settings: LoaderSettings, role: Role
) -> None:
    """A role that may do what its service does and nothing else."""
    name = role_name(settings.dsn(), role)
    db = db_of(connection)
    db.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,))
    if db.fetchone() is None:
        db.execute(
            sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name))
        )
    named = {
        "role": sql.Identifier(name),
        "password": sql.Literal(role_password(settings, role)),
        "database": sql.Identifier(connection.engine.url.database or ""),
    }
    for statement in (*_FOR_BOTH, *_GRANTS[role]):
        db.execute(sql.SQL(statement).format(**named))
