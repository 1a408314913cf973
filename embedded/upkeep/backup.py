"""`make backup` and `make restore`: the database with what proves it, and the configuration.

A backup is a folder: `database.dump` (pg_dump's own form), `manifest.json` (version, rows and
digests of every table, taken of the same snapshot), `configuration.jsonl` (keys and settings, as
they lie on their topic), copies of `.env` and `mapping.yaml`. The rest of Kafka is not in it: what
its topics still hold completes a database that was put back.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg2
from psycopg2 import sql

import shared
from embedded import commands, stack, supervision
from embedded.console import Console
from embedded.errors import StackError
from embedded.servers import postgres
from embedded.settings import ROOT, StackSettings
from shared.runtime.settings import COMPOSE_DB_HOST, load

DUMP = "database.dump"
MANIFEST = "manifest.json"
CONFIGURED = "configuration.jsonl"
COPIED = (".env", "mapping.yaml")
Tables = dict[str, list[Any]]
_SELECT_TABLES = """
SELECT c.oid::regclass::text FROM pg_class AS c
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
ORDER BY 1
"""
# Whatever the order of the rows.
_DIGEST = """
SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text FROM {} AS t
"""
# Places in /changes that were handed out mean other changes from now on.
_FORGET_PLACES = (
    "UPDATE change_position SET incarnation = gen_random_uuid()"
)


@dataclass(frozen=True)
class Manifest:
    """What a backup holds. `tables`: rows and digest of each."""

    made_at: str
    version: str
    revision: str
    dump_sha256: str
    tables: Tables


@dataclass(frozen=True)
class Database:
    """Where PostgreSQL is reached from this machine. Several hosts and ports with commas."""

    host: str
    port: str
    user: str
    password: str
    name: str

    @classmethod
    def of(cls, settings: StackSettings) -> Database:
        parts = urlsplit(settings.dsn())
        places = parts.netloc.rpartition("@")[2]
        if places.partition(":")[0] == COMPOSE_DB_HOST:
            # compose publishes its port here
            places = f"127.0.0.1:{settings.postgres_port}"
        hosts = [_host_and_port(each) for each in places.split(",")]
        return cls(
            ",".join(host for host, _ in hosts),
            ",".join(port for _, port in hosts),
            unquote(parts.username or ""),
            unquote(parts.password or ""),
            unquote(parts.path.removeprefix("/")),
        )

    @property
    def wanted(self) -> str:
        """Of several hosts the one that takes writes."""
        return "primary" if "," in self.host else "any"

    @contextmanager
    def session(self, name: str | None = None) -> Iterator[Any]:
        """A session that commits by itself. Raises StackError with what PostgreSQL says."""
        try:
            connection = self._connected(name or self.name)
            connection.autocommit = True
            try:
                yield connection.cursor()
            finally:
                connection.close()
        except psycopg2.Error as error:
            raise StackError(
                f"PostgreSQL: {str(error).strip()}"
            ) from error

    def _connected(self, name: str) -> Any:
        return psycopg2.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            dbname=name,
            connect_timeout=5,
            options="-c timezone=UTC",
            target_session_attrs=self.wanted,
        )

    def tool(self, name: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs. Raises StackError with what it said."""
        done = subprocess.run(
            [
                postgres.binary(name),
                f"--host={self.host}",
                f"--port={self.port}",
                f"--username={self.user}",
                "--no-password",
                *arguments,
            ],
            env={
                **os.environ,
                "PGPASSWORD": self.password,
                "PGTARGETSESSIONATTRS": self.wanted,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StackError(f"{name}: {done.stderr.strip()[-1000:]}")


def _host_and_port(place: str) -> tuple[str, str]:
    host, colon, port = place.rpartition(":")
    is_bare = not colon or place.endswith("]")
    host, port = (place, "5432") if is_bare else (host, port)
    return host.strip("[]"), port


def backup(console: Console, arguments: list[str]) -> int:
    """While everything runs: of one moment."""
    settings = load(StackSettings)
    database = Database.of(settings)
    now = datetime.now(UTC)
    folder = _new_folder(arguments, now)
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True, mode=0o700)
    with console.step(f"backing {database.name} up"):
        manifest = _dumped(database, part, now)
        _copy_configuration(settings, part, console)
    (part / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1))
    part.rename(folder)
    console.print(_told(folder, manifest))
    return 0


def _new_folder(arguments: list[str], now: datetime) -> Path:
    """Raises StackError for one that is there."""
    named = f"backups/{now:%Y-%m-%dT%H-%M-%SZ}"
    folder = Path(arguments[0]) if arguments else ROOT / named
    if folder.exists():
        raise StackError(f"{folder} is there already: name another")
    return folder


def _told(folder: Path, manifest: Manifest) -> str:
    size = sum(each.stat().st_size for each in folder.iterdir())
    rows = sum(each[0] for each in manifest.tables.values())
    return f"{folder}: {rows:,} rows, {size / 1e6:,.1f} MB"


def _dumped(database: Database, folder: Path, now: datetime) -> Manifest:
    with database.session() as cursor:
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        cursor.execute("SELECT pg_export_snapshot()")
        (snapshot,) = cursor.fetchone()
        database.tool(
            "pg_dump",
            "--format=custom",
            f"--snapshot={snapshot}",
            f"--file={folder / DUMP}",
            database.name,
        )
        cursor.execute("SELECT version_num FROM alembic_version")
        (revision,) = cursor.fetchone()
        tables = _digests(cursor)
    return Manifest(
        made_at=now.isoformat(),
        version=shared.__version__,
        revision=revision,
        dump_sha256=_sha256(folder / DUMP),
        tables=tables,
    )


def _digests(cursor: Any) -> Tables:
    cursor.execute(_SELECT_TABLES)
    found = {}
    for (name,) in cursor.fetchall():
        cursor.execute(_DIGEST.format(name))
        found[name] = list(cursor.fetchone())
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _keep(settings: StackSettings, what: str, given: str = "") -> str:
    """What is configured at run time: `dump`ed, or `load`ed. Raises StackError."""
    done = subprocess.run(
        [*_python(settings), "-m", "shared.configuration.keep", what],
        cwd=ROOT,
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = done.stderr.strip().rpartition("\n")[2]
        raise StackError(
            f"what is configured at run time cannot be {what}ed: {reason}"
        )
    return done.stdout


def _python(settings: StackSettings) -> list[str]:
    """One that reaches Kafka."""
    if settings.mode != "docker":
        return [sys.executable]
    return [*commands.compose_command(), "exec", "-T", "loader", "python"]


def _copy_configuration(
    settings: StackSettings, folder: Path, console: Console
) -> None:
    """`.env`, `mapping.yaml`, and what is configured at run time, where Kafka can be asked."""
    kept = folder / CONFIGURED
    try:
        kept.write_text(_keep(settings, "dump"))
    except StackError as error:
        console.print(f"  note: not in the backup: {error}")
    else:
        kept.chmod(0o600)
    places = [ROOT / COPIED[0]]
    if (csv_folder := settings.csv_folder()) is not None:
        places.append(csv_folder / COPIED[1])
    else:
        console.print(
            f"  note: not in the backup: {COPIED[1]}, which lies in {settings.csv_dir}"
        )
    for place in places:
        if place.is_file():
            copied = Path(shutil.copy(place, folder / place.name))
            copied.chmod(0o600)


def restore(console: Console, arguments: list[str]) -> int:
    """Into a database of its own, checked, and only then in the place of the one that is there."""
    names = [each for each in arguments if each != "--yes"]
    if len(names) != 1:
        raise StackError("say which backup: make restore FROM=backups/…")
    settings = load(StackSettings)
    folder = Path(names[0])
    manifest = _read(folder)
    database = Database.of(settings)
    if "--yes" not in arguments:
        commands.confirm(
            console,
            f"this puts {database.name} back to {manifest.made_at}, and keeps what is there",
            "YES=1 make restore",
        )
    fresh = f"{database.name}_restored"
    with console.step("restoring into a database of its own"):
        _restore_into(database, fresh, folder)
    with console.step("comparing every table with the manifest"):
        _compare(database, fresh, manifest)
    with console.step("stopping the services"):
        _stop(settings)
    with console.step("putting it in its place"):
        kept = _swap(database, fresh)
    with console.step("migrating, starting the services"):
        _start(settings)
    _put_back(settings, folder, console)
    console.print(
        f"{database.name} is that of {manifest.made_at}; the topics complete it from there. What "
        f"was there before is kept as {kept}: drop it when all is well."
    )
    return 0


def _put_back(
    settings: StackSettings, folder: Path, console: Console
) -> None:
    """What is configured at run time, where Kafka does not know it; it knows what is newer."""
    file = folder / CONFIGURED
    if file.exists():
        count = _keep(settings, "load", file.read_text()).strip()
        console.print(f"{count} settings and keys were put back")


def _read(folder: Path) -> Manifest:
    """Raises StackError for what is no whole backup, or of a version that is not known here."""
    try:
        found = Manifest(**json.loads((folder / MANIFEST).read_text()))
        digest = _sha256(folder / DUMP)
    except (OSError, ValueError, TypeError) as error:
        raise StackError(f"{folder} is no backup: {error}") from error
    if digest != found.dump_sha256:
        raise StackError(
            f"{folder / DUMP} is not what was backed up: its SHA-256 is another"
        )
    if not _is_known(found.revision):
        raise StackError(
            f"{folder} was made by version {found.version}, newer than {shared.__version__}"
        )
    return found


def _is_known(revision: str) -> bool:
    versions = ROOT / "services" / "loader" / "migrations" / "versions"
    return any(versions.glob(f"{revision}_*.py"))


def _restore_into(database: Database, fresh: str, folder: Path) -> None:
    with database.session("postgres") as cursor:
        for statement in (
            "DROP DATABASE IF EXISTS {}",
            "CREATE DATABASE {}",
        ):
            cursor.execute(
                sql.SQL(statement).format(sql.Identifier(fresh))
            )
    database.tool(
        "pg_restore",
        "--exit-on-error",
        "--no-owner",
        "--no-privileges",
        f"--dbname={fresh}",
        str(folder / DUMP),
    )


def _compare(database: Database, fresh: str, manifest: Manifest) -> None:
    with database.session(fresh) as cursor:
        found = _digests(cursor)
        cursor.execute(_FORGET_PLACES)
    different = ", ".join(_different(manifest.tables, found))
    if different:
        raise StackError(
            f"what was restored is not what was backed up ({different}): nothing has changed, "
            f"{fresh} can be looked at"
        )


def _different(one: Tables, other: Tables) -> list[str]:
    names = sorted(one.keys() | other.keys())
    return [each for each in names if one.get(each) != other.get(each)]


def _swap(database: Database, fresh: str) -> str:
    """Returns what the database that was there is named now."""
    kept = f"{database.name}_before_{datetime.now(UTC):%Y%m%d%H%M%S}"
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    with database.session("postgres") as cursor:
        for old, new in ((database.name, kept), (fresh, database.name)):
            try:
                cursor.execute(
                    rename.format(
                        sql.Identifier(old), sql.Identifier(new)
                    )
                )
            except psycopg2.errors.ObjectInUse as error:
                raise StackError(
                    f"somebody is connected to {old}, so it cannot be renamed: end that, and "
                    "restore again"
                ) from error
    return kept


def _stop(settings: StackSettings) -> None:
    if settings.mode == "docker":
        commands.compose("stop", *settings.counts())
    elif supervision.is_running(settings):
        supervision.stop_services(settings)


def _start(settings: StackSettings) -> None:
    if settings.mode == "docker":
        commands.compose("up", "-d")
    elif supervision.is_running(settings):
        stack.migrate(settings)
        stack.start_services(settings)
